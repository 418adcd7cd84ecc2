package bearer_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/bearer"
	"github.com/gatehouse-dev/gatehouse/guard/internal/testissuer"
)

// counted counts how often Claims runs: once for each token that is checked.
func counted(count *int) func(*bearer.Options) {
	return func(o *bearer.Options) {
		o.Claims = func(*guard.Principal) error { *count++; return nil }
	}
}

func TestATokenIsCheckedOnce(t *testing.T) {
	checks := 0
	issuer, s, _ := setup(t, counted(&checks))
	token := issuer.AccessToken(t, audience, nil)
	first, err := s.Verify(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		again, err := s.Verify(t.Context(), token)
		if err != nil || again != first {
			t.Fatalf("%v, %v", again, err)
		}
	}
	if checks != 1 {
		t.Errorf("checked %d times", checks)
	}
	checks = 0
	_, none, _ := setup(t, func(o *bearer.Options) { counted(&checks)(o); o.Issuer, o.Remembered = issuer.URL, -1 })
	for range 3 {
		if _, err := none.Verify(t.Context(), token); err != nil {
			t.Fatal(err)
		}
	}
	if checks != 3 {
		t.Errorf("with nothing remembered: checked %d times", checks)
	}
}

// What is remembered ends when the token does, to the second.
func TestThreat_JW07_ARememberedTokenExpires(t *testing.T) {
	issuer, s, clock := setup(t, nil)
	token := issuer.AccessToken(t, audience, nil)
	for _, step := range []struct {
		after time.Duration
		ok    bool
	}{{0, true}, {10*time.Minute + 29*time.Second, true}, {time.Second, false}, {time.Hour, false}} {
		clock.Advance(step.after)
		w := call(s, request("Bearer "+token))
		if (w.Code == 200) != step.ok {
			t.Errorf("%v later: %d", step.after, w.Code)
		}
		if !step.ok && !strings.Contains(w.Header().Get("WWW-Authenticate"), "expired") {
			t.Errorf("%v later it is not called expired: %s", step.after, w.Header())
		}
	}
}

