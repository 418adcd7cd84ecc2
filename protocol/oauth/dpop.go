package oauth

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-dev/gatehouse/protocol/jose"
)

// TypeDPoPProof is the typ header of a DPoP proof (RFC 9449 §4.2).
const TypeDPoPProof = "dpop+jwt"

// How far iat of a proof may lie from the moment of judgement: its sender's
// clock may be slow, and the way here takes time; a proof from the future was
// made to be kept.
const (
	DPoPMaxAge = time.Minute
	DPoPAhead  = DefaultLeeway
)

// Limits of a proof.
const (
	maxProofBytes = 8 << 10
	maxProofID    = 256  // characters in jti
	maxProofURL   = 4096 // characters in htu
)

// ErrNoDPoPProof: the request carries no DPoP header.
var ErrNoDPoPProof = errors.New("oauth: no DPoP proof")

// DPoPAlgs returns the algorithms a proof may be signed with unless somebody
// says otherwise: every asymmetric one of package jose.
func DPoPAlgs() []jose.Alg { return []jose.Alg{jose.ES256, jose.EdDSA, jose.PS256, jose.RS256} }

// DPoPRules say which proofs are accepted for one request. Method, URL, Algs
// and Now are required: a zero value accepts nothing.
type DPoPRules struct {
	Method string     // of the request
	URL    string     // at which the request reached this server from outside; query and fragment do not count
	Algs   []jose.Alg // asymmetric ones; others are ignored
	Now    time.Time  // the moment of judgement
	// AccessToken is the token the proof comes with at a resource (RFC 9449
	// §7.1): ath must be its hash. Empty at an authorization server.
	AccessToken string
	// Nonce tells whether a nonce is one that this server gave out lately (§8,
	// §9). With nil no nonce is asked for, and one that comes is ignored.
	Nonce func(nonce string) bool
}

// DPoPProof is a proof that passed [VerifyDPoPProof], its only maker.
type DPoPProof struct {
	// JKT is the thumbprint of the key the sender holds.
	JKT string
	// ID is jti. The same ID from the same key must not be accepted again before
	// Until.
	ID string
	// Until is when the proof stops being acceptable by its own iat.
	Until time.Time
}

// DPoPHeader returns the proof of a request: exactly one DPoP header with one
// value (RFC 9449 §4.3 check 1). Errors: [ErrNoDPoPProof], or invalid_dpop_proof
// for more than one.
func DPoPHeader(h http.Header) (string, error) {
	switch values := h.Values("Dpop"); len(values) {
	case 0:
		return "", ErrNoDPoPProof
	case 1:
		return values[0], nil
	}
	return "", NewError(InvalidDPoPProof, "There is more than one DPoP header.")
}

// VerifyDPoPProof checks a proof (RFC 9449 §4.3), all but two things that need a
// memory or a token's claims: that its ID was not seen before, and that its key
// is the one the token is bound to. Every error is an *[Error]: use_dpop_nonce
// when only the nonce is missing or old, invalid_dpop_proof otherwise.
func VerifyDPoPProof(proof string, rules DPoPRules) (*DPoPProof, error) {
	verified, thumbprint, err := jose.VerifyEmbedded(proof, jose.Expect{
		Types: []string{TypeDPoPProof}, Algs: rules.Algs, MaxBytes: maxProofBytes,
	})
	if err != nil {
		return nil, refuseProof("The DPoP proof is malformed or its signature does not verify.", err)
	}
	claims, err := parseProof(string(verified.Payload()))
	if err != nil {
		return nil, refuseProof("The DPoP proof's claims are malformed.", err)
	}
	issued := claims.issuedAt.Time()
	switch {
	case claims.id == "" || len(claims.id) > maxProofID:
		return nil, refuseProof("The DPoP proof has no jti, or one that is too long.", nil)
	case rules.Method == "" || claims.method != rules.Method:
		return nil, refuseProof("The DPoP proof is for another method.", nil)
	case !sameTarget(claims.url, rules.URL):
		return nil, refuseProof("The DPoP proof is for another address.", fmt.Errorf("htu %.200q where %.200q was expected", claims.url, rules.URL))
	case claims.issuedAt == 0 || rules.Now.IsZero(), issued.Before(rules.Now.Add(-DPoPMaxAge)), issued.After(rules.Now.Add(DPoPAhead)):
		return nil, refuseProof("The DPoP proof was not made just now.", nil)
	case rules.AccessToken != "" && !equal(claims.tokenHash, TokenHash(rules.AccessToken)):
		return nil, refuseProof("The DPoP proof is for another access token.", nil)
	case rules.Nonce != nil && !rules.Nonce(claims.nonce):
		return nil, NewError(UseDPoPNonce, "The DPoP proof must carry the nonce of the DPoP-Nonce header.")
	}
	return &DPoPProof{JKT: thumbprint, ID: claims.id, Until: issued.Add(DPoPMaxAge)}, nil
}

