// Package checkup remembers what went wrong for an application lately, and what went well, and says
// from that and from its settings what is wrong with its configuration.
//
// Requests that succeed leave the time in memory, and those that fail a count: both are written by a
// few rows a minute, never on the way of a request ([Record]). What somebody sent is bounded and
// cleaned before it is kept, and of a secret, a code or a token nothing is. What to do about it is
// found when somebody asks ([Examine]), from the settings of that moment.
package checkup

// Kind names what happened. The value is what is stored; it never changes its meaning.
type Kind string

// What goes wrong. What was sent is kept with those that say so.
const (
	UnknownClient   Kind = "unknown_client" // of no client, and kept in one row
	Disabled        Kind = "disabled"
	RedirectURI     Kind = "redirect_uri" // sent: the URI
	RedirectMissing Kind = "redirect_uri_missing"
	MessageOrigin   Kind = "message_origin" // sent: the origin
	ResponseType    Kind = "response_type"  // sent: the response type; empty for one that there is not
	PKCE            Kind = "pkce"           // sent: what is wrong with it, in our own words; empty where there is none
	Audience        Kind = "audience"       // sent: the audience
	ScopeDropped    Kind = "scope_dropped"  // sent: the scopes
	LoginRequired   Kind = "login_required"
	LogoutURL       Kind = "logout_url"  // sent: the URL
	WebOrigin       Kind = "web_origin"  // sent: the origin
	PageOrigin      Kind = "page_origin" // of no client; sent: an origin no client registered
	ClientSecret    Kind = "client_secret"
	AuthMethod      Kind = "auth_method" // sent: the method
	GrantType       Kind = "grant_type"  // sent: the grant type
	Code            Kind = "code"
	CodeRedirectURI Kind = "code_redirect_uri"
	CodeVerifier    Kind = "code_verifier"
	RefreshToken    Kind = "refresh_token"
	RefreshReused   Kind = "refresh_token_reused"
	APIGrant        Kind = "api_grant" // sent: the audience
	PolledTooFast   Kind = "polled_too_fast"
	Refused         Kind = "refused" // sent: the error's code and our own description
	// BackchannelLogout is not stored: receipts have it.
	BackchannelLogout Kind = "backchannel_logout"
)

// What goes well.
const (
	Authorized         Kind = "ok_authorized"
	AuthorizedSilently Kind = "ok_authorized_silently"
	CodeRedeemed       Kind = "ok_code"
	Refreshed          Kind = "ok_refresh"
	Credentials        Kind = "ok_client_credentials"
	DeviceApproved     Kind = "ok_device"
	Exchanged          Kind = "ok_exchange"
	SignedOut          Kind = "ok_signed_out"
)

// well is a kind that goes well, and what a report calls it.
type well struct {
	kind  Kind
	title string
}

// numberOfWells is how many there are.
const numberOfWells = 8

// wells are the kinds that go well, in the order of their places in memory and in reports.
func wells() [numberOfWells]well {
	return [...]well{
		{Authorized, "somebody signed in"},
		{AuthorizedSilently, "signed in silently (prompt=none)"},
		{CodeRedeemed, "code redeemed"},
		{Refreshed, "tokens refreshed"},
		{Credentials, "token in its own name"},
		{DeviceApproved, "device signed in"},
		{Exchanged, "API key exchanged"},
		{SignedOut, "signed out"},
	}
}

// place is where a kind that goes well stands among wells.
func place(k Kind) int {
	for i, w := range wells() {
		if w.kind == k {
			return i
		}
	}
	panic("checkup: " + string(k) + " is nothing that goes well")
}

// Problem is an error that will be remembered of the client it concerns. It wraps the error that is
// answered with, which stays what it was.
type Problem struct {
	Kind Kind
	Sent string // what the client sent, as it came; it is cleaned when it is kept
	Err  error
}

// Error is that of the wrapped error.
func (p *Problem) Error() string { return p.Err.Error() }

// Unwrap returns what is answered with.
func (p *Problem) Unwrap() error { return p.Err }

// Because says of an error what it will be remembered as. Nil stays nil.
func Because(err error, kind Kind, sent string) error {
	if err == nil {
		return nil
	}
	return &Problem{kind, sent, err}
}
