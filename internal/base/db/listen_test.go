package db_test

import (
	"context"
	"testing"
	"testing/fstest"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/db/dbtest"
)

var things = fstest.MapFS{"0001_things.sql": {Data: []byte(`CREATE TABLE things (id BIGINT PRIMARY KEY)`)}}

func addThing(t *testing.T, d *db.DB, id int, announce bool) {
	t.Helper()
	err := d.System().Write(t.Context(), func(tx *db.Tx) error {
		if announce {
			tx.Announce()
		}
		_, err := tx.Exec(`INSERT INTO things (id) VALUES ($1)`, id)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// What one node announces another hears after it is committed, and only that.
func TestListenHearsAnnouncements(t *testing.T) {
	url := dbtest.TemplatePostgreSQL(t, things)
	a, b := reopen(t, url), reopen(t, url)
	ctx, stop := context.WithCancel(t.Context())
	heard, ended := make(chan int, 100), make(chan struct{})
	go func() {
		defer close(ended)
		b.Listen(ctx, func() {
			var n int
			if err := b.System().QueryRow(t.Context(), `SELECT COUNT(*) FROM things`).Scan(&n); err != nil {
				t.Error(err)
			}
			heard <- n
		})
	}()
	next := func() int {
		t.Helper()
		select {
		case n := <-heard:
			return n
		case <-time.After(30 * time.Second):
			t.Fatal("nothing was heard")
			return 0
		}
	}
	if n := next(); n != 0 {
		t.Errorf("at first %d things", n)
	}
	addThing(t, a, 1, false)
	addThing(t, a, 2, true)
	if n := next(); n != 2 {
		t.Errorf("heard when there were %d things, want both", n)
	}
	addThing(t, b, 3, true)
	if n := next(); n != 3 {
		t.Errorf("heard when there were %d things, want three", n)
	}
	stop()
	<-ended
	if len(heard) != 0 {
		t.Error("heard what nobody announced")
	}
}

// SQLite has one process: there is nobody to hear from, and announcing does no harm.
func TestListenOnSQLiteOnlyWaits(t *testing.T) {
	d := dbtest.SQLite(t, things)
	addThing(t, d, 1, true)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	d.Listen(ctx, func() { t.Error("heard something") })
}

func reopen(t *testing.T, url string) *db.DB {
	t.Helper()
	d, err := db.Open(t.Context(), url, db.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}
