package oauth_test

import (
	"encoding/json"
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/server/demo"
	"github.com/gatehouse-dev/gatehouse/internal/server/servertest"
	"github.com/gatehouse-dev/gatehouse/protocol/jose"
	"github.com/gatehouse-dev/gatehouse/protocol/oidc"
)

// message is what a web_message page posts, and to whom.
type message struct {
	kind     string
	response map[string]string
	target   string
	nonce    string
}

var (
	postMessage = regexp.MustCompile(`(?s)<script nonce="([^"]+)">\s*\(window\.opener \|\| window\.parent\)\.postMessage\(\{type: "([^"]*)", response: (\{.*?\})\}, ("[^"]*")\);\s*</script>`)
	scriptTag   = regexp.MustCompile(`(?i)<script`)
)

func messageOf(t testing.TB, p *servertest.Page) message {
	t.Helper()
	found := postMessage.FindStringSubmatch(p.Body)
	if p.StatusCode != http.StatusOK || found == nil {
		t.Fatalf("no message: %s %q\n%s", p.Status, p.Header.Get("Location"), p.Body)
	}
	m := message{nonce: found[1], kind: found[2]}
	if err := json.Unmarshal([]byte(found[3]), &m.response); err != nil {
		t.Fatalf("%v: %s", err, found[3])
	}
	if err := json.Unmarshal([]byte(found[4]), &m.target); err != nil {
		t.Fatal(err)
	}
	return m
}

// directive returns one directive of a page's content security policy.
func directive(p *servertest.Page, name string) string {
	for part := range strings.SplitSeq(p.Header.Get("Content-Security-Policy"), ";") {
		if value, ok := strings.CutPrefix(strings.TrimSpace(part), name+" "); ok {
			return value
		}
	}
	return ""
}

func TestThreat_BR16_MessageGoesToTheRegisteredOriginAlone(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	b, stranger := signedIn(t, i, demo.Reader), i.NewBrowser(t)
	for _, c := range []struct {
		who  *servertest.Browser
		want string
	}{{b, "code"}, {stranger, "error"}} {
		p := c.who.Authorize(demo.SPA, "response_mode", "web_message", "prompt", "none")
		m := messageOf(t, p)
		if m.kind != "authorization_response" || m.target != "http://localhost:3000" || m.response[c.want] == "" || m.response["state"] != "st+a/te=" {
			t.Errorf("%+v", m)
		}
		if h := p.Header; h.Get("X-Frame-Options") != "" || h.Get("Cross-Origin-Opener-Policy") != "" || h.Get("Cache-Control") != "no-store" {
			t.Errorf("headers would keep the message back, or the answer: %v", h)
		}
		if got := directive(p, "frame-ancestors"); got != "http://localhost:3000" {
			t.Errorf("frame-ancestors %q", got)
		}
		if got := directive(p, "script-src"); got != "'nonce-"+m.nonce+"'" || len(scriptTag.FindAllString(p.Body, -1)) != 1 {
			t.Errorf("script-src %q, nonce %q", got, m.nonce)
		}
	}
	if first, second := messageOf(t, b.Authorize(demo.SPA, "response_mode", "web_message")), messageOf(t, b.Authorize(demo.SPA, "response_mode", "web_message")); first.nonce == second.nonce {
		t.Error("a nonce came twice")
	}
	if e := messageOf(t, stranger.Authorize(demo.SPA, "response_mode", "web_message", "prompt", "none")).response; e["error"] != "login_required" || e["error_description"] != "Login required" {
		t.Errorf("the words that SDKs look for: %v", e)
	}
	// A redirect URI is not enough: its origin has to be registered for messages.
	change(t, i, demo.SPA, func(c *apps.Client) { c.WebOrigins = []string{"http://localhost:5173"} })
	expectRefusal(t, b.Authorize(demo.SPA, "response_mode", "web_message", "prompt", "none"))
	expectRefusal(t, b.Authorize(demo.RegularWeb, "response_mode", "web_message"))
}

// Signing in in a popup: the pages come first, the message at the end.
func TestWebMessageAfterSigningIn(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	b := i.NewBrowser(t)
	p := b.Authorize(demo.SPA, "response_mode", "web_message")
	expectPage(t, p, http.StatusOK, titleSignIn)
	if p.Header.Get("X-Frame-Options") != "DENY" || directive(p, "frame-ancestors") != "'none'" {
		t.Error("the sign-in page can be framed")
	}
	m := messageOf(t, b.As(p, demo.Reader))
	if tokens := i.Redeem(t, demo.SPA, servertest.Code{Code: m.response["code"], Verifier: servertest.Verifier, RedirectURI: redirectURI(i, demo.SPA)}); tokens.AccessToken == "" {
		t.Errorf("redeem: %s", tokens.Raw)
	}
}

