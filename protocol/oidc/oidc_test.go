package oidc_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-dev/gatehouse/protocol/jose"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
	"github.com/gatehouse-dev/gatehouse/protocol/oidc"
)

const (
	issuer   = "https://id.example.com/"
	clientID = "kq3v9X2mB7nL5pR8sT1uW4yZ6aC0dE2f"
	api      = "https://api/tv-shows"
	subject  = "0b9f2c4e-7c1d-4a57-9f3a-0c9c2f6a1d2e"
)

var (
	now  = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	algs = []jose.Alg{jose.ES256}

	signer = sync.OnceValue(func() *jose.Signer {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			panic(err)
		}
		return must(jose.NewSigner("k1", jose.ES256, key))
	})
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func keys() jose.KeyFunc { return jose.Set{signer().Public()}.Lookup }

func mint(typ string, claims any) string {
	payload, ok := claims.(string)
	if !ok {
		payload = string(must(json.Marshal(claims)))
	}
	return must(signer().Sign(typ, []byte(payload)))
}

func idClaims() oidc.IDTokenClaims {
	verified := true
	return oidc.IDTokenClaims{
		Issuer: issuer, Subject: subject, Audience: jose.Audience{clientID}, Expiry: jose.Date(now.Add(time.Hour)), IssuedAt: jose.Date(now), AuthTime: jose.Date(now.Add(-time.Minute)),
		Nonce: "n-0S6_WzA2Mj", ACR: "1", AMR: []string{"pwd"}, AuthorizedParty: clientID, SessionID: "sid", AccessTokenHash: oidc.HalfHash(jose.ES256, "at"), CodeHash: oidc.HalfHash(jose.ES256, "code"), OrganizationID: "org_1", OrganizationName: "acme",
		Profile: oidc.Profile{Name: "Ada Lovelace", GivenName: "Ada", FamilyName: "Lovelace", Nickname: "ada", Picture: "https://img.example/ada", UpdatedAt: 1893456000, Email: "ada@example.com", EmailVerified: &verified},
	}
}

func idRules() oidc.IDTokenRules {
	return oidc.IDTokenRules{Issuer: issuer, ClientID: clientID, Nonce: "n-0S6_WzA2Mj", Algs: algs, Now: now, Leeway: oauth.DefaultLeeway}
}

func TestVerifyIDToken(t *testing.T) {
	want, rules := idClaims(), idRules()
	minute := 60
	rules.AccessToken, rules.Code, rules.MaxAge = "at", "code", &minute
	token, err := oidc.VerifyIDToken(mint("JWT", string(must(want.Payload()))), rules, keys())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&want, token.Claims()); diff != "" {
		t.Error(diff)
	}
	if got := token.Claims().Client(); got != clientID {
		t.Errorf("client %q", got)
	}
}

