package oauth

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// AuthMethod is how a client authenticates (OpenID Connect Core §9).
type AuthMethod string

// The methods a client can be registered with.
const (
	AuthNone          AuthMethod = "none"
	AuthBasic         AuthMethod = "client_secret_basic"
	AuthPost          AuthMethod = "client_secret_post"
	AuthPrivateKeyJWT AuthMethod = "private_key_jwt"
)

// AssertionTypeJWTBearer is the client_assertion_type of private_key_jwt.
const AssertionTypeJWTBearer = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// ClientAuthentication is what a request says about who sends it. Nothing in
// it has been checked against a client yet.
type ClientAuthentication struct {
	Method    AuthMethod
	ClientID  string
	Secret    string // client_secret_basic and client_secret_post
	Assertion string // private_key_jwt; ClientID may then be empty

	// Raw holds the credentials of a Basic header as they stood before
	// percent-decoding, if that makes a difference. RFC 6749 §2.3.1 says they
	// are encoded; some clients do not encode. Try the decoded ones first.
	Raw *RawCredentials
}

// RawCredentials are a user name and password taken literally.
type RawCredentials struct{ ClientID, Secret string }

// ParseClientAuthentication reads the client's credentials from the header and
// the parameters of the body. Exactly one method may be used (RFC 6749 §2.3);
// none at all, with a client_id, is the method "none", and so is an empty
// secret (RFC 6749 §2.3.1), which tools write into a header for public clients.
//
// invalid_request: two methods at once, two Authorization headers, or a
// client_id in the body that is not the header's. invalid_client: no client_id
// anywhere, a scheme other than Basic, malformed Basic credentials.
func ParseClientAuthentication(h http.Header, p Params) (ClientAuthentication, error) {
	headers := h.Values("Authorization")
	secret, assertion := p.Has("client_secret"), p.Has("client_assertion") || p.Has("client_assertion_type")
	switch {
	case len(headers) > 1:
		return ClientAuthentication{}, NewError(InvalidRequest, "There is more than one Authorization header.")
	case len(headers) == 1 && (secret || assertion), secret && assertion:
		return ClientAuthentication{}, NewError(InvalidRequest, "The client authenticates in more than one way.")
	case len(headers) == 1:
		return parseBasic(headers[0], p)
	case assertion:
		return parseAssertion(p)
	}
	a := ClientAuthentication{Method: AuthNone, ClientID: p.Get("client_id"), Secret: p.Get("client_secret")}
	if secret {
		a.Method = AuthPost
	}
	if a.ClientID == "" {
		return ClientAuthentication{}, NewError(InvalidClient, "The client does not say who it is.").
			WithHint("Send client_id in the body, or use HTTP Basic.")
	}
	return a, nil
}

// parseBasic reads RFC 7617 credentials with the extra encoding of RFC 6749
// §2.3.1.
func parseBasic(header string, p Params) (ClientAuthentication, error) {
	a := ClientAuthentication{Method: AuthBasic}
	malformed := NewError(InvalidClient, "The Authorization header is not well-formed HTTP Basic.")
	scheme, credentials, ok := strings.Cut(header, " ")
	if !ok || !strings.EqualFold(scheme, "Basic") || len(credentials) > 4<<10 {
		return a, malformed
	}
	decoded, err := base64.StdEncoding.Strict().DecodeString(credentials)
	if err != nil || strings.ContainsAny(credentials, "\r\n") {
		return a, malformed
	}
	id, secret, ok := strings.Cut(string(decoded), ":")
	if !ok || id == "" || !printable(string(decoded)) {
		return a, malformed
	}
	a.ClientID, a.Secret = formDecode(id), formDecode(secret)
	if secret == "" { // nothing is proved by it, as by an empty client_secret in a body
		a.Method = AuthNone
	}
	if a.ClientID != id || a.Secret != secret {
		a.Raw = &RawCredentials{ClientID: id, Secret: secret}
	}
	if body := p.Get("client_id"); body != "" && body != a.ClientID && body != id {
		return ClientAuthentication{}, NewError(InvalidRequest, "client_id differs between header and body.")
	}
	return a, nil
}

// formDecode undoes application/x-www-form-urlencoded. What is not so encoded
// is taken as it stands.
func formDecode(s string) string {
	decoded, err := url.QueryUnescape(s)
	if err != nil || !printable(decoded) {
		return s
	}
	return decoded
}

// parseAssertion reads RFC 7523 §2.2. client_id is optional there.
func parseAssertion(p Params) (ClientAuthentication, error) {
	if p.Get("client_assertion_type") != AssertionTypeJWTBearer || !p.Has("client_assertion") {
		return ClientAuthentication{}, NewError(InvalidRequest, "client_assertion and client_assertion_type do not belong together.")
	}
	return ClientAuthentication{Method: AuthPrivateKeyJWT, ClientID: p.Get("client_id"), Assertion: p.Get("client_assertion")}, nil
}

// CheckMethod decides whether a client registered for the given methods may
// authenticate the way it did: invalid_client if not. A confidential client
// that sends nothing and a public one that sends a secret both fail.
func (a ClientAuthentication) CheckMethod(registered []AuthMethod) error {
	if slices.Contains(registered, a.Method) {
		return nil
	}
	return NewError(InvalidClient, "The client is not registered for this way to authenticate.")
}

// CheckCredentialsNotInQuery refuses credentials in the URL of a request that
// takes a body: URLs are logged everywhere (RFC 6749 §2.3.1).
func CheckCredentialsNotInQuery(query url.Values) error {
	for _, name := range [...]string{"client_secret", "client_assertion", "code", "code_verifier", "refresh_token", "token", "password"} {
		if query.Has(name) {
			return NewError(InvalidRequest, "Credentials must not be sent in the URL.").
				WithHint("Send " + name + " in the body.")
		}
	}
	return nil
}
