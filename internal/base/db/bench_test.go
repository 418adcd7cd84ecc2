package db_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/db/dbtest"
)

// BenchmarkGroupedWrite rotates refresh families, the hottest write of the house, with one caller and with many. The
// difference is what grouping saves.
func BenchmarkGroupedWrite(b *testing.B) {
	benchmarkEngines(b, func(b *testing.B, d *db.DB) {
		for _, callers := range []int{1, 64} {
			b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
				tn := d.Tenant(fmt.Sprintf("t%d", callers))
				generation := newFamilies(b, tn, callers)
				b.ReportAllocs()
				each(b, callers, func(caller int) error {
					g := &generation[caller]
					*g++
					return tn.Write(b.Context(), func(tx *db.Tx) error {
						n, err := tx.Exec(rotateFamily, family(caller), *g-1)
						if n != 1 && err == nil {
							return fmt.Errorf("generation %d was not current", *g-1)
						}
						return err
					})
				})
			})
		}
	})
}

// BenchmarkRead reads one row by its key.
func BenchmarkRead(b *testing.B) {
	benchmarkEngines(b, func(b *testing.B, d *db.DB) {
		for _, callers := range []int{1, 64} {
			b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
				tn := d.Tenant(fmt.Sprintf("t%d", callers))
				newFamilies(b, tn, callers)
				b.ReportAllocs()
				ctx, cancel := context.WithCancel(b.Context())
				defer cancel()
				each(b, callers, func(caller int) error {
					var generation int64
					var digest []byte
					var revoked bool
					return tn.QueryRow(ctx, selectFamily, family(caller)).Scan(&generation, &digest, &revoked)
				})
			})
		}
	})
}

func benchmarkEngines(b *testing.B, fn func(b *testing.B, d *db.DB)) {
	b.Run("SQLite", func(b *testing.B) { fn(b, dbtest.SQLite(b, testSchema)) })
	b.Run("PostgreSQL", func(b *testing.B) { fn(b, dbtest.PostgreSQL(b, testSchema)) })
}

func family(caller int) string { return fmt.Sprintf("family-%d", caller) }

// newFamilies inserts a family per caller and returns their generations.
func newFamilies(b *testing.B, tn db.Tenant, callers int) []int64 {
	err := tn.Write(b.Context(), func(tx *db.Tx) error {
		for i := range callers {
			if _, err := tx.Exec(`INSERT INTO families (tenant_id, id, generation, digest, revoked) VALUES ($1, $2, $3, $4, $5)
				ON CONFLICT (tenant_id, id) DO UPDATE SET generation = excluded.generation`, family(i), 0, []byte("digest"), false); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	return make([]int64, callers)
}

// each shares b.N operations out among the callers.
func each(b *testing.B, callers int, op func(caller int) error) {
	b.ResetTimer()
	var left atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	for caller := range callers {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if err := op(caller); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}
