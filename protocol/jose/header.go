package jose

import (
	"encoding/base64"
	"fmt"
	"strings"
)

// MaxTokenBytes is the longest token looked at, unless an [Expect] says less
// or more.
const MaxTokenBytes = 16 << 10

// Header is what of a JOSE header means something here. Parameters that would
// bring their own key (jwk, jku, x5u, x5c, x5t, x5t#S256) are not part of it:
// a token may carry them, nobody will look.
type Header struct {
	Alg   Alg
	KeyID string
	Type  string
}

// Peek reads the header of a compact JWS without checking anything it says.
// It is for choosing where to look for a key, never for a decision: whoever
// wrote the token wrote this. Errors are those of [Verify].
func Peek(token string) (Header, error) {
	c, err := splitCompact(token, MaxTokenBytes)
	if err != nil {
		return Header{}, err
	}
	return c.header()
}

// PeekIssuer reads the claim iss of a compact JWS without checking anything.
// It is for choosing whose keys and rules to check the token with, and for
// nothing else: those rules then demand the very same issuer. Errors are those of
// [Verify], or wrap [ErrJSON] when there is no iss, or it is not a string.
func PeekIssuer(token string) (string, error) {
	c, err := splitCompact(token, MaxTokenBytes)
	if err != nil {
		return "", err
	}
	payload, err := appendDecoded(nil, c.encodedPayload())
	if err != nil {
		return "", err
	}
	claims, err := ParseObject(string(payload))
	if err != nil {
		return "", err
	}
	return claims.Get("iss").Text()
}

// compact is a token cut at its dots, still encoded.
type compact struct {
	text     []byte // the whole token
	dot, end int    // the two dots
}

// splitCompact measures before it looks, so an oversized token costs nothing.
func splitCompact(token string, limit int) (compact, error) {
	if len(token) > limit {
		return compact{}, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLong, len(token), limit)
	}
	dot := strings.IndexByte(token, '.')
	end := strings.LastIndexByte(token, '.')
	if dot <= 0 || end == dot || strings.IndexByte(token[dot+1:end], '.') >= 0 {
		return compact{}, fmt.Errorf("%w: not three segments", ErrMalformed)
	}
	return compact{text: []byte(token), dot: dot, end: end}, nil
}

func (c compact) signingInput() []byte     { return c.text[:c.end] }
func (c compact) encodedHeader() []byte    { return c.text[:c.dot] }
func (c compact) encodedPayload() []byte   { return c.text[c.dot+1 : c.end] }
func (c compact) encodedSignature() []byte { return c.text[c.end+1:] }

// header reads the first segment. "crit" and the two extensions that change
// how the other segments are read, "b64" (RFC 7797) and "zip" (RFC 7516), are
// refused; other parameters are ignored (RFC 7515 §4).
func (c compact) header() (h Header, err error) {
	var space [256]byte
	data, err := appendDecoded(space[:0], c.encodedHeader())
	if err != nil {
		return h, err
	}
	var names [manyKeys]string
	s := scanner{text: string(data), limit: maxDepth, names: names[:0]}
	var bad error
	take := func(into *string, name, raw string) {
		value, err := Value(raw).Text()
		if err != nil {
			bad = fmt.Errorf("%w: header parameter %s is not a string", ErrMalformed, name)
		}
		*into = value
	}
	err = s.root(func(name, raw string) {
		switch name {
		case "alg":
			var alg string
			take(&alg, name, raw)
			h.Alg = Alg(alg)
		case "kid":
			take(&h.KeyID, name, raw)
		case "typ":
			take(&h.Type, name, raw)
		case "crit", "b64", "zip":
			bad = fmt.Errorf("%w: %s", ErrCritical, name)
		}
	})
	switch {
	case err != nil:
		return Header{}, fmt.Errorf("%w: header: %w", ErrMalformed, err)
	case bad != nil:
		return Header{}, bad
	case !validKeyID(h.KeyID):
		return Header{}, fmt.Errorf("%w: kid is too long or not printable", ErrMalformed)
	}
	return h, nil
}

// strictBase64 refuses set bits after the last whole byte, so that a token has
// one spelling only.
var strictBase64 = base64.RawURLEncoding.Strict()

// appendDecoded appends what the segment stands for to dst.
func appendDecoded(dst, segment []byte) ([]byte, error) {
	for _, c := range segment {
		if c == '\r' || c == '\n' { // encoding/base64 skips them
			return nil, fmt.Errorf("%w: line break in base64url", ErrMalformed)
		}
	}
	out, err := strictBase64.AppendDecode(dst, segment)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return out, nil
}

// sameType compares media types as RFC 7515 §4.1.9 says: ignoring case, and
// with "application/" understood where there is no slash.
func sameType(a, b string) bool {
	return strings.EqualFold(shortType(a), shortType(b))
}

func shortType(t string) string {
	const prefix = "application/"
	if len(t) > len(prefix) && strings.EqualFold(t[:len(prefix)], prefix) && strings.IndexByte(t[len(prefix):], '/') < 0 {
		return t[len(prefix):]
	}
	return t
}
