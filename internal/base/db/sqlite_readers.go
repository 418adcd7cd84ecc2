package db

import "context"

// readers is the pool of reading connections, opened on demand. Each may only read (query_only), whatever the SQL says.
type readers struct {
	dsn  string
	idle chan *sqliteConn
	open chan struct{} // one token per open connection

	closed chan struct{}
}

func newReaders(dsn string, size int) *readers {
	return &readers{
		dsn:    dsn,
		idle:   make(chan *sqliteConn, size),
		open:   make(chan struct{}, size),
		closed: make(chan struct{}),
	}
}

func (p *readers) query(ctx context.Context, sql string, args []any, brief bool) (*Rows, error) {
	conn, err := p.get(ctx)
	if err != nil {
		return nil, err
	}
	watched := ctx
	if brief { // the driver would start a goroutine to watch it, for longer than the reading takes
		watched = context.WithoutCancel(ctx)
	}
	rows, err := conn.query(watched, sql, args)
	if err != nil {
		p.put(conn)
		return nil, err
	}
	r := rows.source.(*sqliteRows)
	r.ctx = ctx
	r.home, r.conn = p, conn
	return rows, nil
}

func (p *readers) get(ctx context.Context) (*sqliteConn, error) {
	select {
	case <-p.closed:
		return nil, ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	default:
	}
	select {
	case c := <-p.idle:
		return c, nil
	default:
	}
	select {
	case c := <-p.idle:
		return c, nil
	case p.open <- struct{}{}:
		c, err := openSQLiteConn(ctx, p.dsn)
		if err != nil {
			<-p.open
		}
		return c, err
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-p.closed:
		return nil, ErrClosed
	}
}

func (p *readers) put(c *sqliteConn) {
	select {
	case <-p.closed:
	default:
		if c.valid() {
			p.idle <- c // never blocks: there are no more connections than places
			p.sweep()
			return
		}
	}
	c.close()
	<-p.open
}

// sweep closes a connection that was put back while the pool was closing.
func (p *readers) sweep() {
	select {
	case <-p.closed:
	default:
		return
	}
	for {
		select {
		case c := <-p.idle:
			c.close()
			<-p.open
		default:
			return
		}
	}
}

// close closes the idle connections; the others close when their result is closed.
func (p *readers) close() {
	close(p.closed)
	p.sweep()
}
