package basic

import (
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// maxCredentials bounds what is decoded, in bytes of base64: room for any name
// and password a person or a generator makes up.
const maxCredentials = 4096

var (
	errMalformed = errors.New("malformed Basic credentials")
	errTwice     = errors.New("more than one Authorization header")
)

// credentials reads user name and password from the Authorization header (RFC
// 7617 §2). found is false, and err nil, when the header speaks of no Basic
// credentials.
//
// The name ends at the first colon, so a password may hold colons and a name
// cannot. Both are UTF-8 without control characters; either may be empty.
func credentials(h http.Header) (username, password string, found bool, err error) {
	values := h.Values("Authorization")
	for _, v := range values {
		encoded, is := oauth.CutScheme(v, "Basic")
		if !is {
			continue
		}
		if len(values) > 1 {
			return "", "", true, errTwice
		}
		username, password, err = decode(strings.TrimLeft(encoded, " "))
		return username, password, true, err
	}
	return "", "", false, nil
}

func decode(encoded string) (username, password string, err error) {
	if len(encoded) > maxCredentials {
		return "", "", errMalformed
	}
	plain, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil {
		return "", "", errMalformed // the cause would quote the input
	}
	text := string(plain)
	username, password, ok := strings.Cut(text, ":")
	if !ok || !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
		return "", "", errMalformed
	}
	return username, password, nil
}
