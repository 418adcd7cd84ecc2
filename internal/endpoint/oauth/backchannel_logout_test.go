package oauth_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/id"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
	"github.com/gatehouse-dev/gatehouse/internal/core/signin"
	"github.com/gatehouse-dev/gatehouse/internal/server/demo"
	"github.com/gatehouse-dev/gatehouse/internal/server/servertest"
)

// told is an application that writes down what it is told.
type told struct {
	*httptest.Server
	mu     sync.Mutex
	tokens []string
}

func newTold(t *testing.T) *told {
	t.Helper()
	r := &told{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.tokens = append(r.tokens, req.PostFormValue("logout_token"))
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *told) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.tokens
	r.tokens = nil
	return out
}

func (r *told) extra() demo.Extra {
	return demo.Extra{
		Name: "Told", Type: apps.RegularWeb, RedirectURIs: []string{"http://localhost:3000/cb"}, LogoutURLs: []string{"http://localhost:3000"},
		BackchannelLogoutURI: r.URL + "/backchannel-logout",
	}
}

// However a sign-in ends, applications that took part are told, once; by its sid alone, and by the name of
// the person where that person is not to come back.
func TestThreat_LO07_EveryEndIsTold(t *testing.T) {
	app := newTold(t)
	i := servertest.New(t, servertest.Options{Extras: []demo.Extra{app.extra()}})
	ctx, tn, by := context.Background(), i.House.Tenant, audit.System()
	client := i.Content.Client("Told").ClientID
	type person struct {
		id, sid, email string
		b              *servertest.Browser
		tokens         servertest.Tokens
	}
	for name, end := range map[string]struct {
		do        func(p person) error
		namesUser bool
		told      int
	}{
		"/v2/logout": {do: func(p person) error {
			p.b.Get("/v2/logout?" + logoutQuery("client_id", client, "returnTo", "http://localhost:3000"))
			return nil
		}, told: 1},
		"/oidc/logout": {do: func(p person) error {
			p.b.Get("/oidc/logout?" + logoutQuery("id_token_hint", p.tokens.IDToken))
			return nil
		}, told: 1},
		"/oidc/logout without a cookie": {do: func(p person) error {
			i.NewBrowser(t).Get("/oidc/logout?" + logoutQuery("id_token_hint", p.tokens.IDToken))
			return nil
		}, told: 1},
		"somebody else signs in": {do: func(p person) error {
			p.b.Enter(p.b.Authorize(demo.SPA, "prompt", "login"), demo.Reader, i.Password(t, demo.Reader))
			return nil
		}, told: 1},
		"one session is revoked": {do: func(p person) error { return i.House.SignIn.EndSession(ctx, tn, p.id, p.sid, by) }, told: 1},
		"all sessions":           {do: func(p person) error { return i.House.SignIn.EndSessions(ctx, tn, p.id, by) }, told: 1},
		"suspicious activity":    {do: func(p person) error { return i.House.SignIn.ForceSignIn(ctx, tn, p.id, by) }, told: 1, namesUser: true},
		"ban":                    {do: func(p person) error { return i.House.SignIn.Block(ctx, tn, p.id, by) }, told: 1, namesUser: true},
		"deletion":               {do: func(p person) error { return i.House.SignIn.Delete(ctx, tn, p.id, by) }, told: 1, namesUser: true},
		"a new password": {do: func(p person) error {
			s, err := i.House.SignIn.Sessions(ctx, tn, p.id)
			if err == nil {
				_, err = i.House.SignIn.ChangePassword(ctx, tn, s[0], "trombone-window-lamp", "violet-engine-gravel", signin.From{})
			}
			return err
		}, told: 1},
		"the session expires": {do: func(person) error {
			i.Clock.Advance(31 * 24 * time.Hour)
			return i.House.Sweep(ctx)
		}},
		"the refresh token is given back": {do: func(p person) error {
			i.PostForm(t, "/oauth/revoke", "Told", "token", p.tokens.RefreshToken)
			return nil
		}},
	} {
		t.Run(name, func(t *testing.T) {
			p := person{email: id.UUID() + "@example.com", b: i.NewBrowser(t)}
			p.id = i.AddUser(t, p.email, "trombone-window-lamp")
			p.b.SignIn(p.email, "trombone-window-lamp")
			p.tokens = i.TokensIn(t, p.b, "Told", "scope", "openid offline_access")
			i.TokensIn(t, p.b, "Told", "scope", "openid") // again: it is one application
			i.TokensIn(t, p.b, demo.RegularWeb)           // does not want to be told
			p.sid = claims(t, p.tokens.IDToken)["sid"].(string)
			for range 2 { // the second time there is nothing left to end
				if err := end.do(p); err != nil && len(app.tokens) == 0 {
					t.Fatal(err)
				}
				if _, err := i.House.Logouts.Deliver(ctx); err != nil {
					t.Fatal(err)
				}
			}
			tokens := app.take()
			if len(tokens) != end.told {
				t.Fatalf("told %d times", len(tokens))
			}
			for _, token := range tokens {
				c := claims(t, token)
				sub, named := c["sub"]
				if c["sid"] != p.sid || named != end.namesUser || named && sub != p.id || c["aud"] != client || c["iss"] != i.URL+"/" {
					t.Errorf("%v", c)
				}
			}
		})
	}
}

// Who gets an ID token without a code takes part, too; who gets none does not.
func TestThreat_LO07_WhoTakesPartInASession(t *testing.T) {
	app := newTold(t)
	i := servertest.New(t, servertest.Options{Extras: []demo.Extra{app.extra()}})
	ctx, tn := context.Background(), i.House.Tenant
	_, err := i.House.Admin().UpdateClient(ctx, tn, i.Content.Client("Told").ClientID, func(c *apps.Client) error {
		c.Profile = apps.OIDCBasic
		return nil
	}, audit.System())
	if err != nil {
		t.Fatal(err)
	}
	for name, try := range map[string]struct {
		ask  []string
		told int
	}{
		"id_token":              {[]string{"response_type", "id_token", "response_mode", "form_post", "nonce", "n", "code_challenge", "", "code_challenge_method", ""}, 1},
		"code id_token":         {[]string{"response_type", "code id_token", "response_mode", "form_post", "nonce", "n"}, 1},
		"code, never redeemed":  {nil, 0},
		"code, without openid":  {[]string{"scope", "read:shows"}, 0},
		"silent authentication": {[]string{"prompt", "none"}, 0},
	} {
		b := i.NewBrowser(t)
		b.SignIn(demo.Reader, i.Password(t, demo.Reader))
		p := b.Authorize("Told", try.ask...)
		if name == "code, without openid" {
			i.Redeem(t, "Told", p.Answer(t))
		} else if p.StatusCode >= 400 {
			t.Fatalf("%s: %s", name, p.Body)
		}
		if err := i.House.SignIn.EndSessions(ctx, tn, i.UserID(t, demo.Reader), audit.System()); err != nil {
			t.Fatal(err)
		}
		if _, err := i.House.Logouts.Deliver(ctx); err != nil {
			t.Fatal(err)
		}
		if got := len(app.take()); got != try.told {
			t.Errorf("%s: told %d times", name, got)
		}
	}
}