func TestThreat_BR07_FormPostCarriesValuesAndNoMarkup(t *testing.T) {
	const state = `"><script>alert(1)</script>&'+/=`
	i := servertest.New(t, servertest.Options{})
	b := signedIn(t, i, demo.Reader)
	for _, mode := range []string{"form_post", "web_message"} {
		client := map[string]string{"form_post": demo.RegularWeb, "web_message": demo.SPA}[mode]
		p := b.Authorize(client, "response_mode", mode, "state", state)
		if strings.Contains(p.Body, "<script>alert") || len(scriptTag.FindAllString(p.Body, -1)) != 1 {
			t.Errorf("%s: state became markup:\n%s", mode, p.Body)
		}
	}
	p := b.Authorize(demo.RegularWeb, "response_mode", "form_post", "state", state)
	to := redirectURI(i, demo.RegularWeb)
	if p.StatusCode != http.StatusOK || p.Target() != to || p.Hidden().Get("state") != state || p.Hidden().Get("code") == "" {
		t.Errorf("%s to %q with %v", p.Status, p.Target(), p.Hidden())
	}
	if got := directive(p, "form-action"); got != "http://localhost:3000" {
		t.Errorf("form-action %q", got)
	}
	if got := directive(p, "script-src"); !strings.HasPrefix(got, "'nonce-") || strings.Contains(got, "unsafe") {
		t.Errorf("script-src %q", got)
	}
	if !strings.Contains(p.Body, "<button") || p.Header.Get("Cache-Control") != "no-store" || p.Header.Get("Referrer-Policy") != "no-referrer" {
		t.Error("no button where no script runs, or headers are missing")
	}
}

func TestThreat_AZ12_TypesAndModesThatAreNotTheClients(t *testing.T) {
	i := servertest.New(t, servertest.Options{Extras: []demo.Extra{{Name: webApp, Type: apps.RegularWeb, RedirectURIs: []string{"https://app.example/callback"}}}})
	b := signedIn(t, i, demo.Reader)
	for _, c := range []struct {
		client string
		ask    []string
		want   string
	}{
		{demo.SPA, []string{"response_type", "token"}, "unsupported_response_type"},
		{demo.SPA, []string{"response_type", "token id_token", "nonce", "n"}, "unsupported_response_type"},
		{demo.RegularWeb, []string{"response_type", "code token"}, "unsupported_response_type"},
		{demo.RegularWeb, []string{"response_type", "none"}, "unsupported_response_type"},
		{demo.SPA, []string{"response_type", ""}, "invalid_request"},
		{demo.SPA, []string{"response_mode", "fragment"}, "invalid_request"},
		{demo.SPA, []string{"response_mode", "jwt"}, "invalid_request"},
		{demo.RegularWeb, []string{"response_type", "id_token", "nonce", "n"}, "invalid_request"}, // its default is the fragment
		{demo.RegularWeb, []string{"response_type", "id_token", "nonce", "n", "response_mode", "query"}, "invalid_request"},
		{demo.RegularWeb, []string{"response_type", "code id_token", "nonce", "n", "response_mode", "fragment"}, "invalid_request"},
	} {
		p := b.Authorize(c.client, c.ask...)
		expectError(t, i, p, redirectURI(i, c.client), c.want)
		if location := p.Header.Get("Location"); strings.Contains(location, "token=") || strings.Contains(location, "#") {
			t.Errorf("%v: %s", c.ask, location)
		}
	}
	// ID tokens by form are for regular web clients of profile oidc-basic.
	for _, client := range []string{demo.SPA, demo.Native, demo.ThirdParty, webApp} {
		for _, typ := range []string{"id_token", "code id_token", "id_token code"} {
			p := b.Authorize(client, "response_type", typ, "response_mode", "form_post", "nonce", "n")
			if f := p.Hidden(); f.Get("error") != "unauthorized_client" || f.Get("id_token") != "" || f.Get("code") != "" {
				t.Errorf("%s, %s: %v", client, typ, f)
			}
		}
	}
	// Without nonce or openid there is none either.
	for _, ask := range [][]string{{"nonce", ""}, {"nonce", "n", "scope", "profile"}} {
		f := b.Authorize(demo.RegularWeb, append(ask, "response_type", "id_token", "response_mode", "form_post")...).Hidden()
		if f.Get("error") != "invalid_request" || f.Get("id_token") != "" {
			t.Errorf("%v: %v", ask, f)
		}
	}
	// Machines sign nobody in.
	change(t, i, webApp, func(c *apps.Client) { c.GrantTypes = []string{"client_credentials"} })
	expectError(t, i, b.Authorize(webApp), "https://app.example/callback", "unauthorized_client")
}

