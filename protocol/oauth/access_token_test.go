package oauth_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-dev/gatehouse/protocol/jose"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

var (
	now = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

	es256 = sync.OnceValue(func() *jose.Signer {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			panic(err)
		}
		return must(jose.NewSigner("es", jose.ES256, key))
	})
	rs256 = sync.OnceValue(func() *jose.Signer {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		return must(jose.NewSigner("rs", jose.RS256, key))
	})
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func userClaims() oauth.AccessTokenClaims {
	return oauth.AccessTokenClaims{
		Issuer: "https://id.example.com/", Subject: "0b9f2c4e-7c1d-4a57-9f3a-0c9c2f6a1d2e", Audience: jose.Audience{"https://api/tv-shows"}, Expiry: jose.Date(now.Add(10 * time.Minute)), IssuedAt: jose.Date(now),
		ID: "3b8f1f1e8a4c4f0f9f3a0c9c2f6a1d2e", ClientID: "kq3v9X2mB7nL5pR8sT1uW4yZ6aC0dE2f", AuthorizedParty: "kq3v9X2mB7nL5pR8sT1uW4yZ6aC0dE2f", Scope: "openid profile read:shows", Permissions: []string{"read:shows", "write:shows"},
		SessionID: "Z6aC0dE2fkq3v9X2mB7nL5pR8sT1uW4y", GrantID: "01890a5d-ac96-774b-bcce-b302099a8057", AuthTime: jose.Date(now.Add(-time.Minute)), ACR: "1", AMR: []string{"pwd"}, OrganizationID: "org_1",
	}
}

func rules(d oauth.Dialect) oauth.AccessTokenRules {
	return oauth.AccessTokenRules{Issuer: "https://id.example.com/", Audience: []string{"https://api/tv-shows"}, Dialect: d, Algs: []jose.Alg{jose.ES256, jose.RS256}, Now: now, Leeway: oauth.DefaultLeeway}
}

func keys() jose.KeyFunc { return jose.Set{es256().Public(), rs256().Public()}.Lookup }

func mint(t testing.TB, s *jose.Signer, typ string, claims any) string {
	t.Helper()
	payload, ok := claims.(string)
	if !ok {
		payload = string(must(json.Marshal(claims)))
	}
	return must(s.Sign(typ, []byte(payload)))
}

func TestVerifyAccessToken(t *testing.T) {
	for _, d := range []oauth.Dialect{oauth.DialectRFC9068, oauth.DialectAuth0} {
		want := userClaims()
		payload := must(want.Payload())
		token, err := oauth.VerifyAccessToken(must(es256().Sign(d.Type(), payload)), rules(d), keys())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(&want, token.Claims()); diff != "" {
			t.Errorf("%s: %s", d, diff)
		}
		if string(token.Payload()) != string(payload) {
			t.Errorf("%s: payload %s", d, token.Payload())
		}
	}
}

// change applies one edit to good claims as a JSON object; value nil removes.
func change(t testing.TB, name string, value any) string {
	t.Helper()
	claims := userClaims()
	var object map[string]any
	if err := json.Unmarshal(must(claims.Payload()), &object); err != nil {
		t.Fatal(err)
	}
	if value == nil {
		delete(object, name)
	} else {
		object[name] = value
	}
	return string(must(json.Marshal(object)))
}

