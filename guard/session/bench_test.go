//go:build unix

package session_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/session"
)

// BenchmarkFind is what every request with a session pays.
func BenchmarkFind(b *testing.B) {
	cookie, err := session.NewCookieStore(secret)
	if err != nil {
		b.Fatal(err)
	}
	rows, err := session.NewSQLStore(openSQLite(b), secret)
	if err != nil {
		b.Fatal(err)
	}
	if err := rows.CreateTable(b.Context()); err != nil {
		b.Fatal(err)
	}
	for _, store := range []struct {
		name string
		session.Store
	}{{"memory", session.NewMemoryStore()}, {"sqlite", rows}, {"cookie", cookie}} {
		b.Run(store.name, func(b *testing.B) {
			find(b, store)
		})
	}
	b.Run("postgres", func(b *testing.B) {
		rows, err := session.NewSQLStore(openPostgreSQL(b), secret)
		if err != nil {
			b.Fatal(err)
		}
		if err := rows.CreateTable(b.Context()); err != nil {
			b.Fatal(err)
		}
		find(b, rows)
	})
}

func find(b *testing.B, store session.Store) {
	token, err := store.Create(b.Context(), session.Record{App: "app", Subject: "alice", Data: bytes.Repeat([]byte("x"), 500), Expires: time.Now().Add(time.Hour)})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := store.Find(b.Context(), "app", token); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkEncryptedCookie seals a session of 500 bytes and opens it.
func BenchmarkEncryptedCookie(b *testing.B) {
	store, err := session.NewCookieStore(secret)
	if err != nil {
		b.Fatal(err)
	}
	rec := session.Record{App: "app", Data: bytes.Repeat([]byte("x"), 500), Expires: time.Now().Add(time.Hour)}
	b.ReportAllocs()
	for b.Loop() {
		token, err := store.Create(b.Context(), rec)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := store.Find(b.Context(), "app", token); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRequire is a whole request of somebody signed in, but for the network.
func BenchmarkRequire(b *testing.B) {
	m, err := session.New(session.Options{BaseURL: "https://app.example", Store: session.NewMemoryStore()})
	if err != nil {
		b.Fatal(err)
	}
	w := httptest.NewRecorder()
	m.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		s, _ := session.FromContext(r.Context())
		if err := s.SignIn(r.Context(), session.Identity{Subject: "alice", Roles: []string{"editor"}}); err != nil {
			b.Error(err)
		}
	})).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	pair, _, _ := strings.Cut(w.Header().Get("Set-Cookie"), ";")
	h := m.Middleware(guard.Require(m)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Cookie", pair)
	b.ReportAllocs()
	for b.Loop() {
		clear(w.Header())
		h.ServeHTTP(w, r)
	}
}
