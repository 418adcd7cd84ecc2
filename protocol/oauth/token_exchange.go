package oauth

// GrantTokenExchange is the grant type of a token exchange (RFC 8693 §2.1).
const GrantTokenExchange = "urn:ietf:params:oauth:grant-type:token-exchange"

// Identifiers of kinds of tokens (RFC 8693 §3).
const (
	TokenTypeAccessToken = "urn:ietf:params:oauth:token-type:access_token"
	TokenTypeJWT         = "urn:ietf:params:oauth:token-type:jwt"
	// TokenTypeAPIKey is ours: an API key of the house, as the subject of an exchange.
	TokenTypeAPIKey = "urn:gatehouse:params:oauth:token-type:api_key"
)

// TokenExchange is a token exchange request whose subject is one token and that
// has no actor: what it asks for.
type TokenExchange struct {
	SubjectToken string
	Audience     string // audience or resource; empty if the request names neither
	Scope        Scope  // empty if the request names none
}

// ParseTokenExchange reads a request for an access token in exchange for a token
// of the kind subjectType. Errors are invalid_request, as RFC 8693 §2.2.2 wants
// it for a subject or an actor that is not acceptable, invalid_target and
// invalid_scope.
func ParseTokenExchange(p Params, subjectType string) (*TokenExchange, error) {
	switch {
	case !p.Has("subject_token"):
		return nil, NewError(InvalidRequest, "subject_token is missing.")
	case p.Get("subject_token_type") != subjectType:
		return nil, NewError(InvalidRequest, "This subject_token_type can not be exchanged.").WithHint("It must be " + subjectType + ".")
	case p.Has("actor_token") || p.Has("actor_token_type"):
		return nil, NewError(InvalidRequest, "There is no exchange with an actor here.")
	}
	switch p.Get("requested_token_type") {
	case "", TokenTypeAccessToken, TokenTypeJWT:
	default:
		return nil, NewError(InvalidRequest, "This requested_token_type is not offered.").WithHint("Leave it out, or ask for " + TokenTypeAccessToken + ".")
	}
	x := &TokenExchange{SubjectToken: p.Get("subject_token")}
	var err error
	if x.Audience, err = p.Audience(); err != nil {
		return nil, err
	}
	if p.Has("scope") {
		if x.Scope, err = ParseScope(p.Get("scope")); err != nil {
			return nil, err
		}
	}
	return x, nil
}
