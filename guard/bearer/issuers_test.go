package bearer_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
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

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// Two issuers whose keys have the same kids. A token counts only by the keys and
// the rules of the issuer it names.
func TestThreat_JW04_KidsOfOneIssuerAreNotAnothers(t *testing.T) {
	clock := testclock.New()
	a, b, stranger := testissuer.New(t), testissuer.New(t), testissuer.New(t)
	for _, i := range []*testissuer.Issuer{a, b, stranger} {
		i.Now = clock.Now
	}
	s, err := bearer.New(bearer.Options{Clock: clock.Now, Logger: slog.New(slog.DiscardHandler), Issuers: []bearer.Issuer{
		{Issuer: a.URL, Audience: audience},
		{Issuer: b.URL, Audience: "https://api/other-name", Dialect: oauth.DialectAuth0},
	}})
	if err != nil {
		t.Fatal(err)
	}
	says := func(issuer string) func(map[string]any) { return func(c map[string]any) { c["iss"] = issuer } }
	tests := []struct {
		name   string
		token  string
		issuer string // who vouches in the end, empty if it is refused
	}{
		{"of A", a.AccessToken(t, audience, nil), a.URL},
		{"of B", b.Sign(t, "JWT", b.AccessClaims("https://api/other-name")), b.URL},
		{"of A, in B's dialect", a.Sign(t, "JWT", a.AccessClaims(audience)), ""},
		{"of B, in A's dialect", b.Sign(t, "at+jwt", b.AccessClaims("https://api/other-name")), ""},
		{"of A, for B's audience", a.AccessToken(t, "https://api/other-name", nil), ""},
		{"of B, for A's audience", b.Sign(t, "JWT", b.AccessClaims(audience)), ""},
		{"of A, in B's name", a.AccessToken(t, audience, says(b.URL)), ""},
		{"of B, in A's name", b.AccessToken(t, audience, says(a.URL)), ""},
		{"of B, in A's name and B's dialect", b.Sign(t, "JWT", func() map[string]any { c := b.AccessClaims(audience); c["iss"] = a.URL; return c }()), ""},
		{"of a stranger", stranger.AccessToken(t, audience, nil), ""},
		{"of a stranger, in A's name", stranger.AccessToken(t, audience, says(a.URL)), ""},
		{"of A, in nobody's name", a.AccessToken(t, audience, func(c map[string]any) { delete(c, "iss") }), ""},
		{"of A, in the name of a list", a.AccessToken(t, audience, func(c map[string]any) { c["iss"] = []string{a.URL, b.URL} }), ""},
		{"of A, without its slash", a.AccessToken(t, audience, says(strings.TrimSuffix(a.URL, "/"))), ""},
		{"opaque", rand.Text(), ""},
	}
	for range 2 { // the second time some are remembered
		for _, tt := range tests {
			p, err := s.Verify(t.Context(), tt.token)
			if (err == nil) != (tt.issuer != "") || err == nil && p.Issuer != tt.issuer {
				t.Errorf("%s: %v, %v", tt.name, p, err)
			}
		}
	}
	if n := stranger.Hits("/jwks") + stranger.Hits("/.well-known/openid-configuration"); n != 0 {
		t.Errorf("an issuer that only a token names was asked %d times", n)
	}
}

