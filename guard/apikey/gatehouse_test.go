package apikey_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/apikey"
	"github.com/gatehouse-dev/gatehouse/guard/internal/testclock"
	"github.com/gatehouse-dev/gatehouse/guard/revocation"
	"github.com/gatehouse-dev/gatehouse/internal/core/access"
	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
	"github.com/gatehouse-dev/gatehouse/internal/server/demo"
	"github.com/gatehouse-dev/gatehouse/internal/server/servertest"
	format "github.com/gatehouse-dev/gatehouse/protocol/apikey"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// wire counts requests to the house, and can be cut.
type wire struct {
	asked atomic.Int64
	cut   atomic.Bool
	next  http.RoundTripper
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	if w.cut.Load() {
		return nil, errors.New("no route to host")
	}
	if strings.HasSuffix(r.URL.Path, "/introspect") {
		w.asked.Add(1)
	}
	return w.next.RoundTrip(r)
}

// api is an application of somebody else whose keys a house issues.
type api struct {
	t      testing.TB
	house  *servertest.Instance
	wire   *wire
	scheme *apikey.Scheme
}

func behind(t testing.TB, house *servertest.Instance, change func(*apikey.Options)) *api {
	t.Helper()
	worker := house.Content.Client(demo.Machine)
	a := &api{t: t, house: house, wire: &wire{next: house.Client().Transport}}
	if a.wire.next == nil {
		a.wire.next = &http.Transport{}
	}
	o := apikey.Options{
		Gatehouse: &apikey.Gatehouse{
			Issuer: house.URL + "/", Audience: demo.Audience, ClientID: worker.ClientID, ClientSecret: worker.ClientSecret,
			HTTPClient: &http.Client{Transport: a.wire},
		},
		Clock: house.Clock.Now, Logger: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&o)
	}
	s, err := apikey.New(o)
	must(t, err)
	a.scheme = s
	return a
}

func (a *api) issue(change func(*access.NewAPIKey)) (*access.APIKey, string) {
	a.t.Helper()
	n := access.NewAPIKey{
		APIKeyOwner:    access.APIKeyOwner{UserID: a.house.UserID(a.t, demo.Reader), Audience: demo.Audience},
		APIKeySettings: access.APIKeySettings{Name: "x", Scope: oauth.Scope{"read:shows"}},
	}
	if change != nil {
		change(&n)
	}
	k, secret, err := a.house.House.APIKeys.Issue(context.Background(), a.house.House.Tenant, n, audit.System())
	must(a.t, err)
	return k, secret.Reveal()
}

func (a *api) revoke(k *access.APIKey) {
	a.t.Helper()
	_, err := a.house.House.APIKeys.Revoke(context.Background(), a.house.House.Tenant, k.ID, "test", audit.System())
	must(a.t, err)
}

func (a *api) status(key string, header ...string) int {
	return callWith(a.scheme, "/", append([]string{"X-API-Key", key}, header...)...).Code
}

