package bearer_test

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/bearer"
	"github.com/gatehouse-dev/gatehouse/guard/internal/testclock"
	"github.com/gatehouse-dev/gatehouse/guard/internal/testissuer"
	"github.com/gatehouse-dev/gatehouse/protocol/jose"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

const audience = "https://api/tv-shows"

func setup(t testing.TB, change func(*bearer.Options)) (*testissuer.Issuer, *bearer.Scheme, *testclock.Clock) {
	t.Helper()
	issuer, clock := testissuer.New(t), testclock.New()
	issuer.Now = clock.Now
	o := bearer.Options{Issuer: issuer.URL, Audience: audience, Clock: clock.Now, Logger: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&o)
	}
	s, err := bearer.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return issuer, s, clock
}

func echo(w http.ResponseWriter, r *http.Request) {
	p, _ := guard.From(r.Context())
	_, _ = io.WriteString(w, p.Subject)
}

// call sends a request to an API that scheme guards.
func call(scheme guard.Authenticator, r *http.Request, options ...guard.Option) *httptest.ResponseRecorder {
	return serve(guard.Require(scheme, options...)(http.HandlerFunc(echo)), r)
}

func serve(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func request(authorization ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/shows", nil)
	for _, a := range authorization {
		r.Header.Add("Authorization", a)
	}
	return r
}

func TestPrincipal(t *testing.T) {
	issuer, s, clock := setup(t, nil)
	p, err := s.Verify(t.Context(), issuer.AccessToken(t, audience, func(c map[string]any) { c["https://example.com/team"] = "red" }))
	if err != nil {
		t.Fatal(err)
	}
	if !p.IsUser() || p.Subject != "alice" || p.Issuer != issuer.URL || p.ClientID != testissuer.ClientID || p.Method != bearer.Method ||
		!slices.Equal(p.AMR, []string{"pwd"}) || p.ACR != "1" || !p.AuthTime.Equal(clock.Now()) ||
		!p.HasScope("read:shows") || p.HasScope("read") || !p.HasPermission("read:shows") || p.Organization != "org-1" ||
		p.SessionID != "session-1" || p.GrantID != "grant-1" || p.TokenID == "" || !p.Expiry.Equal(clock.Now().Add(10*time.Minute)) {
		t.Errorf("%+v", p)
	}
	var claims struct {
		Team string `json:"https://example.com/team"`
	}
	if err := p.DecodeClaims(&claims); err != nil || claims.Team != "red" {
		t.Errorf("custom claim %q, %v", claims.Team, err)
	}
}

func TestThreat_TK20_ClientIsNotAUser(t *testing.T) {
	issuer, s, _ := setup(t, nil)
	for subject, kind := range map[string]guard.Kind{
		"alice":                           guard.User,
		testissuer.ClientID + "@clients":  guard.Client,
		testissuer.ClientID:               guard.Client,
		testissuer.ClientID + "@clientsX": guard.User,
	} {
		p, err := s.Verify(t.Context(), issuer.AccessToken(t, audience, func(c map[string]any) { c["sub"] = subject }))
		if err != nil {
			t.Fatal(err)
		}
		if p.Kind != kind {
			t.Errorf("%s is a %s, want %s", subject, p.Kind, kind)
		}
	}
	token := issuer.AccessToken(t, audience, func(c map[string]any) { c["sub"] = testissuer.ClientID + "@clients" })
	if w := call(s, request("Bearer "+token), guard.Users()); w.Code != 403 {
		t.Errorf("an application passes for a person: %d", w.Code)
	}
}

func TestChallenges(t *testing.T) {
	issuer, s, clock := setup(t, func(o *bearer.Options) { o.Realm = "shows" })
	good := issuer.AccessToken(t, audience, nil)
	expired := issuer.AccessToken(t, audience, func(c map[string]any) { c["exp"] = clock.Now().Add(-time.Minute).Unix() })
	tests := []struct {
		name          string
		authorization string
		options       []guard.Option
		status        int
		challenge     string
	}{
		{"good", "Bearer " + good, nil, 200, ""},
		{"nothing", "", nil, 401, `Bearer realm="shows"`},
		{"another scheme", "Basic YTpi", nil, 401, `Bearer realm="shows"`},
		{"expired", "Bearer " + expired, nil, 401, `Bearer realm="shows", error="invalid_token", error_description="The access token expired"`},
		{"forged", "Bearer " + good[:len(good)-4] + "AAAA", nil, 401, `Bearer realm="shows", error="invalid_token", error_description="The access token is invalid"`},
		{
			"scope missing", "Bearer " + good,
			[]guard.Option{guard.Scopes("read:shows", "write:shows")},
			403,
			`Bearer realm="shows", error="insufficient_scope", error_description="The credential lacks a scope this resource requires", scope="read:shows write:shows"`,
		},
		{
			"permission missing", "Bearer " + good,
			[]guard.Option{guard.Permissions("write:shows")},
			403,
			`Bearer realm="shows", error="insufficient_scope", error_description="The principal lacks a permission this resource requires", scope="write:shows"`,
		},
		{"all needs met", "Bearer " + good, []guard.Option{guard.Scopes("read:shows"), guard.Permissions("read:shows"), guard.Users()}, 200, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := request()
			if tt.authorization != "" {
				r = request(tt.authorization)
			}
			w := call(s, r, tt.options...)
			if got := w.Header().Get("WWW-Authenticate"); w.Code != tt.status || got != tt.challenge {
				t.Errorf("%d %s\nwant %d %s", w.Code, got, tt.status, tt.challenge)
			}
		})
	}
}

