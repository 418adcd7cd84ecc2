package dbtest

import (
	"context"
	"crypto/rand"
	"fmt"
	"io/fs"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// TemplatePostgreSQL returns the DSN of a database migrated with files and otherwise empty. It belongs to the test until the test
// ends, whose connections must be closed by then. It skips the test when -short is given.
//
// Creating a database costs a fifth of a second, emptying one a few milliseconds: so a database whose schema the test left alone is
// emptied and serves another test of this process.
func TemplatePostgreSQL(t testing.TB, files fs.FS) (dsn string) {
	t.Helper()
	if testing.Short() {
		t.Skip("PostgreSQL is left out of -short")
	}
	ctx := context.Background()
	server, err := Server()
	if err != nil {
		t.Fatal(err)
	}
	sum, err := checksum(files)
	if err != nil {
		t.Fatal(err)
	}
	p, err := once("postgres "+sum, func() (*databases, error) { return newDatabases(ctx, server, sum, files) })
	if err != nil {
		t.Fatal(err)
	}
	name, err := p.take(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.giveBack(ctx, name); err != nil {
			t.Error(err)
		}
	})
	return withDatabase(p.server, name)
}

// databases are the copies of one template that this process has made.
type databases struct {
	server   string // the DSN of the server's database "postgres", or whichever it names
	template string
	shape    string // of the template; "" when it holds rows, which emptying would take

	mu   sync.Mutex
	idle []string
}

const (
	// testPrefix is followed by the time, so that what processes leave behind on a lasting server can be told by its age: a
	// test process has no moment at which it could drop what it keeps for its next test.
	testPrefix     = "gatehouse_test_"
	templatePrefix = "gatehouse_template_"
	leftAfter      = 6 * time.Hour
)

