package oauth_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/gatehouse-dev/gatehouse/internal/base/id"
	"github.com/gatehouse-dev/gatehouse/internal/server/demo"
	"github.com/gatehouse-dev/gatehouse/internal/server/servertest"
)

// request is an authorization request with a new state and nonce. A pair with an empty value takes
// a parameter away.
func (rp *relyingParty) request(pairs ...string) url.Values {
	rp.state, rp.nonce = id.UUID(), id.UUID()
	q := url.Values{
		"client_id": {rp.Content.Client(rp.client).ClientID}, "redirect_uri": {callback}, "response_type": {rp.responseType},
		"scope": {"openid"}, "state": {rp.state}, "nonce": {rp.nonce},
	}
	if rp.responseMode == "form_post" {
		q.Set("response_mode", "form_post")
	}
	for n := 0; n+1 < len(pairs); n += 2 {
		if q.Set(pairs[n], pairs[n+1]); pairs[n+1] == "" {
			q.Del(pairs[n])
		}
	}
	rp.state, rp.nonce = q.Get("state"), q.Get("nonce")
	return q
}

// visit sends the browser to the authorization endpoint.
func (rp *relyingParty) visit(pairs ...string) *servertest.Page {
	rp.t.Helper()
	return rp.browser.Get(rp.metadata["authorization_endpoint"].(string) + "?" + rp.request(pairs...).Encode())
}

// login does what a person does on the pages of the provider until they are back at the client.
func (rp *relyingParty) login(p *servertest.Page) *servertest.Page {
	rp.t.Helper()
	if strings.HasPrefix(p.Header.Get("Location"), "/") {
		p = rp.browser.Get(p.Header.Get("Location"))
	}
	if p.Title() == titleSignIn {
		rp.Clock.Advance(time.Millisecond) // a script types fast
		p = rp.browser.As(p, demo.Reader)
	}
	if strings.Contains(p.Body, `name="action" value="allow"`) {
		p = rp.browser.Press(p, "allow")
	}
	return p
}

// response reads what the client is sent, and holds it to what every response has.
func (rp *relyingParty) response(p *servertest.Page) url.Values {
	rp.t.Helper()
	var r url.Values
	if rp.responseMode == "form_post" {
		if r = p.Hidden(); p.StatusCode != http.StatusOK || p.Target() != callback || p.Header.Get("Cache-Control") != "no-store" {
			rp.t.Fatalf("no form to the client: %s to %q\n%s", p.Status, p.Target(), p.Body)
		}
	} else {
		query, ok := strings.CutPrefix(p.Header.Get("Location"), callback+"?")
		parsed, err := url.ParseQuery(query)
		if r = parsed; !ok || err != nil || p.StatusCode != http.StatusSeeOther {
			rp.t.Fatalf("no redirect to the client: %s to %q\n%s", p.Status, p.Header.Get("Location"), p.Body)
		}
	}
	if r.Get("state") != rp.state || r.Get("iss") != rp.metadata["issuer"] {
		rp.t.Errorf("state and iss of the response: %v", r)
	}
	return r
}

// errorText is what RFC 6749 section 5.2 lets an error_description be made of.
var errorText = regexp.MustCompile(`^[ !#-\[\]-~]*$`)

// refused demands an error response with one of these codes, and nothing else in it.
func (rp *relyingParty) refused(p *servertest.Page, codes ...string) {
	rp.t.Helper()
	r := rp.response(p)
	if !slices.Contains(codes, r.Get("error")) || !errorText.MatchString(r.Get("error_description")) {
		rp.t.Errorf("got %v, want an error of %v", r, codes)
	}
	for name := range r {
		if !slices.Contains([]string{"error", "error_description", "state", "iss"}, name) {
			rp.t.Errorf("an error response with %s", name)
		}
	}
}

// shown demands an error page of the provider's own.
func (rp *relyingParty) shown(p *servertest.Page) { rp.t.Helper(); expectRefusal(rp.t, p) }

// result is what a flow that succeeded has brought.
type result struct {
	code     string
	claims   map[string]any // of the ID token, the later one if there were two
	tokens   servertest.Tokens
	userinfo map[string]any // nil without an access token
}

// succeeds signs in where that is asked for and follows the flow to its end, checking what the suite
// checks of every flow.
func (rp *relyingParty) succeeds(p *servertest.Page) result {
	rp.t.Helper()
	r := rp.response(rp.login(p))
	if r.Get("error") != "" || rp.has("code") != r.Has("code") || rp.has("id_token") != r.Has("id_token") || r.Has("access_token") {
		rp.t.Fatalf("got %v", r)
	}
	out := result{code: r.Get("code")}
	if rp.has("id_token") {
		out.claims = rp.idToken(r.Get("id_token"))
		if rp.has("code") && out.claims["c_hash"] != halfHash(out.code) {
			rp.t.Errorf("c_hash %v", out.claims["c_hash"])
		}
	}
	if !rp.has("code") {
		out.tokens.IDToken = r.Get("id_token")
		return out
	}
	out.tokens = rp.granted(rp.redeem(out.code))
	front := out.claims
	out.claims = rp.idToken(out.tokens.IDToken)
	if front != nil && (front["sub"] != out.claims["sub"] || front["iss"] != out.claims["iss"]) {
		rp.t.Errorf("two ID tokens about two people: %v, %v", front, out.claims)
	}
	out.userinfo = rp.userInfo(rp.get(out.tokens.AccessToken))
	if out.userinfo["sub"] != out.claims["sub"] {
		rp.t.Errorf("userinfo is about %v", out.userinfo["sub"])
	}
	return out
}

