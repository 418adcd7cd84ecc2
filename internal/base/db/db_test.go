package db_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/db/dbtest"
)

// testSchema has one table of a tenant and one of the house.
var testSchema = fstest.MapFS{
	"0001_first.sql": {Data: []byte(`
		CREATE TABLE families (
			tenant_id TEXT NOT NULL,
			id TEXT NOT NULL,
			generation BIGINT NOT NULL,
			digest BYTEA,
			revoked BOOLEAN NOT NULL,
			PRIMARY KEY (tenant_id, id)
		);
		CREATE TABLE marks (id BIGINT PRIMARY KEY, text TEXT NOT NULL);
		CREATE TABLE leaves (id BIGINT PRIMARY KEY, mark BIGINT NOT NULL REFERENCES marks (id));
	`)},
}

const (
	insertFamily = `INSERT INTO families (tenant_id, id, generation, digest, revoked) VALUES ($1, $2, $3, $4, $5)`
	rotateFamily = `UPDATE families SET generation = generation + 1 WHERE tenant_id = $1 AND id = $2 AND generation = $3`
	selectFamily = `SELECT generation, digest, revoked FROM families WHERE tenant_id = $1 AND id = $2`
	insertMark   = `INSERT INTO marks (id, text) VALUES ($1, $2)`
	countMarks   = `SELECT count(*) FROM marks`
)

func TestWriteAndRead(t *testing.T) {
	dbtest.Each(t, testSchema, func(t *testing.T, d *db.DB) {
		ctx, tn := t.Context(), d.Tenant("t1")
		err := tn.Write(ctx, func(tx *db.Tx) error {
			n, err := tx.Exec(insertFamily, "f", 7, []byte{1, 2}, true)
			if n != 1 {
				t.Errorf("%d rows inserted", n)
			}
			if tx.TenantID() != "t1" {
				t.Errorf("TenantID = %q", tx.TenantID())
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		var generation int64
		var digest []byte
		var revoked bool
		if err := tn.QueryRow(ctx, selectFamily, "f").Scan(&generation, &digest, &revoked); err != nil {
			t.Fatal(err)
		}
		if generation != 7 || string(digest) != "\x01\x02" || !revoked {
			t.Errorf("read %d %x %t", generation, digest, revoked)
		}
		err = tn.QueryRow(ctx, selectFamily, "other").Scan(&generation, &digest, &revoked)
		if !errors.Is(err, db.ErrNoRows) {
			t.Errorf("no row: %v", err)
		}
	})
}

func TestOneWinnerAmongManyCallers(t *testing.T) {
	dbtest.Two(t, testSchema, func(t *testing.T, a, b *db.DB) {
		ctx := t.Context()
		err := a.Tenant("t1").Write(ctx, func(tx *db.Tx) error {
			_, err := tx.Exec(insertFamily, "f", 1, nil, false)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		var winners atomic.Int64
		var wg sync.WaitGroup
		for i := range 64 {
			d := a
			if i%2 == 1 {
				d = b
			}
			wg.Go(func() {
				err := d.Tenant("t1").Write(ctx, func(tx *db.Tx) error {
					n, err := tx.Exec(rotateFamily, "f", 1)
					tx.OnCommit(func() { winners.Add(n) })
					return err
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if winners.Load() != 1 {
			t.Errorf("%d winners", winners.Load())
		}
	})
}

func TestMicros(t *testing.T) {
	at := time.Date(2026, 3, 4, 5, 6, 7, 8000, time.FixedZone("x", 3600))
	if got := db.Time(db.Micros(at)); !got.Equal(at) || got.Location() != time.UTC {
		t.Errorf("Time(Micros(%v)) = %v", at, got)
	}
	if db.Micros(time.Time{}) != 0 || !db.Time(0).IsZero() {
		t.Error("0 must stand for the zero time")
	}
}
