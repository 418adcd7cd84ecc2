package server_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/config"
	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
	"github.com/gatehouse-dev/gatehouse/internal/core/mail"
	"github.com/gatehouse-dev/gatehouse/internal/core/people"
	"github.com/gatehouse-dev/gatehouse/internal/server/demo"
	"github.com/gatehouse-dev/gatehouse/internal/server/servertest"
)

// Whatever strangers can have written is gone after one turn of the janitor once it has expired,
// however much of it there is.
func TestThreat_DB15_OneTurnOfTheJanitorLeavesNothing(t *testing.T) {
	const rows = 1200 // more than two batches
	i := servertest.New(t, servertest.Options{})
	tn, now := i.House.Tenant, i.Clock.Now()
	owner, expired := i.UserID(t, demo.Reader), db.Micros(now.Add(time.Minute))
	must(t, tn.DB.Write(t.Context(), func(tx *db.Tx) error {
		for n := range rows {
			unique := []byte(strconv.Itoa(n))
			if _, err := tx.Exec(`INSERT INTO sessions (tenant_id, sid, cookie_hash, silent_hash, user_id, state, auth_time, amr, acr, address,
				user_agent, created_at, seen_at, idle_expires_at, expires_at) VALUES ($1, $2, $3, $3, $4, 'active', 0, '', '', '', '', 0, 0, $5, $5)`,
				strconv.Itoa(n), unique, owner, expired); err != nil {
				return err
			}
			if _, err := tx.Exec(`INSERT INTO failures (tenant_id, bucket, count, expires_at) VALUES ($1, $2, 1, $3)`, unique, expired); err != nil {
				return err
			}
			if _, _, err := i.House.People.Issue(tx, people.NewChallenge{Purpose: people.SignUp, Target: strconv.Itoa(n) + "@example.com"}); err != nil {
				return err
			}
			if _, err := i.House.People.IssueTicket(tx, people.PasswordLink, strconv.Itoa(n), time.Minute); err != nil {
				return err
			}
			if err := i.House.Outbox.Enqueue(tx, mail.Message{To: strconv.Itoa(n) + "@example.com"}); err != nil {
				return err
			}
		}
		return nil
	}))
	i.Clock.Advance(31 * 24 * time.Hour)
	must(t, i.House.Sweep(t.Context()))
	for _, table := range []string{"sessions", "failures", "challenges", "tickets", "mails"} {
		var left int64
		must(t, tn.DB.QueryRow(t.Context(), `SELECT COUNT(*) FROM `+table+` WHERE tenant_id = $1`).Scan(&left))
		if left != 0 {
			t.Errorf("%d %s are left", left, table)
		}
	}
}

// The record is kept for as long as the operator says, and no longer.
func TestThreat_OV07_TheRecordEnds(t *testing.T) {
	const day, events = 24 * time.Hour, 1200
	for name, c := range map[string]struct {
		keep time.Duration
		gone int64
	}{"400 days": {400 * day, events}, "for ever": {0, 0}} {
		t.Run(name, func(t *testing.T) {
			i := servertest.New(t, servertest.Options{Configure: func(c2 *config.Config) { c2.Audit.Keep = c.keep }})
			tn := i.House.Tenant
			old := func() (n int64) {
				t.Helper()
				must(t, tn.DB.QueryRow(t.Context(), `SELECT COUNT(*) FROM audit_events WHERE tenant_id = $1 AND event = $2`, string(audit.SignInFailed)).Scan(&n))
				return n
			}
			must(t, tn.DB.Write(t.Context(), func(tx *db.Tx) error {
				for range events {
					if err := audit.Record(tx, audit.Event{Type: audit.SignInFailed, At: i.Clock.Now()}); err != nil {
						return err
					}
				}
				return nil
			}))
			i.Clock.Advance(400 * day)
			must(t, i.House.Sweep(t.Context()))
			if n := old(); n != events {
				t.Errorf("after 400 days %d events are left", n)
			}
			i.Clock.Advance(time.Second)
			must(t, i.House.Sweep(t.Context()))
			if n := old(); n != events-c.gone {
				t.Errorf("a second later %d events are left, want %d", n, events-c.gone)
			}
		})
	}
}

// What can not be swept in one place holds up nothing in another: keys are rotated by the same turn.
func TestTheJanitorGoesOn(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	tn := i.House.Tenant
	before, err := i.House.Keys.List(t.Context(), tn)
	must(t, err)
	must(t, i.House.DB.System().Write(t.Context(), func(tx *db.Tx) error {
		_, err := tx.Exec(`ALTER TABLE challenges RENAME TO lost`)
		return err
	}))
	i.Clock.Advance(365 * 24 * time.Hour)
	if i.House.Sweep(t.Context()) == nil {
		t.Error("what failed was not told")
	}
	after, err := i.House.Keys.List(t.Context(), tn)
	must(t, err)
	if len(after) <= len(before) {
		t.Error("no key was rotated")
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
