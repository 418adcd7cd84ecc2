package db

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strconv"
	"strings"

	"github.com/gatehouse-dev/gatehouse/internal/base/db/sqltext"
)

// migration is one file of the series.
type migration struct {
	version  int
	name     string
	checksum string
	// statements make the change, in order.
	statements []string
}

// Migrate brings the schema up to the series in files: NNNN_name.sql at its root, numbered from 0001 without a
// gap, one text for both engines. Each file is one transaction and is recorded in schema_migrations; any
// number of nodes may migrate at once, and a crash leaves whole files only.
//
// It changes nothing and fails when the database is newer than the series, when an applied file was edited
// or removed, and when a file defers constraints.
func (d *DB) Migrate(ctx context.Context, files fs.FS) error {
	series, err := readSeries(files)
	if err != nil {
		return fmt.Errorf("db: migrate: %w", err)
	}
	if err := d.migrate(ctx, nil, series); err != nil { // makes the table and checks what was applied before
		return fmt.Errorf("db: migrate: %w", err)
	}
	for i := range series {
		if err := d.migrate(ctx, &series[i], series); err != nil {
			return fmt.Errorf("db: migrate: %04d_%s: %w", series[i].version, series[i].name, err)
		}
	}
	return nil
}

const (
	createMigrationsSQL = `CREATE TABLE IF NOT EXISTS schema_migrations (
		version BIGINT PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at BIGINT NOT NULL)`
	listMigrationsSQL  = `SELECT version, name, checksum FROM schema_migrations ORDER BY version`
	insertMigrationSQL = `INSERT INTO schema_migrations (version, name, checksum, applied_at) VALUES ($1, $2, $3, $4)`
	// The number is arbitrary; it only has to be the same for every node.
	lockMigrationsSQL = `SELECT pg_advisory_xact_lock(7164391142)`
)

// migrate applies one file unless it is there already, or none when m is nil. It judges the recorded
// series again each time, under the lock, since another node may be migrating too.
func (d *DB) migrate(ctx context.Context, m *migration, series []migration) error {
	return d.System().write(ctx, write{scope: scope{kind: scopeSystem}, patient: true, verb: func(tx *Tx) error {
		if d.dialect == PostgreSQL {
			if _, err := tx.Exec(lockMigrationsSQL); err != nil {
				return err
			}
		}
		if m == nil {
			if _, err := tx.Exec(createMigrationsSQL); err != nil {
				return err
			}
		}
		applied, err := appliedMigrations(tx)
		if err != nil {
			return err
		}
		if err := checkApplied(applied, series); err != nil {
			return err
		}
		if m == nil || m.version <= len(applied) {
			return nil
		}
		for _, statement := range m.statements {
			if _, err := tx.Exec(statement); err != nil {
				return err
			}
		}
		_, err = tx.Exec(insertMigrationSQL, m.version, m.name, m.checksum, Micros(d.clock.Now()))
		return err
	}})
}

func appliedMigrations(tx *Tx) ([]migration, error) {
	rows, err := tx.Query(listMigrationsSQL)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var applied []migration
	for rows.Next() {
		var m migration
		if err := rows.Scan(&m.version, &m.name, &m.checksum); err != nil {
			return nil, err
		}
		applied = append(applied, m)
	}
	return applied, rows.Err()
}

// checkApplied compares what the database records with the series of this program.
func checkApplied(applied, series []migration) error {
	if len(applied) > len(series) {
		return fmt.Errorf("the database is newer than this program: it has %d migrations, the last is %04d_%s, and this program knows %d; "+
			"run the newer version, or restore the backup taken before the upgrade",
			len(applied), applied[len(applied)-1].version, applied[len(applied)-1].name, len(series))
	}
	for i, a := range applied {
		switch s := series[i]; {
		case a.version != s.version:
			return fmt.Errorf("the database records migration %04d where %04d belongs", a.version, s.version)
		case a.checksum != s.checksum:
			return fmt.Errorf("the database was made by another build: its migration %04d_%s is not the %04d_%s of this program, which was edited since; "+
				"run the build that made it, or begin with an empty database (for gatehouse dev, delete its folder)",
				a.version, a.name, s.version, s.name)
		}
	}
	return nil
}

var (
	migrationName = regexp.MustCompile(`^(\d{4})_([a-z0-9_]+)\.sql$`)
	// A deferred constraint would fail at COMMIT and take the whole group of verbs with it.
	deferredConstraint = regexp.MustCompile(`(?i)\b(deferrable|deferred)\b`)
)

// readSeries reads the files in order and refuses a series with a gap.
func readSeries(files fs.FS) ([]migration, error) {
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return nil, err
	}
	var series []migration
	for _, name := range names { // in lexical order, which is the order of the numbers
		match := migrationName.FindStringSubmatch(name)
		if match == nil {
			return nil, fmt.Errorf("%s is not named NNNN_name.sql", name)
		}
		version, err := strconv.Atoi(match[1])
		if err != nil {
			return nil, err
		}
		if version != len(series)+1 {
			return nil, fmt.Errorf("%s stands where %04d belongs: the series must have no gap and no double", name, len(series)+1)
		}
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		m, err := readMigration(version, match[2], string(text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		series = append(series, m)
	}
	return series, nil
}

func readMigration(version int, name, text string) (migration, error) {
	text = strings.ReplaceAll(text, "\r\n", "\n") // a checkout on Windows is no edit
	statements, err := sqltext.Split(text)
	if err != nil {
		return migration{}, err
	}
	for _, s := range statements {
		if deferredConstraint.MatchString(s) {
			return migration{}, errors.New("constraints must be immediate")
		}
	}
	sum := sha256.Sum256([]byte(text))
	return migration{version: version, name: name, checksum: hex.EncodeToString(sum[:]), statements: statements}, nil
}
