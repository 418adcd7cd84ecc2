package oidclogin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard/internal/provider"
	"github.com/gatehouse-dev/gatehouse/protocol/jose"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
	"github.com/gatehouse-dev/gatehouse/protocol/oidc"
)

// maxTokenResponse is the longest answer read from the token endpoint.
const maxTokenResponse = 128 << 10

// tokenResponse is a successful answer of the token endpoint (RFC 6749 §5.1).
type tokenResponse struct {
	AccessToken  string      `json:"access_token"`
	TokenType    string      `json:"token_type"`
	ExpiresIn    json.Number `json:"expires_in"` // some providers send a string, or a fraction
	RefreshToken string      `json:"refresh_token"`
	Scope        string      `json:"scope"`
	IDToken      string      `json:"id_token"`
}

// expiry returns when the access token ends; zero if the provider did not say.
func (t tokenResponse) expiry(now time.Time) time.Time {
	seconds, err := t.ExpiresIn.Float64()
	if err != nil || seconds < 1 {
		return time.Time{}
	}
	return now.Add(time.Duration(min(seconds, 10*365*24*3600)) * time.Second)
}

// refusedError is an error response (RFC 6749 §5.2, RFC 9126 §2.3).
type refusedError struct {
	Status            int
	Code, Description string
}

func (e *refusedError) Error() string {
	return fmt.Sprintf("the provider answered %d: %.64s: %.200q", e.Status, e.Code, e.Description)
}

// refusalOf reads an error response; one that says to try later wraps
// provider.ErrUnavailable.
func refusalOf(status int, body []byte) error {
	refused := &refusedError{Status: status}
	var answer struct {
		Code        string `json:"error"`
		Description string `json:"error_description"`
	}
	if err := jose.Decode(body, &answer); err == nil {
		refused.Code, refused.Description = answer.Code, answer.Description
	}
	if status >= 500 || status == http.StatusTooManyRequests {
		return fmt.Errorf("%w: %s", provider.ErrUnavailable, refused)
	}
	return refused
}

func exchangeFailed(err error) *Error {
	var refused *refusedError
	if errors.As(err, &refused) {
		return &Error{Code: "token_exchange_failed", Status: http.StatusBadRequest, Err: err, Description: "The sign-in service did not accept the answer it gave you. Perhaps it was used before."}
	}
	return failed(err)
}

func (l *Login) redeemCode(ctx context.Context, m *oidc.Metadata, code string, t transaction) (tokenResponse, error) {
	return l.requestTokens(ctx, m, url.Values{
		"grant_type":    {"authorization_code"},
		"code":          {code},
		"redirect_uri":  {t.RedirectURI},
		"code_verifier": {t.Verifier},
	})
}

// redeemRefreshToken asks for the token w; what is not the sign-in's own is said.
func (l *Login) redeemRefreshToken(ctx context.Context, refreshToken string, w want) (tokenResponse, error) {
	m, err := l.provider.Metadata(ctx)
	if err != nil {
		return tokenResponse{}, err
	}
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refreshToken}}
	if w != (want{}) && w.audience != l.options.Audience {
		form.Set("audience", w.audience)
	}
	if w.scope != "" {
		form.Set("scope", w.scope)
	}
	tokens, err := l.requestTokens(ctx, m, form)
	if errors.Is(err, errNoAnswer) && ctx.Err() == nil {
		// Perhaps it is the answer that was lost, and the token is used. A provider that gives the same
		// answer again does so for seconds: now, and not when the next request comes by.
		tokens, err = l.requestTokens(ctx, m, form)
	}
	return tokens, err
}

// errNoAnswer: whether the provider has done what it was asked is not known.
var errNoAnswer = fmt.Errorf("%w: no answer", provider.ErrUnavailable)

func (l *Login) requestTokens(ctx context.Context, m *oidc.Metadata, form url.Values) (tokenResponse, error) {
	var tokens tokenResponse
	body, status, err := l.post(ctx, m.TokenEndpoint, m.TokenEndpointAuthMethodsSupported, form)
	if err != nil {
		return tokens, err
	}
	if status != http.StatusOK {
		return tokens, refusalOf(status, body)
	}
	if err := jose.Decode(body, &tokens); err != nil {
		return tokenResponse{}, fmt.Errorf("token endpoint: %w", err)
	}
	if tokens.AccessToken == "" || !strings.EqualFold(tokens.TokenType, "Bearer") {
		return tokenResponse{}, fmt.Errorf("token endpoint: no bearer access token in its answer")
	}
	return tokens, nil
}

// post sends a form to the provider, authenticated as this client.
func (l *Login) post(ctx context.Context, endpoint string, methods []string, form url.Values) (body []byte, status int, err error) {
	if endpoint == "" {
		return nil, 0, errors.New("the provider's metadata lacks the endpoint")
	}
	basic := l.authenticate(form, methods)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, 0, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	if basic {
		// Form-encoded before they are joined: RFC 6749 §2.3.1.
		req.SetBasicAuth(url.QueryEscape(l.options.ClientID), url.QueryEscape(l.options.ClientSecret))
	}
	res, err := l.provider.Client().Do(req)
	if err != nil {
		return nil, 0, fmt.Errorf("%w: %w", errNoAnswer, err)
	}
	defer res.Body.Close()
	body, err = io.ReadAll(io.LimitReader(res.Body, maxTokenResponse+1))
	switch {
	case err != nil: // cut off on the way
		err = fmt.Errorf("%w: %w", errNoAnswer, err)
	case len(body) > maxTokenResponse:
		err = errors.New("the provider's answer is too long")
	}
	return body, res.StatusCode, err
}

// authenticate adds the client's credentials to form, or says that they belong
// into a Basic header: what a provider takes that does not list methods
// (OpenID Connect Discovery §3).
func (l *Login) authenticate(form url.Values, methods []string) (basic bool) {
	switch {
	case l.options.ClientSecret == "":
		form.Set("client_id", l.options.ClientID)
		return false
	case len(methods) == 0 || slices.Contains(methods, string(oauth.AuthBasic)):
		return true
	default:
		form.Set("client_id", l.options.ClientID)
		form.Set("client_secret", l.options.ClientSecret)
		return false
	}
}