// newDatabases makes the template unless another process sharing the server has made it. It appears under its name
// only when it is complete.
func newDatabases(ctx context.Context, server, sum string, files fs.FS) (*databases, error) {
	if !strings.Contains(server, "://") {
		return nil, fmt.Errorf("%s must be a URL such as postgres://postgres@localhost/postgres", EnvServer)
	}
	p := &databases{server: server, template: templatePrefix + sum[:16]}
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		return nil, err
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock(hashtext($1))", p.template); err != nil {
		return nil, err
	}
	if err := sweep(ctx, conn); err != nil {
		return nil, err
	}
	var exists bool
	if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM pg_database WHERE datname = $1)", p.template).Scan(&exists); err != nil {
		return nil, err
	}
	if !exists {
		draft := p.template + "_draft"
		if _, err := conn.Exec(ctx, "DROP DATABASE IF EXISTS "+draft+" WITH (FORCE)"); err != nil {
			return nil, err
		}
		if _, err := conn.Exec(ctx, "CREATE DATABASE "+draft+" TEMPLATE template0 ENCODING 'UTF8'"); err != nil {
			return nil, err
		}
		if err := migrate(withDatabase(server, draft), files); err != nil {
			return nil, err
		}
		if _, err := conn.Exec(ctx, "ALTER DATABASE "+draft+" RENAME TO "+p.template); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// sweep drops the databases of processes that ended long ago.
func sweep(ctx context.Context, conn *pgx.Conn) error {
	rows, err := conn.Query(ctx, "SELECT datname FROM pg_database WHERE starts_with(datname, $1)", testPrefix)
	if err != nil {
		return err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, name := range names {
		stamp, _, _ := strings.Cut(strings.TrimPrefix(name, testPrefix), "_")
		made, err := strconv.ParseInt(stamp, 10, 64)
		if err != nil || time.Since(time.Unix(made, 0)) < leftAfter {
			continue
		}
		if _, err := conn.Exec(ctx, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)"); err != nil {
			return err
		}
	}
	return nil
}

// take returns an idle database, or makes one.
func (p *databases) take(ctx context.Context) (name string, err error) {
	p.mu.Lock()
	if n := len(p.idle); n > 0 {
		name, p.idle = p.idle[n-1], p.idle[:n-1]
	}
	p.mu.Unlock()
	if name != "" {
		return name, nil
	}
	name = fmt.Sprintf("%s%d_%s", testPrefix, time.Now().Unix(), strings.ToLower(rand.Text()[:12]))
	if err := p.execute(ctx, "CREATE DATABASE "+name+" TEMPLATE "+p.template); err != nil {
		return "", err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shape == "" {
		p.shape, err = p.describe(ctx, name)
	}
	return name, err
}

// giveBack empties the database for the next test, or drops it when that is not safe: when the test changed the schema, or a
// client it killed is still at work.
func (p *databases) giveBack(ctx context.Context, name string) error {
	clean, err := p.empty(ctx, name)
	if err != nil || !clean {
		return p.execute(ctx, "DROP DATABASE "+name+" WITH (FORCE)")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = append(p.idle, name)
	return nil
}

func (p *databases) empty(ctx context.Context, name string) (clean bool, err error) {
	conn, err := pgx.Connect(ctx, withDatabase(p.server, name))
	if err != nil {
		return false, err
	}
	defer conn.Close(ctx)
	if shape, err := shape(ctx, conn); err != nil || shape != p.shape || shape == seeded {
		return false, err
	}
	// A client that was closed a moment ago may be on its way out.
	if _, err := conn.Exec(ctx, `DO $$
		BEGIN
			FOR i IN 1..100 LOOP
				PERFORM pg_stat_clear_snapshot();
				EXIT WHEN NOT EXISTS (SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid());
				PERFORM pg_sleep(0.002);
			END LOOP;
		END $$`); err != nil {
		return false, err
	}
	var others int
	if err := conn.QueryRow(ctx, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`).
		Scan(&others); err != nil || others > 0 {
		return false, err
	}
	// The role makes foreign keys look away, so that the order of tables does not matter.
	_, err = conn.Exec(ctx, `DO $$
		DECLARE t name;
		BEGIN
			SET LOCAL session_replication_role = replica;
			FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'schema_migrations' LOOP
				EXECUTE format('DELETE FROM %I', t);
			END LOOP;
		END $$`)
	return err == nil, err
}

// describe returns the shape of a fresh copy, or seeded when it holds rows.
func (p *databases) describe(ctx context.Context, name string) (string, error) {
	conn, err := pgx.Connect(ctx, withDatabase(p.server, name))
	if err != nil {
		return "", err
	}
	defer conn.Close(ctx)
	rows, err := conn.Query(ctx, `SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'schema_migrations'`)
	if err != nil {
		return "", err
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return "", err
	}
	for _, table := range tables {
		var filled bool
		if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM "+pgx.Identifier{table}.Sanitize()+")").Scan(&filled); err != nil {
			return "", err
		}
		if filled {
			return seeded, nil
		}
	}
	return shape(ctx, conn)
}

const seeded = "seeded"

// shape returns a digest of everything DDL and Migrate change. The versions of catalogue rows are in it, so that any change tells.
func shape(ctx context.Context, conn *pgx.Conn) (digest string, err error) {
	err = conn.QueryRow(ctx, `SELECT md5(string_agg(part, ',' ORDER BY part)) FROM (
		SELECT 'class ' || oid || ' ' || xmin::text FROM pg_class WHERE relnamespace = 'public'::regnamespace
		UNION ALL SELECT 'column ' || attrelid || ' ' || attnum || ' ' || a.xmin::text FROM pg_attribute a
			JOIN pg_class c ON c.oid = a.attrelid WHERE c.relnamespace = 'public'::regnamespace
		UNION ALL SELECT 'constraint ' || oid || ' ' || xmin::text FROM pg_constraint WHERE connamespace = 'public'::regnamespace
		UNION ALL SELECT 'routine ' || oid || ' ' || xmin::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace
		UNION ALL SELECT 'trigger ' || tgrelid || ' ' || tgname || ' ' || xmin::text FROM pg_trigger
		UNION ALL SELECT 'migration ' || version || ' ' || checksum FROM schema_migrations
	) AS parts (part)`).Scan(&digest)
	return digest, err
}

func (p *databases) execute(ctx context.Context, sql string) error {
	conn, err := pgx.Connect(ctx, p.server)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, sql)
	return err
}

// withDatabase returns the DSN of another database on the same server.
func withDatabase(server, name string) string {
	u, err := url.Parse(server)
	if err != nil {
		return server // pgx will say what is wrong with it, without the password
	}
	u.Path = "/" + name
	return u.String()
}
