// Package testissuer is a small OpenID provider with real keys for the tests of
// the guard: it approves everybody at once, as the user "alice", and does what
// a test tells it to do wrong. It is a peer to test against, not a model.
package testissuer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
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

// ClientID and ClientSecret are the one client's; the secret needs encoding in a
// Basic header, as secrets may.
const (
	ClientID     = "tv-shows-web"
	ClientSecret = "s3cret: with + and %"
)

// Issuer is a provider on a loopback address. Set its hooks before use, or under
// Lock.
type Issuer struct {
	// URL is the issuer, with a slash at its end.
	URL string
	// Now is the provider's clock.
	Now func() time.Time

	// The hooks change what is about to be sent; nil ones change nothing.
	Metadata      func(map[string]any)
	IDToken       func(claims map[string]any)
	Callback      func(url.Values)
	TokenResponse func(map[string]any)
	// Before runs ahead of every request and answers it by returning true.
	Before func(w http.ResponseWriter, r *http.Request) bool
	// KeysCacheControl is sent with the keys.
	KeysCacheControl string
	// Introspection changes an answer about a token before it is sent.
	Introspection func(token string, answer map[string]any)
	// AccessLife is how long access tokens live.
	AccessLife time.Duration

	server *httptest.Server

	mu      sync.Mutex
	hits    map[string]int
	keys    []key
	nextKey int
	codes   map[string]url.Values
	pushed  map[string]url.Values // by reference
	refresh map[string]refreshState
	forms   []url.Values
	opaque  map[string]map[string]any // what is known of opaque tokens
}

type key struct {
	kid    string
	alg    jose.Alg
	signer crypto.Signer
}

type refreshState struct{ used bool }

// New starts a provider that ends with the test.
func New(t testing.TB) *Issuer {
	i := &Issuer{
		Now:        time.Now,
		AccessLife: 10 * time.Minute,
		hits:       map[string]int{},
		codes:      map[string]url.Values{},
		pushed:     map[string]url.Values{},
		refresh:    map[string]refreshState{},
		opaque:     map[string]map[string]any{},
	}
	i.Rotate(t)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", i.metadata)
	mux.HandleFunc("GET /jwks", i.jwks)
	mux.HandleFunc("GET /authorize", i.authorize)
	mux.HandleFunc("POST /par", i.par)
	mux.HandleFunc("POST /token", i.token)
	mux.HandleFunc("POST /introspect", i.introspect)
	mux.HandleFunc("GET /logout", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintln(w, "signed out") })
	i.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.mu.Lock()
		i.hits[r.URL.Path]++
		before := i.Before
		i.mu.Unlock()
		if before != nil && before(w, r) {
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(i.server.Close)
	i.URL = i.server.URL + "/"
	return i
}

// Lock keeps the provider from answering while a test changes its hooks.
func (i *Issuer) Lock(change func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	change()
}

// Down makes every request fail, or answers again.
func (i *Issuer) Down(down bool) {
	i.Lock(func() {
		i.Before = nil
		if down {
			i.Before = func(w http.ResponseWriter, _ *http.Request) bool {
				http.Error(w, "down", http.StatusBadGateway)
				return true
			}
		}
	})
}

// Hits returns how often a path was asked for.
func (i *Issuer) Hits(path string) int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.hits[path]
}

// Forms returns what was posted to the token endpoint.
func (i *Issuer) Forms() []url.Values {
	i.mu.Lock()
	defer i.mu.Unlock()
	return append([]url.Values(nil), i.forms...)
}

// Rotate adds a new ES256 key, signs with it from now on, and returns its kid.
func (i *Issuer) Rotate(t testing.TB) string {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return i.Use(jose.ES256, k)
}

// Use adds a key, signs with it from now on, and returns its kid.
func (i *Issuer) Use(alg jose.Alg, signer crypto.Signer) string {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.nextKey++
	kid := fmt.Sprintf("key-%d", i.nextKey)
	i.keys = append(i.keys, key{kid, alg, signer})
	return kid
}

// DropOldKeys publishes the current key alone.
func (i *Issuer) DropOldKeys() {
	i.Lock(func() { i.keys = i.keys[len(i.keys)-1:] })
}

// Replace puts a new ES256 key under an old kid, as no issuer should, and signs
// with it from now on.
func (i *Issuer) Replace(t testing.TB, kid string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	i.Lock(func() { i.keys = []key{{kid, jose.ES256, k}} })
}