// The default of an old SDK: an ID token by form, no code, no PKCE, no secret.
func TestIDTokenByFormPost(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	b := i.NewBrowser(t)
	ask := []string{"response_type", "id_token", "response_mode", "form_post", "nonce", "n-0S6_WzA2Mj", "scope", "openid profile email", "code_challenge", "", "code_challenge_method", ""}
	p := b.Authorize(demo.RegularWeb, ask...)
	expectPage(t, p, http.StatusOK, titleSignIn)
	p = b.As(p, demo.Reader)
	f := p.Hidden()
	if p.Target() != redirectURI(i, demo.RegularWeb) || f.Get("state") != "st+a/te=" || f.Has("code") || f.Has("access_token") || f.Has("error") {
		t.Fatalf("%s: %v", p.Target(), f)
	}
	claims := verifiedIDToken(t, i, b, f.Get("id_token"), demo.RegularWeb, "n-0S6_WzA2Mj", "")
	if claims.Email != demo.Reader || claims.Name != "Alice Archer" || claims.SessionID == "" || claims.AuthTime == 0 || claims.CodeHash != "" {
		t.Errorf("%+v", claims)
	}

	ask[1] = "code id_token"
	f = b.Authorize(demo.RegularWeb, ask...).Hidden()
	claims = verifiedIDToken(t, i, b, f.Get("id_token"), demo.RegularWeb, "n-0S6_WzA2Mj", f.Get("code"))
	if claims.CodeHash == "" || f.Get("state") != "st+a/te=" {
		t.Errorf("%+v", claims)
	}
	tokens := i.PostForm(t, "/oauth/token", demo.RegularWeb, "grant_type", "authorization_code", "code", f.Get("code"), "redirect_uri", redirectURI(i, demo.RegularWeb))
	if tokens.AccessToken == "" || tokens.IDToken == "" {
		t.Errorf("redeem: %s", tokens.Raw)
	}
	verifiedIDToken(t, i, b, tokens.IDToken, demo.RegularWeb, "n-0S6_WzA2Mj", "")
}

// verifiedIDToken checks an ID token as a client does, with the published keys.
func verifiedIDToken(t testing.TB, i *servertest.Instance, b *servertest.Browser, token, clientName, nonce, code string) *oidc.IDTokenClaims {
	t.Helper()
	set, err := jose.ParseSet([]byte(b.Get("/.well-known/jwks.json").Body))
	if err != nil {
		t.Fatal(err)
	}
	verified, err := oidc.VerifyIDToken(html.UnescapeString(token), oidc.IDTokenRules{
		Issuer: i.URL + "/", ClientID: i.Content.Client(clientName).ClientID, Nonce: nonce, Code: code, Now: i.Clock.Now(), Algs: []jose.Alg{jose.RS256},
	}, set.Lookup)
	if err != nil {
		t.Fatalf("id_token: %v", err)
	}
	return verified.Claims()
}

func TestThreat_BR07_StateTravelsUnchanged(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	b := signedIn(t, i, demo.Reader)
	for _, state := range []string{"a+b/c==", "a b", "a%20b", "%", "&x=y", "#", "é\u2028", `{"returnTo":"/a?b=c&d"}`, strings.Repeat("s", 2048)} {
		if got := b.Authorize(demo.SPA, "state", state).Answer(t); got.State != state {
			t.Errorf("query: %q became %q", state, got.State)
		}
		if got := b.Authorize(demo.RegularWeb, "state", state, "response_mode", "form_post").Hidden().Get("state"); got != state {
			t.Errorf("form_post: %q became %q", state, got)
		}
		if got := messageOf(t, b.Authorize(demo.SPA, "state", state, "response_mode", "web_message")).response["state"]; got != state {
			t.Errorf("web_message: %q became %q", state, got)
		}
	}
}