func TestKeysOfAGatehouse(t *testing.T) {
	a := behind(t, servertest.New(t, servertest.Options{}), nil)
	k, key := a.issue(func(n *access.NewAPIKey) {
		n.Organization, n.ExpiresAt = "org-1", a.house.Clock.Now().Add(time.Hour)
	})
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Authorization", "Bearer "+key)
	for range 3 {
		found, err := a.scheme.Authenticate(r)
		must(t, err)
		p := found.Principal
		if !p.IsUser() || p.Subject != k.UserID || p.Issuer != a.house.URL+"/" || p.GrantID != k.GID || p.TokenID != k.ID || !p.HasScope("read:shows") ||
			!p.HasPermission("read:shows") || p.Organization != "org-1" || !p.Expiry.Equal(k.ExpiresAt) || p.Credential.(*apikey.Record).Hint != k.Hint {
			t.Errorf("%+v", p)
		}
	}
	_, own := a.issue(func(n *access.NewAPIKey) { n.UserID, n.ClientID = "", a.house.Content.Client(demo.Machine).ClientID })
	r.Header.Set("Authorization", "Bearer "+own)
	if found, err := a.scheme.Authenticate(r); err != nil || !found.Principal.IsClient() || found.Principal.ClientID == "" {
		t.Errorf("%+v %v", found.Principal, err)
	}
	if n := a.wire.asked.Load(); n != 2 {
		t.Errorf("%d questions for two keys", n)
	}
	a.revoke(k)
	if got := a.status(key); got != 200 {
		t.Errorf("inside the five seconds: %d", got)
	}
	a.house.Clock.Advance(apikey.MaxCacheTTL)
	if got := a.status(key); got != 401 {
		t.Errorf("after them: %d", got)
	}
	_, public := a.issue(func(n *access.NewAPIKey) { n.Kind = format.Publishable })
	_, limited := a.issue(func(n *access.NewAPIKey) { n.Rate = 1 })
	if a.status(public) != 401 || a.status(limited) != 200 || a.status(limited) != 429 {
		t.Error("kind and rate are passed over")
	}
}

// Networks are judged by house and guard; a no from one address is no answer for another.
func TestNetworksOfKeysOfAGatehouse(t *testing.T) {
	from := atomic.Pointer[netip.Addr]{}
	at := func(s string) { addr, _ := netip.ParseAddr(s); from.Store(&addr) }
	a := behind(t, servertest.New(t, servertest.Options{}), func(o *apikey.Options) {
		o.ClientAddr = func(*http.Request) netip.Addr { return *from.Load() }
	})
	_, key := a.issue(func(n *access.NewAPIKey) { n.Networks = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} })
	for _, step := range []struct {
		from   string
		status int
		asked  int64
	}{{"198.51.100.1", 401, 1}, {"198.51.100.1", 401, 1}, {"", 401, 2}, {"192.0.2.1", 200, 3}, {"192.0.2.2", 200, 3}, {"198.51.100.1", 401, 3}, {"::ffff:192.0.2.1", 200, 3}} {
		at(step.from)
		if got := a.status(key); got != step.status || a.wire.asked.Load() != step.asked {
			t.Errorf("from %q: %d after %d questions, want %d after %d", step.from, got, a.wire.asked.Load(), step.status, step.asked)
		}
	}
}

func TestThreat_AK02_TheHouseIsNotAskedAboutNonsense(t *testing.T) {
	a := behind(t, servertest.New(t, servertest.Options{}), nil)
	_, key := a.issue(nil)
	for _, wrong := range []string{"x", key[:57] + "_", "rk" + key[2:], key + "0"} {
		if got := a.status(wrong); got != 401 {
			t.Errorf("%d", got)
		}
	}
	if n := a.wire.asked.Load(); n != 0 {
		t.Errorf("%d questions", n)
	}
	for range 5 {
		if got := a.status(made(t, 9)); got != 401 {
			t.Errorf("%d", got)
		}
	}
	if n := a.wire.asked.Load(); n != 1 {
		t.Errorf("%d questions about one key that was never issued", n)
	}
}

func TestAGatehouseThatIsAway(t *testing.T) {
	a := behind(t, servertest.New(t, servertest.Options{}), nil)
	_, key := a.issue(nil)
	_, other := a.issue(nil)
	if a.status(key) != 200 {
		t.Fatal("refused")
	}
	a.wire.cut.Store(true)
	if a.status(key) != 200 || a.status(other) != 503 {
		t.Error("what is known for five seconds, and what is not")
	}
	a.wire.cut.Store(false)
	if got := a.status(other); got != 503 {
		t.Errorf("asked again at once: %d", got)
	}
	a.house.Clock.Advance(time.Second)
	if got := a.status(other); got != 200 {
		t.Errorf("asked again after a second: %d", got)
	}
}

