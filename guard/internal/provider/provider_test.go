package provider_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard/internal/provider"
	"github.com/gatehouse-dev/gatehouse/guard/internal/testclock"
	"github.com/gatehouse-dev/gatehouse/guard/internal/testissuer"
	"github.com/gatehouse-dev/gatehouse/protocol/jose"
)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func setup(t *testing.T) (*testissuer.Issuer, *provider.Provider, *testclock.Clock) {
	t.Helper()
	issuer, clock := testissuer.New(t), testclock.New()
	p, err := provider.New(provider.Options{Issuer: issuer.URL, Clock: clock.Now, Logger: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	return issuer, p, clock
}

func key(t *testing.T, p *provider.Provider, kid string) error {
	t.Helper()
	_, err := p.Key(t.Context(), kid, jose.ES256)
	return err
}

// hold makes the issuer wait with its answers until release is called, and
// tells on arrived of each request it holds back.
func hold(issuer *testissuer.Issuer) (arrived <-chan string, release func()) {
	in, out := make(chan string, 100), make(chan struct{})
	issuer.Lock(func() {
		issuer.Before = func(_ http.ResponseWriter, r *http.Request) bool {
			in <- r.URL.Path
			<-out
			return false
		}
	})
	return in, sync.OnceFunc(func() { close(out) })
}

func TestNothingIsFetchedBeforeItIsNeeded(t *testing.T) {
	issuer, p, _ := setup(t)
	if n := issuer.Hits("/.well-known/openid-configuration"); n != 0 {
		t.Fatalf("New asked the issuer %d times", n)
	}
	for range 10 {
		if err := key(t, p, "key-1"); err != nil {
			t.Fatal(err)
		}
	}
	if m, k := issuer.Hits("/.well-known/openid-configuration"), issuer.Hits("/jwks"); m != 1 || k != 1 {
		t.Errorf("%d requests for metadata and %d for keys, want one each", m, k)
	}
}

func TestThreat_RP03_IssuerMismatch(t *testing.T) {
	tests := map[string]func(m map[string]any){
		"another issuer":          func(m map[string]any) { m["issuer"] = "https://evil.example/" },
		"slash missing":           func(m map[string]any) { m["issuer"] = strings.TrimSuffix(m["issuer"].(string), "/") },
		"upper case":              func(m map[string]any) { m["issuer"] = strings.ToUpper(m["issuer"].(string)) },
		"no issuer":               func(m map[string]any) { delete(m, "issuer") },
		"issuer of another type":  func(m map[string]any) { m["issuer"] = []string{m["issuer"].(string)} },
		"no jwks_uri":             func(m map[string]any) { delete(m, "jwks_uri") },
		"jwks_uri is a file":      func(m map[string]any) { m["jwks_uri"] = "file:///etc/passwd" },
		"jwks_uri is relative":    func(m map[string]any) { m["jwks_uri"] = "/jwks" },
		"jwks_uri with user":      func(m map[string]any) { m["jwks_uri"] = "http://a:b@localhost/jwks" },
		"authorization is script": func(m map[string]any) { m["authorization_endpoint"] = "javascript:alert(1)" },
		"token endpoint is ftp":   func(m map[string]any) { m["token_endpoint"] = "ftp://example.com/" },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			issuer, p, _ := setup(t)
			issuer.Lock(func() { issuer.Metadata = change })
			if err := key(t, p, "key-1"); !errors.Is(err, provider.ErrUnavailable) {
				t.Errorf("error %v, want ErrUnavailable", err)
			}
			if issuer.Hits("/jwks") != 0 {
				t.Error("keys were fetched all the same")
			}
		})
	}
}

// An issuer that redirects could send us anywhere for keys.
func TestThreat_RP03_RedirectsAreNotFollowed(t *testing.T) {
	canary := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a redirect was followed") }))
	defer canary.Close()
	for _, path := range []string{"/.well-known/openid-configuration", "/jwks"} {
		issuer := testissuer.New(t)
		p, err := provider.New(provider.Options{Issuer: issuer.URL, HTTPClient: &http.Client{}, Logger: quiet()})
		if err != nil {
			t.Fatal(err)
		}
		issuer.Lock(func() {
			issuer.Before = func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path == path {
					http.Redirect(w, r, canary.URL, http.StatusFound)
				}
				return r.URL.Path == path
			}
		})
		if err := key(t, p, "key-1"); !errors.Is(err, provider.ErrUnavailable) {
			t.Errorf("%s: error %v, want ErrUnavailable", path, err)
		}
	}
}