// One letter more or less is another token.
func TestThreat_JW01_ARememberedTokenIsTheWholeToken(t *testing.T) {
	issuer, s, _ := setup(t, nil)
	token := issuer.AccessToken(t, audience, nil)
	if _, err := s.Verify(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(token, ".")
	forged := issuer.AccessToken(t, audience, func(c map[string]any) { c["sub"] = "mallory" })
	for name, other := range map[string]string{
		"cut": token[:len(token)-1], "longer": token + "A", "padded": token + "=", "another payload": parts[0] + "." + strings.Split(forged, ".")[1] + "." + parts[2],
		"no signature": parts[0] + "." + parts[1] + ".", "upper case": strings.ToUpper(token),
	} {
		if _, err := s.Verify(t.Context(), other); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// A key the issuer has withdrawn takes along what it has signed, remembered or
// not, as soon as the keys are fetched anew.
func TestThreat_RP11_AWithdrawnKeyEndsItsTokens(t *testing.T) {
	checks := 0
	issuer, s, clock := setup(t, counted(&checks))
	issuer.AccessLife = 24 * time.Hour
	old := issuer.AccessToken(t, audience, nil)
	if w := call(s, request("Bearer "+old)); w.Code != 200 {
		t.Fatal(w.Code)
	}
	issuer.Rotate(t)
	clock.Advance(2 * time.Minute) // a new kid leads to the issuer, but not at once
	if w := call(s, request("Bearer "+issuer.AccessToken(t, audience, nil))); w.Code != 200 {
		t.Fatalf("signed with the new key: %d", w.Code)
	}
	if w := call(s, request("Bearer "+old)); w.Code != 200 || checks != 2 {
		t.Fatalf("signed with a key that is still published: %d, after %d checks", w.Code, checks)
	}
	issuer.DropOldKeys()
	clock.Advance(2 * time.Minute)
	issuer.Rotate(t)
	newest := issuer.AccessToken(t, audience, nil)
	if w := call(s, request("Bearer "+newest)); w.Code != 200 {
		t.Fatalf("signed with the newest key: %d", w.Code)
	}
	if w := call(s, request("Bearer "+old)); w.Code != 401 {
		t.Errorf("signed with a key that was withdrawn: %d", w.Code)
	}
}

// A key that takes the kid of another is another key.
func TestThreat_RP11_AKidThatChangesHands(t *testing.T) {
	issuer, s, clock := setup(t, nil)
	issuer.AccessLife = 24 * time.Hour
	token := issuer.AccessToken(t, audience, nil)
	if w := call(s, request("Bearer "+token)); w.Code != 200 {
		t.Fatal(w.Code)
	}
	issuer.Replace(t, "key-1")
	fetched := issuer.Hits("/jwks")
	clock.Advance(2 * time.Hour)
	call(s, request("Bearer "+token)) // starts the fetch and does not wait for it
	for issuer.Hits("/jwks") == fetched {
		call(s, request("Bearer "+token))
	}
	for n := 0; ; n++ { // what was fetched is in place a moment later
		w := call(s, request("Bearer "+token))
		if w.Code == 401 {
			break
		}
		if n > 1_000_000 {
			t.Fatal("a token that another key under the same kid has signed goes on")
		}
	}
}

func TestThreat_RP11_RememberedTokensOfAnIssuerThatIsDown(t *testing.T) {
	issuer, s, clock := setup(t, nil)
	issuer.AccessLife = 48 * time.Hour
	token := issuer.AccessToken(t, audience, nil)
	if w := call(s, request("Bearer "+token)); w.Code != 200 {
		t.Fatal(w.Code)
	}
	issuer.Down(true)
	clock.Advance(23*time.Hour + 59*time.Minute)
	if w := call(s, request("Bearer "+token)); w.Code != 200 {
		t.Errorf("within a day: %d", w.Code)
	}
	clock.Advance(2 * time.Minute)
	if w := call(s, request("Bearer "+token)); w.Code != 503 {
		t.Errorf("the key was last seen a day ago: %d", w.Code)
	}
}

// Many kids that do not exist cost the issuer one request a minute, and good
// tokens pass meanwhile.
func TestThreat_RP11_FloodOfKids(t *testing.T) {
	issuer, s, clock := setup(t, nil)
	other := testissuer.New(t) // whose kids the first has never heard of
	other.Now = clock.Now
	other.Lock(func() { other.URL = issuer.URL })
	good := issuer.AccessToken(t, audience, nil)
	var flood []string
	for range 40 {
		other.Rotate(t)
		flood = append(flood, other.AccessToken(t, audience, nil))
	}
	if w := call(s, request("Bearer "+good)); w.Code != 200 {
		t.Fatal(w.Code)
	}
	before := issuer.Hits("/jwks")
	for range 5 {
		clock.Advance(time.Minute)
		for _, token := range flood {
			// The other provider counts its kids the same way: its first is known here,
			// and does not verify.
			if w := call(s, request("Bearer "+token)); w.Code != 401 {
				t.Fatalf("a made-up kid: %d", w.Code)
			}
		}
		if w := call(s, request("Bearer "+good)); w.Code != 200 {
			t.Fatalf("a good token meanwhile: %d", w.Code)
		}
	}
	if n := issuer.Hits("/jwks") - before; n > 5 {
		t.Errorf("five minutes of made-up kids caused %d fetches", n)
	}
}

// feed is a guard.Revocations that a test turns.
type feed struct {
	mu      sync.Mutex
	number  uint64
	gone    map[string]bool // by jti
	err     error
	cleared []uint64
}

func (f *feed) Check(_ context.Context, p *guard.Principal, token string, cleared uint64) (uint64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cleared = append(f.cleared, cleared)
	switch {
	case token == "":
		return 0, errors.New("no token")
	case f.err != nil:
		return 0, f.err
	case f.gone[p.TokenID]:
		return 0, &guard.Error{Code: guard.InvalidToken, Description: "x"}
	}
	return f.number, nil
}

func TestThreat_JW14_Revocations(t *testing.T) {
	for _, remembered := range []int{0, -1} {
		f := &feed{number: 7, gone: map[string]bool{}}
		issuer, s, _ := setup(t, func(o *bearer.Options) { o.Revocations, o.Remembered = f, remembered })
		token := issuer.AccessToken(t, audience, func(c map[string]any) { c["jti"] = "t-1" })
		for range 3 {
			if w := call(s, request("Bearer "+token)); w.Code != 200 {
				t.Fatalf("before: %d", w.Code)
			}
		}
		if want := uint64(7); remembered == 0 && (f.cleared[0] != 0 || f.cleared[1] != want || f.cleared[2] != want) {
			t.Errorf("asked with the numbers %d", f.cleared)
		}
		f.gone["t-1"] = true
		w := call(s, request("Bearer "+token))
		if want := `Bearer error="invalid_token", error_description="The access token was revoked"`; w.Code != 401 || w.Header().Get("WWW-Authenticate") != want {
			t.Errorf("after: %d %s", w.Code, w.Header().Get("WWW-Authenticate"))
		}
		if _, err := s.Verify(t.Context(), token); err == nil {
			t.Error("after, by Verify: accepted")
		}
		f.err = &guard.Error{Code: guard.Unavailable, RetryAfter: time.Second}
		if w := call(s, request("Bearer "+token)); w.Code != 503 || w.Header().Get("Retry-After") != "1" {
			t.Errorf("when it cannot be known: %d", w.Code)
		}
		f.err = errors.New("broken")
		if w := call(s, request("Bearer "+token)); w.Code != 500 {
			t.Errorf("when the check is broken: %d", w.Code)
		}
		if w := call(s, request("Bearer "+token[:len(token)-4]+"AAAA")); w.Code != 401 {
			t.Errorf("a forged token is asked about: %d", w.Code)
		}
	}
}

// What a handler does to the principal it was given is its own affair: nothing of it is there for the next request
// that shows the token, nor for the one beside it.
func TestThreat_RP07_PrincipalsAreNotShared(t *testing.T) {
	issuer, s, _ := setup(t, func(o *bearer.Options) { o.Roles = []string{"roles"} })
	token := issuer.AccessToken(t, audience, func(c map[string]any) { c["roles"] = []string{"one,", "two"} })
	grown := make(chan *guard.Principal, 2)
	careless := guard.Require(s)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		who, _ := guard.From(r.Context())
		who.Subject, who.Organization = "mallory", r.Header.Get("X-Org")
		who.Roles = append(who.Roles, r.Header.Get("X-Org"))
		grown <- who
	}))
	for _, org := range []string{"acme", "evil"} {
		r := request("Bearer " + token)
		r.Header.Set("X-Org", org)
		serve(careless, r)
	}
	for _, org := range []string{"acme", "evil"} {
		if who := <-grown; !slices.Equal(who.Roles, []string{"one,", "two", org}) || who.Organization != org {
			t.Errorf("at %s: %v at %s", org, who.Roles, who.Organization)
		}
	}
	if w := call(s, request("Bearer "+token), guard.Roles("acme")); w.Code != 403 {
		t.Errorf("a role that a handler made up: %d", w.Code)
	}
	if w := call(s, request("Bearer "+token)); w.Body.String() != "alice" {
		t.Errorf("now it is %s", w.Body)
	}
}