func TestManyAtOnceAskOnce(t *testing.T) {
	a := behind(t, servertest.New(t, servertest.Options{}), nil)
	_, key := a.issue(nil)
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			if got := a.status(key); got != 200 {
				t.Errorf("%d", got)
			}
		})
	}
	all.Wait()
	if n := a.wire.asked.Load(); n > 8 { // one, and a few that came between the answer and the cache
		t.Errorf("%d questions", n)
	}
}

// What is not an answer about a key of this issuer for this API lets nobody in.
func TestThreat_AK04_AnswersAboutSomethingElse(t *testing.T) {
	var answer atomic.Pointer[string]
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if id, secret, ok := r.BasicAuth(); !ok || id != "api" || secret != "s" || r.FormValue("remote_addr") != "192.0.2.7" {
			t.Errorf("asked as %s from %q", id, r.FormValue("remote_addr"))
		}
		fmt.Fprint(w, *answer.Load())
	}))
	defer server.Close()
	clock := testclock.New()
	s, err := apikey.New(apikey.Options{CacheTTL: -1, Clock: clock.Now, Logger: slog.New(slog.DiscardHandler), Gatehouse: &apikey.Gatehouse{
		Issuer: "https://id.example/", Audience: "https://api/", ClientID: "api", ClientSecret: "s", Endpoint: server.URL,
	}})
	must(t, err)
	const good = `{"active":true,"token_type":"api_key","iss":"https://id.example/","aud":"https://api/","sub":"alice","jti":"1"`
	for _, tt := range []struct {
		answer string
		status int
	}{
		{good + `}`, 200},
		{good + `,"exp":1}`, 401},
		{good + `,"key_networks":["198.51.100.0/24"]}`, 401},
		{`{"active":false}`, 401},
		{strings.Replace(good, "api_key", "Bearer", 1) + `}`, 401},
		{strings.Replace(good, `"token_type":"api_key",`, "", 1) + `}`, 401},
		{strings.Replace(good, "id.example", "evil.example", 1) + `}`, 401},
		{strings.Replace(good, `"iss":"https://id.example/",`, "", 1) + `}`, 401},
		{strings.Replace(good, "https://api/", "https://other/", 1) + `}`, 401},
		{strings.Replace(good, `"aud":"https://api/",`, "", 1) + `}`, 401},
		{strings.Replace(good, `,"sub":"alice"`, "", 1) + `}`, 503},
		{good + `,"key_networks":["x"]}`, 503},
		{good, 503},
		{`true`, 503},
		{``, 503},
	} {
		answer.Store(&tt.answer)
		if w := callWith(s, "/", "X-API-Key", made(t, 5)); w.Code != tt.status {
			t.Errorf("%s: %d, want %d", tt.answer, w.Code, tt.status)
		}
		clock.Advance(time.Second) // a failure is not repeated sooner
	}
}

// With the feed of rules a revoked key ends at once, whatever is cached, and nobody was asked.
func TestRevokedKeysEndByTheFeed(t *testing.T) {
	house := servertest.New(t, servertest.Options{})
	worker := house.Content.Client(demo.Machine)
	feed, err := revocation.Follow(t.Context(), revocation.Options{
		Issuer: house.URL + "/", ClientID: worker.ClientID, ClientSecret: worker.ClientSecret, Clock: house.Clock.Now, Logger: slog.New(slog.DiscardHandler),
	})
	must(t, err)
	defer feed.Close()
	must(t, feed.Wait(t.Context()))
	a := behind(t, house, func(o *apikey.Options) { o.Revocations = guard.Revocations(feed) })
	k, key := a.issue(nil)
	if got := a.status(key); got != 200 {
		t.Fatalf("%d", got)
	}
	a.revoke(k)
	soon, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for a.status(key) != 401 {
		if soon.Err() != nil {
			t.Fatalf("the key goes on: %d", a.status(key))
		}
		must(t, house.House.Watch(t.Context()))
	}
	if n := a.wire.asked.Load(); n != 1 {
		t.Errorf("%d questions", n)
	}
}