func TestThreat_RP03_HTTPSDowngrade(t *testing.T) {
	server := httptest.NewUnstartedServer(nil)
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, `{"issuer":"%s/","jwks_uri":"http://example.com/jwks"}`, server.URL)
	})
	server.StartTLS()
	defer server.Close()
	p, err := provider.New(provider.Options{Issuer: server.URL + "/", HTTPClient: server.Client(), Logger: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	if err := key(t, p, "x"); err == nil || !strings.Contains(err.Error(), "must be https") {
		t.Errorf("an https issuer sends us to http for keys: %v", err)
	}
}

func TestIssuerMustBeHTTPS(t *testing.T) {
	for issuer, ok := range map[string]bool{
		"https://id.example.com/":      true,
		"http://localhost:8080/":       true,
		"http://127.0.0.1:8080/":       true,
		"http://[::1]:8080/":           true,
		"http://id.example.com/":       false,
		"http://localhost.evil.com/":   false,
		"http://127.0.0.1.evil.com/":   false,
		"https://id.example.com/?a=b":  false,
		"https://id.example.com/#a":    false,
		"https://user@id.example.com/": false,
		"id.example.com":               false,
		"":                             false,
	} {
		if _, err := provider.New(provider.Options{Issuer: issuer}); (err == nil) != ok {
			t.Errorf("%q: %v", issuer, err)
		}
	}
	if _, err := provider.New(provider.Options{Issuer: "http://gatehouse:8080/", InsecureAllowHTTP: true}); err != nil {
		t.Error(err)
	}
}

func TestThreat_RP11_SingleFlight(t *testing.T) {
	issuer, p, _ := setup(t)
	arrived, release := hold(issuer)
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			if err := key(t, p, "key-1"); err != nil {
				t.Error(err)
			}
		})
	}
	<-arrived
	release()
	wg.Wait()
	if m, k := issuer.Hits("/.well-known/openid-configuration"), issuer.Hits("/jwks"); m != 1 || k != 1 {
		t.Errorf("64 callers made %d requests for metadata and %d for keys", m, k)
	}
}

func TestThreat_RP11_CallerThatLeavesTakesNobodyAlong(t *testing.T) {
	issuer, p, _ := setup(t)
	arrived, release := hold(issuer)
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() { _, err := p.Key(ctx, "key-1", jose.ES256); left <- err }()
	<-arrived
	stayed := make(chan error, 1)
	go func() { stayed <- key(t, p, "key-1") }()
	leave()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("the caller that left got %v", err)
	}
	release()
	if err := <-stayed; err != nil {
		t.Errorf("the caller that stayed got %v", err)
	}
}

func TestThreat_RP11_UnknownKidFlood(t *testing.T) {
	issuer, p, clock := setup(t)
	if err := key(t, p, "key-1"); err != nil {
		t.Fatal(err)
	}
	flood := func() {
		for n := range 200 {
			if err := key(t, p, fmt.Sprint("made-up-", n)); !errors.Is(err, provider.ErrUnknownKey) {
				t.Fatalf("made-up kid: %v", err)
			}
		}
	}
	flood()
	if n := issuer.Hits("/jwks"); n != 1 {
		t.Errorf("within a minute of a fetch, unknown kids caused %d more", n-1)
	}
	clock.Advance(time.Minute)
	flood()
	if n := issuer.Hits("/jwks"); n != 2 {
		t.Errorf("a minute later unknown kids caused %d fetches, want 1", n-1)
	}
	// An hour of it: the budget holds it to ten, and the refetches that max-age
	// asks for come on top (the keys here are fresh for ten minutes).
	for range 60 {
		clock.Advance(time.Minute)
		flood()
	}
	if n := issuer.Hits("/jwks"); n > 2+10+7 {
		t.Errorf("an hour of made-up kids caused %d fetches", n)
	}
}

func TestThreat_CL09_RotationIsNoticed(t *testing.T) {
	issuer, p, clock := setup(t)
	if err := key(t, p, "key-1"); err != nil {
		t.Fatal(err)
	}
	clock.Advance(time.Minute)
	kid := issuer.Rotate(t)
	// Many requests bring the new key at once; none may be refused for being late.
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			if err := key(t, p, kid); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := issuer.Hits("/jwks"); n != 2 {
		t.Errorf("%d fetches, want 2", n)
	}
	issuer.DropOldKeys()
	clock.Advance(10 * time.Minute)
	_ = key(t, p, "key-1") // still known, and now refetched
	p.Settle()
	if err := key(t, p, "key-1"); !errors.Is(err, provider.ErrUnknownKey) {
		t.Errorf("a key the issuer dropped: %v", err)
	}
}

func TestThreat_RP11_KnownKeysNeverWait(t *testing.T) {
	issuer, p, clock := setup(t)
	if err := key(t, p, "key-1"); err != nil {
		t.Fatal(err)
	}
	arrived, release := hold(issuer)
	defer release()
	clock.Advance(time.Hour)
	for range 5 { // the issuer hangs, each of these would too
		if err := key(t, p, "key-1"); err != nil {
			t.Fatal(err)
		}
	}
	<-arrived // the refetch runs beside
}