func halfHash(code string) string {
	sum := sha256.Sum256([]byte(code))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// redeem exchanges a code with the client authentication of the client.
func (rp *relyingParty) redeem(code string, pairs ...string) servertest.Tokens {
	rp.t.Helper()
	return rp.token(append([]string{"grant_type", "authorization_code", "code", code, "redirect_uri", callback}, pairs...)...)
}

func (rp *relyingParty) token(pairs ...string) servertest.Tokens {
	rp.t.Helper()
	c, form, headers := rp.Content.Client(rp.client), url.Values{}, []string{"Content-Type", "application/x-www-form-urlencoded;charset=UTF-8"}
	if rp.client == suitePost {
		form.Set("client_id", c.ClientID)
		form.Set("client_secret", c.ClientSecret)
	} else {
		headers = append(headers, "Authorization", basic(url.QueryEscape(c.ClientID), url.QueryEscape(c.ClientSecret)))
	}
	resp, err := rp.Client().Do(rp.browser.Request(http.MethodPost, "/oauth/token", with(form, pairs...).Encode(), headers...))
	if err != nil {
		rp.t.Fatal(err)
	}
	return servertest.ReadTokens(rp.t, resp)
}

var visible = regexp.MustCompile(`^[ -~]{22,}$`)

// granted demands a well-formed success of the token endpoint.
func (rp *relyingParty) granted(got servertest.Tokens) servertest.Tokens {
	rp.t.Helper()
	switch h := got.Header; {
	case got.Status != http.StatusOK || got.AccessToken == "" || got.IDToken == "":
		rp.t.Fatalf("%d %s", got.Status, got.Raw)
	case h.Get("Content-Type") != "application/json" || h.Get("Cache-Control") != "no-store" || h.Get("Pragma") != "no-cache":
		rp.t.Errorf("headers %v", h)
	case got.TokenType != "Bearer" || got.ExpiresIn <= 0 || !visible.MatchString(got.AccessToken) || got.RefreshToken != "" && !visible.MatchString(got.RefreshToken):
		rp.t.Errorf("%s", got.Raw)
	}
	return got
}

// denied demands an error of the token endpoint in the form of RFC 6749 section 5.2.
func (rp *relyingParty) denied(got servertest.Tokens, code string) {
	rp.t.Helper()
	if got.Status != http.StatusBadRequest || got.Error != code || got.Header.Get("Content-Type") != "application/json" || !errorText.MatchString(got.Description) {
		rp.t.Errorf("got %d %s, want %s", got.Status, got.Raw, code)
	}
}

// idToken verifies an ID token with a key of jwks_uri that its kid names, and holds its claims to
// the request.
func (rp *relyingParty) idToken(raw string) map[string]any {
	rp.t.Helper()
	signed, err := jose.ParseSignedCompact(raw, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		rp.t.Fatalf("id_token: %v", err)
	}
	keys := rp.keys.Key(signed.Signatures[0].Header.KeyID)
	if len(keys) != 1 {
		rp.t.Fatalf("kid %q names %d keys", signed.Signatures[0].Header.KeyID, len(keys))
	}
	payload, err := signed.Verify(keys[0])
	if err != nil {
		rp.t.Fatalf("id_token: %v", err)
	}
	var c map[string]any
	if err := json.Unmarshal(payload, &c); err != nil {
		rp.t.Fatal(err)
	}
	now := float64(rp.Clock.Now().Unix())
	number := func(name string) float64 { n, _ := c[name].(float64); return n }
	nonce, _ := c["nonce"].(string)
	sub, _ := c["sub"].(string)
	acr, _ := c["acr"].(string)
	switch {
	case c["iss"] != rp.metadata["issuer"] || c["aud"] != rp.Content.Client(rp.client).ClientID || c["azp"] != nil:
		rp.t.Errorf("iss, aud, azp: %v", c)
	case number("iat") > now || number("iat") < now-300 || number("exp") <= now || number("auth_time") > now || number("auth_time") == 0:
		rp.t.Errorf("times at %v: %v", now, c)
	case nonce != rp.nonce || sub == "" || len(sub) > 255 || acr == "":
		rp.t.Errorf("nonce, sub, acr: %v", c)
	}
	standardClaims(rp.t, c)
	rp.supported(c)
	return c
}

// supported demands that the metadata names every claim there is.
func (rp *relyingParty) supported(claims map[string]any) {
	rp.t.Helper()
	for name := range claims {
		if !slices.Contains(rp.metadata["claims_supported"].([]any), any(name)) && name != "c_hash" { // which is about no person
			rp.t.Errorf("%s is not in claims_supported", name)
		}
	}
}

// standardClaims holds the claims of OpenID Connect Core section 5.1 to their types.
func standardClaims(t testing.TB, c map[string]any) {
	t.Helper()
	for name, value := range c {
		ok := true
		switch name {
		case "sub", "name", "given_name", "family_name", "nickname", "picture", "email":
			text, isText := value.(string)
			ok = isText && text != ""
		case "email_verified":
			_, ok = value.(bool)
		case "updated_at":
			at, isNumber := value.(float64)
			ok = isNumber && at > 1e9 && at < 1e11
		}
		if !ok {
			t.Errorf("%s is %v (%T)", name, value, value)
		}
	}
}

func (rp *relyingParty) get(token string) *servertest.Page {
	rp.t.Helper()
	return rp.browser.Send(rp.browser.Request(http.MethodGet, "/userinfo", "", "Authorization", "Bearer "+token))
}

func (rp *relyingParty) userInfo(p *servertest.Page) map[string]any {
	rp.t.Helper()
	var claims map[string]any
	read(rp.t, p, &claims)
	standardClaims(rp.t, claims)
	rp.supported(claims)
	return claims
}

// claimed demands claims, at the userinfo endpoint, or in the ID token if there is no access token.
func (rp *relyingParty) claimed(r result, names ...string) {
	rp.t.Helper()
	claims := r.userinfo
	if !rp.has("code") {
		claims = r.claims
	}
	for _, name := range names {
		if claims[name] == nil {
			rp.t.Errorf("%s is missing: %v", name, claims)
		}
	}
}

// same demands a second result about the same person in the same sign-in.
func (rp *relyingParty) same(a, b result) {
	rp.t.Helper()
	if a.claims["sub"] != b.claims["sub"] || a.claims["auth_time"] != b.claims["auth_time"] {
		rp.t.Errorf("not the same sign-in: %v, %v", a.claims, b.claims)
	}
}

// unsigned returns a JWT of alg none.
func unsigned(t testing.TB, claims any) string {
	t.Helper()
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + base64.RawURLEncoding.EncodeToString(payload) + "."
}

// without returns what stands beside a request object that holds state and nonce.
func (rp *relyingParty) without(pairs ...string) *servertest.Page {
	rp.t.Helper()
	p := rp.visit(append([]string{"state", "", "nonce", ""}, pairs...)...)
	return p
}

func (rp *relyingParty) requestObject() string {
	object := map[string]string{"iss": rp.Content.Client(rp.client).ClientID, "aud": rp.metadata["issuer"].(string)}
	for name, values := range rp.request() {
		object[name] = values[0]
	}
	return unsigned(rp.t, object)
}

// received keeps the requests that a client gets.
type received struct {
	mu       sync.Mutex
	requests []*http.Request
}

func (k *received) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.requests = append(k.requests, r)
}

