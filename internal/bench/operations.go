package main

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/gatehouse-dev/gatehouse/internal/endpoint/oauth"
)

const discoveryPath = oauth.PathOpenID

// operation is one row of the table.
type operation struct {
	name string
	aim  float64 // operations per second on two cores shared with the load
	// crypto names the bare calls an operation cannot do without, joined by " + "; empty for none.
	crypto string
	// noStorage: the operation asks no database, so one is enough.
	noStorage bool
	// cold operations show each thing once, to a server that has seen nothing.
	cold bool
	// steps returns what each connection does again and again. A step returns errExhausted when there
	// is nothing left to do.
	steps func(w *world) func(connection int) step
	// warm, if not nil, is done before measuring in place of steps.
	warm func(w *world) func(connection int) step
	// seen: every live token is shown before, however long that takes.
	seen show
}

// step is one operation on a connection.
type step func(c *conn) error

var errExhausted = errors.New("nothing is left to do")

// The bare calls.
const (
	signES256   = "sign ES256"
	signRS256   = "sign RS256"
	verifyES256 = "verify ES256"
	verifyRS256 = "verify RS256"
)

func operations() []operation {
	return []operation{
		{name: "discovery", aim: 45_000, noStorage: true, steps: document(oauth.PathOpenID)},
		{name: "JWKS", aim: 45_000, noStorage: true, steps: document(oauth.PathJWKS)},
		{name: "client credentials, ES256", aim: 18_000, crypto: signES256, noStorage: true, steps: clientCredentials(audienceES256)},
		{name: "client credentials, RS256", aim: 1750, crypto: signRS256, noStorage: true, steps: clientCredentials(audienceRS256)},
		{name: "introspection, cold", aim: 15_000, crypto: verifyES256, cold: true, steps: once(fresh, introspect), warm: again(introspect)},
		{name: "introspection, warm", aim: 25_000, steps: again(introspect), seen: introspect},
		{name: "userinfo, cold", aim: 15_000, crypto: verifyES256, cold: true, steps: once(fresh, userInfo), warm: again(userInfo)},
		{name: "userinfo, warm", aim: 25_000, steps: again(userInfo), seen: userInfo},
		{name: "refresh, RS256 ID token", aim: 1700, crypto: signRS256 + " + " + signES256, steps: refresh(func(w *world) []string { return w.refreshWithID })},
		{name: "refresh, no ID token", aim: 6000, crypto: signES256, steps: refresh(func(w *world) []string { return w.refreshWithoutID })},
		{name: "code + PKCE, RS256 ID token", aim: 1600, crypto: signRS256 + " + " + signES256, steps: codeFlow("openid profile email offline_access read:shows")},
		{name: "code + PKCE, no ID token", aim: 5000, crypto: signES256, steps: codeFlow("offline_access read:shows")},
	}
}

func document(path string) func(*world) func(int) step {
	return func(*world) func(int) step {
		return func(int) step {
			return func(c *conn) error {
				a, err := c.do(get(c.begin(), path))
				if err != nil {
					return err
				}
				return a.expect(http.StatusOK)
			}
		}
	}
}

func clientCredentials(audience string) func(*world) func(int) step {
	return func(w *world) func(int) step {
		return func(int) step {
			form := "grant_type=client_credentials&audience=" + url.QueryEscape(audience)
			return func(c *conn) error {
				a, err := c.do(post(c.begin(), oauth.PathToken, w.machine, form))
				if err != nil {
					return err
				}
				return a.expect(http.StatusOK)
			}
		}
	}
}

// show is a request that shows an access token and checks the answer.
type show func(w *world, c *conn, token string) error

// again shows the live tokens, in another place of their random order on each connection.
func again(ask show) func(*world) func(int) step {
	return func(w *world) func(int) step {
		return func(connection int) step {
			i := connection * len(w.live) / connections
			return func(c *conn) error {
				i++
				return ask(w, c, w.live[i%len(w.live)])
			}
		}
	}
}

func fresh(w *world) []string { return w.fresh }

func live(w *world) []string { return w.live }

// once shows each of some tokens once.
func once(some func(*world) []string, ask show) func(*world) func(int) step {
	return func(w *world) func(int) step {
		tokens, next := some(w), new(atomic.Int64)
		return func(int) step {
			return func(c *conn) error {
				i := int(next.Add(1)) - 1
				if i >= len(tokens) {
					return errExhausted
				}
				return ask(w, c, tokens[i])
			}
		}
	}
}

func introspect(w *world, c *conn, token string) error {
	a, err := c.do(post(c.begin(), oauth.PathIntrospect, w.machine, "token=", token))
	switch {
	case err != nil:
		return err
	case !strings.HasPrefix(string(a.body), `{"active":true`):
		return errors.New("a live token is called inactive: " + string(a.body))
	}
	return a.expect(http.StatusOK)
}

func userInfo(_ *world, c *conn, token string) error {
	a, err := c.do(get(c.begin(), oauth.PathUserInfo, "Authorization", "Bearer "+token))
	if err != nil {
		return err
	}
	return a.expect(http.StatusOK)
}

// refresh rotates families of the connection's own, one after the other.
func refresh(tokens func(*world) []string) func(*world) func(int) step {
	return func(w *world) func(int) step {
		all := tokens(w)
		return func(connection int) step {
			each := len(all) / connections
			mine := all[connection*each : (connection+1)*each]
			i := 0
			return func(c *conn) error {
				i = (i + 1) % len(mine)
				a, err := c.do(post(c.begin(), oauth.PathToken, w.web, "grant_type=refresh_token&refresh_token=", mine[i]))
				if err != nil {
					return err
				}
				if err := a.expect(http.StatusOK); err != nil {
					return err
				}
				mine[i] = member(a.body, "refresh_token")
				return nil
			}
		}
	}
}

// codeFlow is what happens when a person who is signed in comes to an application: the
// authorization request, and the redemption of its code.
func codeFlow(scope string) func(*world) func(int) step {
	return func(w *world) func(int) step {
		return func(connection int) step {
			cookie := "__Host-gatehouse_sso=" + w.sessions[connection]
			authorize := oauth.PathAuthorize + "?" + url.Values{
				"client_id": {w.webID}, "redirect_uri": {redirectURI}, "response_type": {"code"}, "scope": {scope}, "audience": {audienceES256},
				"code_challenge": {w.challenge}, "code_challenge_method": {"S256"},
			}.Encode() + "&state="
			redeem := "grant_type=authorization_code&redirect_uri=" + url.QueryEscape(redirectURI) + "&code_verifier=" + w.verifier + "&code="
			n := connection
			return func(c *conn) error {
				n += connections
				a, err := c.do(get(c.begin(), authorize+strconv.Itoa(n), "Cookie", cookie))
				if err != nil {
					return err
				}
				if err := a.expect(http.StatusSeeOther); err != nil {
					return err
				}
				to, err := url.Parse(string(a.location))
				if err != nil {
					return err
				}
				code := to.Query().Get("code")
				if a, err = c.do(post(c.begin(), oauth.PathToken, w.web, redeem, code)); err != nil {
					return err
				}
				return a.expect(http.StatusOK)
			}
		}
	}
}
