// Package guide turns the answer to "what are you building?" into an application: which kinds of
// application there are and which SDKs serve them, the client that is safe for each, and the exact
// lines of configuration and code that make the SDK work with it.
//
// The tree of questions is data ([Tree]), the rules are pure ([Make]), and the code is in the folder
// snippets, a file an SDK. The command and the management API both come through here.
package guide

import (
	"slices"

	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
)

// Building is a kind of application: one answer to "what are you building?".
type Building struct {
	ID    string    `json:"id"`    // how flags and JSON name it
	Title string    `json:"title"` // as people say it
	Means string    `json:"means"` // what makes it that kind
	Type  apps.Type `json:"-"`     // of its client, unless the SDK says otherwise; empty for an API, which needs none
	Notes []string  `json:"notes,omitempty"`
	SDKs  []SDK     `json:"sdks"`
}

// SDK is a way to build it that is proven by an example or by a test.
type SDK struct {
	ID      string `json:"id"`
	Title   string `json:"title"`
	Package string `json:"package,omitempty"` // with the version that is proven
	// Origin is where it runs unless somebody says otherwise; empty for what has no pages.
	Origin string `json:"origin,omitempty"`
	// Callbacks, LogoutURLs and WebOrigins are what the SDK sends, as paths below each origin ("" is
	// the origin itself) or as whole addresses.
	Callbacks  []string `json:"callbacks,omitempty"`
	LogoutURLs []string `json:"logout_urls,omitempty"`
	WebOrigins bool     `json:"web_origins,omitempty"`
	// BackchannelLogout is the path at which the SDK hears of sign-outs, once it keeps sessions in a store.
	BackchannelLogout string `json:"backchannel_logout,omitempty"`
	// Basic is why the SDK needs the profile oidc-basic; empty for one that needs nothing less than oauth2.1.
	Basic string   `json:"profile_reason,omitempty"`
	Notes []string `json:"notes,omitempty"`
	// DefaultNeedsBasic says what the SDK does out of the box that is for clients of profile oidc-basic,
	// and that the lines given here do without.
	DefaultNeedsBasic string `json:"-"`

	typ        apps.Type // where it is not the building's
	grantTypes []string  // where they are not those of the type
	queryToken bool      // shows access tokens in the URL of /userinfo
}

// Question is what everybody is asked first.
const Question = "What are you building?"

// Find returns a building and, below it, an SDK. sdk may be empty where there is one alone.
func Find(building, sdk string) (b Building, s SDK, err error) {
	all := Tree()
	i := slices.IndexFunc(all, func(b Building) bool { return b.ID == building })
	if i < 0 {
		return b, s, oneOf("building", building, ids(all, func(b Building) string { return b.ID }))
	}
	b = all[i]
	if sdk == "" && len(b.SDKs) == 1 {
		return b, b.SDKs[0], nil
	}
	j := slices.IndexFunc(b.SDKs, func(s SDK) bool { return s.ID == sdk })
	if j < 0 {
		return b, s, oneOf("sdk", sdk, ids(b.SDKs, func(s SDK) string { return s.ID }))
	}
	return b, b.SDKs[j], nil
}

// Type returns the type of the client, empty where there is none.
func Type(b Building, s SDK) apps.Type {
	if s.typ != "" {
		return s.typ
	}
	return b.Type
}

// Needs says which questions are left once building and SDK are settled.
type Needs struct {
	Name, Origin, Callback, Audience, Scope bool
	// AudienceRequired: without an API there is nothing to create.
	AudienceRequired bool
}

// NeedsOf returns them.
func NeedsOf(b Building, s SDK) Needs {
	typ := Type(b, s)
	return Needs{
		Name: true, Origin: s.Origin != "", Callback: s.Origin == "" && typ == apps.Native && len(s.Callbacks) == 1,
		Audience: true, AudienceRequired: typ == apps.Machine || typ == "", Scope: typ == apps.Machine,
	}
}

func ids[T any](list []T, id func(T) string) []string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = id(v)
	}
	return out
}
