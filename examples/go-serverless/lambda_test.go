package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/gatehousetest"
	"github.com/gatehouse-dev/gatehouse/guard/bearer"
	"github.com/gatehouse-dev/gatehouse/guard/guardtest"
	"github.com/gatehouse-dev/gatehouse/internal/proof"
)

const audience = "https://api/billing"

func billing(c map[string]any) { c["scope"] = "openid read:billing" }

// platform stands for Lambda: it hands out events, one at a time, and collects what comes back.
type platform struct {
	events  chan []byte
	answers chan []byte
}

func (p *platform) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch route := strings.TrimPrefix(r.URL.Path, "/2018-06-01/runtime/invocation/"); {
	case route == "next":
		select {
		case e := <-p.events:
			w.Header().Set("Lambda-Runtime-Aws-Request-Id", "request-1")
			_, _ = w.Write(e)
		case <-r.Context().Done():
		}
	case strings.HasPrefix(route, "request-1/"):
		body, _ := io.ReadAll(r.Body)
		w.WriteHeader(http.StatusAccepted)
		p.answers <- body
	}
}

// ask sends a request the way an HTTP API does.
func (p *platform) ask(t *testing.T, path, token string) (answer, string) {
	t.Helper()
	e := map[string]any{"rawPath": path, "requestContext": map[string]any{"http": map[string]string{"method": "GET", "sourceIp": "203.0.113.7"}}}
	if token != "" {
		e["headers"] = map[string]string{"authorization": "Bearer " + token}
	}
	raw, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	p.events <- raw
	var a answer
	if err := json.Unmarshal(<-p.answers, &a); err != nil {
		t.Fatal(err)
	}
	body, err := base64.StdEncoding.DecodeString(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	return a, string(body)
}

func startLambda(t *testing.T, api http.Handler) *platform {
	t.Helper()
	p := &platform{make(chan []byte), make(chan []byte)}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = serveLambda(ctx, strings.TrimPrefix(server.URL, "http://"), api)
	}()
	t.Cleanup(func() { stop(); <-ended })
	return p
}

func TestFunction(t *testing.T) {
	issuer := guardtest.StartIssuer(t, audience)
	api, err := newAPI(bearer.Options{Issuer: issuer.URL, Audience: audience})
	if err != nil {
		t.Fatal(err)
	}
	p := startLambda(t, api)

	if a, body := p.ask(t, "/api/pricing-tiers", ""); a.StatusCode != http.StatusOK || !strings.Contains(body, "Workshop") {
		t.Errorf("pricing: %d %s", a.StatusCode, body)
	}
	if a, body := p.ask(t, "/api/billing-info", issuer.Token("alice", billing)); a.StatusCode != http.StatusOK || !strings.Contains(body, `"account":"alice"`) || a.Headers["Cache-Control"] != "no-store" {
		t.Errorf("billing: %d %v %s", a.StatusCode, a.Headers, body)
	}
	for name, c := range map[string]struct {
		token  string
		status int
		says   string
	}{
		"nobody":            {"", http.StatusUnauthorized, "Bearer"},
		"expired":           {issuer.Expired("alice"), http.StatusUnauthorized, "invalid_token"},
		"for another API":   {issuer.WrongAudience("alice"), http.StatusUnauthorized, "invalid_token"},
		"without the scope": {issuer.Token("bob"), http.StatusForbidden, `scope="read:billing"`},
		"a program":         {issuer.ClientToken("worker", billing), http.StatusForbidden, ""},
	} {
		a, body := p.ask(t, "/api/billing-info", c.token)
		if a.StatusCode != c.status || !strings.Contains(a.Headers["Www-Authenticate"], c.says) || strings.Contains(body, "Workshop") {
			t.Errorf("%s: %d %v %s", name, a.StatusCode, a.Headers, body)
		}
	}
	for what, token := range issuer.Bad("alice") {
		if a, _ := p.ask(t, "/api/billing-info", token); a.StatusCode != http.StatusUnauthorized {
			t.Errorf("a token that is bad (%s): %d", what, a.StatusCode)
		}
	}
	p.events <- []byte("not JSON")
	if said := string(<-p.answers); !strings.Contains(said, "invalid_event") {
		t.Errorf("an event that is none: %s", said)
	}
}