// delivered lets the house tell its clients all there is to tell, and returns it.
func (rp *relyingParty) delivered() []*http.Request {
	rp.t.Helper()
	for {
		n, err := rp.House.Logouts.Deliver(rp.t.Context())
		if err != nil {
			rp.t.Fatal(err)
		}
		if n == 0 {
			break
		}
	}
	rp.told.mu.Lock()
	defer rp.told.mu.Unlock()
	out := rp.told.requests
	rp.told.requests = nil
	return out
}

// logoutToken holds a back-channel request to OpenID Connect Back-Channel Logout sections 2.4 and 2.5.
func (rp *relyingParty) logoutToken(r *http.Request, idToken map[string]any) {
	rp.t.Helper()
	if r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" || len(r.Form) != 1 {
		rp.t.Errorf("%s, %q, %v", r.Method, r.Header.Get("Content-Type"), r.Form)
	}
	raw := r.PostFormValue("logout_token")
	signed, err := jose.ParseSignedCompact(raw, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		rp.t.Fatal(err)
	}
	payload, err := signed.Verify(rp.keys.Key(signed.Signatures[0].Header.KeyID)[0])
	if err != nil {
		rp.t.Fatal(err)
	}
	var c map[string]any
	if err := json.Unmarshal(payload, &c); err != nil {
		rp.t.Fatal(err)
	}
	now := float64(rp.Clock.Now().Unix())
	events, _ := json.Marshal(c["events"])
	switch {
	case decodePart(rp.t, raw, 0)["typ"] != "logout+jwt" || string(events) != `{"http://schemas.openid.net/event/backchannel-logout":{}}`:
		rp.t.Errorf("typ %v, events %s", decodePart(rp.t, raw, 0)["typ"], events)
	case c["iss"] != rp.metadata["issuer"] || c["aud"] != rp.Content.Client(rp.client).ClientID || c["jti"] == nil || c["nonce"] != nil:
		rp.t.Errorf("iss, aud, jti, nonce: %v", c)
	case c["iat"] != now || c["exp"].(float64) <= now || c["exp"].(float64) > now+120:
		rp.t.Errorf("times: %v", c)
	case c["sid"] == nil || c["sid"] != idToken["sid"] || c["sub"] != nil && c["sub"] != idToken["sub"]:
		rp.t.Errorf("about another session: %v", c)
	}
}