// Sign signs claims with the current key.
func (i *Issuer) Sign(t testing.TB, typ string, claims map[string]any) string {
	t.Helper()
	token, err := i.sign(typ, claims)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func (i *Issuer) sign(typ string, claims map[string]any) (string, error) {
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	i.mu.Lock()
	k := i.keys[len(i.keys)-1]
	i.mu.Unlock()
	signer, err := jose.NewSigner(k.kid, k.alg, k.signer)
	if err != nil {
		return "", err
	}
	return signer.Sign(typ, payload)
}

// AccessToken signs a good RFC 9068 token for audience, changed by change.
func (i *Issuer) AccessToken(t testing.TB, audience string, change func(claims map[string]any)) string {
	t.Helper()
	claims := i.AccessClaims(audience)
	if change != nil {
		change(claims)
	}
	return i.Sign(t, oauth.TypeAccessToken, claims)
}

// AccessClaims returns the claims of a good access token of a user.
func (i *Issuer) AccessClaims(audience string) map[string]any {
	now := i.Now()
	return map[string]any{
		"iss": i.URL, "sub": "alice", "aud": audience, "client_id": ClientID, "jti": rand.Text(), "gid": "grant-1", "sid": "session-1",
		"iat": now.Unix(), "exp": now.Add(i.AccessLife).Unix(), "auth_time": now.Unix(), "acr": "1", "amr": []string{"pwd"},
		"scope": "openid read:shows", "permissions": []string{"read:shows"}, "org_id": "org-1",
	}
}

// IDClaims returns the claims of a good ID token.
func (i *Issuer) IDClaims(nonce string) map[string]any {
	now := i.Now()
	c := map[string]any{
		"iss": i.URL, "sub": "alice", "aud": ClientID, "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
		"auth_time": now.Unix(), "amr": []string{"pwd"}, "acr": "1", "sid": "session-1",
		"name": "Alice", "email": "alice@example.com", "email_verified": true,
	}
	if nonce != "" {
		c["nonce"] = nonce
	}
	return c
}

func (i *Issuer) metadata(w http.ResponseWriter, _ *http.Request) {
	m := map[string]any{
		"issuer": i.URL, "authorization_endpoint": i.URL + "authorize", "token_endpoint": i.URL + "token",
		"jwks_uri": i.URL + "jwks", "introspection_endpoint": i.URL + "introspect", "end_session_endpoint": i.URL + "logout",
		"pushed_authorization_request_endpoint":          i.URL + "par",
		"authorization_response_iss_parameter_supported": true,
		"token_endpoint_auth_methods_supported":          []string{"client_secret_basic", "client_secret_post"},
	}
	i.mu.Lock()
	change := i.Metadata
	i.mu.Unlock()
	apply(change, m)
	writeJSON(w, http.StatusOK, m)
}

func (i *Issuer) jwks(w http.ResponseWriter, _ *http.Request) {
	i.mu.Lock()
	var set jose.Set
	for _, k := range i.keys {
		set = append(set, jose.Key{KeyID: k.kid, Alg: k.alg, Key: k.signer.Public()})
	}
	cacheControl := i.KeysCacheControl
	i.mu.Unlock()
	data, err := set.Marshal()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Cache-Control", cacheControl)
	_, _ = w.Write(data)
}

// par keeps a request for one visit (RFC 9126).
func (i *Issuer) par(w http.ResponseWriter, r *http.Request) {
	id, secret, _ := r.BasicAuth()
	secret, _ = url.QueryUnescape(secret)
	if err := r.ParseForm(); err != nil || id != ClientID || secret != ClientSecret {
		refuse(w, "invalid_client")
		return
	}
	reference := "urn:ietf:params:oauth:request_uri:" + rand.Text()
	i.Lock(func() { i.pushed[reference] = r.PostForm })
	writeJSON(w, http.StatusCreated, map[string]any{"request_uri": reference, "expires_in": 60})
}

func (i *Issuer) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if reference := q.Get("request_uri"); reference != "" {
		i.Lock(func() { q = i.pushed[reference]; delete(i.pushed, reference) })
	}
	code := rand.Text()
	answer := url.Values{"code": {code}, "state": {q.Get("state")}, "iss": {i.URL}}
	i.mu.Lock()
	i.codes[code] = q
	change := i.Callback
	i.mu.Unlock()
	if change != nil {
		change(answer)
	}
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+answer.Encode(), http.StatusSeeOther)
}

