package apikey_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"github.com/gatehouse-dev/gatehouse/guard/apikey"
	"github.com/gatehouse-dev/gatehouse/internal/base/db/dbtest"
	"github.com/gatehouse-dev/gatehouse/internal/core/schema"
)

// The check of a key that is good: from memory, as after the first request to a house, and from
// the application's own stores. The checksum and the SHA-256 are in all of them.
func BenchmarkAuthenticate(b *testing.B) {
	sqlite := func() apikey.Store {
		return sqlStore(b, open(b, "sqlite", "file:"+dbtest.TemplateSQLite(b, schema.Files)+"?_pragma=journal_mode(WAL)"))
	}
	for _, bench := range []struct {
		name  string
		ttl   time.Duration
		store func() apikey.Store
	}{
		{"cached", apikey.MaxCacheTTL, func() apikey.Store { return apikey.NewMemoryStore() }},
		{"memory store", 0, func() apikey.Store { return apikey.NewMemoryStore() }},
		{"SQLite store", 0, sqlite},
	} {
		b.Run(bench.name, func(b *testing.B) {
			store := bench.store()
			scheme, err := apikey.New(apikey.Options{Store: store, CacheTTL: bench.ttl, Logger: slog.New(slog.DiscardHandler)})
			must(b, err)
			keys := apikey.NewKeys(store)
			requests := make([]*http.Request, 1000)
			for i := range requests {
				_, key, err := keys.Issue(context.Background(), apikey.Spec{Name: "x", Subject: fmt.Sprint("user-", i), Scopes: []string{"read"}})
				must(b, err)
				requests[i] = httptest.NewRequest("GET", "/orders?page=2", nil)
				requests[i].Header.Set("X-API-Key", key.Reveal())
				_, err = scheme.Authenticate(requests[i])
				must(b, err)
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if _, err := scheme.Authenticate(requests[i*7919%len(requests)]); err != nil {
					b.Fatal(err)
				}
				i++
			}
		})
	}
}

// A key that was made up costs its checksum.
func BenchmarkWrongChecksum(b *testing.B) {
	scheme, err := apikey.New(apikey.Options{Store: apikey.NewMemoryStore()})
	must(b, err)
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("X-API-Key", made(b, 1)[:57]+"_")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := scheme.Authenticate(r); err == nil {
			b.Fatal("accepted")
		}
	}
}