// Tokens of another provider, whose roles stand where that provider puts them.
func TestUntypedTokensAndRoles(t *testing.T) {
	issuer, s, _ := setup(t, func(o *bearer.Options) {
		o.Dialect, o.Roles = oauth.DialectUntyped, []string{"realm_access", "roles"}
		o.Claims = func(p *guard.Principal) error {
			var claims struct {
				Group string `json:"https://example.com/group"`
			}
			if err := p.DecodeClaims(&claims); err != nil {
				return err
			}
			if claims.Group == "banned" {
				return errors.New("this group is not welcome")
			}
			p.Organization = claims.Group
			return nil
		}
	})
	keycloak := func(change func(map[string]any)) string {
		now := issuer.Now()
		c := map[string]any{
			"iss": issuer.URL, "sub": "alice", "aud": []string{audience, "account"}, "azp": "shop", "typ": "Bearer", "jti": "1", "scope": "openid read:shows",
			"iat": now.Unix(), "exp": now.Add(time.Minute).Unix(), "https://example.com/group": "red", "realm_access": map[string]any{"roles": []string{"editor", "viewer"}},
		}
		if change != nil {
			change(c)
		}
		return issuer.Sign(t, "JWT", c)
	}
	p, err := s.Verify(t.Context(), keycloak(nil))
	if err != nil || !slices.Equal(p.Roles, []string{"editor", "viewer"}) || p.Organization != "red" || p.ClientID != "shop" || !p.IsUser() {
		t.Fatalf("%+v, %v", p, err)
	}
	w := call(s, request("Bearer "+keycloak(nil)), guard.Roles("editor"))
	if w.Code != 200 {
		t.Errorf("an editor: %d", w.Code)
	}
	for name, change := range map[string]func(map[string]any){
		"no realm_access": func(c map[string]any) { delete(c, "realm_access") },
		"no roles":        func(c map[string]any) { c["realm_access"] = map[string]any{} },
	} {
		if p, err := s.Verify(t.Context(), keycloak(change)); err != nil || len(p.Roles) != 0 {
			t.Errorf("%s: %v, %v", name, p, err)
		}
	}
	for name, change := range map[string]func(map[string]any){
		"roles are text":      func(c map[string]any) { c["realm_access"] = map[string]any{"roles": "editor"} },
		"realm_access is one": func(c map[string]any) { c["realm_access"] = "roles" },
		"Claims refuses":      func(c map[string]any) { c["https://example.com/group"] = "banned" },
		"an ID token":         func(c map[string]any) { c["typ"] = "ID" },
	} {
		if _, err := s.Verify(t.Context(), keycloak(change)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestStaticKeys(t *testing.T) {
	clock, key := testclock.New(), newKey(t)
	signer, err := jose.NewSigner("k-1", jose.ES256, key)
	if err != nil {
		t.Fatal(err)
	}
	document, err := jose.Set{signer.Public()}.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	keys, err := jose.ParseSet(document)
	if err != nil {
		t.Fatal(err)
	}
	s, err := bearer.New(bearer.Options{Issuer: "billing", Audience: audience, Keys: keys, Clock: clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.Verify(t.Context(), ownToken(t, signer, clock, nil))
	if err != nil || p.Issuer != "billing" || p.KeyID != "k-1" || p.Subject != "alice" {
		t.Errorf("%+v, %v", p, err)
	}
	other, err := jose.NewSigner("k-1", jose.ES256, newKey(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Verify(t.Context(), ownToken(t, other, clock, nil)); err == nil {
		t.Error("signed with another key of the same kid: accepted")
	}
	unknown, err := jose.NewSigner("k-2", jose.ES256, key)
	if err != nil {
		t.Fatal(err)
	}
	if w := call(s, request("Bearer "+ownToken(t, unknown, clock, nil))); w.Code != 401 {
		t.Errorf("an unknown kid: %d", w.Code)
	}
}

func ownToken(t testing.TB, signer *jose.Signer, clock *testclock.Clock, change func(map[string]any)) string {
	t.Helper()
	now := clock.Now()
	claims := map[string]any{
		"iss": "billing", "sub": "alice", "aud": audience, "client_id": "billing", "jti": rand.Text(), "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
	}
	if change != nil {
		change(claims)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	token, err := signer.Sign(oauth.TypeAccessToken, payload)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// One service that signs for itself. The secret never meets a public key, and a
// public key never becomes a secret.
func TestThreat_JW02_SecretsAndPublicKeysDoNotMix(t *testing.T) {
	clock := testclock.New()
	secret := []byte(rand.Text() + rand.Text())
	signer, err := jose.NewHS256Signer("any", secret)
	if err != nil {
		t.Fatal(err)
	}
	s, err := bearer.New(bearer.Options{Issuer: "billing", Audience: audience, Secret: secret, Clock: clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := s.Verify(t.Context(), ownToken(t, signer, clock, nil)); err != nil {
			t.Error(err)
		}
	}
	key := newKey(t)
	es, err := jose.NewSigner("any", jose.ES256, key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Verify(t.Context(), ownToken(t, es, clock, nil)); err == nil {
		t.Error("a public-key signature where there is a secret: accepted")
	}
	// The other way: the public key in every form as the secret of an HMAC.
	keys := jose.Set{es.Public()}
	public, err := bearer.New(bearer.Options{Issuer: "billing", Audience: audience, Keys: keys, Clock: clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	jwks, err := keys.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	payload := strings.Split(ownToken(t, es, clock, nil), ".")[1]
	for name, bytes := range map[string][]byte{"JWKS": jwks, "DER": der, "empty": nil, "base64": []byte(base64.StdEncoding.EncodeToString(der))} {
		input := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"at+jwt","kid":"any"}`)) + "." + payload
		mac := hmac.New(sha256.New, bytes)
		mac.Write([]byte(input))
		for _, scheme := range []*bearer.Scheme{public, s} {
			if _, err := scheme.Verify(t.Context(), input+"."+base64.RawURLEncoding.EncodeToString(mac.Sum(nil))); err == nil {
				t.Errorf("%s as secret: accepted", name)
			}
		}
	}
	for name, o := range map[string]bearer.Options{
		"short":                  {Secret: secret[:31]},
		"empty":                  {Secret: []byte{}},
		"beside keys":            {Secret: secret, Keys: keys},
		"beside algorithms":      {Secret: secret, Algorithms: []jose.Alg{jose.ES256}},
		"HS256 by name":          {Algorithms: []jose.Alg{jose.HS256}},
		"a secret among keys":    {Keys: jose.Set{{Alg: jose.HS256, Key: secret}}},
		"a private key as a key": {Keys: jose.Set{{Alg: jose.ES256, Key: key}}},
		"no keys":                {Keys: jose.Set{}},
	} {
		o.Issuer, o.Audience = "https://id.example.com/", audience
		if _, err := bearer.New(o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestNewWithSeveralIssuersReportsEveryProblem(t *testing.T) {
	ask := &bearer.Introspection{ClientID: "a", ClientSecret: "b"}
	_, err := bearer.New(bearer.Options{
		Audience: audience,
		Issuers: []bearer.Issuer{
			{Issuer: "https://a.example.com/", Audience: "x", Introspection: ask},
			{Issuer: "https://a.example.com/", Audience: "y", Introspection: ask},
			{Issuer: "http://b.example.com/", Audience: "y"},
			{Issuer: "https://c.example.com/", Introspection: &bearer.Introspection{TTL: time.Hour}},
		},
		DPoP:     &bearer.DPoP{NonceKey: []byte("short"), Algorithms: []jose.Alg{jose.HS256}},
		Resource: &bearer.Resource{},
	})
	for _, want := range []string{
		"Issuer is missing", "twice among the issuers", "set for two issuers", "must be https", "Audience is missing", "ClientID and ClientSecret", "at most 5m",
		"URL is missing", "NonceKey", `DPoP: Algorithms: "HS256"`,
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
}
