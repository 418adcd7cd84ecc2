package audit_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/db/dbtest"
	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
	"github.com/gatehouse-dev/gatehouse/internal/core/schema"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
)

var noon = time.Date(2026, 11, 5, 12, 0, 0, 0, time.UTC)

func newTenant(t *testing.T, d *db.DB, id string) *tenant.Tenant {
	t.Helper()
	tn, err := tenant.Ensure(context.Background(), d, id, "https://"+id+".example.com/", tenant.Settings{}, noon)
	if err != nil {
		t.Fatal(err)
	}
	return tn
}

func record(t *testing.T, tn *tenant.Tenant, events ...audit.Event) {
	t.Helper()
	for _, e := range events {
		if err := tn.DB.Write(context.Background(), func(tx *db.Tx) error { return audit.Record(tx, e) }); err != nil {
			t.Fatal(err)
		}
	}
}

// Whatever strangers call themselves, an event is one line of bounded, visible text.
func TestThreat_AD07_EventsHoldOnlyVisibleText(t *testing.T) {
	dbtest.Each(t, schema.Files, func(t *testing.T, d *db.DB) {
		tn := newTenant(t, d, "one")
		hostile := "x\r\n{\"event\":\"forged\"}\x1b[2J\x00\u202e\u2028\xff" + strings.Repeat("ä", 1<<20)
		record(t, tn, audit.Event{
			At: noon, Type: audit.SignInFailed, Actor: hostile, UserID: hostile, ClientID: hostile, Address: hostile,
			UserAgent: hostile, Detail: map[string]any{hostile: hostile, "list": []string{hostile}, "map": map[string]any{"k": hostile}, "n": 3, "err": errors.New(hostile)},
		})
		events, err := audit.List(context.Background(), tn, audit.Query{})
		if err != nil || len(events) != 1 {
			t.Fatalf("List = %v, %v", events, err)
		}
		e := events[0]
		texts := []string{e.Actor, e.UserID, e.ClientID, e.Address, e.UserAgent, e.Detail["list"].([]any)[0].(string), e.Detail["map"].(map[string]any)["k"].(string), e.Detail["err"].(string)}
		for k, v := range e.Detail {
			texts = append(texts, k)
			if s, ok := v.(string); ok {
				texts = append(texts, s)
			}
		}
		for _, s := range texts {
			if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsGraphic(r) }) || len([]rune(s)) > 512 || s == "" {
				t.Errorf("recorded %d characters of %.40q", len([]rune(s)), s)
			}
		}
	})
}

func TestRecordIsPartOfTheChange(t *testing.T) {
	dbtest.Each(t, schema.Files, func(t *testing.T, d *db.DB) {
		tn := newTenant(t, d, "one")
		boom := errors.New("boom")
		err := tn.DB.Write(context.Background(), func(tx *db.Tx) error {
			if err := audit.Record(tx, audit.Event{At: noon, Type: audit.UserCreated}); err != nil {
				return err
			}
			return boom
		})
		if !errors.Is(err, boom) {
			t.Fatalf("Write = %v", err)
		}
		for _, e := range []audit.Event{{At: noon}, {Type: audit.UserCreated}} {
			if err := tn.DB.Write(context.Background(), func(tx *db.Tx) error { return audit.Record(tx, e) }); err == nil {
				t.Errorf("Record(%+v) succeeded", e)
			}
		}
		if events, err := audit.List(context.Background(), tn, audit.Query{}); err != nil || len(events) != 0 {
			t.Errorf("List = %v, %v; want nothing", events, err)
		}
	})
}

func TestListPagesNewestFirst(t *testing.T) {
	dbtest.Each(t, schema.Files, func(t *testing.T, d *db.DB) {
		tn, other := newTenant(t, d, "one"), newTenant(t, d, "two")
		for i := range 5 {
			user := "ada"
			if i%2 == 1 {
				user = "bob"
			}
			record(t, tn, audit.Event{At: noon.Add(time.Duration(i) * time.Second), Type: audit.SignInSucceeded, UserID: user, Detail: map[string]any{"i": i}})
		}
		record(t, other, audit.Event{At: noon, Type: audit.SignInSucceeded, UserID: "ada"})
		var seen []float64
		for before := ""; ; {
			page, err := audit.List(context.Background(), tn, audit.Query{Before: before, Limit: 2})
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			for _, e := range page {
				seen = append(seen, e.Detail["i"].(float64))
				before = e.ID
			}
		}
		if len(seen) != 5 || seen[0] != 4 || seen[4] != 0 {
			t.Errorf("paged through %v; want 4 to 0", seen)
		}
		mine, err := audit.List(context.Background(), tn, audit.Query{UserID: "ada"})
		if err != nil || len(mine) != 3 || !mine[0].At.Equal(noon.Add(4*time.Second)) {
			t.Errorf("List of ada = %v, %v", mine, err)
		}
		second, err := audit.List(context.Background(), tn, audit.Query{UserID: "ada", Offset: 1, Limit: 1})
		if err != nil || len(second) != 1 || second[0].ID != mine[1].ID {
			t.Errorf("the second of ada = %v, %v", second, err)
		}
		for user, want := range map[string]int64{"": 5, "ada": 3, "bob": 2, "nobody": 0} {
			if n, err := audit.Count(context.Background(), tn, user); err != nil || n != want {
				t.Errorf("Count of %q = %d, %v; want %d", user, n, err, want)
			}
		}
	})
}

// Sweeping takes the oldest, of one tenant, in batches, and nothing that is young enough.
func TestThreat_DB15_SweepOfTheRecord(t *testing.T) {
	dbtest.Each(t, schema.Files, func(t *testing.T, d *db.DB) {
		one, two := newTenant(t, d, "one"), newTenant(t, d, "two")
		const many = 1203 // more than two batches
		for _, tn := range []*tenant.Tenant{one, two} {
			record := func(e audit.Event, times int) {
				t.Helper()
				err := tn.DB.Write(context.Background(), func(tx *db.Tx) (err error) {
					for range times {
						err = errors.Join(err, audit.Record(tx, e))
					}
					return err
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			for range 3 { // a verb has seconds
				record(audit.Event{Type: audit.SignInFailed, At: noon}, many/3)
			}
			record(audit.Event{Type: audit.UserDeleted, At: noon.Add(time.Second)}, 1)
		}
		left := func(tn *tenant.Tenant) (n int) {
			t.Helper()
			if err := tn.DB.QueryRow(context.Background(), `SELECT COUNT(*) FROM audit_events WHERE tenant_id = $1`).Scan(&n); err != nil {
				t.Fatal(err)
			}
			return n
		}
		if n, err := audit.Sweep(context.Background(), one, noon); n != 0 || err != nil {
			t.Errorf("nothing is old enough: %d, %v", n, err)
		}
		total, turns := int64(0), 0
		for n := int64(1); n > 0; turns++ {
			var err error
			if n, err = audit.Sweep(context.Background(), one, noon.Add(time.Second)); err != nil {
				t.Fatal(err)
			}
			total += n
		}
		if total != many || turns != 4 || left(one) != 1 || left(two) != many+1 {
			t.Errorf("%d in %d turns; %d and %d are left", total, turns, left(one), left(two))
		}
	})
}
