package bearer_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/bearer"
	"github.com/gatehouse-dev/gatehouse/protocol/jose"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// An API: every request needs an access token for it, and each route says what
// the token must allow.
func ExampleNew() {
	tokens, err := bearer.New(bearer.Options{
		Issuer:   "https://id.example.com/",
		Audience: "https://api/tv-shows",
	})
	if err != nil {
		log.Fatal(err)
	}

	mux := http.NewServeMux()
	mux.Handle("GET /shows", guard.Require(tokens, guard.Permissions("read:shows"))(
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			who, _ := guard.From(r.Context())
			_ = json.NewEncoder(w).Encode(map[string]string{"hello": who.Subject})
		})))

	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/shows", nil))
	fmt.Println(w.Code, w.Header().Get("WWW-Authenticate"))
	fmt.Print(w.Body)
	// Output:
	// 401 Bearer
	// {"type":"about:blank","title":"Unauthorized","status":401}
}

// Tokens of two issuers: this house, and a customer's Keycloak with its roles.
func ExampleNew_issuers() {
	_, err := bearer.New(bearer.Options{
		Issuers: []bearer.Issuer{
			{Issuer: "https://id.example.com/", Audience: "https://api/tv-shows"},
			{
				Issuer: "https://sso.customer.example/realms/main", Audience: "tv-shows",
				Dialect: oauth.DialectUntyped, Roles: []string{"realm_access", "roles"},
			},
		},
	})
	fmt.Println(err)
	// Output: <nil>
}

// Opaque tokens: the issuer is asked, and its answer believed for ten seconds.
func ExampleNew_introspection() {
	_, err := bearer.New(bearer.Options{
		Issuer:   "https://id.example.com/",
		Audience: "https://api/tv-shows",
		Introspection: &bearer.Introspection{
			ClientID:     "tv-shows-api",
			ClientSecret: os.Getenv("INTROSPECTION_SECRET"),
		},
	})
	fmt.Println(err)
	// Output: bearer: Introspection needs ClientID and ClientSecret
}

// Tokens bound to a key of their sender. Every route of this API takes no
// others.
func ExampleNew_dPoP() {
	tokens, err := bearer.New(bearer.Options{
		Issuer:   "https://id.example.com/",
		Audience: "https://api/tv-shows",
		URL:      "https://api.example.com",
		DPoP:     &bearer.DPoP{},
	})
	if err != nil {
		log.Fatal(err)
	}
	api := guard.Require(tokens, guard.DPoPBound())(http.NotFoundHandler())

	w := httptest.NewRecorder()
	api.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/shows", nil))
	fmt.Println(strings.Join(w.Header().Values("WWW-Authenticate"), "\n"))
	// Output:
	// Bearer
	// DPoP algs="ES256 EdDSA PS256 RS256"
}

// Tokens bound to a client certificate, behind a proxy that ends TLS and sends
// the certificate along.
func ExampleForwardedCertificate() {
	_, err := bearer.New(bearer.Options{
		Issuer:      "https://id.example.com/",
		Audience:    "https://api/tv-shows",
		Certificate: bearer.ForwardedCertificate("Client-Cert", netip.MustParsePrefix("10.0.0.0/24")),
	})
	fmt.Println(err)
	// Output: <nil>
}

// A service that knows its issuer's public keys and fetches nothing.
func ExampleNew_keys() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	document, err := jose.Set{{KeyID: "2026", Alg: jose.ES256, Key: &key.PublicKey}}.Marshal()
	if err != nil {
		log.Fatal(err)
	}

	keys, err := jose.ParseSet(document)
	if err != nil {
		log.Fatal(err)
	}
	_, err = bearer.New(bearer.Options{Issuer: "billing", Audience: "https://api/tv-shows", Keys: keys})
	fmt.Println(err)
	// Output: <nil>
}

// A service that signs and checks its own tokens.
func ExampleNew_secret() {
	_, err := bearer.New(bearer.Options{Issuer: "billing", Audience: "billing", Secret: []byte("too short")})
	fmt.Println(err)
	// Output: bearer: jose: unfit key: HS256 secret of 9 bytes, want at least 32
}

// The metadata of an API, by which clients find out where to get tokens for it.
func ExampleScheme_Metadata() {
	tokens, err := bearer.New(bearer.Options{
		Issuer:   "https://id.example.com/",
		Audience: "https://api.example.com/",
		URL:      "https://api.example.com/",
		Resource: &bearer.Resource{Name: "TV shows", Scopes: []string{"read:shows"}},
	})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/.well-known/oauth-protected-resource", tokens.Metadata())
	mux.Handle("/", guard.Require(tokens)(http.NotFoundHandler()))

	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/shows", nil))
	fmt.Println(w.Header().Get("WWW-Authenticate"))
	// Output: Bearer resource_metadata="https://api.example.com/.well-known/oauth-protected-resource"
}