// One place to carry a token, one way to spell it.
func TestThreat_TK18_WhereATokenMayStand(t *testing.T) {
	issuer, s, _ := setup(t, nil)
	token := issuer.AccessToken(t, audience, nil)
	form := func(body, contentType string, authorization ...string) *http.Request {
		r := httptest.NewRequest(http.MethodPost, "/shows", strings.NewReader(body))
		r.Header.Set("Content-Type", contentType)
		for _, a := range authorization {
			r.Header.Add("Authorization", a)
		}
		return r
	}
	query := func(q string, authorization ...string) *http.Request {
		r := request(authorization...)
		r.URL.RawQuery = q
		return r
	}
	const urlencoded = "application/x-www-form-urlencoded"
	tests := []struct {
		name   string
		r      *http.Request
		status int
	}{
		{"header", request("Bearer " + token), 200},
		{"scheme in lower case", request("bearer " + token), 200},
		{"scheme in mixed case", request("bEaReR " + token), 200},
		{"two spaces", request("Bearer  " + token), 401},
		{"tab", request("Bearer\t" + token), 401},
		{"comma", request("Bearer," + token), 401},
		{"empty", request("Bearer"), 401},
		{"empty after a space", request("Bearer "), 401},
		{"trailing space", request("Bearer " + token + " "), 401},
		{"quoted", request(`Bearer "` + token + `"`), 401},
		{"named", request("Bearer token=" + token), 401},
		{"without a scheme", request(token), 401},
		{"no-break space", request("Bearer\u00a0" + token), 401},
		{"other scheme's name starts alike", request("Bearers " + token), 401},
		{"two headers", request("Bearer "+token, "Bearer "+token), 400},
		{"two headers, one of another scheme", request("Basic YTpi", "Bearer "+token), 400},
		{"two in one header", request("Bearer " + token + ", Bearer " + token), 401},
		{"query", query("access_token=" + token), 400},
		{"query, encoded name", query("access%5Ftoken=" + token), 400},
		{"query beside the header", query("access_token=x", "Bearer "+token), 400},
		{"query, empty", query("access_token=", "Bearer "+token), 400},
		{"query with something else", query("page=2", "Bearer "+token), 200},
		{"form", form("access_token="+token, urlencoded), 400},
		{"form beside the header", form("access_token="+token, urlencoded, "Bearer "+token), 400},
		{"form with a charset", form("access_token="+token, urlencoded+"; charset=utf-8", "Bearer "+token), 400},
		{"form with something else", form("title=x", urlencoded, "Bearer "+token), 200},
		{"json body", form(`{"access_token":"x"}`, "application/json", "Bearer "+token), 200},
		{"cookie", func() *http.Request {
			r := request()
			r.AddCookie(&http.Cookie{Name: "access_token", Value: token})
			return r
		}(), 401},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := call(s, tt.r)
			if w.Code != tt.status {
				t.Errorf("%d, want %d: %s", w.Code, tt.status, w.Header().Get("WWW-Authenticate"))
			}
			if strings.Contains(w.Body.String()+w.Header().Get("WWW-Authenticate"), token) {
				t.Error("the token stands in the answer")
			}
		})
	}
}

// The handler must find the form that was looked into.
func TestFormIsPutBack(t *testing.T) {
	issuer, s, _ := setup(t, nil)
	r := httptest.NewRequest(http.MethodPost, "/shows", strings.NewReader("title=Lost&year=2004"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Authorization", "Bearer "+issuer.AccessToken(t, audience, nil))
	w := httptest.NewRecorder()
	guard.Require(s)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.PostFormValue("title")+r.PostFormValue("year"))
	})).ServeHTTP(w, r)
	if w.Body.String() != "Lost2004" {
		t.Errorf("the handler read %q", w.Body)
	}
}

