// Package gatehousetest starts the real Gatehouse in a test, in milliseconds: on a loopback port,
// with a database of its own, people and applications to test with, and a clock that stands still
// until the test moves it.
//
//	func TestMyAPI(t *testing.T) {
//		house := gatehousetest.New(t)
//		api := myapi.New(house.Issuer(), gatehousetest.Audience)
//		token := house.Token(gatehousetest.Alice).AccessToken
//		…
//		house.Advance(time.Hour) // the token has expired
//	}
//
// Everything that is sent goes over HTTP to the same server that `gatehouse serve` runs.
package gatehousetest

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/server/demo"
	"github.com/gatehouse-dev/gatehouse/internal/server/servertest"
)

// Audience is the identifier of the API every house in a test knows. Its permissions are
// "read:shows" and "write:shows".
const Audience = demo.Audience

// The people every house in a test knows.
const (
	Alice = demo.Reader        // may read:shows
	Bob   = demo.Stranger      // may nothing
	Admin = demo.Administrator // administers the house
)

// House is a running server. It ends with the test.
type House struct {
	t    testing.TB
	node *servertest.Instance
}

// Option changes what New starts.
type Option func(*servertest.Options)

// WithSPA registers a single-page application at an origin such as http://localhost:3000, under a
// name of its own.
func WithSPA(name, origin string) Option {
	return func(o *servertest.Options) {
		o.Extras = append(o.Extras, demo.Extra{Name: name, Type: apps.SPA, RedirectURIs: []string{origin, origin + "/callback"}, LogoutURLs: []string{origin}, WebOrigins: []string{origin}})
	}
}

// WithWeb registers an application on a server with this redirect URI, under a name of its own.
// After a logout it may return to the redirect URI's origin.
func WithWeb(name, redirectURI string) Option {
	return func(o *servertest.Options) {
		scheme, rest, _ := strings.Cut(redirectURI, "://")
		host, _, _ := strings.Cut(rest, "/")
		o.Extras = append(o.Extras, demo.Extra{Name: name, Type: apps.RegularWeb, RedirectURIs: []string{redirectURI}, LogoutURLs: []string{scheme + "://" + host}})
	}
}

// New starts a house.
func New(t testing.TB, options ...Option) *House {
	t.Helper()
	var o servertest.Options
	for _, option := range options {
		option(&o)
	}
	return &House{t: t, node: servertest.New(t, o)}
}

// Issuer returns the issuer, with its trailing slash: what tokens carry as "iss".
func (h *House) Issuer() string { return h.node.URL + "/" }

// URL returns the address of a path of the house, such as "/userinfo".
func (h *House) URL(path string) string { return h.node.URL + path }

// Client is a registered application.
type Client struct {
	ID     string
	Secret string // empty for an application that keeps none
	// RedirectURI is the first of those it registered.
	RedirectURI string
}

// Client returns an application by the name it was registered with by an [Option].
func (h *House) Client(name string) Client {
	c := h.node.Content.Client(name)
	out := Client{ID: c.ClientID, Secret: c.ClientSecret}
	if len(c.RedirectURIs) > 0 {
		out.RedirectURI = c.RedirectURIs[0]
	}
	return out
}

// SignIn returns an HTTP client with the cookies of a browser in which this person (one of those
// above, or somebody added by AddUser) has just signed in. It follows redirects.
func (h *House) SignIn(email string) *http.Client {
	h.t.Helper()
	b := h.node.NewBrowser(h.t)
	b.SignIn(email, h.node.Password(h.t, email))
	return &http.Client{Jar: b.HTTP.Jar}
}

// Tokens is what an application got for a person.
type Tokens struct {
	AccessToken  string
	IDToken      string
	RefreshToken string
	Scope        string
	ExpiresIn    time.Duration
}

// Token signs a person in with the house's own single-page application and returns the tokens for
// [Audience], with every scope the person may have there. It is the whole flow: code, PKCE,
// redemption.
func (h *House) Token(email string) Tokens {
	h.t.Helper()
	return h.TokenFor(email, Audience, demo.ReadShows, demo.WriteShows)
}

// TokenFor is [House.Token] for another API, added by [House.AddAPI], and for these permissions of it.
func (h *House) TokenFor(email, audience string, permissions ...string) Tokens {
	h.t.Helper()
	scope := strings.Join(append([]string{"openid profile email offline_access"}, permissions...), " ")
	tokens, _ := h.node.TokensFor(h.t, email, demo.SPA, "audience", audience, "scope", scope)
	return public(tokens)
}

// MachineToken returns an access token that an application got in its own name for [Audience].
func (h *House) MachineToken() Tokens {
	h.t.Helper()
	tokens := h.node.PostForm(h.t, "/oauth/token", demo.Machine, "grant_type", "client_credentials", "audience", Audience)
	if tokens.Error != "" {
		h.t.Fatalf("gatehousetest: client credentials: %s: %s", tokens.Error, tokens.Description)
	}
	return public(tokens)
}

func public(t servertest.Tokens) Tokens {
	return Tokens{t.AccessToken, t.IDToken, t.RefreshToken, t.Scope, time.Duration(t.ExpiresIn) * time.Second}
}

// Mail is a letter the house wrote.
type Mail struct {
	To, Subject, Text string
	// Code is the code in it that is to be typed, if there is one.
	Code string
}

// Mailbox returns the letters to an address, newest first.
func (h *House) Mailbox(email string) []Mail {
	h.t.Helper()
	var out []Mail
	for _, m := range h.node.Mailbox(h.t, email) {
		out = append(out, Mail{To: m.To, Subject: m.Subject, Text: m.Text, Code: m.Code})
	}
	return out
}

// AddUser makes an account with a verified address and these permissions at [Audience].
func (h *House) AddUser(email, password string, permissions ...string) (sub string) {
	h.t.Helper()
	return h.node.AddUser(h.t, email, password, permissions...)
}

// AddAPI registers an API by its identifier, with these permissions. Nobody has them before
// [House.Permit] says so.
func (h *House) AddAPI(audience string, permissions ...string) {
	h.t.Helper()
	h.node.AddAPI(h.t, audience, permissions...)
}

// Permit gives a person permissions at an API.
func (h *House) Permit(email, audience string, permissions ...string) {
	h.t.Helper()
	h.node.Permit(h.t, email, audience, permissions...)
}

// Block locks a person out and ends all they have, as an administrator would.
func (h *House) Block(email string) {
	h.t.Helper()
	h.node.Block(h.t, email)
}

// KeyLead is how far [House.Advance] must move the clock after [House.RotateKeys] until the new keys
// sign.
const KeyLead = servertest.KeyLead

// RotateKeys publishes the next signing keys beside those that sign. An application that verifies
// tokens must not notice, neither now nor after [KeyLead].
func (h *House) RotateKeys() {
	h.t.Helper()
	h.node.RotateKeys(h.t)
}

// Now returns the time by the clock of the house.
func (h *House) Now() time.Time { return h.node.Clock.Now() }

// Advance moves the clock of the house forward. An application under test should be given
// [House.Now] as its clock, or it will see tokens from another time.
func (h *House) Advance(d time.Duration) { h.node.Clock.Advance(d) }
