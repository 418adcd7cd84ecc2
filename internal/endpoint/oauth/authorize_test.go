package oauth_test

import (
	"context"
	"encoding/base64"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/server/demo"
	"github.com/gatehouse-dev/gatehouse/internal/server/servertest"
)

// Titles of the hosted pages, by which tests know them.
const (
	titleSignIn    = "Sign in"
	titleSignUp    = "Create your account"
	titleCheckMail = "Check your mail"
	titleSignedIn  = "You are signed in"
	titleSignOut   = "Sign out?"
	titleSignedOut = "You are signed out"
	titleConsent   = "Allow <bdi>" + demo.ThirdParty + "</bdi>?"
	titleError     = "This request can’t be served"
	titleNoCookies = "Cookies are switched off"
)

// expectPage demands a page by its status and title.
func expectPage(t testing.TB, p *servertest.Page, status int, title string, says ...string) {
	t.Helper()
	for _, text := range says {
		if !strings.Contains(p.Body, text) {
			t.Errorf("the page does not say %q:\n%s", text, p.Body)
		}
	}
	if p.StatusCode != status || p.Title() != title {
		t.Fatalf("got %s %q (Location %q), want %d %q", p.Status, p.Title(), p.Header.Get("Location"), status, title)
	}
}

// expectRefusal demands the answer PAGE-400: an error page of our own that leads nowhere, that
// nobody keeps, and that shows nothing of what was sent.
func expectRefusal(t testing.TB, p *servertest.Page, sent ...string) {
	t.Helper()
	h := p.Header
	switch {
	case p.StatusCode != http.StatusBadRequest:
		t.Fatalf("got %s (Location %q), want the error page with 400", p.Status, h.Get("Location"))
	case h.Get("Location") != "" || h.Get("Refresh") != "" || strings.Contains(strings.ToLower(p.Body), "http-equiv"):
		t.Fatalf("the error page leads on: Location %q, Refresh %q", h.Get("Location"), h.Get("Refresh"))
	case h.Get("Cache-Control") != "no-store" || !strings.HasPrefix(h.Get("Content-Type"), "text/html"):
		t.Fatalf("Cache-Control %q, Content-Type %q", h.Get("Cache-Control"), h.Get("Content-Type"))
	}
	for _, s := range sent {
		if s != html.EscapeString(s) && strings.Contains(p.Body, s) {
			t.Fatalf("the error page shows %q unescaped", s)
		}
	}
}

// expectError demands the answer REDIR(code): 303 to the redirect URI with error, state and iss.
func expectError(t testing.TB, i *servertest.Instance, p *servertest.Page, redirectURI, code string) servertest.Code {
	t.Helper()
	a := p.Answer(t)
	if a.RedirectURI != redirectURI || a.Error != code || a.Code != "" || a.State != "st+a/te=" || a.Issuer != i.URL+"/" {
		t.Fatalf("got %+v, want the error %s at %s with state and iss", a, code, redirectURI)
	}
	return a
}

// expectCode demands an authorization code at the redirect URI, with state and iss.
func expectCode(t testing.TB, i *servertest.Instance, p *servertest.Page, redirectURI string) servertest.Code {
	t.Helper()
	a := p.Answer(t)
	if a.RedirectURI != redirectURI || a.Error != "" || len(a.Code) < 43 || a.State != "st+a/te=" || a.Issuer != i.URL+"/" {
		t.Fatalf("got %+v, want a code at %s with state and iss", a, redirectURI)
	}
	return a
}

// redirectURI is where a demo client is answered by default.
func redirectURI(i *servertest.Instance, clientName string) string {
	return i.Content.Client(clientName).RedirectURIs[0]
}

// signedIn returns a browser in which a demo person is signed in.
func signedIn(t testing.TB, i *servertest.Instance, email string) *servertest.Browser {
	t.Helper()
	b := i.NewBrowser(t)
	b.SignIn(email, i.Password(t, email))
	return b
}