func TestThreat_JW06_IssuerAndAudience(t *testing.T) {
	raw := func(s string) json.RawMessage { return json.RawMessage(s) }
	for _, c := range []struct {
		name  string
		value any
		want  error
	}{
		{"iss", nil, oauth.ErrIssuer},
		{"iss", "", oauth.ErrIssuer},
		{"iss", "https://id.example.com", oauth.ErrIssuer},
		{"iss", "https://ID.example.com/", oauth.ErrIssuer},
		{"iss", "http://id.example.com/", oauth.ErrIssuer},
		{"iss", "https://id.example.com/ ", oauth.ErrIssuer},
		{"iss", "https://id.example.com//", oauth.ErrIssuer},
		{"iss", raw(`["https://id.example.com/"]`), jose.ErrJSON},
		{"iss", raw(`null`), jose.ErrJSON},
		{"iss", 1, jose.ErrJSON},
		{"aud", nil, oauth.ErrAudience},
		{"aud", "", oauth.ErrAudience},
		{"aud", "*", oauth.ErrAudience},
		{"aud", []string{"*"}, oauth.ErrAudience},
		{"aud", []string{}, oauth.ErrAudience},
		{"aud", "https://api/tv-shows/", oauth.ErrAudience},
		{"aud", "https://API/tv-shows", oauth.ErrAudience},
		{"aud", []string{"https://api/other"}, oauth.ErrAudience},
		{"aud", "https://api/tv-shows https://api/other", oauth.ErrAudience},
		{"aud", raw(`{"https://api/tv-shows":1}`), jose.ErrJSON},
		{"aud", raw(`[["https://api/tv-shows"]]`), jose.ErrJSON},
		{"aud", raw(`["https://api/tv-shows",1]`), jose.ErrJSON},
		{"aud", raw(`null`), jose.ErrJSON},
		{"aud", 1, jose.ErrJSON},
		{"azp", "another", oauth.ErrNotAccessToken},
		{"sub", nil, oauth.ErrNotAccessToken},
		{"sub", raw("1"), jose.ErrJSON},
	} {
		for _, d := range []oauth.Dialect{oauth.DialectRFC9068, oauth.DialectAuth0} {
			_, err := oauth.VerifyAccessToken(mint(t, es256(), d.Type(), change(t, c.name, c.value)), rules(d), keys())
			if !errors.Is(err, c.want) || oauth.CodeOf(err) != oauth.InvalidToken {
				t.Errorf("%s: %s %v: %v", d, c.name, c.value, err)
			}
		}
	}
	several := change(t, "aud", []string{"https://id.example.com/userinfo", "https://api/tv-shows"})
	if _, err := oauth.VerifyAccessToken(mint(t, es256(), "at+jwt", several), rules(oauth.DialectRFC9068), keys()); err != nil {
		t.Errorf("one of several audiences: %v", err)
	}
	// Rules that name nothing accept nothing, not even a token that says nothing.
	for _, c := range []struct {
		name   string
		clear  func(*oauth.AccessTokenRules)
		claims string
		want   error
	}{
		{"issuer", func(r *oauth.AccessTokenRules) { r.Issuer = "" }, change(t, "iss", ""), oauth.ErrIssuer},
		{"audience", func(r *oauth.AccessTokenRules) { r.Audience = nil }, several, oauth.ErrAudience},
		{"empty audience", func(r *oauth.AccessTokenRules) { r.Audience = []string{""} }, change(t, "aud", ""), oauth.ErrAudience},
		{"dialect", func(r *oauth.AccessTokenRules) { r.Dialect = "" }, several, oauth.ErrNotAccessToken},
		{"algorithms", func(r *oauth.AccessTokenRules) { r.Algs = nil }, several, jose.ErrAlgorithm},
	} {
		r := rules(oauth.DialectRFC9068)
		c.clear(&r)
		if _, err := oauth.VerifyAccessToken(mint(t, es256(), "at+jwt", c.claims), r, keys()); !errors.Is(err, c.want) {
			t.Errorf("rules without %s: %v", c.name, err)
		}
	}
	timeless := rules(oauth.DialectRFC9068)
	timeless.Now = time.Time{}
	if _, err := oauth.VerifyAccessToken(mint(t, es256(), "at+jwt", several), timeless, keys()); err == nil || errors.Is(err, oauth.ErrNotYetValid) {
		t.Errorf("rules without a time must say so: %v", err)
	}
}

func TestThreat_JW07_Times(t *testing.T) {
	at := func(d time.Duration) int64 { return now.Add(d).Unix() }
	for _, c := range []struct {
		name  string
		value any
		want  error
	}{
		{"exp", at(time.Second), nil},
		{"exp", at(0), nil},
		{"exp", at(-29 * time.Second), nil},
		{"exp", at(-30 * time.Second), oauth.ErrExpired},
		{"exp", at(-time.Hour), oauth.ErrExpired},
		{"exp", 1, oauth.ErrExpired},
		{"exp", int64(1) << 53, nil},
		{"exp", nil, oauth.ErrNotAccessToken},
		{"exp", 0, oauth.ErrNotAccessToken},
		{"exp", "1900000000", jose.ErrJSON},
		{"exp", 1900000000.5, jose.ErrJSON},
		{"exp", -1, jose.ErrJSON},
		{"exp", json.RawMessage("1e308"), jose.ErrJSON},
		{"exp", json.RawMessage("2e9"), jose.ErrJSON},
		{"exp", json.RawMessage("9007199254740993"), jose.ErrJSON},
		{"exp", json.RawMessage("null"), jose.ErrJSON},
		{"exp", []int{1}, jose.ErrJSON},
		{"exp", true, jose.ErrJSON},
		{"nbf", at(30 * time.Second), nil},
		{"nbf", at(31 * time.Second), oauth.ErrNotYetValid},
		{"nbf", "x", jose.ErrJSON},
		{"nbf", -1, jose.ErrJSON},
		{"nbf", 1.5, jose.ErrJSON},
		{"iat", at(30 * time.Second), nil},
		{"iat", at(31 * time.Second), oauth.ErrNotYetValid},
		{"iat", nil, oauth.ErrNotAccessToken},
		{"iat", "x", jose.ErrJSON},
		{"iat", -1, jose.ErrJSON},
		{"auth_time", "x", jose.ErrJSON},
		{"auth_time", 1.5, jose.ErrJSON},
	} {
		_, err := oauth.VerifyAccessToken(mint(t, es256(), "at+jwt", change(t, c.name, c.value)), rules(oauth.DialectRFC9068), keys())
		if !errors.Is(err, c.want) || c.want == nil && err != nil {
			t.Errorf("%s %v: %v", c.name, c.value, err)
		}
		if c.want != nil && errors.Is(err, oauth.ErrExpired) != (c.want == oauth.ErrExpired) {
			t.Errorf("%s %v: expired and invalid are confused: %v", c.name, c.value, err)
		}
	}
	// A forged or foreign token is invalid first, whatever its time.
	expired := change(t, "exp", at(-time.Hour))
	token := mint(t, es256(), "at+jwt", expired)
	if _, err := oauth.VerifyAccessToken(token[:len(token)-4]+"AAAA", rules(oauth.DialectRFC9068), keys()); errors.Is(err, oauth.ErrExpired) {
		t.Error("a forged token is called expired")
	}
	r := rules(oauth.DialectRFC9068)
	r.Audience = []string{"https://api/other"}
	if _, err := oauth.VerifyAccessToken(token, r, keys()); errors.Is(err, oauth.ErrExpired) {
		t.Error("a token for somebody else is called expired")
	}
}

