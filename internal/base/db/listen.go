package db

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// announcement is the channel of NOTIFY. Channels belong to a database, so no two houses share it.
const announcement = "gatehouse"

// How long to wait before listening again after the connection was lost: twice as long each time.
const (
	minListenPause = time.Second
	maxListenPause = time.Minute
)

// Announce has everybody who waits with [DB.Listen] woken when the verb is committed. It is for what
// many must hear of and few do, such as a change of the configuration: PostgreSQL commits verbs that
// announce one after the other.
func (tx *Tx) Announce() { tx.announced = true }

// Listen calls heard after verbs that announced themselves were committed, by any process, and
// whenever some may have been missed, until ctx ends. It is a wake-up and no more: several verbs may
// come to one call, and behind some poolers there are none at all. Whoever must know looks by
// itself from time to time.
//
// SQLite has one serving process, which knows what it did: there Listen only waits for ctx.
func (d *DB) Listen(ctx context.Context, heard func()) {
	p, ok := d.engine.(*postgres)
	if !ok {
		<-ctx.Done()
		return
	}
	pause := minListenPause
	for ctx.Err() == nil {
		if p.listen(ctx, heard) {
			pause = minListenPause
		}
		again := time.NewTimer(pause)
		select {
		case <-again.C:
		case <-ctx.Done():
			again.Stop()
		}
		pause = min(2*pause, maxListenPause)
	}
}

// listen listens on a connection of its own until that is lost, and reports whether it got so far.
func (p *postgres) listen(ctx context.Context, heard func()) bool {
	conn, err := pgx.ConnectConfig(ctx, p.pool.Config().ConnConfig)
	if err != nil {
		return false
	}
	defer func() {
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackTime)
		defer cancel()
		conn.Close(bounded)
	}()
	if _, err := conn.Exec(ctx, "LISTEN "+announcement); err != nil {
		return false
	}
	for {
		heard()
		if _, err := conn.WaitForNotification(ctx); err != nil {
			return true
		}
	}
}