func TestThreat_RP11_Outage(t *testing.T) {
	issuer, p, clock := setup(t)
	issuer.Down(true)
	if err := key(t, p, "key-1"); !errors.Is(err, provider.ErrUnavailable) {
		t.Fatalf("error %v, want ErrUnavailable", err)
	}
	for range 100 { // no storm against a provider that is down
		_ = key(t, p, "key-1")
	}
	if n := issuer.Hits("/.well-known/openid-configuration"); n != 1 {
		t.Errorf("%d attempts at one moment", n)
	}
	issuer.Down(false)
	clock.Advance(2 * time.Second)
	if err := key(t, p, "key-1"); err != nil {
		t.Fatalf("the provider is back: %v", err)
	}

	issuer.Down(true)
	for range 23 {
		clock.Advance(time.Hour)
		if err := key(t, p, "key-1"); err != nil {
			t.Fatalf("a known key within a day of the last fetch: %v", err)
		}
		p.Settle()
	}
	if err := key(t, p, "key-9"); !errors.Is(err, provider.ErrUnavailable) {
		t.Errorf("an unknown key while nobody can tell whether it is new: %v", err)
	}
	clock.Advance(time.Hour)
	if err := key(t, p, "key-1"); !errors.Is(err, provider.ErrUnavailable) {
		t.Errorf("a key last seen a day ago: %v", err)
	}
}

func TestMaxAge(t *testing.T) {
	tests := []struct {
		cacheControl string
		fresh, stale time.Duration // after fresh no refetch, after stale one
	}{
		{"", 9 * time.Minute, 11 * time.Minute},
		{"public, max-age=1800", 29 * time.Minute, 31 * time.Minute},
		{"max-age=5", 59 * time.Second, 61 * time.Second},
		{"max-age=0", 59 * time.Second, 61 * time.Second},
		{"max-age=31536000", 59 * time.Minute, 61 * time.Minute},
		{"max-age=junk", 9 * time.Minute, 11 * time.Minute},
	}
	for _, tt := range tests {
		t.Run(tt.cacheControl, func(t *testing.T) {
			issuer, p, clock := setup(t)
			issuer.Lock(func() { issuer.KeysCacheControl = tt.cacheControl })
			_ = key(t, p, "key-1")
			clock.Advance(tt.fresh)
			_ = key(t, p, "key-1")
			p.Settle()
			if n := issuer.Hits("/jwks"); n != 1 {
				t.Errorf("refetched after %v", tt.fresh)
			}
			clock.Advance(tt.stale - tt.fresh)
			_ = key(t, p, "key-1")
			p.Settle()
			if n := issuer.Hits("/jwks"); n != 2 {
				t.Errorf("not refetched after %v", tt.stale)
			}
		})
	}
}

func TestHugeAndBrokenAnswers(t *testing.T) {
	for name, body := range map[string]string{
		"huge":   `{"issuer":"` + strings.Repeat("a", 1<<20) + `"}`,
		"html":   "<html>",
		"empty":  "",
		"twice":  `{"issuer":"a","issuer":"b"}`,
		"array":  `[]`,
		"double": `{} {}`,
	} {
		t.Run(name, func(t *testing.T) {
			issuer, p, _ := setup(t)
			issuer.Lock(func() {
				issuer.Before = func(w http.ResponseWriter, _ *http.Request) bool { _, _ = io.WriteString(w, body); return true }
			})
			if _, err := p.Metadata(t.Context()); !errors.Is(err, provider.ErrUnavailable) {
				t.Errorf("error %v, want ErrUnavailable", err)
			}
		})
	}
}

func TestKeyWithoutKid(t *testing.T) {
	issuer, p, clock := setup(t)
	if err := key(t, p, ""); err != nil {
		t.Errorf("the issuer has one key for the algorithm: %v", err)
	}
	issuer.Rotate(t)
	clock.Advance(time.Hour)
	_ = key(t, p, "")
	p.Settle()
	if err := key(t, p, ""); !errors.Is(err, provider.ErrUnknownKey) {
		t.Errorf("two keys, and the token does not say which: %v", err)
	}
}

func BenchmarkKey(b *testing.B) {
	issuer := testissuer.New(b)
	p, err := provider.New(provider.Options{Issuer: issuer.URL})
	if err != nil {
		b.Fatal(err)
	}
	var failed atomic.Bool
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Key(b.Context(), "key-1", jose.ES256); err != nil {
			failed.Store(true)
		}
	}
	if failed.Load() {
		b.Error("no key")
	}
}
