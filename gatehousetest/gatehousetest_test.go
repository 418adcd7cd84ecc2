package gatehousetest_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/gatehousetest"
	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/bearer"
)

func userinfo(t *testing.T, house *gatehousetest.House, token string) (int, map[string]any) {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, house.URL("/userinfo"), nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var claims map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&claims); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, claims
}

func TestTokenIsReal(t *testing.T) {
	house := gatehousetest.New(t)
	tokens := house.Token(gatehousetest.Alice)
	if !strings.Contains(tokens.Scope, "read:shows") || strings.Contains(tokens.Scope, "write:shows") {
		t.Errorf("Alice's scope is %q, want read:shows without write:shows", tokens.Scope)
	}
	status, claims := userinfo(t, house, tokens.AccessToken)
	if status != http.StatusOK || claims["email"] != gatehousetest.Alice {
		t.Errorf("userinfo: %d %v", status, claims)
	}
}

func TestAdvanceExpiresTokens(t *testing.T) {
	house := gatehousetest.New(t)
	token := house.Token(gatehousetest.Alice).AccessToken
	house.Advance(time.Hour)
	if status, claims := userinfo(t, house, token); status != http.StatusUnauthorized {
		t.Errorf("an hour later: %d %v, want 401", status, claims)
	}
}

func TestBlockEndsEverything(t *testing.T) {
	house := gatehousetest.New(t)
	token := house.Token(gatehousetest.Alice).AccessToken
	house.Block(gatehousetest.Alice)
	if status, claims := userinfo(t, house, token); status != http.StatusUnauthorized {
		t.Errorf("after the block: %d %v, want 401", status, claims)
	}
}

func TestAddedUserSignsIn(t *testing.T) {
	house := gatehousetest.New(t)
	house.AddUser("carol@example.com", "carol-has-a-long-password", "write:shows")
	resp, err := house.SignIn("carol@example.com").Get(house.URL("/u/sign-in"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("the page of somebody who is signed in: %s", resp.Status)
	}
	if scope := house.Token("carol@example.com").Scope; !strings.Contains(scope, "write:shows") {
		t.Errorf("Carol's scope is %q", scope)
	}
}

func TestMachineToken(t *testing.T) {
	house := gatehousetest.New(t)
	if scope := house.MachineToken().Scope; scope != "read:shows write:shows" {
		t.Errorf("scope is %q", scope)
	}
}

func TestAnotherAPI(t *testing.T) {
	const orders = "https://api/orders"
	house := gatehousetest.New(t)
	house.AddAPI(orders, "read:orders", "write:orders")
	house.Permit(gatehousetest.Alice, orders, "read:orders")
	api, err := bearer.New(bearer.Options{Issuer: house.Issuer(), Audience: orders, Clock: house.Now})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		email string
		may   guard.Option
		want  int
	}{
		{gatehousetest.Alice, guard.Scopes("read:orders"), http.StatusOK},
		{gatehousetest.Alice, guard.Scopes("write:orders"), http.StatusForbidden},
		{gatehousetest.Bob, guard.Scopes("read:orders"), http.StatusForbidden},
	} {
		handler := guard.Require(api, c.may)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		if got := call(handler, house.TokenFor(c.email, orders, "read:orders", "write:orders").AccessToken); got != c.want {
			t.Errorf("%s: %d, want %d", c.email, got, c.want)
		}
	}
}

func call(handler http.Handler, token string) int {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w.Code
}

func TestKeysAreRotated(t *testing.T) {
	house := gatehousetest.New(t)
	api, err := bearer.New(bearer.Options{Issuer: house.Issuer(), Audience: gatehousetest.Audience, Clock: house.Now})
	if err != nil {
		t.Fatal(err)
	}
	handler := guard.Require(api)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	signed := func() (kid string) {
		token := house.Token(gatehousetest.Alice).AccessToken
		if status := call(handler, token); status != http.StatusOK {
			t.Errorf("a token of now: %d", status)
		}
		raw, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[0])
		if err != nil {
			t.Fatal(err)
		}
		var header struct{ Kid string }
		if err := json.Unmarshal(raw, &header); err != nil {
			t.Fatal(err)
		}
		return header.Kid
	}
	first := signed()
	house.RotateKeys()
	if signed() != first {
		t.Error("the next key signs although nobody can have it yet")
	}
	house.Advance(gatehousetest.KeyLead)
	if signed() == first {
		t.Error("the old key signs still")
	}
}

func BenchmarkStart(b *testing.B) {
	gatehousetest.New(b) // makes the template
	for b.Loop() {
		gatehousetest.New(b)
	}
}
