package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gatehouse-dev/gatehouse/gatehousetest"
	"github.com/gatehouse-dev/gatehouse/guard/bearer"
)

func TestRoutes(t *testing.T) {
	house := gatehousetest.New(t)
	tokens, err := bearer.New(bearer.Options{Issuer: house.Issuer(), Audience: gatehousetest.Audience, Clock: house.Now})
	if err != nil {
		t.Fatal(err)
	}
	api := httptest.NewServer(routes(tokens))
	defer api.Close()
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
		r, err := http.NewRequest(http.MethodGet, api.URL+tc.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if tc.token != "" {
			r.Header.Set("Authorization", "Bearer "+tc.token)
		}
		resp, err := api.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		challenge := resp.Header.Get("WWW-Authenticate")
		if resp.StatusCode != tc.status || !strings.Contains(challenge, tc.challenge) {
			t.Errorf("%s: %s %q %s; want %d %q", tc.path, resp.Status, challenge, body, tc.status, tc.challenge)
		}
	}
}