func TestThreat_JW08_ClaimsByExactName(t *testing.T) {
	good := change(t, "x", 1)
	for name, payload := range map[string]string{
		"duplicate":         strings.Replace(good, `{`, `{"sub":"eve",`, 1),
		"escaped duplicate": strings.Replace(good, `{`, `{"s\u0075b":"eve",`, 1),
		"other case":        strings.Replace(good, `"sub"`, `"SUB"`, 1),
		"trailing":          good + `{}`,
		"BOM":               "\ufeff" + good,
		"invalid UTF-8":     strings.Replace(good, `"x":1`, "\"x\":\"\xff\"", 1),
		"too deep":          strings.Replace(good, `"x":1`, `"x":`+strings.Repeat("[", 20)+strings.Repeat("]", 20), 1),
		"array":             `[` + good + `]`, "text": `"x"`, "empty": ``, "null": `null`,
	} {
		if _, err := oauth.VerifyAccessToken(mint(t, es256(), "at+jwt", payload), rules(oauth.DialectRFC9068), keys()); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	// A name that differs by case alone is another claim.
	token, err := oauth.VerifyAccessToken(mint(t, es256(), "at+jwt", strings.Replace(good, `{`, `{"SUB":"eve","Scope":"admin",`, 1)), rules(oauth.DialectRFC9068), keys())
	if want := userClaims(); err != nil || token.Claims().Subject != want.Subject || token.Claims().Scope != want.Scope {
		t.Errorf("%+v, %v", token, err)
	}
}

func TestThreat_TK20_ClientIsNotAUser(t *testing.T) {
	id := "kq3v9X2mB7nL5pR8sT1uW4yZ6aC0dE2f"
	machine := userClaims()
	machine.Subject, machine.GrantID, machine.SessionID, machine.AuthTime, machine.AMR = id+oauth.ClientSubjectSuffix, "", "", 0, nil
	for _, d := range []oauth.Dialect{oauth.DialectRFC9068, oauth.DialectAuth0} {
		token, err := oauth.VerifyAccessToken(mint(t, es256(), d.Type(), machine), rules(d), keys())
		if err != nil || !token.Claims().IsClient() {
			t.Errorf("%s: %+v, %v", d, token, err)
		}
		other := machine
		other.Subject = "another" + oauth.ClientSubjectSuffix
		if _, err := oauth.VerifyAccessToken(mint(t, es256(), d.Type(), other), rules(d), keys()); !errors.Is(err, oauth.ErrNotAccessToken) {
			t.Errorf("%s: a client in another's name: %v", d, err)
		}
		bare := machine
		bare.Subject, bare.GrantID = id, "g"
		if token, err := oauth.VerifyAccessToken(mint(t, es256(), d.Type(), bare), rules(d), keys()); err != nil || token.Claims().IsClient() {
			t.Errorf("%s: a bare sub is a client: %v", d, err)
		}
	}
	user := userClaims()
	if user.IsClient() || (&oauth.AccessTokenClaims{Subject: oauth.ClientSubjectSuffix}).IsClient() {
		t.Error("a user is a client")
	}
}

func TestThreat_JW13_NoAccessTokenBesideAnError(t *testing.T) {
	for _, payload := range []string{change(t, "exp", 1), change(t, "iss", "x"), change(t, "aud", "x"), change(t, "sub", nil), change(t, "nonce", "n"), `{`} {
		if token, err := oauth.VerifyAccessToken(mint(t, es256(), "at+jwt", payload), rules(oauth.DialectRFC9068), keys()); token != nil || err == nil {
			t.Errorf("%s: %+v, %v", payload, token, err)
		}
	}
}

func FuzzThreat_JW07_AccessTokenPayload(f *testing.F) {
	claims := userClaims()
	f.Add(must(claims.Payload()))
	f.Add([]byte(`{"iss":"https://id.example.com/","sub":"a","aud":["https://api/tv-shows"],"exp":1e308,"iat":1}`))
	hostile := map[string]bool{}
	for _, exp := range []any{nil, 0, 1, -1, now.Unix() - 31, "1900000000", 1900000000.5, json.RawMessage("1e308"), json.RawMessage("2e9"), json.RawMessage("9007199254740993")} {
		payload := change(f, "exp", exp)
		hostile[payload] = true
		f.Add([]byte(payload))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		token, err := oauth.VerifyAccessToken(must(es256().Sign("at+jwt", payload)), rules(oauth.DialectRFC9068), keys())
		if err != nil {
			return
		}
		if hostile[string(payload)] {
			t.Fatalf("accepted %s", payload)
		}
		var reference struct {
			Iss, Sub string
			Exp      json.Number
		}
		if err := json.Unmarshal(payload, &reference); err != nil {
			t.Fatalf("%s: %v", payload, err)
		}
		if c := token.Claims(); c.Issuer != "https://id.example.com/" || c.Subject == "" || c.Expiry.Time().Before(now.Add(-time.Minute)) || !c.Audience.Contains("https://api/tv-shows") || c.ClientID == "" {
			t.Fatalf("%s: %+v", payload, c)
		}
	})
}