// Tokens of this very issuer, signed with its key, that are not access tokens.
func TestThreat_JW05_OtherKindsOfToken(t *testing.T) {
	for _, dialect := range []oauth.Dialect{oauth.DialectRFC9068, oauth.DialectAuth0} {
		issuer, s, _ := setup(t, func(o *bearer.Options) { o.Dialect = dialect })
		access := issuer.AccessClaims(audience)
		idToken := issuer.IDClaims("n-1")
		forAPI := maps.Clone(idToken) // an ID token whose client calls itself like the API
		forAPI["aud"] = audience
		logout := map[string]any{
			"iss": issuer.URL, "aud": audience, "sub": "alice", "sid": "s", "iat": access["iat"], "exp": access["exp"], "jti": "1",
			"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}},
		}
		proof := map[string]any{"htm": "GET", "htu": "https://api/", "jti": "1", "iat": access["iat"]}
		assertion := map[string]any{"iss": testissuer.ClientID, "sub": testissuer.ClientID, "aud": issuer.URL, "jti": "1", "exp": access["exp"], "iat": access["iat"]}
		good := dialect.Type()
		tests := []struct {
			name   string
			typ    string
			claims map[string]any
			ok     bool
		}{
			{"access token", good, access, true},
			{"access token as application/" + good, "application/" + good, access, true},
			{"access token of the other dialect", map[string]string{"JWT": "at+jwt", "at+jwt": "JWT"}[good], access, false},
			{"ID token", "JWT", idToken, false},
			{"ID token for this audience", "JWT", forAPI, false},
			{"ID token for this audience, dressed up", good, forAPI, false},
			{"logout token", "logout+jwt", logout, false},
			{"logout token, dressed up", good, logout, false},
			{"DPoP proof", "dpop+jwt", proof, false},
			{"DPoP proof, dressed up", good, proof, false},
			{"client assertion", "JWT", assertion, false},
			{"security event", "secevent+jwt", access, false},
			{"introspection answer", "token-introspection+jwt", access, false},
		}
		for _, tt := range tests {
			_, err := s.Verify(t.Context(), issuer.Sign(t, tt.typ, tt.claims))
			if (err == nil) != tt.ok {
				t.Errorf("%s: %s: %v", dialect, tt.name, err)
			}
		}
	}
}

