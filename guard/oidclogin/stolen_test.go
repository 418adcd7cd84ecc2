package oidclogin_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/gatehousetest"
	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/oidclogin"
	"github.com/gatehouse-dev/gatehouse/guard/session"
	"github.com/gatehouse-dev/gatehouse/internal/server/servertest"
)

// tap reads along at the token endpoint: the refresh tokens that were given out, and
// those that were used.
type tap struct {
	mu          sync.Mutex
	given, used []string
}

func (l *tap) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.HasSuffix(r.URL.Path, "/oauth/token") {
		return http.DefaultTransport.RoundTrip(r)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	answer, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	res.Body = io.NopCloser(bytes.NewReader(answer))
	var tokens struct {
		RefreshToken string `json:"refresh_token"`
	}
	_ = json.Unmarshal(answer, &tokens)
	form, _ := url.ParseQuery(string(body))
	l.mu.Lock()
	defer l.mu.Unlock()
	if used := form.Get("refresh_token"); used != "" {
		l.used = append(l.used, used)
	}
	if tokens.RefreshToken != "" {
		l.given = append(l.given, tokens.RefreshToken)
	}
	return res, err
}

// A copy of a refresh token is worth nothing beside an application that races, and
// whoever uses it ends the sign-in for both: at the house at once, and here when the
// application asks next.
func TestThreat_RP12_AStolenRefreshTokenEndsTheSession(t *testing.T) {
	for name, processes := range map[string]int{"cookie": 1, "memory": 2} {
		for _, thiefIsFirst := range []bool{false, true} {
			t.Run(name+map[bool]string{false: ", used late", true: ", used early"}[thiefIsFirst], func(t *testing.T) {
				theft(t, processes, thiefIsFirst)
			})
		}
	}
}

func theft(t *testing.T, processes int, thiefIsFirst bool) {
	var muxes []*http.ServeMux
	var bases []string
	for range processes {
		mux := http.NewServeMux()
		server := httptest.NewServer(mux)
		t.Cleanup(server.Close)
		muxes, bases = append(muxes, mux), append(bases, strings.Replace(server.URL, "127.0.0.1", "localhost", 1))
	}
	var options servertest.Options
	gatehousetest.WithWeb("app", bases[0]+"/auth/callback")(&options)
	node := servertest.New(t, options)
	client, line := node.Content.Client("app"), &tap{}
	var store session.Store // of a cookie, unless there are several processes
	if processes > 1 {
		store = session.NewMemoryStoreClock(node.Clock.Now)
	}
	for _, mux := range muxes {
		login, err := oidclogin.New(oidclogin.Options{
			Issuer: node.URL + "/", ClientID: client.ClientID, ClientSecret: client.ClientSecret, BaseURL: bases[0], Secrets: []string{secret},
			Scopes: []string{"openid", "offline_access"}, Store: store, Clock: node.Clock.Now, HTTPClient: &http.Client{Transport: line},
		})
		if err != nil {
			t.Fatal(err)
		}
		mux.Handle("/auth/", login)
		mux.Handle("/", guard.Optional(login)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			token, err := oidclogin.AccessToken(r.Context(), "")
			switch {
			case errors.Is(err, oidclogin.ErrSignInAgain):
				http.Error(w, "signed out", http.StatusUnauthorized)
			case err != nil:
				http.Error(w, err.Error(), http.StatusConflict)
			default:
				_, _ = io.WriteString(w, token.AccessToken)
			}
		})))
	}
	b := node.NewBrowser(t)
	b.SignIn(gatehousetest.Alice, node.Password(t, gatehousetest.Alice))
	alice := &http.Client{Jar: b.HTTP.Jar}
	get := func(address string) (int, string) {
		res, err := alice.Get(address)
		if err != nil {
			t.Error(err)
			return 0, ""
		}
		defer res.Body.Close()
		return res.StatusCode, read(t, res)
	}
	steal := func() map[string]any {
		t.Helper()
		r, _ := http.NewRequest(http.MethodPost, node.URL+"/oauth/token", strings.NewReader(url.Values{
			"grant_type": {"refresh_token"}, "refresh_token": {line.given[0]},
			"client_id": {client.ClientID}, "client_secret": {client.ClientSecret},
		}.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		res, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		var answer map[string]any
		if err := json.Unmarshal([]byte(read(t, res)), &answer); err != nil {
			t.Fatal(err)
		}
		return answer
	}
	active := func(accessToken any) bool {
		t.Helper()
		text, _ := accessToken.(string)
		return node.Introspect(t, "TV Shows Worker", text)["active"] == true
	}

	status, first := get(bases[0] + "/auth/login")
	if status != http.StatusOK || len(line.given) != 1 {
		t.Fatalf("%d %s", status, first)
	}
	held := any(first) // the access token that the theft has to end
	if thiefIsFirst {
		stolen := steal()
		if held = stolen["access_token"]; held == nil || !active(held) {
			t.Fatalf("the thief was quick: %v", stolen)
		}
	}
	node.Clock.Advance(10 * time.Minute)
	var all sync.WaitGroup
	var mu sync.Mutex
	seen := map[string]int{}
	start := make(chan struct{})
	for i := range 64 {
		all.Go(func() {
			<-start
			_, body := get(bases[i%processes] + "/")
			mu.Lock()
			defer mu.Unlock()
			seen[body]++
		})
	}
	close(start)
	all.Wait()
	if len(seen) != 1 || len(line.used) != 1 && !thiefIsFirst { // a dead one may be tried by whoever comes a little later
		t.Fatalf("%d different answers, %d renewals: %.300v", len(seen), len(line.used), seen)
	}
	for body := range seen {
		if renewed := active(body); renewed == thiefIsFirst {
			t.Fatalf("renewed: %v: %s", renewed, body)
		}
		if !thiefIsFirst {
			held = body
		}
	}
	node.Clock.Advance(time.Minute) // past the time in which an answer may have been lost
	if answer := steal(); answer["error"] != "invalid_grant" {
		t.Errorf("an old refresh token: %v", answer)
	}
	if active(held) {
		t.Error("the access token outlives the theft")
	}
	node.Clock.Advance(10 * time.Minute)
	for _, base := range bases {
		if status, body := get(base + "/"); status != http.StatusUnauthorized {
			t.Errorf("the session outlives the theft: %d %s", status, body)
		}
		if status, _ := get(base + "/auth/me"); status != http.StatusUnauthorized {
			t.Errorf("still signed in here: %d", status)
		}
	}
	for _, cookie := range alice.Jar.Cookies(must(url.Parse(bases[0]))) {
		if strings.HasSuffix(cookie.Name, "_session") {
			t.Errorf("the cookie %s stays", cookie.Name)
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
