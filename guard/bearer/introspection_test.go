package bearer_test

import (
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard/bearer"
	"github.com/gatehouse-dev/gatehouse/guard/internal/testissuer"
)

func asking(change func(*bearer.Introspection)) func(*bearer.Options) {
	return func(o *bearer.Options) {
		o.Introspection = &bearer.Introspection{ClientID: testissuer.ClientID, ClientSecret: testissuer.ClientSecret}
		if change != nil {
			change(o.Introspection)
		}
	}
}

func TestOpaqueTokens(t *testing.T) {
	issuer, s, clock := setup(t, asking(nil))
	token := issuer.OpaqueToken(t, audience, nil)
	p, err := s.Verify(t.Context(), token)
	if err != nil || p.Subject != "alice" || p.Issuer != issuer.URL || p.ClientID != testissuer.ClientID || !p.HasScope("read:shows") ||
		!p.HasPermission("read:shows") || p.SessionID != "session-1" || !p.Expiry.Equal(clock.Now().Add(10*time.Minute)) {
		t.Fatalf("%+v, %v", p, err)
	}
	var claims struct {
		Active bool `json:"active"`
	}
	if err := p.DecodeClaims(&claims); err != nil || !claims.Active {
		t.Errorf("%+v, %v", claims, err)
	}
	for range 20 {
		if w := call(s, request("Bearer "+token)); w.Code != 200 {
			t.Fatal(w.Code)
		}
	}
	if n := issuer.Hits("/introspect"); n != 1 {
		t.Errorf("%d questions for one token at one moment", n)
	}
	// JWTs of the same issuer are checked here.
	if w := call(s, request("Bearer "+issuer.AccessToken(t, audience, nil))); w.Code != 200 || issuer.Hits("/introspect") != 1 {
		t.Errorf("a JWT: %d after %d questions", w.Code, issuer.Hits("/introspect"))
	}
}

// What was taken back ends when the answer that is remembered does.
func TestThreat_JW14_OpaqueTokensEnd(t *testing.T) {
	issuer, s, clock := setup(t, asking(nil))
	token := issuer.OpaqueToken(t, audience, nil)
	if w := call(s, request("Bearer "+token)); w.Code != 200 {
		t.Fatal(w.Code)
	}
	issuer.Revoke(token)
	clock.Advance(10 * time.Second)
	if w := call(s, request("Bearer "+token)); w.Code != 401 {
		t.Errorf("revoked ten seconds ago: %d", w.Code)
	}
	// And never after its own end, however long answers are believed.
	issuer, s, clock = setup(t, asking(func(o *bearer.Introspection) { o.TTL = 5 * time.Minute }))
	token = issuer.OpaqueToken(t, audience, func(c map[string]any) { c["exp"] = clock.Now().Add(time.Minute).Unix() })
	if w := call(s, request("Bearer "+token)); w.Code != 200 {
		t.Fatal(w.Code)
	}
	clock.Advance(time.Minute)
	if w := call(s, request("Bearer "+token)); w.Code != 401 {
		t.Errorf("expired: %d", w.Code)
	}
}

func TestThreat_JW14_AlwaysAsking(t *testing.T) {
	issuer, s, clock := setup(t, asking(func(o *bearer.Introspection) { o.Always, o.TTL = true, time.Second }))
	dead := map[string]bool{}
	issuer.Introspection = func(token string, answer map[string]any) {
		if dead[token] {
			clear(answer)
			answer["active"] = false
		}
	}
	token := issuer.AccessToken(t, audience, nil)
	if w := call(s, request("Bearer "+token)); w.Code != 200 {
		t.Fatal(w.Code)
	}
	issuer.Lock(func() { dead[token] = true })
	clock.Advance(time.Second)
	if w := call(s, request("Bearer "+token)); w.Code != 401 {
		t.Errorf("taken back a second ago: %d", w.Code)
	}
	if issuer.Hits("/jwks") != 0 {
		t.Error("keys were fetched although the issuer is always asked")
	}
}