func TestThreat_JW06_IssuerAndAudience(t *testing.T) {
	issuer, s, clock := setup(t, nil)
	now := clock.Now()
	set := func(name string, value any) func(map[string]any) { return func(c map[string]any) { c[name] = value } }
	drop := func(name string) func(map[string]any) { return func(c map[string]any) { delete(c, name) } }
	tests := []struct {
		name   string
		change func(map[string]any)
		ok     bool
	}{
		{"as is", func(map[string]any) {}, true},
		{"audience in a list", set("aud", []string{"https://other/", audience}), true},
		{"other audience", set("aud", "https://other/"), false},
		{"audience with a slash", set("aud", audience+"/"), false},
		{"audience in upper case", set("aud", strings.ToUpper(audience)), false},
		{"audience is a star", set("aud", "*"), false},
		{"audience is the client", set("aud", testissuer.ClientID), false},
		{"audience is empty", set("aud", ""), false},
		{"audience is an empty list", set("aud", []string{}), false},
		{"audience is an object", set("aud", map[string]any{audience: true}), false},
		{"no audience", drop("aud"), false},
		{"other issuer", set("iss", "https://evil.example/"), false},
		{"issuer without its slash", set("iss", strings.TrimSuffix(issuer.URL, "/")), false},
		{"issuer in upper case", set("iss", strings.ToUpper(issuer.URL)), false},
		{"issuer over https", set("iss", strings.Replace(issuer.URL, "http:", "https:", 1)), false},
		{"issuer is a list", set("iss", []string{issuer.URL}), false},
		{"no issuer", drop("iss"), false},
		{"no subject", drop("sub"), false},
		{"no expiry", drop("exp"), false},
		{"expiry is text", set("exp", "4102444800"), false},
		{"expiry is a fraction", set("exp", float64(now.Unix())+100.5), false},
		{"expired within the leeway", set("exp", now.Add(-29*time.Second).Unix()), true},
		{"expired beyond it", set("exp", now.Add(-30*time.Second).Unix()), false},
		{"not yet valid within the leeway", set("nbf", now.Add(30*time.Second).Unix()), true},
		{"not yet valid beyond it", set("nbf", now.Add(31*time.Second).Unix()), false},
		{"issued in the future", set("iat", now.Add(time.Hour).Unix()), false},
	}
	for _, tt := range tests {
		_, err := s.Verify(t.Context(), issuer.AccessToken(t, audience, tt.change))
		if (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestThreat_JW02_AlgorithmIsTheKeys(t *testing.T) {
	issuer, s, _ := setup(t, func(o *bearer.Options) { o.Algorithms = []jose.Alg{jose.ES256, jose.EdDSA} })
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	issuer.Use(jose.EdDSA, edKey)
	if _, err := s.Verify(t.Context(), issuer.AccessToken(t, audience, nil)); err != nil {
		t.Errorf("EdDSA: %v", err)
	}
	good := issuer.AccessToken(t, audience, nil)
	payload := strings.Split(good, ".")[1]
	encode := base64.RawURLEncoding.EncodeToString
	for _, alg := range []string{"none", "None", "HS256", "ES256", "RS256", "ES512", ""} {
		input := encode([]byte(`{"alg":"`+alg+`","typ":"at+jwt","kid":"key-2"}`)) + "." + payload
		mac := hmac.New(sha256.New, edKey.Public().(ed25519.PublicKey))
		mac.Write([]byte(input))
		for _, signature := range []string{"", encode(mac.Sum(nil)), strings.Split(good, ".")[2]} {
			if _, err := s.Verify(t.Context(), input+"."+signature); err == nil {
				t.Errorf("alg %q accepted", alg)
			}
		}
	}
	// An algorithm that is off stays off, whatever the issuer publishes.
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	issuer2, s2, _ := setup(t, func(o *bearer.Options) { o.Algorithms = []jose.Alg{jose.ES256} })
	issuer2.Use(jose.RS256, rsaKey)
	if _, err := s2.Verify(t.Context(), issuer2.AccessToken(t, audience, nil)); err == nil {
		t.Error("RS256 accepted where only ES256 is allowed")
	}
}

// Key material in a token's header is not looked at, and nothing is fetched.
func TestThreat_JW03_HeaderBringsNoKey(t *testing.T) {
	canary := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the header's URL was fetched") }))
	defer canary.Close()
	issuer, s, _ := setup(t, nil)
	parts := strings.Split(issuer.AccessToken(t, audience, nil), ".")
	for _, extra := range []string{
		`"jku":"` + canary.URL + `"`, `"x5u":"` + canary.URL + `"`, `"jwk":{"kty":"oct","k":"AAAA"}`, `"x5c":["AAAA"]`,
		`"crit":["exp"]`, `"b64":false`, `"zip":"DEF"`,
	} {
		header := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES256","typ":"at+jwt","kid":"key-1",` + extra + `}`))
		if _, err := s.Verify(t.Context(), header+"."+parts[1]+"."+parts[2]); err == nil {
			t.Errorf("%s accepted", extra)
		}
	}
}

func TestLazyStart(t *testing.T) {
	issuer, s, clock := setup(t, nil)
	token := issuer.AccessToken(t, audience, nil)
	issuer.Down(true)
	w := call(s, request("Bearer "+token))
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || w.Header().Get("WWW-Authenticate") != "" {
		t.Errorf("while the issuer is down: %d %v", w.Code, w.Header())
	}
	if w := call(s, request()); w.Code != http.StatusUnauthorized {
		t.Errorf("without a token: %d, want 401 even now", w.Code)
	}
	issuer.Down(false)
	clock.Advance(5 * time.Second)
	if w := call(s, request("Bearer "+token)); w.Code != http.StatusOK {
		t.Errorf("once it is back: %d", w.Code)
	}
}

func TestNewReportsEveryProblem(t *testing.T) {
	_, err := bearer.New(bearer.Options{Issuer: "http://id.example.com/", Dialect: "jwt", Algorithms: []jose.Alg{jose.HS256}})
	for _, want := range []string{"must be https", "Audience", "Dialect", "HS256"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
}

func FuzzThreat_TK18_AuthorizationHeader(f *testing.F) {
	issuer, s, _ := setup(f, nil)
	good := issuer.AccessToken(f, audience, nil)
	for _, seed := range []string{
		"", "Bearer", "Bearer ", "Bearer " + good, "bearer  " + good, "Basic YTpi", "Bearer a.b.c", "Bearer ....", "\x00", "Bearer " + strings.Repeat("a.", 9000),
		"Bearer eyJhbGciOiJub25lIn0.e30.", "Bearer " + good[:len(good)/2], "Bearer " + good + good,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		w := call(s, request(header))
		if w.Code == http.StatusOK && (len(header) < 7 || !strings.EqualFold(header[:7], "Bearer ") || header[7:] != good) {
			t.Errorf("accepted %q", header)
		}
		if w.Code != http.StatusOK && w.Code != http.StatusUnauthorized {
			t.Errorf("%q: %d", header, w.Code)
		}
	})
}
