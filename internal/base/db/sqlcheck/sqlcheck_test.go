package sqlcheck

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

var migrations = fstest.MapFS{
	"0001_first.sql": {Data: []byte(`
		-- CREATE TABLE commented (tenant_id TEXT);
		CREATE TABLE tenants (id TEXT PRIMARY KEY);
		CREATE TABLE users (tenant_id TEXT NOT NULL, id TEXT NOT NULL);
		CREATE TABLE IF NOT EXISTS Sessions (tenant_id TEXT NOT NULL, id TEXT NOT NULL, user_id TEXT NOT NULL);
		CREATE INDEX users_by_tenant ON users (tenant_id);
		CREATE TABLE events (id BIGINT);
	`)},
	"0002_more.sql": {Data: []byte(`ALTER TABLE events ADD COLUMN tenant_id TEXT`)},
}

func TestTenantTables(t *testing.T) {
	got, err := tenantTables(migrations)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]bool{"users": true, "sessions": true, "events": true}, got); diff != "" {
		t.Error(diff)
	}
}

func TestKeepsToItsTenant(t *testing.T) {
	for _, sql := range []string{
		`SELECT id FROM tenants WHERE host = $1`,
		`SELECT 1`,
		`SELECT id FROM users WHERE tenant_id = $1 AND id = $2`,
		`select id from users where id = $2 and tenant_id = $1`,
		`SELECT id FROM users WHERE $1 = tenant_id`,
		`SELECT id FROM users WHERE (tenant_id = $1) AND (id = $2 OR id = $3)`,
		`SELECT u.id FROM users u JOIN sessions AS s ON s.tenant_id = u.tenant_id AND s.user_id = u.id WHERE u.tenant_id = $1`,
		`SELECT u.id FROM users u LEFT JOIN sessions s ON s.tenant_id = u.tenant_id AND s.user_id = u.id WHERE u.tenant_id = $1`,
		`SELECT u.id FROM users u, sessions s WHERE u.tenant_id = $1 AND s.tenant_id = $1`,
		`SELECT id FROM users u WHERE tenant_id = $1 AND EXISTS (SELECT 1 FROM sessions s WHERE s.tenant_id = u.tenant_id AND s.user_id = u.id)`,
		`SELECT id FROM users WHERE tenant_id = $1 AND id IS DISTINCT FROM $2`,
		`SELECT id FROM users WHERE tenant_id = $1 UNION ALL SELECT id FROM sessions WHERE tenant_id = $1`,
		`WITH s AS (SELECT user_id FROM sessions WHERE tenant_id = $1) SELECT id FROM users JOIN s ON s.user_id = users.id WHERE users.tenant_id = $1`,
		`INSERT INTO users (tenant_id, id) VALUES ($1, $2)`,
		`INSERT INTO users (id, tenant_id) VALUES ($2, $1), ($3, $1) RETURNING id, tenant_id`,
		`INSERT INTO users (tenant_id, id) SELECT $1, id FROM tenants`,
		`INSERT INTO users (tenant_id, id) SELECT tenant_id, user_id FROM sessions WHERE tenant_id = $1`,
		`INSERT INTO users (tenant_id, id) SELECT s.tenant_id, s.user_id FROM sessions s WHERE s.tenant_id = $1
			AND NOT EXISTS (SELECT 1 FROM events e WHERE e.tenant_id = s.tenant_id)`,
		`INSERT INTO users (tenant_id, id) VALUES ($1, $2) ON CONFLICT (tenant_id, id) DO UPDATE SET id = excluded.id RETURNING id`,
		`INSERT INTO users (tenant_id, id) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET id = excluded.id WHERE users.tenant_id = $1`,
		`INSERT INTO users (tenant_id, id) VALUES ($1, $2) ON CONFLICT DO NOTHING`,
		`UPDATE users SET id = $3 WHERE tenant_id = $1 AND id = $2`,
		`DELETE FROM users WHERE tenant_id = $1 AND id = $2 RETURNING id`,
		// not SQL
		`update users: %w`,
		`Select one from users`,
		`delete the user's sessions`,
		`FROM the archive INTO the light`,
	} {
		if got := problems(sql, tables(t)); len(got) != 0 {
			t.Errorf("%s\n\t%s", sql, strings.Join(got, "\n\t"))
		}
	}
}

