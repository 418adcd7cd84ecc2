package oauth_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/server/demo"
	"github.com/gatehouse-dev/gatehouse/internal/server/servertest"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// escapeAll encodes every byte, as some clients do with bytes that need none.
func escapeAll(s string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, "%%%02X", s[i])
	}
	return b.String()
}

const credentials = "grant_type=client_credentials"

func TestThreat_CL02_EveryWayToAuthenticate(t *testing.T) {
	i := house(t)
	m, web, spa := i.Content.Client(demo.Machine), i.Content.Client(demo.RegularWeb), i.Content.Client(demo.SPA)
	id, secret := m.ClientID, m.ClientSecret
	form := func(pairs ...string) string {
		v := url.Values{"grant_type": {"client_credentials"}}
		for n := 0; n+1 < len(pairs); n += 2 {
			v.Add(pairs[n], pairs[n+1])
		}
		return v.Encode()
	}
	for name, c := range map[string]struct {
		body      string
		header    []string
		want      string // error code; empty for success
		challenge bool
	}{
		"post":                              {form("client_id", id, "client_secret", secret), nil, "", false},
		"basic":                             {credentials, []string{basic(id, secret)}, "", false},
		"basic, every byte encoded":         {credentials, []string{basic(escapeAll(id), escapeAll(secret))}, "", false},
		"basic and the same client_id":      {form("client_id", id), []string{basic(id, secret)}, "", false},
		"basic in lower case":               {credentials, []string{"basic" + basic(id, secret)[5:]}, "", false},
		"both":                              {form("client_id", id, "client_secret", secret), []string{basic(id, secret)}, "invalid_request", false},
		"basic and an assertion":            {form("client_assertion", "x", "client_assertion_type", oauth.AssertionTypeJWTBearer), []string{basic(id, secret)}, "invalid_request", false},
		"post and an assertion":             {form("client_id", id, "client_secret", secret, "client_assertion", "x"), nil, "invalid_request", false},
		"an assertion":                      {form("client_id", id, "client_assertion", "x", "client_assertion_type", oauth.AssertionTypeJWTBearer), nil, "invalid_client", false},
		"two headers":                       {credentials, []string{basic(id, secret), basic(id, secret)}, "invalid_request", false},
		"basic for one, body for another":   {form("client_id", web.ClientID), []string{basic(id, secret)}, "invalid_request", false},
		"secret of another, post":           {form("client_id", id, "client_secret", web.ClientSecret), nil, "invalid_client", false},
		"secret of another, basic":          {credentials, []string{basic(id, web.ClientSecret)}, "invalid_client", true},
		"no secret":                         {form("client_id", id), nil, "invalid_client", false},
		"an empty secret, post":             {form("client_id", id, "client_secret", ""), nil, "invalid_client", false},
		"an empty secret, basic":            {credentials, []string{basic(id, "")}, "invalid_client", true},
		"secret cut":                        {form("client_id", id, "client_secret", secret[:len(secret)-1]), nil, "invalid_client", false},
		"secret in upper case":              {form("client_id", id, "client_secret", strings.ToUpper(secret)), nil, "invalid_client", false},
		"id in lower case":                  {form("client_id", strings.ToLower(id), "client_secret", secret), nil, "invalid_client", false},
		"no client at all":                  {credentials, nil, "invalid_client", false},
		"an unknown client, basic":          {credentials, []string{basic("nobody", secret)}, "invalid_client", true},
		"a public client with a secret":     {form("client_id", spa.ClientID, "client_secret", secret), nil, "invalid_client", false},
		"a public client, secret by basic":  {credentials, []string{basic(spa.ClientID, "x")}, "invalid_client", true},
		"a public client by basic":          {"grant_type=refresh_token&refresh_token=x", []string{basic(spa.ClientID, "")}, "invalid_grant", false}, // known, and not by a secret
		"an empty secret, basic and body":   {form("client_id", id, "client_secret", secret), []string{basic(id, "")}, "invalid_request", false},
		"bearer":                            {credentials, []string{"Bearer " + secret}, "invalid_client", true},
		"basic without a colon":             {credentials, []string{"Basic " + base64.StdEncoding.EncodeToString([]byte(id))}, "invalid_client", true},
		"basic that is not base64":          {credentials, []string{"Basic %%%"}, "invalid_client", true},
		"basic with two spaces":             {credentials, []string{strings.Replace(basic(id, secret), " ", "  ", 1)}, "invalid_client", true},
		"basic with a control character":    {credentials, []string{basic(id, secret+"\x00")}, "invalid_client", true},
		"an empty Authorization header":     {credentials, []string{""}, "invalid_client", true},
		"an empty header beside the secret": {form("client_id", id, "client_secret", secret), []string{""}, "invalid_request", false},
	} {
		var header []string
		for _, h := range c.header {
			header = append(header, "Authorization", h)
		}
		got := post(t, i, "/oauth/token", c.body, header...)
		if challenge := got.Header.Get("WWW-Authenticate"); (challenge == `Basic realm="gatehouse"`) != c.challenge || !c.challenge && challenge != "" {
			t.Errorf("%s: WWW-Authenticate %q, want one: %v", name, challenge, c.challenge)
		}
		if c.want == "" {
			if got.Status != 200 || got.AccessToken == "" {
				t.Errorf("%s: %d %s", name, got.Status, got.Raw)
			}
			continue
		}
		expectTokenError(t, name, got, c.want)
		i.Clock.Advance(10 * time.Second) // not so many guesses at once
	}
}

