package db_test

import (
	"bytes"
	"errors"
	"net"
	"net/url"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/db/dbtest"
)

// wire stands between a client and the server and cuts the connection at a statement.
type wire struct {
	dsn string // through the wire

	cutAt atomic.Pointer[cut]
}

type cut struct {
	word      string
	delivered bool // let the statement through, and cut before its answer
}

func newWire(t *testing.T, dsn string) *wire {
	t.Helper()
	config, err := pgconn.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	network, address := pgconn.NetworkAddress(config.Host, config.Port)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })

	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	u.Host = listener.Addr().String()
	q := u.Query()
	q.Del("host")
	q.Set("sslmode", "disable")
	u.RawQuery = q.Encode()
	w := &wire{dsn: u.String()}
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial(network, address)
			if err != nil {
				client.Close()
				continue
			}
			go w.serve(client, server)
		}
	}()
	return w
}

func (w *wire) serve(client, server net.Conn) {
	defer client.Close()
	defer server.Close()
	var mute atomic.Bool
	answered := make(chan struct{}) // closed at the first answer after mute
	go func() {
		defer client.Close()
		buffer := make([]byte, 64<<10)
		for {
			n, err := server.Read(buffer)
			if mute.Load() {
				close(answered)
				return
			}
			if n > 0 {
				client.Write(buffer[:n])
			}
			if err != nil {
				return
			}
		}
	}()
	buffer := make([]byte, 64<<10)
	for {
		n, err := client.Read(buffer)
		if c := w.cutAt.Load(); c != nil && bytes.Contains(buffer[:n], []byte(c.word)) {
			w.cutAt.Store(nil)
			if c.delivered {
				mute.Store(true)
				server.Write(buffer[:n])
				<-answered
			}
			return
		}
		if n > 0 {
			server.Write(buffer[:n])
		}
		if err != nil {
			return
		}
	}
}

func TestThreat_DB05_CutConnection(t *testing.T) {
	dsn := dbtest.TemplatePostgreSQL(t, testSchema)
	direct, err := db.Open(t.Context(), dsn, db.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer direct.Close()
	w := newWire(t, dsn)
	d, err := db.Open(t.Context(), w.dsn, db.Options{MaxConns: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()

	const argument = "\x00\x04text" // with its length, as it is bound
	for id, test := range []struct {
		name    string
		cut     cut
		unknown bool
		there   bool
	}{
		{"while the statement is prepared", cut{"INSERT", true}, false, false},
		{"before the statement", cut{argument, false}, false, false},
		{"after the statement", cut{argument, true}, false, false},
		{"before COMMIT", cut{"COMMIT", false}, true, false},
		{"after COMMIT", cut{"COMMIT", true}, true, true},
	} {
		w.cutAt.Store(&test.cut)
		err := d.System().Write(t.Context(), func(tx *db.Tx) error {
			tx.OnCommit(func() { t.Errorf("cut %s: OnCommit ran", test.name) })
			return mark(id)(tx)
		})
		if unknown, busy := errors.Is(err, db.ErrUnknownOutcome), errors.Is(err, db.ErrBusy); unknown != test.unknown || busy == test.unknown {
			t.Errorf("cut %s: unknown %t, busy %t: %v", test.name, unknown, busy, err)
		}
		if there := marks(t, direct)[id]; there != test.there {
			t.Errorf("cut %s: the row is there: %t", test.name, there)
		}
		if err := d.System().Write(t.Context(), mark(100+id)); err != nil {
			t.Errorf("the next verb: %v", err)
		}
	}
	// A verb of one statement sends COMMIT along, so any cut leaves a doubt, and never a success.
	for id, test := range []struct {
		name  string
		cut   cut
		there bool
	}{
		{"before the statement", cut{argument, false}, false},
		{"after COMMIT", cut{argument, true}, true},
	} {
		id += 200
		w.cutAt.Store(&test.cut)
		n, err := d.System().Exec(t.Context(), insertMark, func() []any { return []any{id, "text"} })
		if n != 0 || !errors.Is(err, db.ErrUnknownOutcome) {
			t.Errorf("one statement, cut %s: %d, %v", test.name, n, err)
		}
		if there := marks(t, direct)[id]; there != test.there {
			t.Errorf("one statement, cut %s: the row is there: %t", test.name, there)
		}
		if n, err := d.System().Exec(t.Context(), insertMark, func() []any { return []any{100 + id, "text"} }); n != 1 || err != nil {
			t.Errorf("the next verb: %d, %v", n, err)
		}
	}
	w.cutAt.Store(&cut{"SELECT count", true})
	if err := d.System().QueryRow(t.Context(), countMarks).Scan(new(int)); !errors.Is(err, db.ErrBusy) {
		t.Errorf("a read: %v", err)
	}
}

func TestCommitsAreSynchronousWhateverTheServersDefault(t *testing.T) {
	dsn := dbtest.TemplatePostgreSQL(t, testSchema)
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	for setting, want := range map[string]string{"off": "on", "on": "on", "remote_apply": "remote_apply"} {
		q := u.Query()
		q.Set("synchronous_commit", setting)
		with := *u
		with.RawQuery = q.Encode()
		d, err := db.Open(t.Context(), with.String(), db.Options{})
		if err != nil {
			t.Fatal(err)
		}
		var got string
		if err := d.System().QueryRow(t.Context(), `SELECT current_setting('synchronous_commit')`).Scan(&got); err != nil || got != want {
			t.Errorf("synchronous_commit %s became %s, %v", setting, got, err)
		}
		d.Close()
	}
}
