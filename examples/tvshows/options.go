package tvshows

import (
	"log/slog"
	"strings"

	"github.com/gatehouse-dev/gatehouse/guard"
)

// Client is how the house knows an application.
type Client struct {
	// ClientID is public.
	ClientID string
	// ClientSecret is empty for the static form: a page has nowhere to hide one.
	ClientSecret string
}

// Link is an address to offer at the top of a page.
type Link struct {
	Name string `json:"name"`
	URL  string `json:"url"`
}

// Options configures one form of the application.
type Options struct {
	// Issuer is the house, exactly as its metadata spells it: a slash at the end.
	Issuer string
	// Audience is the API that access tokens are asked for.
	Audience string
	// BaseURL is this application's own origin, such as http://localhost:5173.
	BaseURL string
	// APIURL is the API's origin.
	APIURL string
	// Client is this application's registration at the house.
	Client Client
	// Secret seals cookies and session rows: at least 32 random bytes. The static
	// form needs none.
	Secret string
	// Revocations knows who has signed out elsewhere; nil if nobody can be asked. The
	// server-rendered form, whose sessions are in the browsers alone, ends them by it.
	Revocations guard.Revocations
	// DataFile is the SQLite file of the custom server's sessions.
	DataFile string
	// InboxURL is where a house of development shows its mails; empty elsewhere.
	InboxURL string
	// Others leads to the other forms and to the start page.
	Others []Link
	// Logger hears of failures; nil discards them.
	Logger *slog.Logger
}

func (o Options) withDefaults() Options {
	o.BaseURL, o.APIURL = strings.TrimSuffix(o.BaseURL, "/"), strings.TrimSuffix(o.APIURL, "/")
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// scopes are what every form asks for. The house grants of the API's scopes
// what the person who signs in may do, and no more.
func scopes() []string {
	return []string{"openid", "profile", "email", "offline_access", readShows, writeShows}
}

// Callbacks returns what the house must register for a form, "static",
// "rendered" or "server", at baseURL: where it may send people back to after
// signing in and after signing out, and which origins may read its answers from
// a script.
func Callbacks(form, baseURL string) (redirectURIs, logoutURLs, webOrigins []string) {
	base := strings.TrimSuffix(baseURL, "/")
	if form == "static" {
		return []string{base + "/"}, []string{base + "/"}, []string{base}
	}
	return []string{base + "/auth/callback"}, []string{base}, nil
}

// BackchannelLogout returns where a form at baseURL is told that somebody has
// signed out at the house, or nothing. Only the custom server can be: it finds the
// session in its database. The other two keep none that a server could end; the
// server-rendered form asks Options.Revocations in its place.
func BackchannelLogout(form, baseURL string) string {
	if form != "server" {
		return ""
	}
	return strings.TrimSuffix(baseURL, "/") + "/auth/backchannel-logout"
}
