package bearer

import (
	"context"
	"crypto/x509"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/internal/shown"
	"github.com/gatehouse-dev/gatehouse/protocol/apikey"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// Method is the Principal.Method of this scheme.
const Method = "bearer"

// Scheme checks access tokens. It is safe for concurrent use.
type Scheme struct {
	issuers     []*issuer
	opaque      *issuer // who is asked about tokens that are not JWTs, nil if nobody
	memory      *memory // nil for none
	dpop        *dpop   // nil if such tokens are not taken
	certificate func(*http.Request) *x509.Certificate
	revocations guard.Revocations
	metadata    []byte
	metadataURL string
	realm       string
	now         func() time.Time
}

// Authenticate implements guard.Authenticator. Nothing is seen for this scheme
// in a request without an Authorization header, or with one of another scheme,
// or with an API key.
//
// A token in the query or in a form is refused even beside a good one (RFC 6750
// §2): its sender believes that it works, and puts it into logs.
func (s *Scheme) Authenticate(r *http.Request) (guard.Result, error) {
	query, form, err := elsewhere(r)
	if err != nil {
		return guard.Result{}, err
	}
	if form != nil {
		return guard.Result{}, &guard.Error{Code: guard.InvalidRequest, Description: "Access tokens must not be sent in a form"}
	}
	presented, err := oauth.AccessTokenOf(r.Header, query, nil, oauth.BearerOptions{DPoP: s.dpop != nil})
	switch {
	case errors.Is(err, oauth.ErrNoToken):
		return guard.Result{}, nil
	case err != nil:
		return guard.Result{}, refusal(err)
	case apikey.Looks(presented.Token):
		return guard.Result{}, nil // an API key travels the same way; package apikey judges it
	}
	return s.establish(r.Context(), r, presented)
}

// Verify checks a token that came by other means than an HTTP header: in a
// message, or in the first frame of a websocket. The error is a *guard.Error
// with the code guard.InvalidToken, or guard.Unavailable when the issuer cannot
// be reached. A token that is bound to a key is refused: there is no request to
// prove its possession with.
func (s *Scheme) Verify(ctx context.Context, token string) (*guard.Principal, error) {
	found, err := s.establish(ctx, nil, oauth.PresentedToken{Token: token})
	return found.Principal, err
}

// establish is the one way from a token to a principal: the token is good, its
// sender may use it, and it was not taken back. r is nil where there is no
// request.
func (s *Scheme) establish(ctx context.Context, r *http.Request, presented oauth.PresentedToken) (guard.Result, error) {
	now := s.now()
	t, err := s.check(ctx, now, presented.Token)
	if err != nil {
		return guard.Result{}, refusal(err)
	}
	hook, err := s.confirm(r, now, presented, t)
	if err != nil {
		return guard.Result{BeforeHeader: hook}, refusal(err)
	}
	if s.revocations != nil {
		cleared, err := s.revocations.Check(ctx, &t.principal, presented.Token, t.cleared.Load())
		if err != nil {
			return guard.Result{}, revoked(err)
		}
		t.cleared.Store(cleared)
	}
	found := guard.Result{Principal: &t.principal, BeforeHeader: hook}
	if presented.DPoP {
		found.Again = shown.Same(r, "Authorization", "Dpop")
	}
	return found, nil
}

// confirm demands the proof that a bound token asks for (RFC 9449 §7, RFC 8705
// §3). What is bound must be shown as bound, and what is not must not.
func (s *Scheme) confirm(r *http.Request, now time.Time, presented oauth.PresentedToken, t *token) (hook func(http.Header), err error) {
	if !t.bound && !presented.DPoP {
		return nil, nil
	}
	key := t.principal.Confirmation
	switch {
	case key.JKT != "" && !presented.DPoP:
		return nil, notProven("The access token is bound to a key and must come by the scheme DPoP, with a proof", nil)
	case key.JKT != "":
		return s.dpop.confirm(r, now, presented.Token, key.JKT)
	case presented.DPoP:
		return nil, notProven("The access token is not bound to a key and must not come by the scheme DPoP", nil)
	}
	return nil, s.confirmCertificate(r, key.X5T)
}

func notProven(description string, cause error) *guard.Error {
	return &guard.Error{Code: guard.InvalidToken, Description: description, Err: cause}
}

// refusal puts a refused token into words. It tells a token that has expired,
// where a refresh helps, from one that is bad for another reason, about which
// the client learns nothing.
func refusal(err error) *guard.Error {
	var (
		done *guard.Error
		e    *oauth.Error
	)
	switch {
	case errors.As(err, &done):
		return done
	case errors.Is(err, oauth.ErrExpired):
		return &guard.Error{Code: guard.InvalidToken, Description: "The access token expired", Err: err}
	case errors.As(err, &e) && (e.Code == oauth.InvalidDPoPProof || e.Code == oauth.UseDPoPNonce):
		return &guard.Error{Code: guard.Code(e.Code), Description: strings.TrimSuffix(e.Description, "."), Err: err}
	case errors.As(err, &e) && e.Code == oauth.InvalidRequest:
		return &guard.Error{Code: guard.InvalidRequest, Description: strings.TrimSuffix(e.Description, "."), Err: err}
	}
	return &guard.Error{Code: guard.InvalidToken, Description: "The access token is invalid", Err: err}
}

// unavailable refuses a token that cannot be judged at the moment.
func unavailable(description string, cause error) *guard.Error {
	return &guard.Error{Code: guard.Unavailable, Description: description, RetryAfter: 5 * time.Second, Err: cause}
}

// revoked passes on what Revocations said, in this scheme's words.
func revoked(err error) error {
	var e *guard.Error
	if errors.As(err, &e) && e.Code == guard.InvalidToken {
		return &guard.Error{Code: guard.InvalidToken, Description: "The access token was revoked", Err: err}
	}
	return err
}

// Challenge implements guard.Authenticator: bare when there was no token (RFC
// 6750 §3.1), with the error otherwise. Where tokens bound to a key are taken
// there is a challenge for them, too (RFC 9449 §7.1), and the error stands in the
// one whose scheme was used.
func (s *Scheme) Challenge(r *http.Request, why *guard.Error) []string {
	if why != nil && why.Code == guard.AccessDenied {
		return nil // no other token of the same principal would help
	}
	plain := []oauth.Parameter{{Name: "realm", Value: s.realm}, {Name: "resource_metadata", Value: s.metadataURL}}
	full := append(plain[:1:1], reasons(why)...)
	full = append(full, plain[1])
	if s.dpop == nil {
		return []string{oauth.Challenge("Bearer", full...)}
	}
	bearer, dpop := plain, plain
	if shownByDPoP(r) {
		dpop = full
	} else {
		bearer = full
	}
	return []string{oauth.Challenge("Bearer", bearer...), oauth.DPoPChallenge(s.dpop.algs, dpop...)}
}

// reasons are the parameters that tell of an error (RFC 6750 §3, RFC 9449 §7.1,
// RFC 9470 §3).
func reasons(why *guard.Error) []oauth.Parameter {
	if why == nil {
		return nil
	}
	parameters := []oauth.Parameter{
		{Name: "error", Value: string(why.Code)},
		{Name: "error_description", Value: why.Description},
		{Name: "scope", Value: why.Scope},
		{Name: "acr_values", Value: strings.Join(why.ACRValues, " ")},
	}
	if why.MaxAge > 0 {
		parameters = append(parameters, oauth.Parameter{Name: "max_age", Value: strconv.FormatInt(int64(why.MaxAge/time.Second), 10)})
	}
	return parameters
}

// shownByDPoP reports whether the token of a refused request came by the scheme
// DPoP.
func shownByDPoP(r *http.Request) bool {
	scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.EqualFold(scheme, "DPoP")
}

var _ guard.Authenticator = (*Scheme)(nil)