func TestStraysFromItsTenant(t *testing.T) {
	for _, test := range []struct{ sql, table string }{
		{`SELECT id FROM users WHERE id = $1`, "users"},
		{`SELECT id FROM users`, "users"},
		{`SELECT tenant_id = $1 FROM users`, "users"},
		{`SELECT id FROM users WHERE tenant_id = $2`, "users"},
		{`SELECT id FROM users WHERE tenant_id = $1 OR id = $2`, "users"},
		{`SELECT id FROM users WHERE (tenant_id = $1 AND id = $2 OR id = $3)`, "users"},
		{`SELECT id FROM users WHERE tenant_id = $1 AND id IS DISTINCT FROM $2 OR id = $3`, "users"},
		{`SELECT id FROM users WHERE NOT tenant_id = $1`, "users"},
		{`SELECT id FROM users WHERE NOT (tenant_id = $1)`, "users"},
		{`SELECT id FROM users WHERE tenant_id <> $1`, "users"},
		{`SELECT id FROM users WHERE tenant_id >= $1`, "users"},
		{`SELECT id FROM users WHERE CASE WHEN true AND tenant_id = $1 AND false THEN true ELSE true END`, "users"},
		{`SELECT id FROM users WHERE tenant_id = $1 -- AND
			OR true`, "users"},
		{`SELECT id FROM users /* WHERE tenant_id = $1 */`, "users"},
		{`SELECT id FROM users WHERE id = 'tenant_id = $1'`, "users"},
		{`SELECT u.id FROM users u JOIN sessions s ON s.user_id = u.id WHERE u.tenant_id = $1`, "sessions"},
		{`SELECT u.id FROM users u JOIN sessions s ON s.tenant_id = u.tenant_id`, "users"},
		{`SELECT u.id FROM users u LEFT JOIN sessions s ON u.tenant_id = $1 AND s.tenant_id = $1`, "users"},
		{`SELECT u.id FROM users u RIGHT JOIN sessions s ON s.tenant_id = u.tenant_id WHERE u.tenant_id = $1`, "sessions"},
		{`SELECT u.id FROM users u, sessions s WHERE u.tenant_id = $1`, "sessions"},
		{`SELECT id FROM users u JOIN sessions s ON s.user_id = u.id WHERE tenant_id = $1`, "users"},
		{`SELECT id FROM tenants WHERE id IN (SELECT id FROM users)`, "users"},
		{`SELECT (SELECT id FROM users WHERE id = $2) FROM tenants WHERE id = $1`, "users"},
		{`SELECT id FROM users u WHERE EXISTS (SELECT 1 FROM sessions s WHERE s.tenant_id = $1 AND s.tenant_id = u.tenant_id)`, "users"},
		{`SELECT id FROM users WHERE tenant_id = $1 UNION SELECT id FROM sessions`, "sessions"},
		{`WITH s AS (SELECT user_id FROM sessions) SELECT id FROM tenants JOIN s ON s.user_id = tenants.id`, "sessions"},
		{`INSERT INTO users (id) VALUES ($1)`, "users"},
		{`INSERT INTO users VALUES ($1, $2)`, "users"},
		{`INSERT INTO users (tenant_id, id) VALUES ($2, $1)`, "users"},
		{`INSERT INTO users (tenant_id, id) VALUES ($1, $2), ($3, $4)`, "users"},
		{`INSERT INTO users (tenant_id, id) SELECT id, id FROM tenants`, "users"},
		{`INSERT INTO users (tenant_id, id) SELECT $1, user_id FROM sessions`, "sessions"},
		{`INSERT INTO tenants (id) SELECT user_id FROM sessions`, "sessions"},
		{`INSERT INTO tenants (id) VALUES ((SELECT user_id FROM sessions))`, "sessions"},
		{`INSERT INTO users (tenant_id, id) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET id = excluded.id`, "users"},
		{`INSERT INTO users (tenant_id, id) VALUES ($1, $2) ON CONFLICT (tenant_id, id) DO UPDATE SET id = (SELECT id FROM sessions)`, "sessions"},
		{`UPDATE users SET id = $2 WHERE id = $1`, "users"},
		{`UPDATE users SET tenant_id = $1 WHERE id = $2`, "users"},
		{`UPDATE users SET tenant_id = $2 WHERE tenant_id = $1`, "tenant_id"},
		{`DELETE FROM users WHERE id = $2`, "users"},
		{`DELETE FROM users WHERE (tenant_id, id) IN (SELECT tenant_id, id FROM users WHERE tenant_id = $1)`, "users"},
		{` FROM sessions WHERE id = $1`, "sessions"},
		{`, s.id JOIN sessions s`, "sessions"},
	} {
		got := problems(test.sql, tables(t))
		if len(got) == 0 || !strings.Contains(strings.Join(got, "\n"), test.table) {
			t.Errorf("%s\n\tproblems = %q, want one about %s", test.sql, got, test.table)
		}
	}
}

