package oidclogin_test

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/internal/testclock"
	"github.com/gatehouse-dev/gatehouse/guard/internal/testissuer"
	"github.com/gatehouse-dev/gatehouse/guard/oidclogin"
)

// event and answer are what a function-as-a-service platform puts around a
// request: here those of an HTTP API in front of Lambda, payload format 2.0.
type event struct {
	RawPath        string            `json:"rawPath"`
	RawQueryString string            `json:"rawQueryString"`
	Cookies        []string          `json:"cookies"`
	Headers        map[string]string `json:"headers"`
	RequestContext struct {
		HTTP struct {
			Method   string `json:"method"`
			SourceIP string `json:"sourceIp"`
		} `json:"http"`
	} `json:"requestContext"`
	Body            string `json:"body"`
	IsBase64Encoded bool   `json:"isBase64Encoded"`
}

type answer struct {
	StatusCode      int               `json:"statusCode"`
	Headers         map[string]string `json:"headers"`
	Cookies         []string          `json:"cookies"` // each Set-Cookie by itself: they must not be joined
	Body            string            `json:"body"`
	IsBase64Encoded bool              `json:"isBase64Encoded"`
}

// invoke is all the adapter there is: event in, http.Handler, answer out.
func invoke(handler http.Handler, payload []byte) ([]byte, error) {
	var e event
	if err := json.Unmarshal(payload, &e); err != nil {
		return nil, err
	}
	body := []byte(e.Body)
	if e.IsBase64Encoded {
		var err error
		if body, err = base64.StdEncoding.DecodeString(e.Body); err != nil {
			return nil, err
		}
	}
	target := e.RawPath
	if e.RawQueryString != "" {
		target += "?" + e.RawQueryString
	}
	r, err := http.NewRequest(e.RequestContext.HTTP.Method, target, strings.NewReader(string(body)))
	if err != nil {
		return nil, err
	}
	r.RequestURI = target
	for name, value := range e.Headers {
		r.Header.Set(name, value)
	}
	r.Host = r.Header.Get("Host")
	if len(e.Cookies) > 0 {
		r.Header.Set("Cookie", strings.Join(e.Cookies, "; "))
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)

	res := w.Result()
	out := answer{StatusCode: res.StatusCode, Headers: map[string]string{}, Cookies: res.Header["Set-Cookie"], IsBase64Encoded: true}
	for name, values := range res.Header {
		if name != "Set-Cookie" {
			out.Headers[name] = strings.Join(values, ", ")
		}
	}
	content, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	out.Body = base64.StdEncoding.EncodeToString(content)
	return json.Marshal(out)
}

// function is a platform that starts the application anew for every request.
type function struct {
	t       *testing.T
	build   func() http.Handler
	started int
}

// ServeHTTP stands for the platform's own front door.
func (f *function) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var e event
	e.RawPath, e.RawQueryString = r.URL.EscapedPath(), r.URL.RawQuery
	e.RequestContext.HTTP.Method = r.Method
	e.Headers = map[string]string{"host": r.Host}
	for name, values := range r.Header {
		if name != "Cookie" {
			e.Headers[strings.ToLower(name)] = strings.Join(values, ",")
		}
	}
	for _, c := range r.Cookies() {
		e.Cookies = append(e.Cookies, c.Name+"="+c.Value)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		f.t.Error(err)
	}
	e.Body, e.IsBase64Encoded = base64.StdEncoding.EncodeToString(body), true
	payload, err := json.Marshal(e)
	if err != nil {
		f.t.Error(err)
	}
	f.started++
	raw, err := invoke(f.build(), payload)
	if err != nil {
		f.t.Error(err)
	}
	var a answer
	if err := json.Unmarshal(raw, &a); err != nil {
		f.t.Error(err)
	}
	for name, value := range a.Headers {
		w.Header().Set(name, value)
	}
	for _, c := range a.Cookies {
		w.Header().Add("Set-Cookie", c)
	}
	content, err := base64.StdEncoding.DecodeString(a.Body)
	if err != nil {
		f.t.Error(err)
	}
	w.WriteHeader(a.StatusCode)
	_, _ = w.Write(content)
}

// The same handler as anywhere, made anew for every request: nothing is
// remembered between two of them but what the browser brings.
func TestServerless(t *testing.T) {
	clock := testclock.New()
	issuer := testissuer.New(t)
	issuer.Now = clock.Now
	issuer.IDToken = func(c map[string]any) { c["groups"] = strings.Repeat("g", 1200) } // two cookies
	f := &function{t: t}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	log := &syncBuffer{}
	a := &app{issuer: issuer, server: server, clock: clock, log: log}
	f.build = func() http.Handler {
		login, err := oidclogin.New(oidclogin.Options{
			Issuer: issuer.URL, ClientID: testissuer.ClientID, ClientSecret: testissuer.ClientSecret, BaseURL: server.URL,
			Secrets: []string{secret}, Scopes: []string{"openid", "offline_access"}, Clock: clock.Now,
		})
		if err != nil {
			t.Error(err)
			return http.NotFoundHandler()
		}
		mux := http.NewServeMux()
		mux.Handle("/auth/", login)
		mux.Handle("/token", guard.Require(login.API())(http.HandlerFunc(tokens)))
		mux.Handle("/", guard.Require(login)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			p, _ := guard.From(r.Context())
			_, _ = io.WriteString(w, "hello "+p.Subject+" at "+r.URL.RequestURI())
		})))
		return mux
	}
	b := a.browser(t)
	if p := b.visit("/shows?page=2"); p.body != "hello alice at /shows?page=2" {
		t.Fatalf("%d %s", p.StatusCode, p.body)
	}
	if n := len(b.cookies("_session")); n != 2 {
		t.Errorf("%d session cookies", n)
	}
	if f.started != 4 { // page, login, callback, page
		t.Errorf("started %d times", f.started)
	}
	var used []string
	for round := range 3 {
		clock.Advance(10 * time.Minute)
		first, second := b.token(), b.token()
		if first != second || slices.Contains(used, first) || a.renewals() != round+1 {
			t.Fatalf("round %d: the renewed token is not in the cookie; %d renewals", round, a.renewals())
		}
		used = append(used, first)
	}
	if p := b.send(http.MethodPost, "/auth/logout", url.Values{}, "Sec-Fetch-Site", "same-origin"); p.StatusCode != http.StatusOK || len(b.cookies("_session")) != 0 {
		t.Errorf("%d %s", p.StatusCode, p.body)
	}
	if b.signedIn() {
		t.Error("still signed in")
	}
}
