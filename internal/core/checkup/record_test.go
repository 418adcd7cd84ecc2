package checkup_test

import (
	"context"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/clock"
	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/db/dbtest"
	"github.com/gatehouse-dev/gatehouse/internal/core/checkup"
	"github.com/gatehouse-dev/gatehouse/internal/core/schema"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
)

var (
	noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	bg   = context.Background()
)

type node struct {
	*checkup.Record
	clock *clock.Virtual
	d     *db.DB
	tn    *tenant.Tenant
}

func start(t *testing.T, d *db.DB, id string) node {
	t.Helper()
	tn, err := tenant.Ensure(bg, d, id, "https://"+id+".example.com/", tenant.Settings{}, noon)
	if err != nil {
		t.Fatal(err)
	}
	c := clock.NewVirtual(noon)
	return node{checkup.New(c), c, d, tn}
}

func (n node) flush(t *testing.T) {
	t.Helper()
	if err := n.Flush(bg, n.d); err != nil {
		t.Fatal(err)
	}
}

func (n node) of(t *testing.T, clientID string) []checkup.Entry {
	t.Helper()
	entries, err := n.Of(bg, n.tn, clientID)
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

func TestRecordIsWrittenAndRead(t *testing.T) {
	dbtest.Each(t, schema.Files, func(t *testing.T, d *db.DB) {
		n, other := start(t, d, "one"), start(t, d, "two")
		n.Wrong(n.tn, "shop", checkup.RedirectURI, "http://localhost:3000/cb")
		n.clock.Advance(time.Second)
		n.Wrong(n.tn, "shop", checkup.RedirectURI, "http://localhost:3000/cb")
		n.Wrong(n.tn, "shop", checkup.PKCE, "")
		n.Well(n.tn, "shop", checkup.CodeRedeemed)
		if got := n.of(t, "shop"); len(got) != 0 {
			t.Fatalf("written on the way of a request: %v", got)
		}
		n.flush(t)
		n.Wrong(n.tn, "shop", checkup.RedirectURI, "http://localhost:3000/cb")
		n.flush(t)
		got := map[checkup.Kind]checkup.Entry{}
		for _, e := range n.of(t, "shop") {
			got[e.Kind] = e
		}
		if e := got[checkup.RedirectURI]; len(got) != 3 || e.Count != 3 || !e.FirstAt.Equal(noon) || !e.LastAt.Equal(noon.Add(time.Second)) {
			t.Errorf("%+v", got)
		}
		if e := got[checkup.CodeRedeemed]; !e.LastAt.Equal(noon.Add(time.Second)) {
			t.Errorf("%+v", e)
		}
		if entries, err := n.Of(bg, other.tn, "shop"); err != nil || len(entries) != 0 {
			t.Errorf("at another tenant: %v, %v", entries, err)
		}
	})
}

// What goes well is written once a minute, however often it happens, and at once before somebody looks.
func TestSuccessIsWrittenOnceAMinute(t *testing.T) {
	dbtest.Each(t, schema.Files, func(t *testing.T, d *db.DB) {
		n := start(t, d, "one")
		for range 59 {
			n.Well(n.tn, "shop", checkup.Refreshed)
			n.flush(t)
			n.clock.Advance(time.Second)
		}
		if got := n.of(t, "shop"); len(got) != 1 || got[0].Count != 1 || !got[0].LastAt.Equal(noon) {
			t.Errorf("within a minute: %+v", got)
		}
		if err := n.FlushOf(bg, n.tn); err != nil {
			t.Fatal(err)
		}
		if got := n.of(t, "shop"); !got[0].LastAt.Equal(noon.Add(58 * time.Second)) {
			t.Errorf("before somebody looks: %+v", got)
		}
	})
}

// Strangers fill neither memory nor database, and do not drive out what an application really sends.
func TestThreat_OV07_RecordOfApplicationsIsBounded(t *testing.T) {
	dbtest.Each(t, schema.Files, func(t *testing.T, d *db.DB) {
		n := start(t, d, "one")
		for range 5 {
			n.Wrong(n.tn, "shop", checkup.RedirectURI, "http://localhost:3000/cb")
		}
		n.flush(t)
		for i := range 500 {
			n.Wrong(n.tn, "shop", checkup.RedirectURI, fmt.Sprintf("https://evil%d.example/", i))
			n.Wrong(n.tn, "", checkup.UnknownClient, "")
			if i%7 == 0 {
				n.flush(t)
			}
		}
		n.flush(t)
		rows := n.of(t, "shop")
		var all int64
		kept := false
		for _, e := range rows {
			all += e.Count
			kept = kept || e.Sent == "http://localhost:3000/cb" && e.Count == 5
		}
		if len(rows) > 11 || !kept {
			t.Errorf("%d rows, the application's own among them: %v", len(rows), kept)
		}
		if got := n.of(t, ""); len(got) != 1 || got[0].Count != 500 {
			t.Errorf("unknown clients: %+v", got)
		}
		// Many clients between two flushes.
		for i := range 5_000 {
			n.Wrong(n.tn, fmt.Sprint("client", i), checkup.PKCE, "")
		}
		n.flush(t)
		var written int
		if err := d.System().QueryRow(bg, `SELECT COUNT(*) FROM client_checkups WHERE kind = 'pkce'`).Scan(&written); err != nil || written > 2_000 {
			t.Errorf("%d rows at once (%v)", written, err)
		}
		n.clock.Advance(31 * 24 * time.Hour)
		for range 3 {
			if err := n.Sweep(bg, d); err != nil {
				t.Fatal(err)
			}
		}
		if err := d.System().QueryRow(bg, `SELECT COUNT(*) FROM client_checkups`).Scan(&written); err != nil || written != 0 {
			t.Errorf("%d rows after a month (%v)", written, err)
		}
	})
}

// What was sent can not write lines of its own, and is short.
func TestThreat_AD07_WhatIsKeptOfARequestIsClean(t *testing.T) {
	dbtest.Each(t, schema.Files, func(t *testing.T, d *db.DB) {
		n := start(t, d, "one")
		for _, sent := range []string{
			"https://a.example/\r\nx: y", "https://a.example/\x1b[31mred", "https://a.example/\u202egnp.exe", strings.Repeat("https://a.example/b/", 1000), "\xff\xfe", "a\x00b",
		} {
			n.Wrong(n.tn, "shop", checkup.RedirectURI, sent)
			n.Wrong(n.tn, "shop", checkup.ScopeDropped, sent)
		}
		n.flush(t)
		for _, e := range n.of(t, "shop") {
			if strings.ContainsAny(e.Sent, "\r\n\x1b\u202e\x00") || len([]rune(e.Sent)) > 201 {
				t.Errorf("%s: %q", e.Kind, e.Sent)
			}
		}
	})
}

// Of a secret, a code or a token that somebody put in the wrong place, nothing is kept.
func TestThreat_AD06_RecordHoldsNoSecret(t *testing.T) {
	dbtest.Each(t, schema.Files, func(t *testing.T, d *db.DB) {
		n := start(t, d, "one")
		const secret = "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0eF3hJ6kL9nP2r"
		const token = "eyJhbGciOiJSUzI1NiIsImtpZCI6IjEyMyJ9.eyJzdWIiOiJhbGljZS1hbGljZS1hbGljZS1hbGljZSJ9.c2lnbmF0dXJlLXNpZ25hdHVyZS1zaWduYXR1cmU"
		kinds := []checkup.Kind{checkup.RedirectURI, checkup.LogoutURL, checkup.Audience, checkup.ScopeDropped, checkup.GrantType, checkup.ResponseType, checkup.AuthMethod, checkup.PageOrigin, checkup.Refused}
		for _, kind := range kinds {
			for _, sent := range []string{
				secret, token, "https://app.example/cb?code=short&state=x", "https://user:hunter2@app.example/cb", "https://app.example/cb#access_token=short",
				"https://app.example/reset/" + secret, "https://app.example/" + token, "openid " + secret,
			} {
				n.Wrong(n.tn, "shop", kind, sent)
			}
		}
		n.flush(t)
		for _, e := range n.of(t, "shop") {
			for _, canary := range append(strings.Split(token, "."), secret, "hunter2", "user:", "code=short", "access_token=short") {
				if strings.Contains(e.Sent, canary) && (e.Kind != checkup.ScopeDropped && e.Kind != checkup.GrantType && e.Kind != checkup.ResponseType && e.Kind != checkup.AuthMethod && e.Kind != checkup.Refused || len(canary) > 20) {
					t.Errorf("%s keeps %q", e.Kind, e.Sent)
				}
			}
		}
	})
}

func TestRecordFromManyGoroutines(t *testing.T) {
	dbtest.Each(t, schema.Files, func(t *testing.T, d *db.DB) {
		n := start(t, d, "one")
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for i := range 200 {
					n.Wrong(n.tn, "shop", checkup.PKCE, "")
					n.Well(n.tn, "shop", checkup.Authorized)
					if i%50 == 0 {
						if err := n.Flush(bg, d); err != nil {
							t.Error(err)
						}
					}
				}
			})
		}
		all.Wait()
		if err := n.FlushAll(bg, d); err != nil {
			t.Fatal(err)
		}
		var pkce int64 = math.MinInt64
		for _, e := range n.of(t, "shop") {
			if e.Kind == checkup.PKCE {
				pkce = e.Count
			}
		}
		if pkce != 1600 {
			t.Errorf("counted %d of 1600", pkce)
		}
	})
}

func BenchmarkWell(b *testing.B) {
	r, tn := checkup.New(clock.System{}), &tenant.Tenant{ID: "one"}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r.Well(tn, "w8x2bQ5pQ8sT1vW4yZ7bC0eF3hJ6kL9n", checkup.Credentials)
		}
	})
}