func TestManyRequestsAtOnce(t *testing.T) {
	f := &feed{number: 1}
	issuer, s, _ := setup(t, func(o *bearer.Options) { o.Revocations, o.Remembered = f, 16 })
	tokens := make([]string, 64)
	for n := range tokens {
		tokens[n] = issuer.AccessToken(t, audience, nil)
	}
	h := guard.Require(s)(http.HandlerFunc(echo))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for n := range 400 {
				if w := serve(h, request("Bearer "+tokens[n%len(tokens)])); w.Code != 200 || w.Body.String() != "alice" {
					t.Errorf("%d %s", w.Code, w.Body)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestThreat_JW13_NoPrincipalBesideAnError(t *testing.T) {
	f := &feed{gone: map[string]bool{"t-1": true}}
	issuer, s, clock := setup(t, func(o *bearer.Options) { o.Revocations = f })
	tokens := map[string]string{
		"revoked": issuer.AccessToken(t, audience, func(c map[string]any) { c["jti"] = "t-1" }),
		"expired": issuer.AccessToken(t, audience, func(c map[string]any) { c["exp"] = clock.Now().Add(-time.Hour).Unix() }),
		"bound":   issuer.AccessToken(t, audience, boundTo("x")),
		"forged":  issuer.AccessToken(t, audience, nil) + "A",
	}
	for name, token := range tokens {
		for range 2 {
			if p, err := s.Verify(t.Context(), token); p != nil || err == nil {
				t.Errorf("%s: %v beside %v", name, p, err)
			}
			if found, err := s.Authenticate(request("Bearer " + token)); found.Principal != nil || err == nil {
				t.Errorf("%s: %v beside %v", name, found.Principal, err)
			}
		}
	}
}

func TestThreat_JW11_HugeTokensCostLittle(t *testing.T) {
	_, s, _ := setup(t, nil)
	for name, token := range map[string]string{
		"dots": strings.Repeat(".", 900_000), "segments": strings.Repeat("a.", 450_000), "one segment": strings.Repeat("a", 900_000),
		"three segments": strings.Repeat("a", 300_000) + "." + strings.Repeat("a", 300_000) + "." + strings.Repeat("a", 300_000),
	} {
		r := request("Bearer " + token)
		allocations := testing.AllocsPerRun(10, func() {
			if _, err := s.Authenticate(r); err == nil {
				t.Errorf("%s: accepted", name)
			}
		})
		if allocations > 20 {
			t.Errorf("%s: %v allocations", name, allocations)
		}
	}
}