func TestThreat_JW06_AnswersOfIntrospection(t *testing.T) {
	set := func(name string, value any) func(map[string]any) { return func(c map[string]any) { c[name] = value } }
	for name, change := range map[string]func(map[string]any){
		"another audience": set("aud", "https://other/"),
		"no audience":      set("aud", nil),
		"another issuer":   set("iss", "https://evil.example/"),
		"a refresh token":  set("token_type", "refresh_token"),
		"an ID token":      set("nonce", "n"),
		"inactive":         set("active", false),
		"nobody's":         func(c map[string]any) { delete(c, "sub"); delete(c, "client_id") },
		"bound to a key":   func(c map[string]any) { c["cnf"] = map[string]any{"jkt": "x"} },
		"bound somehow":    func(c map[string]any) { c["cnf"] = map[string]any{"kid": "x"} },
	} {
		issuer, s, _ := setup(t, asking(nil))
		if w := call(s, request("Bearer "+issuer.OpaqueToken(t, audience, change))); w.Code != 401 {
			t.Errorf("%s: %d", name, w.Code)
		}
	}
	issuer, s, _ := setup(t, asking(func(o *bearer.Introspection) { o.InsecureNoAudience = true }))
	if w := call(s, request("Bearer "+issuer.OpaqueToken(t, audience, func(c map[string]any) { delete(c, "aud") }))); w.Code != 200 {
		t.Errorf("no audience, and that was allowed: %d", w.Code)
	}
}

// A client's own token may lack a subject.
func TestThreat_TK20_OpaqueTokenOfAClient(t *testing.T) {
	issuer, s, _ := setup(t, asking(nil))
	p, err := s.Verify(t.Context(), issuer.OpaqueToken(t, audience, func(c map[string]any) { delete(c, "sub") }))
	if err != nil || !p.IsClient() || p.Subject != testissuer.ClientID {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestIntrospectionUnavailable(t *testing.T) {
	for name, before := range map[string]func(w http.ResponseWriter){
		"down":           func(w http.ResponseWriter) { http.Error(w, "down", http.StatusBadGateway) },
		"wrong secret":   func(w http.ResponseWriter) { http.Error(w, `{"error":"invalid_client"}`, http.StatusUnauthorized) },
		"elsewhere":      func(w http.ResponseWriter) { w.Header().Set("Location", "https://evil.example/"); w.WriteHeader(302) },
		"nonsense":       func(w http.ResponseWriter) { _, _ = io.WriteString(w, "<html>") },
		"not quite JSON": func(w http.ResponseWriter) { _, _ = io.WriteString(w, `{"active":true,"active":true}`) },
		"without end": func(w http.ResponseWriter) {
			_, _ = io.WriteString(w, `{"active":true,"a":"`+strings.Repeat("a", 70<<10)+`"}`)
		},
		"active is text": func(w http.ResponseWriter) { _, _ = io.WriteString(w, `{"active":"true"}`) },
		"nothing":        func(http.ResponseWriter) {},
	} {
		t.Run(name, func(t *testing.T) {
			issuer, s, clock := setup(t, asking(nil))
			token := issuer.OpaqueToken(t, audience, nil)
			issuer.Lock(func() {
				issuer.Before = func(w http.ResponseWriter, r *http.Request) bool {
					if r.URL.Path == "/introspect" {
						before(w)
					}
					return r.URL.Path == "/introspect"
				}
			})
			for range 5 {
				if w := call(s, request("Bearer "+token)); w.Code != 503 || w.Header().Get("Retry-After") == "" {
					t.Errorf("%d %v", w.Code, w.Header())
				}
			}
			if n := issuer.Hits("/introspect"); n != 1 {
				t.Errorf("%d questions to an issuer in trouble at one moment", n)
			}
			issuer.Lock(func() { issuer.Before = nil })
			clock.Advance(time.Second)
			if w := call(s, request("Bearer "+token)); w.Code != 200 {
				t.Errorf("once it is back: %d", w.Code)
			}
		})
	}
}

func TestThreat_RP11_IntrospectionOfOneTokenAtOnce(t *testing.T) {
	issuer, s, _ := setup(t, asking(nil))
	token := issuer.OpaqueToken(t, audience, nil)
	arrived, release := make(chan struct{}, 100), make(chan struct{})
	issuer.Lock(func() {
		issuer.Before = func(_ http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == "/introspect" {
				arrived <- struct{}{}
				<-release
			}
			return false
		}
	})
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if w := call(s, request("Bearer "+token)); w.Code != 200 {
				t.Error(w.Code)
			}
		})
	}
	<-arrived
	close(release)
	wg.Wait()
	if n := issuer.Hits("/introspect"); n != 1 {
		t.Errorf("%d questions about one token", n)
	}
}