func benchVerify(b *testing.B, s *jose.Signer) {
	token, r, k := mint(b, s, "at+jwt", userClaims()), rules(oauth.DialectRFC9068), keys()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := oauth.VerifyAccessToken(token, r, k); err != nil {
			b.Fatal(err)
		}
	}
}

// Compare with BenchmarkBareVerifyES256 and BenchmarkBareVerifyRS256 of package
// jose.
func BenchmarkVerifyAccessTokenES256(b *testing.B) { benchVerify(b, es256()) }
func BenchmarkVerifyAccessTokenRS256(b *testing.B) { benchVerify(b, rs256()) }

func BenchmarkAccessTokenPayload(b *testing.B) {
	claims := userClaims()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := claims.Payload(); err != nil {
			b.Fatal(err)
		}
	}
}

// An issuer judges its own tokens by what their type says, and may be asked about those for others.
func TestRulesOfTheIssuer(t *testing.T) {
	own := rules(oauth.DialectAny)
	own.Audience, own.AnyAudience = nil, true
	for _, c := range []struct {
		name, typ string
		claims    string
		want      error
	}{
		{"rfc9068", oauth.TypeAccessToken, change(t, "gid", nil), nil},
		{"auth0", oauth.TypeJWT, change(t, "jti", nil), nil},
		{"for others", oauth.TypeAccessToken, change(t, "aud", "https://api/other"), nil},
		{"rfc9068 without jti", oauth.TypeAccessToken, change(t, "jti", nil), oauth.ErrNotAccessToken},
		{"auth0 without gid", oauth.TypeJWT, change(t, "gid", nil), oauth.ErrNotAccessToken},
		{"logout token", "logout+jwt", change(t, "gid", nil), jose.ErrType},
		{"for nobody", oauth.TypeAccessToken, change(t, "aud", nil), oauth.ErrAudience},
		{"for an empty name", oauth.TypeAccessToken, change(t, "aud", []string{""}), oauth.ErrAudience},
	} {
		if _, err := oauth.VerifyAccessToken(mint(t, es256(), c.typ, c.claims), own, keys()); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

// What is remembered is that a signature was right. Everything else is judged whenever a token comes.
func TestThreat_JW07_ARememberedTokenExpires(t *testing.T) {
	r := rules(oauth.DialectRFC9068)
	r.Memory = jose.NewMemory(16)
	token := mint(t, es256(), oauth.TypeAccessToken, userClaims())
	verify := func(r oauth.AccessTokenRules, want error) {
		t.Helper()
		if _, err := oauth.VerifyAccessToken(token, r, keys()); !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	}
	verify(r, nil)
	verify(r, nil)
	later := r
	later.Now = now.Add(time.Hour)
	verify(later, oauth.ErrExpired)
	elsewhere := r
	elsewhere.Audience = []string{"https://api/other"}
	verify(elsewhere, oauth.ErrAudience)
	foreign := r
	foreign.Issuer = "https://other.example.com/"
	verify(foreign, oauth.ErrIssuer)
	verify(r, nil)
}
