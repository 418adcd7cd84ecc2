package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/gatehousetest"
	"github.com/gatehouse-dev/gatehouse/guard/bearer"
	"github.com/gatehouse-dev/gatehouse/internal/proof"
)

func start(t *testing.T, house *gatehousetest.House) *httptest.Server {
	t.Helper()
	tokens, err := bearer.New(bearer.Options{Issuer: house.Issuer(), Audience: gatehousetest.Audience, Clock: house.Now})
	if err != nil {
		t.Fatal(err)
	}
	api := httptest.NewServer(routes(tokens))
	t.Cleanup(api.Close)
	return api
}

func get(t *testing.T, api *httptest.Server, path, token string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, api.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := api.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

func TestRoutes(t *testing.T) {
	house := gatehousetest.New(t)
	api := start(t, house)
	alice, bob := house.Token(gatehousetest.Alice).AccessToken, house.Token(gatehousetest.Bob).AccessToken
	for _, tc := range []struct {
		path, token string
		status      int
		challenge   string // a part of WWW-Authenticate
	}{
		{"/", "", 200, ""},
		{"/me", "", 401, "Bearer"},
		{"/me", "nonsense", 401, `error="invalid_token"`},
		{"/me", bob, 200, ""},
		{"/shows", bob, 403, `error="insufficient_scope"`},
		{"/shows", alice, 200, ""},
		{"/shows", house.MachineToken().AccessToken, 200, ""},
	} {
		resp, body := get(t, api, tc.path, tc.token)
		challenge := resp.Header.Get("WWW-Authenticate")
		if resp.StatusCode != tc.status || !strings.Contains(challenge, tc.challenge) {
			t.Errorf("%s: %s %q %s; want %d %q", tc.path, resp.Status, challenge, body, tc.status, tc.challenge)
		}
	}
}

// The house changes its signing keys: the API takes the tokens of before and those of after.
func TestKeysChange(t *testing.T) {
	house := gatehousetest.New(t)
	api := start(t, house)
	shows := func(when, token string) {
		t.Helper()
		if resp, body := get(t, api, "/shows", token); resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %s %s", when, resp.Status, body)
		}
	}
	shows("before", house.Token(gatehousetest.Alice).AccessToken)
	for range proof.Times(2, 25) {
		house.RotateKeys()
		house.Advance(gatehousetest.KeyLead - 2*time.Minute)
		old := house.Token(gatehousetest.Alice).AccessToken
		shows("next keys are published", old)
		house.Advance(2 * time.Minute)
		shows("next keys sign: a token of before", old)
		shows("next keys sign", house.Token(gatehousetest.Alice).AccessToken)
	}
}
