package resource

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/gatehouse-dev/gatehouse/e2e/drive"
	"github.com/gatehouse-dev/gatehouse/internal/server/demo"
)

func TestSpring(t *testing.T) {
	t.Parallel()
	h := openHouse(t)
	protects(t, h, startSpring(t, devJSON(h.House)))
}

func TestPython(t *testing.T) {
	t.Parallel()
	h := openHouse(t)
	protects(t, h, startPython(t, devJSON(h.House)))
}

// protects demands of a resource server what every one owes its API.
func protects(t *testing.T, h house, s server) {
	machine := worker(t, h.door)
	alice, bob := person(t, h.door, demo.Reader), person(t, h.door, demo.Stranger)
	management := h.Client(drive.ManagerOfAll)
	foreign := h.door.PostForm(t, "/oauth/token", demo.Management, "grant_type", "client_credentials", "audience", management.Audience)

	for _, tc := range []struct {
		what, path, token string
		status            int
		challenge         string // what stands in it
	}{
		{"anybody", "/", "", http.StatusOK, ""},
		{"nobody", "/me", "", http.StatusUnauthorized, "Bearer"},
		{"nobody", "/shows", "", http.StatusUnauthorized, "Bearer"},
		{"a service", "/shows", machine, http.StatusOK, ""},
		{"a person", "/me", alice.AccessToken, http.StatusOK, ""},
		{"a person with the permission", "/shows", alice.AccessToken, http.StatusOK, ""},
		{"a person without", "/me", bob.AccessToken, http.StatusOK, ""},
		{"a person without the permission", "/shows", bob.AccessToken, http.StatusForbidden, ""},
		{"a token for another API", "/me", foreign.AccessToken, http.StatusUnauthorized, "invalid_token"},
		{"a token of another house", "/me", worker(t, openHouse(t).door), http.StatusUnauthorized, "invalid_token"},
		{"an ID token", "/me", alice.IDToken, http.StatusUnauthorized, "invalid_token"},
		{"a refresh token", "/me", alice.RefreshToken, http.StatusUnauthorized, "invalid_token"},
		{"a token in the URL", "/me?access_token=" + machine, "", http.StatusUnauthorized, "Bearer"},
	} {
		a, err := s.get(tc.path, tc.token)
		if err != nil || a.status != tc.status || !strings.Contains(strings.ToLower(a.challenge), strings.ToLower(tc.challenge)) {
			t.Errorf("%s at %s: %d %q %s; want %d %q; %v", tc.what, tc.path, a.status, a.challenge, a.body, tc.status, tc.challenge, err)
		}
	}
	for what, token := range forged(alice.AccessToken) {
		if err := s.expect(http.StatusUnauthorized, "/me", token); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}

	var who struct {
		Subject  string `json:"sub"`
		ClientID string `json:"client_id"`
	}
	me := drive.Must[answer](t)(s.get("/me", alice.AccessToken))
	if err := json.Unmarshal([]byte(me.body), &who); err != nil || who.Subject == "" || who.ClientID != h.Client(drive.SPAClient).ClientID {
		t.Errorf("it takes Alice for %+v, %v", who, err)
	}
	replaceKeys(t, h, s)
}

// replaceKeys has the house rotate and revoke keys, by the commands that an operator gives.
func replaceKeys(t *testing.T, h house, s server) {
	before := worker(t, h.door)
	h.command("key", "rotate")
	for what, token := range map[string]string{"made before": before, "made since": worker(t, h.door)} {
		if err := s.expect(http.StatusOK, "/shows", token); err != nil {
			t.Errorf("after a rotation, with a token %s: %v", what, err)
		}
	}

	// The key that waits takes over at once. Whoever asks too soon may meet a house that does not know yet.
	stolen := header(t, before, "kid")
	h.command("key", "revoke", stolen)
	var after string
	if err := drive.WaitFor(t.Context(), func() error {
		after = worker(t, h.door)
		if header(t, after, "kid") == stolen {
			return errors.New("the house signs with the revoked key still")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := drive.WaitFor(t.Context(), func() error { return s.expect(http.StatusOK, "/shows", after) }); err != nil {
		t.Errorf("with a token of the new key: %v", err)
	}
	if err := s.expect(http.StatusUnauthorized, "/shows", before); err != nil {
		t.Errorf("with a token of the revoked key: %v", err)
	}
}

// reissue changes the demo API by command, and returns a token as they are from then on.
func (h house) reissue(typ, alg string, change ...string) (token string) {
	h.T.Helper()
	h.command(append([]string{"api", "update", demo.Audience}, change...)...)
	if err := drive.WaitFor(h.T.Context(), func() error {
		token = worker(h.T, h.door)
		if t, a := header(h.T, token, "typ"), header(h.T, token, "alg"); t != typ || a != alg {
			return fmt.Errorf("after %v tokens are %s, %s", change, t, a)
		}
		return nil
	}); err != nil {
		h.T.Fatal(err)
	}
	return token
}

// What the READMEs say of dialects and algorithms.
func TestDialects(t *testing.T) {
	t.Parallel()
	h := openHouse(t)
	rfc9068 := worker(t, h.door)
	rs256 := h.reissue("at+jwt", "RS256", "--signing-alg", "RS256")
	auth0 := h.reissue("JWT", "RS256", "--token-dialect", "auth0")
	file := devJSON(h.House)
	stock, spring, python := startSpring(t, file, "--dialect=auth0"), startSpring(t, file), startPython(t, file)
	stock.name = "Spring with its own decoder"
	for _, tc := range []struct {
		server
		rfc9068, auth0 int
	}{
		{spring, http.StatusOK, http.StatusUnauthorized},
		{python, http.StatusOK, http.StatusUnauthorized},
		{stock, http.StatusUnauthorized, http.StatusOK},
	} {
		if err := tc.expect(tc.rfc9068, "/shows", rfc9068); err != nil {
			t.Errorf("dialect rfc9068: %v", err)
		}
		if err := tc.expect(http.StatusUnauthorized, "/shows", rs256); err != nil {
			t.Errorf("dialect rfc9068, but RS256: %v", err)
		}
		if err := tc.expect(tc.auth0, "/shows", auth0); err != nil {
			t.Errorf("dialect auth0: %v", err)
		}
		if err := tc.expect(http.StatusOK, "/", ""); err != nil {
			t.Error(err)
		}
	}
}