func refuseProof(description string, cause error) *Error {
	return NewError(InvalidDPoPProof, description).WithCause(cause)
}

// TokenHash returns the value of ath for an access token (RFC 9449 §4.2).
func TokenHash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func equal(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// proofClaims are the claims of a proof.
type proofClaims struct {
	id, method, url, tokenHash, nonce string
	issuedAt                          jose.NumericDate
}

func parseProof(payload string) (c proofClaims, err error) {
	object, err := jose.ParseObject(payload)
	if err != nil {
		return c, err
	}
	for _, m := range object {
		switch m.Name {
		case "jti":
			c.id, err = m.Value.Text()
		case "htm":
			c.method, err = m.Value.Text()
		case "htu":
			c.url, err = m.Value.Text()
		case "iat":
			c.issuedAt, err = m.Value.Date()
		case "ath":
			c.tokenHash, err = m.Value.Text()
		case "nonce":
			c.nonce, err = m.Value.Text()
		}
		if err != nil {
			return c, fmt.Errorf("claim %s: %w", m.Name, err)
		}
	}
	return c, nil
}

// sameTarget compares two addresses as RFC 9449 §4.3 check 9 says: without query
// and fragment, after the normalization of RFC 3986 §6.2.2 and §6.2.3.
func sameTarget(a, b string) bool {
	x, errX := normalTarget(a)
	y, errY := normalTarget(b)
	return errX == nil && errY == nil && x == y
}

func normalTarget(raw string) (string, error) {
	if len(raw) > maxProofURL {
		return "", errors.New("too long")
	}
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.User != nil || u.Opaque != "" {
		return "", errors.New("not an absolute address")
	}
	u.Scheme, u.Host = strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	port, known := map[string]string{"http": ":80", "https": ":443"}[u.Scheme]
	if !known {
		return "", errors.New("neither http nor https")
	}
	u.Host = strings.TrimSuffix(strings.TrimSuffix(u.Host, port), ":")
	return u.Scheme + "://" + u.Host + normalPath(u.EscapedPath()), nil
}

// normalPath brings escapes into one spelling and takes dot segments out.
func normalPath(escaped string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := 0; i < len(escaped); i++ {
		if escaped[i] != '%' || i+2 >= len(escaped) {
			b.WriteByte(escaped[i])
			continue
		}
		c := unhex(escaped[i+1])<<4 | unhex(escaped[i+2]) // net/url has seen to it that these are digits
		i += 2
		if isUnreserved(c) {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
	segments := strings.Split(strings.TrimPrefix(b.String(), "/"), "/")
	var out []string
	for i, s := range segments {
		last := i == len(segments)-1
		if s == ".." && len(out) > 0 {
			out = out[:len(out)-1]
		}
		if s != "." && s != ".." {
			out = append(out, s)
		} else if last {
			out = append(out, "")
		}
	}
	return "/" + strings.Join(out, "/")
}

func unhex(c byte) byte {
	switch {
	case c >= 'a':
		return c - 'a' + 10
	case c >= 'A':
		return c - 'A' + 10
	}
	return c - '0'
}

// DPoPChallenge returns the challenge of a resource that takes DPoP-bound tokens
// (RFC 9449 §7.1), with the algorithms it takes proofs in and whatever else is
// to be said.
func DPoPChallenge(algs []jose.Alg, parameters ...Parameter) string {
	names := make([]string, len(algs))
	for i, alg := range algs {
		names[i] = string(alg)
	}
	return Challenge("DPoP", append(slices.Clip(parameters), Parameter{"algs", strings.Join(names, " ")})...)
}