// The example of Core §A.4 and §A.6: an access token and a code with their
// hashes.
func TestHalfHash(t *testing.T) {
	for s, want := range map[string]string{"jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y": "77QmUPtjPfzWtF2AnpK9RQ", "Qcb0Orv1zh30vL1MPRsbm-diHiMwcLyZvn1arpZv-Jxf_11jnpEX3Tgfvk": "LDktKdoQak3Pk0cnXxCltA"} {
		if got := oidc.HalfHash(jose.RS256, s); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if got := oidc.HalfHash(jose.EdDSA, "x"); len(got) != 43 {
		t.Errorf("EdDSA: %q", got)
	}
}

// change applies one edit to good claims; value nil removes.
func change(name string, value any) string {
	claims := idClaims()
	var object map[string]any
	if err := json.Unmarshal(must(claims.Payload()), &object); err != nil {
		panic(err)
	}
	if value == nil {
		delete(object, name)
	} else {
		object[name] = value
	}
	return string(must(json.Marshal(object)))
}

func TestThreat_JW06_IDToken(t *testing.T) {
	at := func(d time.Duration) int64 { return now.Add(d).Unix() }
	for _, c := range []struct {
		name  string
		value any
		want  error
		hint  bool // still good as a hint
	}{
		{"iss", nil, oauth.ErrIssuer, false},
		{"iss", "https://id.example.com", oauth.ErrIssuer, false},
		{"iss", "https://ID.example.com/", oauth.ErrIssuer, false},
		{"iss", "http://id.example.com/", oauth.ErrIssuer, false},
		{"iss", []string{issuer}, jose.ErrJSON, false},
		{"aud", nil, oauth.ErrAudience, false},
		{"aud", "*", oauth.ErrAudience, false},
		{"aud", []string{}, oauth.ErrAudience, false},
		{"aud", []string{"other"}, oauth.ErrAudience, false},
		{"aud", clientID + " ", oauth.ErrAudience, false},
		{"aud", []string{clientID, ""}, oauth.ErrAudience, false},
		{"aud", 1, jose.ErrJSON, false},
		{"aud", []string{clientID, "other"}, nil, true},
		{"azp", "other", oauth.ErrAudience, false},
		{"azp", nil, nil, true},
		{"sub", nil, oidc.ErrNotIDToken, false},
		{"sub", "", oidc.ErrNotIDToken, false},
		{"sub", 1, jose.ErrJSON, false},
		{"nonce", nil, oidc.ErrNonce, true},
		{"nonce", "x", oidc.ErrNonce, true},
		{"nonce", "N-0S6_WzA2Mj", oidc.ErrNonce, true},
		{"nonce", []string{"n-0S6_WzA2Mj"}, jose.ErrJSON, false},
		{"exp", nil, oidc.ErrNotIDToken, false},
		{"exp", at(-30 * time.Second), oauth.ErrExpired, true},
		{"exp", at(-29 * time.Second), nil, true},
		{"exp", "1", jose.ErrJSON, false},
		{"exp", 1.5, jose.ErrJSON, false},
		{"iat", nil, oidc.ErrNotIDToken, false},
		{"iat", at(31 * time.Second), oauth.ErrNotYetValid, true},
		{"auth_time", nil, oidc.ErrAuthTime, true},
		{"auth_time", at(-91 * time.Second), oidc.ErrAuthTime, true},
		{"auth_time", at(-90 * time.Second), nil, true},
		{"auth_time", "x", jose.ErrJSON, false},
		{"at_hash", "x", oidc.ErrHash, true},
		{"c_hash", "x", oidc.ErrHash, true},
		{"at_hash", nil, nil, true},
		{"gid", "g", oidc.ErrNotIDToken, false},
		{"events", map[string]any{}, oidc.ErrNotIDToken, false},
		{"client_id", clientID, oidc.ErrNotIDToken, false},
		{"name", 1, nil, true},
		{"email_verified", "true", nil, true},
		{"updated_at", "2030-01-01T00:00:00Z", nil, true},
	} {
		rules := idRules()
		minute := 60
		rules.AccessToken, rules.Code, rules.MaxAge = "at", "code", &minute
		token, err := oidc.VerifyIDToken(mint("JWT", change(c.name, c.value)), rules, keys())
		if !errors.Is(err, c.want) || (token == nil) == (err == nil) {
			t.Errorf("%s %v: %v", c.name, c.value, err)
		}
		hint, err := oidc.VerifyIDTokenHint(mint("JWT", change(c.name, c.value)), oidc.HintRules{Issuer: issuer, ClientID: clientID, Algs: algs}, keys())
		if (err == nil) != c.hint || (hint == nil) == (err == nil) {
			t.Errorf("%s %v as a hint: %v", c.name, c.value, err)
		}
	}
	// Without azp, several audiences leave open who is meant.
	several := strings.Replace(change("azp", nil), `"aud":"`+clientID+`"`, `"aud":["`+clientID+`","other"]`, 1)
	if _, err := oidc.VerifyIDToken(mint("JWT", several), idRules(), keys()); !errors.Is(err, oauth.ErrAudience) {
		t.Errorf("several audiences without azp: %v", err)
	}
	// No nonce asked for, none taken.
	rules := idRules()
	rules.Nonce = ""
	if _, err := oidc.VerifyIDToken(mint("JWT", change("x", 1)), rules, keys()); !errors.Is(err, oidc.ErrNonce) {
		t.Errorf("a nonce nobody asked for: %v", err)
	}
	for name, clear := range map[string]func(*oidc.IDTokenRules){"issuer": func(r *oidc.IDTokenRules) { r.Issuer = "" }, "client": func(r *oidc.IDTokenRules) { r.ClientID = "" }, "algorithms": func(r *oidc.IDTokenRules) { r.Algs = nil }, "time": func(r *oidc.IDTokenRules) { r.Now = time.Time{} }} {
		rules := idRules()
		clear(&rules)
		if _, err := oidc.VerifyIDToken(mint("JWT", change("x", 1)), rules, keys()); err == nil {
			t.Errorf("accepted without %s", name)
		}
	}
}

func TestThreat_LO04_Hint(t *testing.T) {
	stranger := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	forger := must(jose.NewSigner("k1", jose.ES256, stranger))
	claims := idClaims()
	good := mint("JWT", claims)
	rules := oidc.HintRules{Issuer: issuer, Algs: algs}
	if token, err := oidc.VerifyIDTokenHint(good, rules, keys()); err != nil || token.Claims().Client() != clientID || token.Claims().SessionID != "sid" {
		t.Fatalf("%+v, %v", token, err)
	}
	for name, token := range map[string]string{
		"forged":         must(forger.Sign("JWT", must(claims.Payload()))),
		"modified":       good[:len(good)-2] + "AA",
		"unsigned":       good[:strings.LastIndexByte(good, '.')+1],
		"of a client":    mint("JWT", change("sub", clientID+"@clients")),
		"of the API":     mint("JWT", strings.Replace(change("azp", clientID), `"aud":"`+clientID+`"`, `"aud":"`+api+`"`, 1)),
		"of another key": must(must(jose.NewSigner("k2", jose.ES256, stranger)).Sign("JWT", must(claims.Payload()))),
	} {
		if _, err := oidc.VerifyIDTokenHint(token, rules, keys()); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	rules.ClientID = "other"
	if _, err := oidc.VerifyIDTokenHint(good, rules, keys()); !errors.Is(err, oauth.ErrAudience) {
		t.Errorf("another client's: %v", err)
	}
}

// Every kind of token before every reader, all with the same key, issuer,
// subject and an audience that names everybody: only the diagonal passes.
func TestThreat_JW05_Matrix(t *testing.T) {
	everybody := jose.Audience{clientID, api}
	access := oauth.AccessTokenClaims{Issuer: issuer, Subject: subject, Audience: everybody, Expiry: jose.Date(now.Add(time.Minute)), IssuedAt: jose.Date(now), ID: "jti", ClientID: clientID, AuthorizedParty: clientID, Scope: "openid", SessionID: "sid", GrantID: "gid"}
	machine := access
	machine.Subject, machine.GrantID, machine.SessionID = clientID+oauth.ClientSubjectSuffix, "", ""
	id := idClaims()
	id.Audience, id.Nonce = everybody, ""
	bareID := oidc.IDTokenClaims{Issuer: issuer, Subject: subject, Audience: everybody, Expiry: id.Expiry, IssuedAt: id.IssuedAt, AuthorizedParty: clientID}
	logout := oidc.LogoutTokenClaims{Issuer: issuer, Subject: subject, Audience: everybody, IssuedAt: jose.Date(now), Expiry: jose.Date(now.Add(time.Minute)), ID: "jti", SessionID: "sid"}
	logoutPayload := string(must(logout.Payload()))
	assertion := map[string]any{"iss": clientID, "sub": clientID, "aud": everybody, "jti": "jti", "iat": now.Unix(), "exp": now.Add(time.Minute).Unix()}
	proof := map[string]any{"jti": "jti", "htm": "POST", "htu": issuer + "oauth/token", "iat": now.Unix(), "iss": issuer, "sub": subject, "aud": everybody, "exp": now.Add(time.Minute).Unix(), "azp": clientID, "gid": "gid", "client_id": clientID}
	event := map[string]any{"iss": issuer, "aud": everybody, "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(), "jti": "jti", "sub": subject, "azp": clientID, "events": map[string]any{"https://schemas.openid.net/secevent/caep/event-type/session-revoked": map[string]any{}}}

	kinds := []struct{ name, token, readers string }{
		{"access token, rfc9068", mint("at+jwt", access), "rfc9068"},
		{"access token, auth0", mint("JWT", access), "auth0"},
		{"client's access token, rfc9068", mint("at+jwt", machine), "rfc9068"},
		{"client's access token, auth0", mint("JWT", machine), "auth0"},
		{"ID token", mint("JWT", id), "id_token id_token_hint"},
		{"the least ID token", mint("JWT", bareID), "id_token id_token_hint"},
		{"logout token", mint("logout+jwt", logoutPayload), "logout loose_logout"},
		{"logout token of type JWT", mint("JWT", logoutPayload), "loose_logout"},
		{"client assertion", mint("JWT", assertion), ""},
		{"DPoP proof", mint("dpop+jwt", proof), ""},
		{"DPoP proof of type JWT", mint("JWT", proof), ""},
		{"security event", mint("secevent+jwt", event), ""},
		{"security event of type JWT", mint("JWT", event), ""},
		{"request object", mint("oauth-authz-req+jwt", assertion), ""},
		{"refresh token", "0190a5dac96774bbcceb302099a8057.3.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", ""},
		{"code", "Z6aC0dE2fkq3v9X2mB7nL5pR8sT1uW4y", ""},
	}
	readers := map[string]func(token string) error{
		"rfc9068": func(token string) error {
			_, err := oauth.VerifyAccessToken(token, oauth.AccessTokenRules{Issuer: issuer, Audience: []string{api}, Dialect: oauth.DialectRFC9068, Algs: algs, Now: now}, keys())
			return err
		},
		"auth0": func(token string) error {
			_, err := oauth.VerifyAccessToken(token, oauth.AccessTokenRules{Issuer: issuer, Audience: []string{api}, Dialect: oauth.DialectAuth0, Algs: algs, Now: now}, keys())
			return err
		},
		"id_token": func(token string) error {
			_, err := oidc.VerifyIDToken(token, oidc.IDTokenRules{Issuer: issuer, ClientID: clientID, Algs: algs, Now: now}, keys())
			return err
		},
		"id_token_hint": func(token string) error {
			_, err := oidc.VerifyIDTokenHint(token, oidc.HintRules{Issuer: issuer, Algs: algs}, keys())
			return err
		},
		"logout": func(token string) error {
			_, err := oidc.VerifyLogoutToken(token, oidc.LogoutTokenRules{Issuer: issuer, ClientID: clientID, Algs: algs, Now: now}, keys())
			return err
		},
		"loose_logout": func(token string) error {
			_, err := oidc.VerifyLogoutToken(token, oidc.LogoutTokenRules{Issuer: issuer, ClientID: clientID, Algs: algs, Now: now, Loose: true}, keys())
			return err
		},
	}
	for _, kind := range kinds {
		for name, read := range readers {
			want := strings.Contains(" "+kind.readers+" ", " "+name+" ")
			if err := read(kind.token); (err == nil) != want {
				t.Errorf("%s read as %s: %v", kind.name, name, err)
			}
		}
	}
}

func TestThreat_LO05_LogoutToken(t *testing.T) {
	rules := oidc.LogoutTokenRules{Issuer: issuer, ClientID: clientID, Algs: algs, Now: now, Leeway: oauth.DefaultLeeway}
	good := oidc.LogoutTokenClaims{Issuer: issuer, Subject: subject, Audience: jose.Audience{clientID}, IssuedAt: jose.Date(now), Expiry: jose.Date(now.Add(2 * time.Minute)), ID: "jti", SessionID: "sid"}
	token, err := oidc.VerifyLogoutToken(mint("logout+jwt", string(must(good.Payload()))), rules, keys())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&good, token.Claims()); diff != "" {
		t.Error(diff)
	}
	at := func(d time.Duration) int64 { return now.Add(d).Unix() }
	for _, c := range []struct {
		name  string
		value any
		want  error
	}{
		{"sub", nil, nil},
		{"sid", nil, nil},
		{"typ", "JWT", nil},
		{"events", nil, oidc.ErrNotLogoutToken},
		{"events", map[string]any{}, oidc.ErrNotLogoutToken},
		{"events", map[string]any{"http://schemas.openid.net/event/backchannel-logout": 1}, oidc.ErrNotLogoutToken},
		{"events", map[string]any{"http://schemas.openid.net/event/other": map[string]any{}}, oidc.ErrNotLogoutToken},
		{"events", "x", jose.ErrJSON},
		{"events", []any{}, jose.ErrJSON},
		{"nonce", "x", oidc.ErrNotLogoutToken},
		{"nonce", "", oidc.ErrNotLogoutToken},
		{"nonce", 1, oidc.ErrNotLogoutToken},
		{"iss", nil, oauth.ErrIssuer},
		{"iss", "https://id.example.com", oauth.ErrIssuer},
		{"aud", nil, oauth.ErrAudience},
		{"aud", "other", oauth.ErrAudience},
		{"jti", nil, oidc.ErrNotLogoutToken},
		{"iat", nil, oidc.ErrNotLogoutToken},
		{"exp", nil, oidc.ErrNotLogoutToken},
		{"exp", at(-31 * time.Second), oauth.ErrExpired},
		{"iat", at(-3 * time.Minute), oauth.ErrExpired},
		{"iat", at(time.Minute), oauth.ErrNotYetValid},
		{"exp", "x", jose.ErrJSON},
	} {
		var object map[string]any
		if err := json.Unmarshal(must(good.Payload()), &object); err != nil {
			t.Fatal(err)
		}
		object[c.name] = c.value
		if c.value == nil {
			delete(object, c.name)
		}
		if _, err := oidc.VerifyLogoutToken(mint("logout+jwt", object), rules, keys()); !errors.Is(err, c.want) {
			t.Errorf("%s %v: %v", c.name, c.value, err)
		}
	}
	// Before the final specification, tokens had no exp. Their age bounds them still.
	loose := rules
	loose.Loose = true
	for _, c := range []struct {
		age  time.Duration
		want error
	}{{0, nil}, {2 * time.Minute, nil}, {3 * time.Minute, oauth.ErrExpired}} {
		old := good
		old.IssuedAt, old.Expiry = jose.Date(now.Add(-c.age)), 0
		payload := strings.Replace(string(must(old.Payload())), `"exp":0,`, "", 1)
		if _, err := oidc.VerifyLogoutToken(mint("JWT", payload), loose, keys()); !errors.Is(err, c.want) {
			t.Errorf("%v old, loose: %v", c.age, err)
		}
		if _, err := oidc.VerifyLogoutToken(mint("logout+jwt", payload), rules, keys()); !errors.Is(err, oidc.ErrNotLogoutToken) {
			t.Errorf("no exp, strict: %v", err)
		}
	}
	both := good
	both.Subject, both.SessionID = "", ""
	if _, err := oidc.VerifyLogoutToken(mint("logout+jwt", string(must(both.Payload()))), rules, keys()); !errors.Is(err, oidc.ErrNotLogoutToken) {
		t.Errorf("neither sub nor sid: %v", err)
	}
}

func TestProfileForScope(t *testing.T) {
	p := idClaims().Profile
	for scope, want := range map[string]string{
		"openid":               `{}`,
		"openid email":         `{"email":"ada@example.com","email_verified":true}`,
		"openid profile":       `{"name":"Ada Lovelace","given_name":"Ada","family_name":"Lovelace","nickname":"ada","picture":"https://img.example/ada","updated_at":1893456000}`,
		"openid profile email": `{"name":"Ada Lovelace","given_name":"Ada","family_name":"Lovelace","nickname":"ada","picture":"https://img.example/ada","updated_at":1893456000,"email":"ada@example.com","email_verified":true}`,
	} {
		if got := string(must(json.Marshal(p.ForScope(must(oauth.ParseScope(scope)))))); got != want {
			t.Errorf("%s:\n got %s\nwant %s", scope, got, want)
		}
	}
}

// The wire forms, as files to be read and reviewed.
func TestGoldens(t *testing.T) {
	id, access := idClaims(), oauth.AccessTokenClaims{
		Issuer: issuer, Subject: subject, Audience: jose.Audience{api, issuer + "userinfo"}, Expiry: jose.Date(now.Add(10 * time.Minute)), IssuedAt: jose.Date(now), ID: "3b8f1f1e", ClientID: clientID, AuthorizedParty: clientID,
		Scope: "openid read:shows", Permissions: []string{"read:shows"}, SessionID: "sid", GrantID: "gid", AuthTime: jose.Date(now), ACR: "1", AMR: []string{"pwd"}, OrganizationID: "org_1",
	}
	golden(t, "id_token.json", &id)
	golden(t, "access_token.json", &access)
	golden(t, "logout_token.json", json.RawMessage(must(oidc.LogoutTokenClaims{Issuer: issuer, Audience: jose.Audience{clientID}, IssuedAt: jose.Date(now), Expiry: jose.Date(now.Add(2 * time.Minute)), ID: "jti", SessionID: "sid"}.Payload())))
	golden(t, "userinfo.json", oidc.UserInfo{Subject: subject, Profile: id.Profile})
	golden(t, "discovery.json", oidc.Metadata{
		Issuer: issuer, AuthorizationEndpoint: issuer + "authorize", TokenEndpoint: issuer + "oauth/token", UserinfoEndpoint: issuer + "userinfo", JWKSURI: issuer + ".well-known/jwks.json",
		RevocationEndpoint: issuer + "oauth/revoke", IntrospectionEndpoint: issuer + "oauth/introspect", EndSessionEndpoint: issuer + "oidc/logout",
		ScopesSupported: []string{"openid", "profile", "email", "offline_access"}, ResponseTypesSupported: []string{"code", "id_token", "code id_token"}, ResponseModesSupported: []string{"query", "form_post", "web_message"},
		GrantTypesSupported: []string{"authorization_code", "refresh_token", "client_credentials"}, SubjectTypesSupported: []string{"public"}, IDTokenSigningAlgValuesSupported: []string{"RS256", "ES256"},
		TokenEndpointAuthMethodsSupported: []string{"client_secret_basic", "client_secret_post", "none"}, CodeChallengeMethodsSupported: []string{"S256"}, AuthorizationResponseIssParameterSupported: true,
	})
}

func golden(t *testing.T, name string, v any) {
	t.Helper()
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		t.Fatal(err)
	}
	file := "testdata/" + name
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(file, []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(string(must(os.ReadFile(file))), text.String()); diff != "" {
		t.Errorf("%s: %s", file, diff)
	}
}

func FuzzThreat_JW08_IDTokenPayload(f *testing.F) {
	claims := idClaims()
	good := string(must(claims.Payload()))
	f.Add([]byte(good))
	hostile := map[string]bool{}
	for _, payload := range []string{
		strings.Replace(good, `{`, `{"sub":"eve",`, 1), strings.Replace(good, `{`, `{"s\u0075b":"eve",`, 1), strings.Replace(good, `"sub"`, `"SUB"`, 1), good + `{}`, "\ufeff" + good,
		strings.Replace(good, `{`, "{\"x\":\"\xff\",", 1), strings.Replace(good, `{`, `{"x":`+strings.Repeat("[", 20)+strings.Repeat("]", 20)+`,`, 1),
	} {
		hostile[payload] = true
		f.Add([]byte(payload))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		token, err := oidc.VerifyIDToken(must(signer().Sign("JWT", payload)), idRules(), keys())
		if err != nil {
			return
		}
		if hostile[string(payload)] {
			t.Fatalf("accepted %s", payload)
		}
		var reference map[string]json.RawMessage
		if err := json.Unmarshal(payload, &reference); err != nil {
			t.Fatalf("%s: %v", payload, err)
		}
		var sub string
		if err := json.Unmarshal(reference["sub"], &sub); err != nil || sub != token.Claims().Subject {
			t.Fatalf("%s: sub %q, %v", payload, token.Claims().Subject, err)
		}
	})
}
