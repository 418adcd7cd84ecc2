package servertest

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// Browser is a browser without scripts: it keeps cookies, sends what a browser sends with a
// navigation, and stops at every redirect so that a test can look at it.
type Browser struct {
	t    testing.TB
	node *Instance
	HTTP *http.Client
	// Header is sent with every request, in place of what the browser would send.
	Header http.Header
}

// Client returns an HTTP client that trusts the house. An Instance that was not made by [New] speaks
// of a house in another process.
func (i *Instance) Client() *http.Client {
	if i.server == nil {
		return &http.Client{}
	}
	return i.server.Client()
}

// NewBrowser returns a browser that nobody has used.
func (i *Instance) NewBrowser(t testing.TB) *Browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &Browser{t: t, node: i, Header: http.Header{}, HTTP: &http.Client{
		Transport:     i.Client().Transport,
		Jar:           jar,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Page is an answer, read.
type Page struct {
	*http.Response
	Body string
}

// Get navigates to a path of the house or to an absolute address.
func (b *Browser) Get(target string) *Page {
	b.t.Helper()
	return b.do(http.MethodGet, target, nil)
}

// Post sends a form, as a page of the house would.
func (b *Browser) Post(target string, form url.Values) *Page {
	b.t.Helper()
	return b.do(http.MethodPost, target, form)
}

func (b *Browser) do(method, target string, form url.Values) *Page {
	b.t.Helper()
	if strings.HasPrefix(target, "/") {
		target = b.node.URL + target
	}
	r, err := http.NewRequest(method, target, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Sec-Fetch-Dest", "document")
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		r.Header.Set("Origin", "null")
	}
	return b.Send(r)
}

// Send sends any request with the browser's cookies and reads the answer.
func (b *Browser) Send(r *http.Request) *Page {
	b.t.Helper()
	for name, values := range b.Header {
		r.Header[name] = values
	}
	resp, err := b.HTTP.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return &Page{resp, string(body)}
}

var (
	formTarget = regexp.MustCompile(`<form[^>]*\baction="([^"]*)"`)
	hidden     = regexp.MustCompile(`<input[^>]*type="hidden"[^>]*>`)
	attribute  = regexp.MustCompile(`\b(name|value)="([^"]*)"`)
)

// Hidden returns the hidden fields of a page's first form.
func (p *Page) Hidden() url.Values {
	out := url.Values{}
	for _, input := range hidden.FindAllString(p.Body, -1) {
		var name, value string
		for _, a := range attribute.FindAllStringSubmatch(input, -1) {
			if a[1] == "name" {
				name = html.UnescapeString(a[2])
			} else {
				value = html.UnescapeString(a[2])
			}
		}
		if !out.Has(name) {
			out.Set(name, value)
		}
	}
	return out
}

// Target returns where a page's first form is sent.
func (p *Page) Target() string {
	m := formTarget.FindStringSubmatch(p.Body)
	if m == nil {
		return ""
	}
	return html.UnescapeString(m[1])
}

// Submit fills in a page's form (pairs of name and value) and sends it.
func (b *Browser) Submit(p *Page, pairs ...string) *Page {
	b.t.Helper()
	form := p.Hidden()
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	target := p.Target()
	if target == "" {
		b.t.Fatalf("there is no form on this page (%s):\n%s", p.Status, p.Body)
	}
	return b.Post(target, form)
}

// SignIn signs in at the house itself, through the real form.
func (b *Browser) SignIn(email, password string) {
	b.t.Helper()
	p := b.Submit(b.Get("/u/sign-in"), "action", "sign_in", "email", email, "password", password)
	if p.StatusCode != http.StatusSeeOther {
		b.t.Fatalf("sign in as %s: %s\n%s", email, p.Status, p.Body)
	}
}

// Code is an authorization response that went to a redirect URI.
type Code struct {
	Code, State, Issuer, Error, Description string
	Verifier                                string
	RedirectURI                             string
}

// Verifier is the PKCE verifier all flows of tests use, and Challenge its challenge.
const Verifier = "a-verifier-of-forty-three-characters-or-more-0123456789"

// Challenge returns the S256 challenge of a verifier.
func Challenge(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// Authorize opens /authorize with these parameters (pairs) over the usual ones for a client, and
// returns the first answer.
func (b *Browser) Authorize(clientName string, pairs ...string) *Page {
	b.t.Helper()
	return b.Get("/authorize?" + b.node.AuthorizeQuery(clientName, pairs...).Encode())
}

// AuthorizeQuery is what a well-behaved client asks with. A pair with an empty value takes a
// parameter away.
func (i *Instance) AuthorizeQuery(clientName string, pairs ...string) url.Values {
	c := i.Content.Client(clientName)
	q := url.Values{
		"client_id": {c.ClientID}, "redirect_uri": {c.RedirectURIs[0]}, "response_type": {"code"}, "state": {"st+a/te="},
		"scope": {"openid profile email"}, "code_challenge": {Challenge(Verifier)}, "code_challenge_method": {"S256"},
	}
	for n := 0; n+1 < len(pairs); n += 2 {
		if pairs[n+1] == "" {
			q.Del(pairs[n])
		} else {
			q.Set(pairs[n], pairs[n+1])
		}
	}
	return q
}

// Answer reads the authorization response from a redirect.
func (p *Page) Answer(t testing.TB) Code {
	t.Helper()
	if p.StatusCode != http.StatusSeeOther {
		t.Fatalf("no redirect to the application: %s\n%s", p.Status, p.Body)
	}
	u, err := url.Parse(p.Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	u.RawQuery = ""
	return Code{
		Code: q.Get("code"), State: q.Get("state"), Issuer: q.Get("iss"), Error: q.Get("error"), Description: q.Get("error_description"),
		Verifier: Verifier, RedirectURI: u.String(),
	}
}

// Tokens is the answer of the token endpoint, or its error.
type Tokens struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int    `json:"expires_in"`
	Scope        string `json:"scope"`
	IDToken      string `json:"id_token"`
	RefreshToken string `json:"refresh_token"`
	Error        string `json:"error"`
	Description  string `json:"error_description"`
	Status       int    `json:"-"`
	Header       http.Header
	Raw          string `json:"-"`
}

// PostForm sends a form to an endpoint for machines, with the client's secret if it has one, and
// reads the JSON answer.
func (i *Instance) PostForm(t testing.TB, path, clientName string, pairs ...string) Tokens {
	t.Helper()
	form := url.Values{}
	if clientName != "" {
		c := i.Content.Client(clientName)
		form.Set("client_id", c.ClientID)
		if c.ClientSecret != "" {
			form.Set("client_secret", c.ClientSecret)
		}
	}
	for n := 0; n+1 < len(pairs); n += 2 {
		form.Set(pairs[n], pairs[n+1])
	}
	resp, err := i.Client().PostForm(i.URL+path, form)
	if err != nil {
		t.Fatal(err)
	}
	return ReadTokens(t, resp)
}

// ReadTokens reads an answer of an endpoint for machines.
func ReadTokens(t testing.TB, resp *http.Response) Tokens {
	t.Helper()
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	out := Tokens{Status: resp.StatusCode, Header: resp.Header, Raw: string(raw)}
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &out); err != nil {
			t.Fatalf("%s answered no JSON: %s\n%s", resp.Request.URL, resp.Status, raw)
		}
	}
	return out
}

// Redeem exchanges a code.
func (i *Instance) Redeem(t testing.TB, clientName string, c Code) Tokens {
	t.Helper()
	return i.PostForm(t, "/oauth/token", clientName, "grant_type", "authorization_code", "code", c.Code,
		"redirect_uri", c.RedirectURI, "code_verifier", c.Verifier)
}

// Refresh spends a refresh token.
func (i *Instance) Refresh(t testing.TB, clientName, token string, pairs ...string) Tokens {
	t.Helper()
	return i.PostForm(t, "/oauth/token", clientName, append([]string{"grant_type", "refresh_token", "refresh_token", token}, pairs...)...)
}

// TokensFor signs a user in in a fresh browser and runs the whole code flow of a client.
func (i *Instance) TokensFor(t testing.TB, email, clientName string, pairs ...string) (Tokens, *Browser) {
	t.Helper()
	b := i.NewBrowser(t)
	b.SignIn(email, i.Password(t, email))
	return i.TokensIn(t, b, clientName, pairs...), b
}

// TokensIn runs the code flow of a client in a browser that is signed in, and allows what is asked.
func (i *Instance) TokensIn(t testing.TB, b *Browser, clientName string, pairs ...string) Tokens {
	t.Helper()
	p := b.Authorize(clientName, pairs...)
	if strings.Contains(p.Body, `action="/u/consent"`) {
		p = b.Press(p, "allow")
	} else if strings.Contains(p.Body, `value="continue"`) { // as who is signed in
		p = b.Press(p, "continue")
	}
	tokens := i.Redeem(t, clientName, p.Answer(t))
	if tokens.Error != "" {
		t.Fatalf("redeem: %s: %s", tokens.Error, tokens.Description)
	}
	return tokens
}

// Password returns the password of a person of the demo, or of somebody who was added.
func (i *Instance) Password(t testing.TB, email string) string {
	t.Helper()
	for _, u := range i.Content.Users {
		if u.Email == email {
			return u.Password
		}
	}
	t.Fatalf("there is no demo user %s", email)
	return ""
}

// Introspect asks about a token as the machine that speaks for the demo API.
func (i *Instance) Introspect(t testing.TB, clientName, token string) map[string]any {
	t.Helper()
	answer := i.PostForm(t, "/oauth/introspect", clientName, "token", token)
	var out map[string]any
	if err := json.Unmarshal([]byte(answer.Raw), &out); err != nil {
		t.Fatalf("introspect: %v: %s", err, answer.Raw)
	}
	return out
}