func tables(t *testing.T) map[string]bool {
	tables, err := tenantTables(migrations)
	if err != nil {
		t.Fatal(err)
	}
	return tables
}

func TestCheckReadsATree(t *testing.T) {
	root := t.TempDir()
	write := func(path, code string) {
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(code), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("core/people/users.go", `package people

import "fmt"

const good = "SELECT id FROM users WHERE tenant_id = $1"
const bad = "SELECT id FROM users WHERE id = $1"

const columns = "id, tenant_id"
const head = "SELECT " + columns + " FROM users "
const byID = head + "WHERE tenant_id = $1 AND id = $2"
const all = head + "ORDER BY id"

const sweep = "DELETE FROM sessions"

type store struct{}

func (s *store) list(order string) {
	query("SELECT id FROM users ORDER BY " + order)
	query("SELECT id FROM users WHERE tenant_id = $1 ORDER BY " + order)
	query(fmt.Sprintf("SELECT %s FROM sessions", columns))
	query(good, head)
	const local = "DELETE FROM users"
	query(local)
}

func query(...string) {}
`)
	write("core/people/users_test.go", `package people
const inTest = "DELETE FROM users"
`)
	write("core/people/testdata/x.go", `package x
const inTestdata = "DELETE FROM users"
`)
	findings, err := Check(root, migrations, map[string]string{
		"core/people.sweep":  "a janitor works for all tenants",
		"core/people.absent": "is not there",
		"core/people.all":    "",
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range findings {
		got = append(got, fmt.Sprintf("%d %s", f.Pos.Line, f.Name))
	}
	want := []string{
		"0 core/people.absent",
		"0 core/people.all",
		"9 core/people.head", // also used by itself
		"11 core/people.all",
		"6 core/people.bad",
		"18 core/people.store.list",
		"20 core/people.store.list",
		"22 core/people.local",
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// FuzzProblems looks for text that makes the reader panic or hang.
func FuzzProblems(f *testing.F) {
	f.Add(`WITH s AS (SELECT 1) INSERT INTO users (tenant_id) SELECT $1 FROM users ON CONFLICT (id) DO UPDATE SET a = (SELECT 1) WHERE b`)
	f.Add(`SELECT FROM ( ) UNION ALL , JOIN LEFT`)
	f.Fuzz(func(t *testing.T, sql string) { problems(sql, map[string]bool{"users": true}) })
}
