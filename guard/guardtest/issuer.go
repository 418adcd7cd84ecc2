package guardtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard/bearer"
	"github.com/gatehouse-dev/gatehouse/protocol/jose"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
	"github.com/gatehouse-dev/gatehouse/protocol/oidc"
)

// tokenLife is how long tokens live.
const tokenLife = 10 * time.Minute

// Issuer signs access tokens (RFC 9068) for one audience. It is safe for
// concurrent use.
type Issuer struct {
	// URL is the issuer.
	URL string
	// Audience is the API that its tokens are for.
	Audience string
	// Clock tells the time; NewIssuer and StartIssuer set time.Now.
	Clock func() time.Time

	t      testing.TB
	signer *jose.Signer
}

// NewIssuer returns an issuer without an address: its tokens are accepted by a
// bearer.Scheme made with its Options.
func NewIssuer(t testing.TB, audience string) *Issuer {
	t.Helper()
	return &Issuer{URL: DefaultIssuer, Audience: audience, Clock: time.Now, t: t, signer: newSigner(t, "key-1")}
}

// StartIssuer returns an issuer that serves its metadata and keys on a loopback
// address until the test ends, for an application that is configured by the
// address alone.
func StartIssuer(t testing.TB, audience string) *Issuer {
	t.Helper()
	i := NewIssuer(t, audience)
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	i.URL = server.URL + "/"
	metadata := map[string]any{"issuer": i.URL, "jwks_uri": i.URL + ".well-known/jwks.json"}
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(metadata)
	})
	mux.HandleFunc("GET /.well-known/jwks.json", func(w http.ResponseWriter, _ *http.Request) {
		data, err := i.Keys().Marshal()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/jwk-set+json")
		_, _ = w.Write(data)
	})
	return i
}

func newSigner(t testing.TB, kid string) *jose.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(kid, jose.ES256, key)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// Keys returns the issuer's public keys.
func (i *Issuer) Keys() jose.Set { return jose.Set{i.signer.Public()} }

// Options returns options of a bearer.Scheme that accepts the issuer's tokens
// for its audience, and asks nobody for keys.
func (i *Issuer) Options() bearer.Options {
	return bearer.Options{Issuer: i.URL, Audience: i.Audience, Keys: i.Keys(), Clock: i.Clock}
}

// Scheme returns a scheme with these Options.
func (i *Issuer) Scheme() *bearer.Scheme {
	i.t.Helper()
	s, err := bearer.New(i.Options())
	if err != nil {
		i.t.Fatal(err)
	}
	return s
}

// Token returns a good access token of a person, its claims changed by changes:
//
//	issuer.Token("alice", func(c map[string]any) { c["scope"] = "read:shows" })
func (i *Issuer) Token(subject string, changes ...func(claims map[string]any)) string {
	i.t.Helper()
	return i.sign(i.signer, oauth.TypeAccessToken, i.claims(subject), changes)
}

// ClientToken returns a good access token of an application that speaks for
// itself.
func (i *Issuer) ClientToken(clientID string, changes ...func(claims map[string]any)) string {
	i.t.Helper()
	claims := i.claims(clientID)
	claims["client_id"] = clientID
	for _, person := range []string{"sid", "auth_time", "amr"} {
		delete(claims, person)
	}
	return i.sign(i.signer, oauth.TypeAccessToken, claims, changes)
}

// Expired returns a token that was good until an hour ago.
func (i *Issuer) Expired(subject string) string {
	i.t.Helper()
	return i.Token(subject, func(c map[string]any) {
		end := i.Clock().Add(-time.Hour)
		c["iat"], c["exp"] = end.Add(-tokenLife).Unix(), end.Unix()
	})
}

// WrongAudience returns a token that is good at another API.
func (i *Issuer) WrongAudience(subject string) string {
	i.t.Helper()
	return i.Token(subject, func(c map[string]any) { c["aud"] = "https://another-api.test" })
}

// Bad returns a token of every kind that an API must refuse, by what is wrong
// with it, for a test that goes through them all:
//
//	for what, token := range issuer.Bad("alice") { … want 401 … }
func (i *Issuer) Bad(subject string) map[string]string {
	i.t.Helper()
	good := i.Token(subject)
	head, rest, _ := strings.Cut(good, ".")
	payload, signature, _ := strings.Cut(rest, ".")
	idToken := i.claims(subject)
	idToken["aud"] = DefaultClient
	admin, err := json.Marshal(i.claims("admin"))
	if err != nil {
		i.t.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	return map[string]string{
		"expired":        i.Expired(subject),
		"wrong audience": i.WrongAudience(subject),
		"wrong issuer":   i.Token(subject, func(c map[string]any) { c["iss"] = "https://another-issuer.test/" }),
		"no audience":    i.Token(subject, func(c map[string]any) { delete(c, "aud") }),
		"no expiry":      i.Token(subject, func(c map[string]any) { delete(c, "exp") }),
		"issued later":   i.Token(subject, func(c map[string]any) { c["iat"] = i.Clock().Add(time.Hour).Unix() }),
		"forged":         i.sign(newSigner(i.t, i.signer.KeyID()), oauth.TypeAccessToken, i.claims(subject), nil),
		"unknown key":    i.sign(newSigner(i.t, "another-key"), oauth.TypeAccessToken, i.claims(subject), nil),
		"an ID token":    i.sign(i.signer, oidc.TypeIDToken, idToken, nil),
		"tampered with":  head + "." + encode(admin) + "." + signature,
		"not signed":     encode([]byte(`{"alg":"none","typ":"at+jwt"}`)) + "." + payload + ".",
		"not a token":    "not-a-token",
	}
}

func (i *Issuer) claims(subject string) map[string]any {
	now := i.Clock()
	return map[string]any{
		"iss": i.URL, "sub": subject, "aud": i.Audience, "client_id": DefaultClient,
		"jti": rand.Text(), "gid": rand.Text(), "sid": rand.Text(),
		"iat": now.Unix(), "exp": now.Add(tokenLife).Unix(), "auth_time": now.Unix(), "amr": []string{"pwd"},
	}
}

func (i *Issuer) sign(signer *jose.Signer, typ string, claims map[string]any, changes []func(map[string]any)) string {
	i.t.Helper()
	for _, change := range changes {
		change(claims)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		i.t.Fatal(err)
	}
	token, err := signer.Sign(typ, payload)
	if err != nil {
		i.t.Fatal(err)
	}
	return token
}

func seconds(d time.Duration) string { return strconv.FormatInt(int64(d/time.Second), 10) }