// change stores a client again after edit.
func change(t testing.TB, i *servertest.Instance, clientName string, edit func(*apps.Client)) {
	t.Helper()
	ctx, h := context.Background(), i.House
	found, err := h.Apps.Client(ctx, h.Tenant, i.Content.Client(clientName).ClientID)
	if err != nil {
		t.Fatal(err)
	}
	c := *found
	edit(&c)
	if err := h.Tenant.DB.Write(ctx, func(tx *db.Tx) error { return h.Apps.UpdateClient(tx, &c) }); err != nil {
		t.Fatal(err)
	}
}

// mutantsOf returns strings that differ from uri in one place: a byte less, a byte changed, or
// something put in that some parser takes for nothing.
func mutantsOf(uri string) []string {
	out := []string{
		"", uri + "/", uri + "?", uri + "#", uri + "?x=1", uri + "&x=1", uri + "/../callback", uri + "/.", uri + "%00", uri + " ", " " + uri,
		strings.ToUpper(uri), strings.Replace(uri, "https", "http", 1), strings.Replace(uri, ".example", ".example:443", 1),
		strings.Replace(uri, ".example", ".example.", 1), strings.Replace(uri, "//", "//user@", 1), strings.Replace(uri, "//", "//user:pw@", 1),
		strings.Replace(uri, "/callback", "//callback", 1), strings.Replace(uri, "/callback", "/%63allback", 1), strings.Replace(uri, "/callback", "/x/../callback", 1),
		strings.Replace(uri, "/callback", "/%2e%2e/callback", 1), strings.Replace(uri, "/callback", ";/callback", 1), "//" + strings.TrimPrefix(uri, "https://"),
		strings.TrimPrefix(uri, "https:"), strings.Replace(uri, "https://", "https:///", 1), strings.Replace(uri, "https://", `https:\\`, 1),
		strings.Replace(uri, ".example", ".example.evil.test", 1), "https://evil.test/?" + uri, "https://evil.test/#" + uri, "https://evil.test\\@" + uri, uri + "@evil.test",
	}
	for at := range len(uri) {
		out = append(out, uri[:at]+uri[at+1:], uri[:at]+string(uri[at]^0x20)+uri[at+1:], uri[:at])
		for _, odd := range []string{"/", ".", "\t", "\n", "\x00", "%", "@", `\`, "#", "\u200b", "%2e", "<script>alert(1)</script>"} {
			out = append(out, uri[:at]+odd+uri[at:])
		}
	}
	slices.Sort(out)
	return slices.DeleteFunc(slices.Compact(out), func(s string) bool { return s == uri })
}

const webApp = "Web under attack"

// attacked starts a house with one more client, at one redirect URI, and a browser that is signed
// in: whoever gets past a check is answered with a code at once.
func attacked(t testing.TB, redirectURIs ...string) (*servertest.Instance, *servertest.Browser) {
	t.Helper()
	i := servertest.New(t, servertest.Options{Extras: []demo.Extra{{Name: webApp, Type: apps.RegularWeb, RedirectURIs: redirectURIs}}})
	return i, signedIn(t, i, demo.Reader)
}

func TestThreat_AZ01_NoMutantOfARedirectURIIsAnswered(t *testing.T) {
	const registered = "https://app.example/callback"
	i, b := attacked(t, registered)
	expectCode(t, i, b.Authorize(webApp), registered)
	mutants := mutantsOf(registered)
	if len(mutants) < 200 {
		t.Fatalf("only %d mutants", len(mutants))
	}
	query := i.AuthorizeQuery(webApp)
	for _, uri := range mutants {
		if uri == "" {
			continue // absent: AZ06
		}
		query.Set("redirect_uri", uri)
		p := b.Get("/authorize?" + query.Encode())
		if p.StatusCode != http.StatusBadRequest {
			t.Errorf("%q: %s to %q", uri, p.Status, p.Header.Get("Location"))
			continue
		}
		expectRefusal(t, p, "<script>alert(1)</script>")
	}
}

func TestThreat_AZ01_OriginWithAndWithoutItsSlash(t *testing.T) {
	i, b := attacked(t, "https://app.example", "https://other.example/")
	for _, uri := range []string{"https://app.example", "https://app.example/", "https://other.example", "https://other.example/"} {
		if got := b.Authorize(webApp, "redirect_uri", uri).Answer(t); got.Code == "" || got.RedirectURI != uri {
			t.Errorf("%s: %+v", uri, got)
		}
	}
	for _, uri := range []string{"https://app.example//", "https://app.example/?", "https://app.example/x", "https://app.example?", "https://APP.example/"} {
		expectRefusal(t, b.Authorize(webApp, "redirect_uri", uri))
	}
	_ = i
}

func TestThreat_AZ02_HostConfusionIsNeverAnswered(t *testing.T) {
	_, b := attacked(t, "https://good.example/cb", "https://good.example")
	for _, uri := range []string{
		"https://good.example@evil.test", "https://good.example@evil.test/cb", `https://evil.test\@good.example/cb`, `https://good.example\@evil.test/cb`,
		"https://good.example#@evil.test/cb", "https://good.example/cb#", "https://good.example\t/cb", "https://good.example\n/cb", "https://good.example\x00/cb",
		"https://good\u3002example/cb", "https://ｇood.example/cb", "https://xn--good-example/cb", "https://[fe80::1%25eth0]/cb", "//evil.test", "///evil.test",
		`\\evil.test`, `/\evil.test`, "https:evil.test", "https:/good.example/cb", "https://good.example:443/cb", "https://good.example:0443/cb", "https://good.example:/cb",
		"https://good.example.evil.test/cb", "https://good.example%2eevil.test/cb", "https://good.example%40evil.test/cb", "https://good.example;@evil.test/cb",
	} {
		expectRefusal(t, b.Authorize(webApp, "redirect_uri", uri), uri)
	}
}

// Registration is where the rules about the shape of an address hold; nothing gets past it into
// the list that requests are compared with.
func refusedAtRegistration(t *testing.T, typ apps.Type, uris ...string) {
	t.Helper()
	i := servertest.New(t, servertest.Options{})
	for _, uri := range uris {
		for _, set := range []func(*apps.Client){
			func(c *apps.Client) { c.RedirectURIs = []string{uri} },
			func(c *apps.Client) { c.LogoutURLs = []string{uri} },
		} {
			c, _ := apps.NewClient("App", typ)
			set(c)
			err := i.House.Tenant.DB.Write(context.Background(), func(tx *db.Tx) error { return i.House.Apps.CreateClient(tx, c) })
			if err == nil {
				t.Errorf("%s could register %q", typ, uri)
			}
		}
	}
}

func TestThreat_AZ03_NoWildcardIsRegistered(t *testing.T) {
	refusedAtRegistration(t, apps.RegularWeb, "*", "https://*", "https://*.example.com/cb", "https://app.example.com/*", "https://app.example.com/cb?*",
		"https://app.*/cb", "https://app.example.com:*/cb", "https://app.example.com/.*", `https://app\.example\.com/.+`, "^https://app.example.com/cb$", "https://app.example.com/cb|https://evil.test")
	_, b := attacked(t, "https://app.example.com/cb")
	for _, uri := range []string{"https://*.example.com/cb", "https://app.example.com/*", "https://app.example.com/cb*", "*"} {
		expectRefusal(t, b.Authorize(webApp, "redirect_uri", uri))
	}
}

func TestThreat_AZ04_LoopbackForNativeClientsAlone(t *testing.T) {
	i, b := attacked(t, "http://127.0.0.1/callback", "http://localhost:3000/callback")
	for _, uri := range []string{"http://127.0.0.1:49152/callback", "http://[::1]:49152/callback", "http://127.0.0.1:1/"} {
		if got := b.Authorize(demo.Native, "redirect_uri", uri).Answer(t); got.Code == "" || got.RedirectURI != uri {
			t.Errorf("native: %s: %+v", uri, got)
		}
	}
	for _, uri := range []string{
		"http://localhost.evil.test/callback", "http://127.0.0.1.evil.test/callback", "http://127.0.0.1:49152/other", "http://127.0.0.1:49152/callback/", "http://127.0.0.1:49152/callback?x=1",
		"https://127.0.0.1:49152/callback", "http://0.0.0.0:49152/callback", "http://[::ffff:127.0.0.1]:49152/callback", "http://[::ffff:7f00:1]/callback", "http://127.0.0.2:49152/callback",
		"http://127.1:49152/callback", "http://2130706433/callback", "http://0x7f.1/callback", "http://localhost:49152/callback", "http://LOCALHOST:3000/callback", "http://localhost/callback",
		"http://127.0.0.1:0/callback", "http://127.0.0.1:65536/callback", "http://127.0.0.1:080/callback", "http://127.0.0.1:/callback", "http://127.0.0.1:+80/callback",
		"http://127.0.0.1:80@evil.test/callback", "http://127.0.0.1:80:80/callback", "http://[0:0:0:0:0:0:0:1]:80/callback", "http://user@127.0.0.1:80/callback",
	} {
		expectRefusal(t, b.Authorize(demo.Native, "redirect_uri", uri))
	}
	// Who is no native client has one port, the one that was registered.
	expectCode(t, i, b.Authorize(webApp, "redirect_uri", "http://127.0.0.1/callback"), "http://127.0.0.1/callback")
	expectRefusal(t, b.Authorize(webApp, "redirect_uri", "http://127.0.0.1:49152/callback"))
	expectRefusal(t, b.Authorize(webApp, "redirect_uri", "http://localhost:3001/callback"))
}

func TestThreat_AZ05_DangerousSchemesAreRefused(t *testing.T) {
	schemes := []string{
		"javascript:alert(1)", "JavaScript:alert(1)", "java\tscript:alert(1)", "javascript://app.example/%0aalert(1)", "data:text/html,<script>alert(1)</script>", "vbscript:x",
		"file:///etc/passwd", "blob:https://app.example/1", "about:blank", "ftp://app.example/", "ws://app.example/", "myapp://callback", "myapp:/callback", "intent://x#Intent;end",
		"http://app.example/callback", "http://192.0.2.1/callback",
	}
	refusedAtRegistration(t, apps.RegularWeb, schemes...)
	refusedAtRegistration(t, apps.Native, schemes...)
	_, b := attacked(t, "https://app.example/callback")
	for _, uri := range schemes {
		for _, mode := range []string{"query", "form_post", "web_message"} {
			expectRefusal(t, b.Authorize(webApp, "redirect_uri", uri, "response_mode", mode), uri)
			expectRefusal(t, b.Authorize(demo.Native, "redirect_uri", uri, "response_mode", mode), uri)
		}
	}
}

// A form can be posted to a web address alone. That is seen before a person signs in for it, and
// before a code exists that has nowhere to go.
func TestThreat_AZ05_FormPostNeedsAWebAddress(t *testing.T) {
	const private = "com.example.app:/callback"
	i := servertest.New(t, servertest.Options{})
	change(t, i, demo.Native, func(c *apps.Client) { c.RedirectURIs = append(c.RedirectURIs, private) })
	b := signedIn(t, i, demo.Reader)
	if got := b.Authorize(demo.Native, "redirect_uri", private); !strings.HasPrefix(got.Header.Get("Location"), private+"?code=") {
		t.Fatalf("a private-use scheme is not answered: %s", got.Status)
	}
	for _, mode := range []string{"form_post", "web_message"} {
		expectRefusal(t, b.Authorize(demo.Native, "redirect_uri", private, "response_mode", mode))
	}
}

func TestThreat_AZ06_RedirectURIMissingOrTwice(t *testing.T) {
	const first, second = "https://app.example/one", "https://app.example/two"
	i, b := attacked(t, first, second)
	// An explicit default answers a request that names none, and the token endpoint knows of it.
	p := b.Authorize(webApp, "redirect_uri", "")
	a := expectCode(t, i, p, first)
	a.RedirectURI = ""
	if tokens := i.Redeem(t, webApp, a); tokens.Error != "" {
		t.Errorf("a code without redirect_uri: %s", tokens.Raw)
	}
	change(t, i, webApp, func(c *apps.Client) { c.DefaultRedirectURI = "" })
	expectRefusal(t, b.Authorize(webApp, "redirect_uri", ""))
	change(t, i, webApp, func(c *apps.Client) { c.RedirectURIs = c.RedirectURIs[:1] }) // not even a single one is guessed
	expectRefusal(t, b.Authorize(webApp, "redirect_uri", ""))

	good := i.AuthorizeQuery(webApp).Encode()
	client := i.Content.Client(webApp).ClientID
	for _, more := range []string{
		"redirect_uri=" + url.QueryEscape(first), "redirect_uri=https://evil.test/", "client_id=" + client, "client_id=", "redirect_uri=",
	} {
		expectRefusal(t, b.Get("/authorize?"+good+"&"+more))
		expectRefusal(t, b.Get("/authorize?"+more+"&"+good))
	}
	expectRefusal(t, b.Authorize(webApp, "client_id", ""))
	expectRefusal(t, b.Authorize(webApp, "client_id", "<script>alert(1)</script>"), "<script>alert(1)</script>")
	expectRefusal(t, b.Authorize(webApp, "client_id", strings.Repeat("a", 300)))
	for _, more := range []string{"scope=openid", "state=x", "nonce=a&nonce=b", "response_type=code", "code_challenge=x", "prompt=none&prompt=none", "max_age=1&max_age=2", "response_mode=query&response_mode=form_post"} {
		a := b.Get("/authorize?" + good + "&" + more).Answer(t)
		if a.RedirectURI != first || a.Error != "invalid_request" || a.Code != "" {
			t.Errorf("%s: %+v", more, a)
		}
	}
	// What stands in both the address and the body is given twice.
	split := i.AuthorizeQuery(webApp)
	split.Del("state")
	if a := b.Post("/authorize?state=one", with(split, "state", "one")).Answer(t); a.Error != "invalid_request" || a.Code != "" {
		t.Errorf("state in query and body: %+v", a)
	}
	expectRefusal(t, b.Post("/authorize?redirect_uri="+url.QueryEscape(first), i.AuthorizeQuery(webApp)))
	expectRefusal(t, b.Post("/authorize?client_id="+client, i.AuthorizeQuery(webApp)))
}

func with(v url.Values, pairs ...string) url.Values {
	out := url.Values{}
	for name, values := range v {
		out[name] = values
	}
	for n := 0; n+1 < len(pairs); n += 2 {
		out.Set(pairs[n], pairs[n+1])
	}
	return out
}

func TestThreat_AZ07_PKCEIsDemanded(t *testing.T) {
	i, b := attacked(t, "https://app.example/callback")
	for _, client := range []string{demo.SPA, demo.Native, webApp, demo.ThirdParty} {
		to := redirectURI(i, client)
		expectError(t, i, b.Authorize(client, "code_challenge", "", "code_challenge_method", ""), to, "invalid_request")
		expectError(t, i, b.Authorize(client, "code_challenge", ""), to, "invalid_request")
	}
	for _, client := range []string{demo.SPA, demo.RegularWeb} { // whoever sends a challenge sends a good one
		to := redirectURI(i, client)
		for _, bad := range [][]string{
			{"code_challenge_method", "plain"},
			{"code_challenge_method", ""},
			{"code_challenge_method", "s256"},
			{"code_challenge_method", "S512"},
			{"code_challenge", "short"},
			{"code_challenge", strings.Repeat("a", 42)},
			{"code_challenge", strings.Repeat("a", 44)},
			{"code_challenge", strings.Repeat("a", 129)},
			{"code_challenge", strings.Repeat("=", 43)},
			{"code_challenge", strings.Repeat("+", 43)},
		} {
			expectError(t, i, b.Authorize(client, bad...), to, "invalid_request")
		}
	}
	a := expectCode(t, i, b.Authorize(demo.RegularWeb, "code_challenge", "", "code_challenge_method", ""), redirectURI(i, demo.RegularWeb))
	a.Verifier = ""
	if tokens := i.PostForm(t, "/oauth/token", demo.RegularWeb, "grant_type", "authorization_code", "code", a.Code, "redirect_uri", a.RedirectURI); tokens.Error != "" {
		t.Errorf("a confidential client of profile oidc-basic without PKCE: %s", tokens.Raw)
	}
}

func TestThreat_AZ08_ChallengeAndVerifierComeTogether(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	b := signedIn(t, i, demo.Reader)
	redeem := func(a servertest.Code, verifier ...string) servertest.Tokens {
		return i.PostForm(t, "/oauth/token", demo.RegularWeb, append([]string{"grant_type", "authorization_code", "code", a.Code, "redirect_uri", a.RedirectURI}, verifier...)...)
	}
	for name, c := range map[string]struct {
		ask  []string
		show []string
		cure []string
	}{
		"stripped challenge":  {ask: []string{"code_challenge", "", "code_challenge_method", ""}, show: []string{"code_verifier", servertest.Verifier}},
		"verifier left out":   {cure: []string{"code_verifier", servertest.Verifier}},
		"verifier empty":      {show: []string{"code_verifier", ""}, cure: []string{"code_verifier", servertest.Verifier}},
		"another verifier":    {show: []string{"code_verifier", strings.Repeat("x", 43)}, cure: []string{"code_verifier", servertest.Verifier}},
		"challenge for plain": {show: []string{"code_verifier", servertest.Challenge(servertest.Verifier)}, cure: []string{"code_verifier", servertest.Verifier}},
	} {
		a := expectCode(t, i, b.Authorize(demo.RegularWeb, c.ask...), redirectURI(i, demo.RegularWeb))
		if got := redeem(a, c.show...); got.Status != http.StatusBadRequest && got.Status != http.StatusForbidden || got.Error != "invalid_grant" || got.AccessToken != "" {
			t.Errorf("%s: %d %s", name, got.Status, got.Raw)
		}
		if got := redeem(a, c.cure...); got.Error != "invalid_grant" {
			t.Errorf("%s: the code was not burnt: %s", name, got.Raw)
		}
	}
}

// A client that talks to several servers tells by iss which one answers.
func TestThreat_AZ09_IssuerInEveryAnswer(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	b := signedIn(t, i, demo.Reader)
	iss := i.URL + "/"
	for _, outcome := range [][]string{nil, {"scope", "nothing:known"}, {"prompt", "consent", "prompt", "none"}} {
		if a := b.Authorize(demo.SPA, outcome...).Answer(t); a.Issuer != iss {
			t.Errorf("query %v: %+v", outcome, a)
		}
		if fields := b.Authorize(demo.RegularWeb, append(outcome, "response_mode", "form_post")...).Hidden(); fields.Get("iss") != iss || fields.Get("state") != "st+a/te=" {
			t.Errorf("form_post %v: %v", outcome, fields)
		}
		p := b.Authorize(demo.SPA, append(outcome, "response_mode", "web_message")...)
		if m := messageOf(t, p); m.response["iss"] != iss || m.response["state"] != "st+a/te=" {
			t.Errorf("web_message %v: %v", outcome, m)
		}
	}
	stranger := i.NewBrowser(t)
	if a := stranger.Authorize(demo.SPA, "prompt", "none").Answer(t); a.Error != "login_required" || a.Issuer != iss {
		t.Errorf("stranger: %+v", a)
	}
	if metadata := b.Get("/.well-known/openid-configuration"); !strings.Contains(metadata.Body, `"authorization_response_iss_parameter_supported":true`) || !strings.Contains(metadata.Body, `"issuer":"`+iss+`"`) {
		t.Error("metadata says nothing of iss")
	}
}

// Nobody is redirected anywhere before client and redirect URI are known to belong together.
func TestThreat_AZ10_NoRedirectBeforeTheTargetIsKnown(t *testing.T) {
	i, b := attacked(t, "https://app.example/callback")
	stranger := i.NewBrowser(t)
	evil := []string{"redirect_uri", "https://evil.test/cb"}
	for _, bad := range [][]string{
		{},
		{"prompt", "none"},
		{"response_type", "token"},
		{"response_type", ""},
		{"scope", "nothing"},
		{"response_mode", "fragment"},
		{"response_mode", "form_post"},
		{"response_mode", "web_message"},
		{"max_age", "x"},
		{"prompt", "bogus"},
		{"request", "x"},
		{"request_uri", "https://evil.test/r"},
		{"claims", "{"},
		{"audience", "https://nowhere"},
		{"id_token_hint", "x"},
		{"code_challenge", ""},
	} {
		for _, who := range []*servertest.Browser{b, stranger} {
			expectRefusal(t, who.Authorize(webApp, append(slices.Clone(evil), bad...)...))
			expectRefusal(t, who.Authorize(webApp, append([]string{"client_id", strings.Repeat("A", 32), "redirect_uri", "https://app.example/callback"}, bad...)...))
		}
	}
	// An address of another client is as foreign as any.
	expectRefusal(t, b.Authorize(webApp, "redirect_uri", redirectURI(i, demo.SPA), "prompt", "none"))
	change(t, i, webApp, func(c *apps.Client) { c.Disabled = true })
	expectRefusal(t, b.Authorize(webApp, "prompt", "none"))
}

// A flow that waits on a page is judged anew when it comes back: what was an address of the client
// then may be none now, whatever the person answers.
func TestThreat_AZ10_TargetIsJudgedAgainAfterEveryPage(t *testing.T) {
	for _, action := range []string{"allow", "deny"} {
		for name, edit := range map[string]func(*apps.Client){
			"disabled": func(c *apps.Client) { c.Disabled = true },
			"removed":  func(c *apps.Client) { c.RedirectURIs, c.DefaultRedirectURI = []string{"https://app.example/new"}, "" },
		} {
			i := servertest.New(t, servertest.Options{})
			b := signedIn(t, i, demo.Reader)
			p := b.Authorize(demo.ThirdParty)
			expectPage(t, p, http.StatusOK, titleConsent)
			change(t, i, demo.ThirdParty, edit)
			answer := b.Press(p, action)
			if answer.StatusCode != http.StatusBadRequest || answer.Header.Get("Location") != "" {
				t.Errorf("%s by a client that was %s: %s to %q", action, name, answer.Status, answer.Header.Get("Location"))
			}
		}
	}
}

// Request objects are refused, and not passed over: what one of them would have narrowed or signed is not
// asked for in the clear instead. Nothing is fetched, and an object is no way to another address.
func TestThreat_AZ11_RequestObjectsAreRefused(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	b := signedIn(t, i, demo.Reader)
	var fetched atomic.Int64
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { fetched.Add(1) }))
	defer elsewhere.Close()
	encode := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	object := encode(`{"alg":"none"}`) + "." + encode(`{"redirect_uri":"https://evil.example/","scope":"openid write:shows"}`) + "."
	for parameter, values := range map[string][]string{
		"request":     {object, "x", object + encode("signature")},
		"request_uri": {elsewhere.URL, elsewhere.URL + "/object.jwt#sha256", "urn:ietf:params:oauth:request_uri:pushed"},
	} {
		for _, value := range values {
			expectError(t, i, b.Authorize(demo.SPA, parameter, value), redirectURI(i, demo.SPA), parameter+"_not_supported")
			form := with(i.AuthorizeQuery(demo.SPA), parameter, value)
			expectError(t, i, b.Post("/authorize", form), redirectURI(i, demo.SPA), parameter+"_not_supported")
			form.Set("redirect_uri", "https://evil.example/")
			if p := b.Get("/authorize?" + form.Encode()); p.StatusCode != http.StatusBadRequest || p.Header.Get("Location") != "" {
				t.Errorf("%s=%.30s beside an address that is not registered: %s to %q", parameter, value, p.Status, p.Header.Get("Location"))
			}
		}
	}
	if n := fetched.Load(); n != 0 {
		t.Errorf("%d requests went to the address that a stranger named", n)
	}
}
