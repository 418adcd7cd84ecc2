package bearer_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/bearer"
)

func TestMetadata(t *testing.T) {
	s, err := bearer.New(bearer.Options{
		URL: "https://api.example.com/v1",
		Issuers: []bearer.Issuer{
			{Issuer: "https://id.example.com/", Audience: audience},
			{Issuer: "https://other.example.com/", Audience: audience},
		},
		DPoP:     &bearer.DPoP{},
		Resource: &bearer.Resource{Name: "Shows", Scopes: []string{"read:shows"}, Documentation: "https://example.com/docs", CertificateBound: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	const location = "https://api.example.com/.well-known/oauth-protected-resource/v1"
	w := serve(s.Metadata(), httptest.NewRequest(http.MethodGet, strings.TrimPrefix(location, "https://api.example.com"), nil))
	var got map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != 200 || w.Header().Get("Content-Type") != "application/json" {
		t.Fatalf("%d %v %v", w.Code, w.Header(), err)
	}
	want := map[string]any{
		"resource":                                   "https://api.example.com/v1",
		"authorization_servers":                      []any{"https://id.example.com/", "https://other.example.com/"},
		"bearer_methods_supported":                   []any{"header"},
		"scopes_supported":                           []any{"read:shows"},
		"resource_name":                              "Shows",
		"resource_documentation":                     "https://example.com/docs",
		"dpop_signing_alg_values_supported":          []any{"ES256", "EdDSA", "PS256", "RS256"},
		"tls_client_certificate_bound_access_tokens": true,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if w := serve(s.Metadata(), httptest.NewRequest(http.MethodPost, "/", nil)); w.Code != 405 || w.Header().Get("Allow") == "" {
		t.Errorf("POST: %d", w.Code)
	}
	for _, challenge := range call(s, request()).Header().Values("WWW-Authenticate") {
		if !strings.Contains(challenge, `resource_metadata="`+location+`"`) {
			t.Errorf("challenge %s", challenge)
		}
	}

	_, plain, _ := setup(t, nil)
	if w := serve(plain.Metadata(), httptest.NewRequest(http.MethodGet, "/", nil)); w.Code != 404 {
		t.Errorf("without Resource: %d", w.Code)
	}
}

// RFC 9470: what signing in again has to reach stands in the challenge.
func TestStepUpChallenge(t *testing.T) {
	issuer, s, clock := setup(t, nil)
	token := issuer.AccessToken(t, audience, func(c map[string]any) { c["auth_time"] = clock.Now().Add(-time.Hour).Unix() })
	w := call(s, request("Bearer "+token), guard.Clock(clock.Now), guard.ACR("2", "3"), guard.MaxAge(5*time.Minute))
	want := `Bearer error="insufficient_user_authentication", error_description="This resource requires signing in again", acr_values="2 3", max_age="300"`
	if got := w.Header().Get("WWW-Authenticate"); w.Code != 401 || got != want {
		t.Errorf("%d %s", w.Code, got)
	}
}
