package digest

import (
	"crypto/md5"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"strings"
)

// Algorithm is a hash by its registered name (RFC 7616 §6.1).
type Algorithm string

// The algorithms. MD5 is here for equipment that knows no other: what is hashed
// with it can be guessed at many billions a second by whoever sees one exchange.
const (
	SHA256    Algorithm = "SHA-256"
	SHA512256 Algorithm = "SHA-512-256"
	MD5       Algorithm = "MD5"
)

// Known reports whether a is one of the algorithms of this package.
func (a Algorithm) Known() bool { return a == SHA256 || a == SHA512256 || a == MD5 }

// hash is H of RFC 7616 §3.3, in lower-case hex. It panics when a is not Known.
func (a Algorithm) hash(data []byte) string {
	switch a {
	case SHA256:
		sum := sha256.Sum256(data)
		return hex.EncodeToString(sum[:])
	case SHA512256:
		sum := sha512.Sum512_256(data)
		return hex.EncodeToString(sum[:])
	case MD5:
		sum := md5.Sum(data)
		return hex.EncodeToString(sum[:])
	}
	panic("digest: " + string(a) + " is not an algorithm of this package")
}

// sum is the hash of parts with colons between them.
func (a Algorithm) sum(parts ...string) string {
	data := make([]byte, 0, 512)
	for i, p := range parts {
		if i > 0 {
			data = append(data, ':')
		}
		data = append(data, p...)
	}
	return a.hash(data)
}

// named returns the algorithm a client means, which may write it in any case,
// and by nothing means MD5 (RFC 7616 §3.4). Others are returned as they are.
func named(s string) Algorithm {
	if s == "" {
		return MD5
	}
	for _, a := range [...]Algorithm{SHA256, SHA512256, MD5} {
		if strings.EqualFold(s, string(a)) {
			return a
		}
	}
	return Algorithm(s)
}

// QOP is the quality of protection: what the hash covers.
type QOP string

// The qualities (RFC 7616 §3.3): method and target alone, or the body too.
const (
	Auth    QOP = "auth"
	AuthInt QOP = "auth-int"
)
