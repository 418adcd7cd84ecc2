package gatehousetest_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/gatehousetest"
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

func BenchmarkStart(b *testing.B) {
	gatehousetest.New(b) // makes the template
	for b.Loop() {
		gatehousetest.New(b)
	}
}