// Made-up tokens are remembered, too, and push out no good ones.
func TestThreat_RP11_MadeUpOpaqueTokens(t *testing.T) {
	issuer, s, _ := setup(t, func(o *bearer.Options) { asking(nil)(o); o.Remembered = 8 })
	good, bad := issuer.OpaqueToken(t, audience, nil), rand.Text()
	for range 10 {
		if w := call(s, request("Bearer "+good)); w.Code != 200 {
			t.Fatal(w.Code)
		}
		if w := call(s, request("Bearer "+bad)); w.Code != 401 {
			t.Fatal(w.Code)
		}
	}
	if n := issuer.Hits("/introspect"); n != 2 {
		t.Errorf("%d questions about two tokens", n)
	}
	for range 100 {
		_ = call(s, request("Bearer "+rand.Text()))
	}
	before := issuer.Hits("/introspect")
	if w := call(s, request("Bearer "+good)); w.Code != 200 || issuer.Hits("/introspect") != before {
		t.Errorf("the good token after a flood: %d, asked again: %v", w.Code, issuer.Hits("/introspect") != before)
	}
	if w := call(s, request("Bearer "+strings.Repeat("a", 17<<10))); w.Code != 401 || issuer.Hits("/introspect") != before {
		t.Errorf("a huge token: %d", w.Code)
	}
}

// The token and nothing else reaches the issuer, by POST.
func TestTheTokenStaysOutOfTheURL(t *testing.T) {
	issuer, s, _ := setup(t, asking(nil))
	token := issuer.OpaqueToken(t, audience, nil)
	var seen []string
	issuer.Lock(func() {
		issuer.Before = func(_ http.ResponseWriter, r *http.Request) bool {
			seen = append(seen, fmt.Sprint(r.Method, " ", r.URL, " ", r.Header.Get("Accept")))
			return false
		}
	})
	_ = call(s, request("Bearer "+token))
	for _, line := range seen {
		if strings.Contains(line, token) {
			t.Errorf("the token stands in %q", line)
		}
	}
	if last := seen[len(seen)-1]; last != "POST /introspect application/json" {
		t.Error(last)
	}
}

// What is not a token by its letters is not worth a question.
func TestThreat_TK18_OddTokensReachNobody(t *testing.T) {
	issuer, s, _ := setup(t, asking(nil))
	token := issuer.OpaqueToken(t, audience, nil)
	for _, odd := range []string{" " + token, token + " ", token + "," + token, `"` + token + `"`, "token=" + token, token + "\t", "{" + token + "}", token + "\u00a0", "====", "a b"} {
		if w := call(s, request("Bearer "+odd)); w.Code != 401 {
			t.Errorf("%q: %d", odd, w.Code)
		}
	}
	if n := issuer.Hits("/introspect"); n != 0 {
		t.Errorf("%d questions about what cannot be tokens", n)
	}
	if w := call(s, request("Bearer "+token)); w.Code != 200 {
		t.Error(w.Code)
	}
}