func (i *Issuer) token(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		refuse(w, "invalid_request")
		return
	}
	form := maps.Clone(r.PostForm)
	if id, secret, ok := r.BasicAuth(); ok {
		id, _ = url.QueryUnescape(id)
		secret, _ = url.QueryUnescape(secret)
		form.Set("client_id", id)
		form.Set("client_secret", secret)
		form.Set("basic", "true")
	}
	i.Lock(func() { i.forms = append(i.forms, form) })
	if form.Get("client_id") != ClientID || form.Get("client_secret") != ClientSecret {
		refuse(w, "invalid_client")
		return
	}
	nonce, offline := "", false
	switch form.Get("grant_type") {
	case "authorization_code":
		i.mu.Lock()
		request, ok := i.codes[form.Get("code")]
		delete(i.codes, form.Get("code"))
		i.mu.Unlock()
		if !ok || !oauth.VerifyPKCE(request.Get("code_challenge"), form.Get("code_verifier")) || request.Get("redirect_uri") != form.Get("redirect_uri") {
			refuse(w, "invalid_grant")
			return
		}
		nonce = request.Get("nonce")
		offline = strings.Contains(request.Get("scope"), "offline_access")
	case "refresh_token":
		i.mu.Lock()
		state, ok := i.refresh[form.Get("refresh_token")]
		i.refresh[form.Get("refresh_token")] = refreshState{used: true}
		i.mu.Unlock()
		if !ok || state.used {
			refuse(w, "invalid_grant")
			return
		}
		offline = true
	default:
		refuse(w, "unsupported_grant_type")
		return
	}
	i.mu.Lock()
	changeID, changeAnswer := i.IDToken, i.TokenResponse
	i.mu.Unlock()
	claims := i.IDClaims(nonce)
	apply(changeID, claims)
	idToken, err := i.sign(oidc.TypeIDToken, claims)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	accessToken, err := i.sign(oauth.TypeAccessToken, i.AccessClaims("https://api/tv-shows"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	answer := map[string]any{
		"access_token": accessToken, "token_type": "Bearer", "expires_in": int(i.AccessLife / time.Second), "id_token": idToken,
	}
	if offline {
		token := rand.Text()
		i.Lock(func() { i.refresh[token] = refreshState{} })
		answer["refresh_token"] = token
	}
	apply(changeAnswer, answer)
	writeJSON(w, http.StatusOK, answer)
}

// OpaqueToken makes an access token that only the introspection endpoint
// understands, with the claims of a good one, changed by change.
func (i *Issuer) OpaqueToken(t testing.TB, audience string, change func(claims map[string]any)) string {
	t.Helper()
	claims := i.AccessClaims(audience)
	claims["token_type"] = "Bearer"
	apply(change, claims)
	token := rand.Text()
	i.Lock(func() { i.opaque[token] = claims })
	return token
}

// Revoke makes an opaque token inactive.
func (i *Issuer) Revoke(token string) {
	i.Lock(func() { delete(i.opaque, token) })
}

// introspect is a plain RFC 7662 endpoint: opaque tokens are looked up, and any
// JWT is read without being checked, for tests know what they made.
func (i *Issuer) introspect(w http.ResponseWriter, r *http.Request) {
	id, secret, _ := r.BasicAuth()
	id, _ = url.QueryUnescape(id)
	secret, _ = url.QueryUnescape(secret)
	if id != ClientID || secret != ClientSecret {
		w.Header().Set("WWW-Authenticate", "Basic")
		writeJSON(w, http.StatusUnauthorized, map[string]any{"error": "invalid_client"})
		return
	}
	token := r.PostFormValue("token")
	i.mu.Lock()
	claims, change := maps.Clone(i.opaque[token]), i.Introspection
	i.mu.Unlock()
	if parts := strings.Split(token, "."); len(parts) == 3 {
		payload, err := base64.RawURLEncoding.DecodeString(parts[1])
		if err != nil || json.Unmarshal(payload, &claims) != nil {
			claims = nil
		}
	}
	answer := map[string]any{"active": claims != nil}
	if exp, ok := claims["exp"].(int64); ok && exp <= i.Now().Unix() {
		answer["active"] = false
	} else {
		maps.Copy(answer, claims)
	}
	if change != nil {
		change(token, answer)
	}
	writeJSON(w, http.StatusOK, answer)
}

// RevokeRefreshTokens ends everybody's grants.
func (i *Issuer) RevokeRefreshTokens() {
	i.Lock(func() { clear(i.refresh) })
}

func apply(change func(map[string]any), m map[string]any) {
	if change != nil {
		change(m)
	}
}

func refuse(w http.ResponseWriter, code string) {
	writeJSON(w, http.StatusBadRequest, map[string]any{"error": code})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
