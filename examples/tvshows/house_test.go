package tvshows_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/protocol/jose"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
	"github.com/gatehouse-dev/gatehouse/protocol/oidc"
)

const (
	audience = "https://api/tv-shows"
	clientID = "tv-shows-web"
	secret   = "a-secret-of-the-tests-a-secret-of-the-tests"
)

// house is as much of an OpenID provider as the forms need. It knows one
// person, Alice, and asks her nothing.
type house struct {
	URL string // the issuer

	signer *jose.Signer
	key    *ecdsa.PrivateKey

	mu      sync.Mutex
	granted string        // scope of the access tokens
	refuse  string        // error of the authorization endpoint, if not empty
	life    time.Duration // of access tokens
	ended   bool          // no refresh token is good any more
	codes   map[string]url.Values
	asked   []url.Values // the authorization requests
}

func newHouse(t *testing.T) *house {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner("key-1", jose.ES256, key)
	if err != nil {
		t.Fatal(err)
	}
	h := &house{signer: signer, key: key, granted: "openid profile email offline_access read:shows", life: 10 * time.Minute, codes: map[string]url.Values{}}
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	h.URL = server.URL + "/"
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]any{
			"issuer": h.URL, "authorization_endpoint": h.URL + "authorize", "token_endpoint": h.URL + "token",
			"jwks_uri": h.URL + "jwks", "end_session_endpoint": h.URL + "logout",
			"authorization_response_iss_parameter_supported": true, "token_endpoint_auth_methods_supported": []string{"client_secret_basic"},
		})
	})
	mux.HandleFunc("GET /jwks", func(w http.ResponseWriter, _ *http.Request) {
		set, err := jose.Set{{KeyID: "key-1", Alg: jose.ES256, Key: key.Public()}}.Marshal()
		if err != nil {
			t.Error(err)
		}
		_, _ = w.Write(set)
	})
	mux.HandleFunc("GET /authorize", h.authorize)
	mux.HandleFunc("POST /token", h.token)
	mux.HandleFunc("GET /logout", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, r.URL.Query().Get("post_logout_redirect_uri"), http.StatusSeeOther)
	})
	return h
}

// set changes the house while it is in use.
func (h *house) set(change func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change()
}

func (h *house) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	back := url.Values{"state": {q.Get("state")}, "iss": {h.URL}}
	h.set(func() {
		h.asked = append(h.asked, q)
		if h.refuse != "" {
			back.Set("error", h.refuse)
			return
		}
		code := rand.Text()
		h.codes[code] = q
		back.Set("code", code)
	})
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+back.Encode(), http.StatusSeeOther)
}

func (h *house) token(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	request, ok := h.codes[r.PostFormValue("code")]
	delete(h.codes, r.PostFormValue("code"))
	switch r.PostFormValue("grant_type") {
	case "authorization_code":
		ok = ok && oauth.VerifyPKCE(request.Get("code_challenge"), r.PostFormValue("code_verifier"))
	case "refresh_token":
		ok = !h.ended && strings.HasPrefix(r.PostFormValue("refresh_token"), "refresh-")
	}
	if !ok {
		answer(w, http.StatusBadRequest, map[string]any{"error": "invalid_grant"})
		return
	}
	now := time.Now()
	claims := map[string]any{
		"iss": h.URL, "sub": "alice", "aud": clientID, "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(), "auth_time": now.Unix(),
		"sid": "sid-of-alice", "amr": []string{"pwd"}, "name": "Alice <Archer>", "email": "alice@example.com",
	}
	if nonce := request.Get("nonce"); nonce != "" {
		claims["nonce"] = nonce
	}
	answer(w, http.StatusOK, map[string]any{
		"access_token": h.accessToken(h.granted, h.life), "id_token": h.sign(oidc.TypeIDToken, claims), "refresh_token": "refresh-" + rand.Text(),
		"token_type": "Bearer", "expires_in": int(h.life.Seconds()), "scope": h.granted,
	})
}

// accessToken returns a token for the API.
func (h *house) accessToken(scope string, life time.Duration) string {
	return h.accessTokenFor(audience, scope, life)
}

func (h *house) accessTokenFor(audience, scope string, life time.Duration) string {
	now := time.Now()
	return h.sign(oauth.TypeAccessToken, map[string]any{
		"iss": h.URL, "sub": "alice", "aud": audience, "client_id": clientID, "jti": rand.Text(),
		"iat": now.Unix() - 1000, "exp": now.Add(life).Unix(), "scope": scope,
	})
}

func (h *house) sign(typ string, claims map[string]any) string {
	payload, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	token, err := h.signer.Sign(typ, payload)
	if err != nil {
		panic(err)
	}
	return token
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
