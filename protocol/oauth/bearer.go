package oauth

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
)

// ErrNoToken: the request carries no bearer token at all. It is answered with
// the bare challenge, without an error code (RFC 6750 §3.1).
var ErrNoToken = errors.New("oauth: no access token")

// BearerOptions widens where a token is looked for.
type BearerOptions struct {
	// InsecureQuery takes the token from the query parameter access_token too.
	// URLs end up in logs, histories and Referer headers: only for a client
	// that can do no better.
	InsecureQuery bool
	// DPoP takes tokens by the scheme DPoP too (RFC 9449 §7.1). Without it they
	// are credentials of another scheme.
	DPoP bool
}

// PresentedToken is an access token and the way it was shown.
type PresentedToken struct {
	Token string
	// DPoP: by the scheme DPoP, so that a proof has to come with it. False means
	// that it was shown as good in any hand.
	DPoP bool
}

// BearerToken finds the access token of a request (RFC 6750 §2): in the
// Authorization header, or in the form of a body, which the caller passes only
// for the methods and the content type the RFC allows. query and form may be
// nil.
//
// Errors: [ErrNoToken] if there is none, which includes credentials of another
// scheme; invalid_request for two tokens, two Authorization headers, or one in
// the query where that is not allowed; invalid_token for a Bearer header that
// is not the scheme, exactly one space, and a token.
func BearerToken(h http.Header, query, form url.Values, o BearerOptions) (string, error) {
	o.DPoP = false
	p, err := AccessTokenOf(h, query, form, o)
	if err != nil {
		return "", err
	}
	if err := CheckTokenSyntax(p.Token); err != nil {
		return "", err
	}
	return p.Token, nil
}

// AccessTokenOf is [BearerToken] for who takes tokens by the scheme DPoP too. It
// leaves the token's own characters alone: [CheckTokenSyntax] looks at them, and
// one who knows the token already need not.
func AccessTokenOf(h http.Header, query, form url.Values, o BearerOptions) (PresentedToken, error) {
	inQuery, inForm := query["access_token"], form["access_token"]
	headers := h.Values("Authorization")
	switch {
	case len(headers) > 1:
		return PresentedToken{}, NewError(InvalidRequest, "There is more than one Authorization header.")
	case len(inQuery) > 0 && !o.InsecureQuery:
		return PresentedToken{}, NewError(InvalidRequest, "Access tokens must not be sent in the URL.").
			WithHint("Send the token in the header: Authorization: Bearer TOKEN.")
	}
	presented, err := headerToken(headers, o.DPoP)
	sent := len(inQuery) + len(inForm)
	if !errors.Is(err, ErrNoToken) {
		sent++
	}
	switch {
	case sent > 1:
		return PresentedToken{}, NewError(InvalidRequest, "The access token is sent more than once.")
	case sent == 0:
		return PresentedToken{}, ErrNoToken
	case err == nil:
		return presented, nil
	case !errors.Is(err, ErrNoToken):
		return PresentedToken{}, err
	}
	return PresentedToken{Token: append(inQuery, inForm...)[0]}, nil
}

// headerToken reads the scheme without regard to case, and nothing else
// loosely.
func headerToken(headers []string, dpop bool) (PresentedToken, error) {
	if len(headers) == 0 {
		return PresentedToken{}, ErrNoToken
	}
	rest, ok := CutScheme(headers[0], "Bearer")
	p := PresentedToken{}
	if !ok && dpop {
		rest, ok = CutScheme(headers[0], "DPoP")
		p.DPoP = true
	}
	if !ok {
		return PresentedToken{}, ErrNoToken
	}
	if len(rest) < 2 || rest[0] != ' ' {
		return PresentedToken{}, malformedToken()
	}
	p.Token = rest[1:]
	return p, nil
}

// CutScheme returns what stands behind the name of a scheme in an Authorization
// header (RFC 9110 §11.4), the space between them included. It is false for
// credentials of another scheme, also of one whose name only begins alike; true for
// those whose sender got the space wrong: they are malformed, not somebody else's.
func CutScheme(header, scheme string) (rest string, ok bool) {
	if len(header) < len(scheme) || !strings.EqualFold(header[:len(scheme)], scheme) {
		return "", false
	}
	rest = header[len(scheme):]
	return rest, rest == "" || !isTokenChar(rest[0]) // else a scheme whose name only begins like ours
}

// CheckTokenSyntax holds a token to the grammar b64token (RFC 6750 §2.1). The
// error is an *[Error] with the code invalid_token.
func CheckTokenSyntax(token string) error {
	trimmed := strings.TrimRight(token, "=")
	if trimmed == "" || !isB64Token(trimmed) {
		return malformedToken()
	}
	return nil
}

// isB64Token looks each byte up in a set of bits. Comparing would be several
// times slower: the letters of a token come at random, and no processor guesses
// which comparison will hold.
func isB64Token(s string) bool {
	const az, digits = 1<<26 - 1, 1<<10 - 1
	set := [4]uint64{
		1<<'+' | 1<<'-' | 1<<'.' | 1<<'/' | digits<<'0',
		az<<('A'-64) | 1<<('_'-64) | az<<('a'-64) | 1<<('~'-64),
	}
	all := uint64(1)
	for i := range len(s) {
		c := s[i]
		all &= set[c>>6] >> (c & 63)
	}
	return all == 1
}

func malformedToken() *Error { return NewError(InvalidToken, "The access token is malformed.") }

// isTokenChar is tchar of RFC 9110 §5.6.2, of which scheme names are made.
func isTokenChar(c byte) bool {
	return isAlphanumeric(c) || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}