// A real house changes its signing keys while the function runs: every token is taken, the new ones and
// those of before.
func TestKeysChange(t *testing.T) {
	const orders = "https://api/orders"
	house := gatehousetest.New(t)
	house.AddAPI(orders, "read:billing")
	house.Permit(gatehousetest.Alice, orders, "read:billing")
	api, err := newAPI(bearer.Options{Issuer: house.Issuer(), Audience: orders, Clock: house.Now})
	if err != nil {
		t.Fatal(err)
	}
	p := startLambda(t, api)
	changes, calls := proof.Times(2, 25), 0
	look := func(token string) {
		calls++
		if a, body := p.ask(t, "/api/billing-info", token); a.StatusCode != http.StatusOK {
			t.Errorf("call %d: %d %v %s", calls, a.StatusCode, a.Headers, body)
		}
	}
	token := func() string { return house.TokenFor(gatehousetest.Alice, orders, "read:billing").AccessToken }
	look(token())
	for range changes {
		house.RotateKeys()
		look(token())
		house.Advance(gatehousetest.KeyLead - 2*time.Minute)
		last := token()
		look(last)
		house.Advance(2 * time.Minute)
		look(last)
		look(token())
	}
	t.Logf("go-serverless: keys changed %d times, %d calls", changes, calls)
}

// What an event can hold reaches the handler, and what a handler can answer reaches the platform.
func TestAdapter(t *testing.T) {
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "1", Expires: time.Unix(2e9, 0)})
		http.SetCookie(w, &http.Cookie{Name: "b", Value: "2"})
		w.WriteHeader(http.StatusTeapot)
		body, _ := io.ReadAll(r.Body)
		_, _ = w.Write([]byte(strings.Join([]string{r.Method, r.Host, r.RequestURI, r.URL.Query().Get("q"), r.Header.Get("Cookie"), r.RemoteAddr, string(body)}, "|")))
	})
	payload := []byte(`{"rawPath":"/a%20b","rawQueryString":"q=%2B","cookies":["x=1","y=2"],"headers":{"host":"api.example.com"},
		"requestContext":{"http":{"method":"POST","sourceIp":"203.0.113.7"}},"body":"` + base64.StdEncoding.EncodeToString([]byte{0xff, 'z'}) + `","isBase64Encoded":true}`)
	raw, err := invoke(t.Context(), echo, payload)
	if err != nil {
		t.Fatal(err)
	}
	var a answer
	if err := json.Unmarshal(raw, &a); err != nil {
		t.Fatal(err)
	}
	body, err := base64.StdEncoding.DecodeString(a.Body)
	want := append([]byte("POST|api.example.com|/a%20b?q=%2B|+|x=1; y=2|203.0.113.7:0|"), 0xff, 'z')
	if err != nil || a.StatusCode != http.StatusTeapot || !bytes.Equal(body, want) || len(a.Cookies) != 2 {
		t.Errorf("%d %q %q, want %q", a.StatusCode, a.Cookies, body, want)
	}
}

// The request is what it would be from a server: an address that others can read, and a path that names no host.
func TestAdapterAsAServer(t *testing.T) {
	seen := make(chan *http.Request, 1)
	handler := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen <- r })
	payload := []byte(`{"rawPath":"//evil.example/api","headers":{"host":"api.example.com"},"requestContext":{"http":{"method":"GET","sourceIp":"2001:db8::7"}}}`)
	if _, err := invoke(t.Context(), handler, payload); err != nil {
		t.Fatal(err)
	}
	r := <-seen
	if from, err := netip.ParseAddrPort(r.RemoteAddr); err != nil || from.Addr() != netip.MustParseAddr("2001:db8::7") {
		t.Errorf("from %q: %v", r.RemoteAddr, err)
	}
	if r.URL.Host != "" || r.URL.Path != "//evil.example/api" || r.Host != "api.example.com" {
		t.Errorf("%q at %q, for %q", r.URL.Path, r.URL.Host, r.Host)
	}
	if _, err := invoke(t.Context(), handler, []byte(`{"rawPath":"evil","requestContext":{"http":{"method":"GET"}}}`)); err == nil {
		t.Error("a path that is none")
	}
}