// A client that is pinned to one way is refused by the other, at every endpoint.
func TestThreat_CL02_MethodOutsideTheClientsSet(t *testing.T) {
	i := house(t)
	m := i.Content.Client(demo.Machine)
	body := url.Values{"grant_type": {"client_credentials"}, "token": {"x"}}
	posted := url.Values{"grant_type": {"client_credentials"}, "token": {"x"}, "client_id": {m.ClientID}, "client_secret": {m.ClientSecret}}
	for _, path := range []string{"/oauth/token", "/oauth/revoke", "/oauth/introspect"} {
		change(t, i, demo.Machine, func(c *apps.Client) { c.AuthMethods = []oauth.AuthMethod{oauth.AuthBasic} })
		if got := post(t, i, path, body.Encode(), "Authorization", basic(m.ClientID, m.ClientSecret)); got.Status != 200 {
			t.Errorf("%s: basic for basic: %s", path, got.Raw)
		}
		expectTokenError(t, path+": post for basic", post(t, i, path, posted.Encode()), "invalid_client")
		change(t, i, demo.Machine, func(c *apps.Client) { c.AuthMethods = []oauth.AuthMethod{oauth.AuthPost} })
		if got := post(t, i, path, posted.Encode()); got.Status != 200 {
			t.Errorf("%s: post for post: %s", path, got.Raw)
		}
		got := post(t, i, path, body.Encode(), "Authorization", basic(m.ClientID, m.ClientSecret))
		expectTokenError(t, path+": basic for post", got, "invalid_client")
		if got.Header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: no challenge to a client that used the header", path)
		}
	}
}

func TestThreat_CL01_GuessingASecretIsLimited(t *testing.T) {
	i := servertest.New(t, servertest.Options{Configure: proxied})
	m, web := i.Content.Client(demo.Machine), i.Content.Client(demo.RegularWeb)
	guess := func(from, client, secret string) servertest.Tokens {
		return post(t, i, "/oauth/token", url.Values{"grant_type": {"client_credentials"}, "client_id": {client}, "client_secret": {secret}}.Encode(), "X-Forwarded-For", from)
	}
	const thief, office = "203.0.113.7", "198.51.100.2"
	for n := range 10 {
		expectTokenError(t, fmt.Sprint("guess ", n), guess(thief, m.ClientID, fmt.Sprint("guess", n)), "invalid_client")
	}
	for _, secret := range []string{"guess", m.ClientSecret} {
		got := guess(thief, m.ClientID, secret)
		if got.Status != http.StatusTooManyRequests || got.Error != "too_many_requests" || got.Header.Get("Retry-After") != "60" || got.AccessToken != "" {
			t.Errorf("after ten guesses: %d %s, Retry-After %q", got.Status, got.Raw, got.Header.Get("Retry-After"))
		}
	}
	for _, path := range []string{"/oauth/revoke", "/oauth/introspect"} { // one budget, whatever endpoint is asked
		got := post(t, i, path, url.Values{"token": {"x"}, "client_id": {m.ClientID}, "client_secret": {"guess"}}.Encode(), "X-Forwarded-For", thief)
		if got.Status != http.StatusTooManyRequests {
			t.Errorf("%s: %d %s", path, got.Status, got.Raw)
		}
	}
	if got := guess(office, m.ClientID, m.ClientSecret); got.Status != 200 {
		t.Errorf("another network: %d %s", got.Status, got.Raw)
	}
	if got := guess(thief, web.ClientID, web.ClientSecret); got.Error != "unauthorized_client" {
		t.Errorf("another client from there: %d %s", got.Status, got.Raw)
	}
	i.Clock.Advance(time.Minute)
	if got := guess(thief, m.ClientID, m.ClientSecret); got.Status != 200 {
		t.Errorf("a minute later: %d %s", got.Status, got.Raw)
	}
}

// Nonsense in the name of a client that has no secret locks nobody out.
func TestThreat_CL01_PublicClientsCanNotBeLockedOut(t *testing.T) {
	i := house(t)
	spa := i.Content.Client(demo.SPA)
	tokens, _ := i.TokensFor(t, demo.Reader, demo.SPA, "scope", offline)
	for range 20 {
		expectTokenError(t, "a secret for a public client", post(t, i, "/oauth/token", "grant_type=refresh_token&refresh_token=x&client_secret=x&client_id="+spa.ClientID), "invalid_client")
	}
	if got := i.Refresh(t, demo.SPA, tokens.RefreshToken); got.Status != 200 {
		t.Errorf("%d %s", got.Status, got.Raw)
	}
}

// Secrets are long, made here, and stored as their hash.
func TestThreat_CL01_SecretsAreGenerated(t *testing.T) {
	c, secret := apps.NewClient("x", apps.Machine)
	if len(secret) < 43 || strings.ContainsFunc(secret, func(r rune) bool { return !(r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z') }) {
		t.Errorf("a secret of %d characters", len(secret))
	}
	if len(c.SecretHash) != 32 || strings.Contains(string(c.SecretHash), secret) {
		t.Error("the secret is stored")
	}
	if public, none := apps.NewClient("x", apps.SPA); none != "" || len(public.SecretHash) != 0 {
		t.Error("a public client has a secret")
	}
}

func TestThreat_CL01_ParallelGuessesAreAllRefused(t *testing.T) {
	i := house(t)
	m := i.Content.Client(demo.Machine)
	var in atomic.Int32
	atOnce(64, func(n int) {
		got := post(t, i, "/oauth/token", url.Values{"grant_type": {"client_credentials"}, "client_id": {m.ClientID}, "client_secret": {fmt.Sprint("guess", n)}}.Encode())
		if got.Status == 200 {
			in.Add(1)
		}
	})
	if in.Load() != 0 {
		t.Error("a guess got in")
	}
	if got := i.PostForm(t, "/oauth/token", demo.Machine, "grant_type", "client_credentials"); got.Status != http.StatusTooManyRequests {
		t.Errorf("after 64 guesses: %d", got.Status)
	}
}
