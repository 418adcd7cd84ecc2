package guide

import (
	"slices"
	"strings"

	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// Answers are what somebody said about an application. Building and Name are required, SDK where the
// building has several; the rest has defaults.
type Answers struct {
	Building string   `json:"building"`
	SDK      string   `json:"sdk"`
	Name     string   `json:"name"`
	Origins  []string `json:"origins"`  // where it runs; the SDK's default
	Callback []string `json:"callback"` // in place of those that follow from the origins
	Audience string   `json:"audience"` // the API it calls or, for building api, is; empty for none
	Scope    []string `json:"scope"`    // what it asks for there; all there is, but for a program that acts in its own name
	// SessionStore says that the application keeps sessions where they can be found, so that the
	// house can tell it of sign-outs.
	SessionStore bool `json:"session_store"`
}

// Application is what comes of the answers: a client that is ready to be stored (nil for an API), or
// an API (nil for the others, and for one that exists).
type Application struct {
	Building       Building
	SDK            SDK
	Client         *apps.Client
	Secret         string // of Client, if it keeps one
	NewAPI         *apps.API
	API            *apps.API // what it calls, or is; nil for none
	Scope          []string  // what it asks for there
	Origin         string    // the first; empty for what has no pages
	ToldOfSignOuts bool      // it hears of sign-outs
}

// Make returns the application for the answers. api is the API that Answers.Audience names, nil when
// there is none of that name. The error is a [fault.Error] of code Invalid that names the answer.
// Nothing is stored.
func Make(a Answers, api *apps.API) (*Application, error) {
	b, s, err := Find(a.Building, a.SDK)
	if err != nil {
		return nil, err
	}
	app := &Application{Building: b, SDK: s, API: api, ToldOfSignOuts: a.SessionStore && s.BackchannelLogout != ""}
	if err := app.settleAPI(a, api); err != nil {
		return nil, err
	}
	typ := Type(b, s)
	if typ == "" {
		return app, nil
	}
	app.Client, app.Secret = apps.NewClient(a.Name, typ)
	if err := app.settleAddresses(a); err != nil {
		return nil, err
	}
	c := app.Client
	c.Description = b.Title + ": " + s.Title
	c.Audience = a.Audience
	if s.grantTypes != nil {
		c.GrantTypes = slices.Clone(s.grantTypes)
	}
	if s.Basic != "" {
		c.Profile, c.InsecureUserinfoQueryToken = apps.OIDCBasic, s.queryToken
	}
	if typ == apps.Machine {
		c.Grants[api.Identifier] = app.Scope
	}
	return app, c.Validate()
}

// settleAPI judges the API and what is asked for there.
func (app *Application) settleAPI(a Answers, api *apps.API) error {
	needs := NeedsOf(app.Building, app.SDK)
	switch isAPI := Type(app.Building, app.SDK) == ""; {
	case a.Audience == "" && needs.AudienceRequired:
		return fault.Field("audience", "is missing: the identifier of the API, such as https://api.example.com/")
	case a.Audience == "":
		if len(a.Scope) > 0 {
			return fault.Field("scope", "goes with an audience: scopes are those of an API")
		}
		return nil
	case isAPI && api == nil:
		app.NewAPI = apps.NewAPI(a.Audience, strings.TrimSpace(a.Name))
		for _, value := range a.Scope {
			app.NewAPI.Permissions = append(app.NewAPI.Permissions, apps.Permission{Value: value})
		}
		app.API, app.Scope = app.NewAPI, a.Scope
		return app.NewAPI.Validate()
	case api == nil:
		return fault.Field("audience", "there is no API %s; create it first: building api", clip(a.Audience))
	}
	known := api.Scopes()
	for _, value := range a.Scope {
		if !known.Contains(value) {
			return fault.Field("scope", "the API has no permission %q; it has: %s", clip(value), known)
		}
	}
	if app.Scope = a.Scope; len(a.Scope) == 0 {
		if needs.Scope && len(known) > 0 {
			return fault.Field("scope", "is missing: what it may do at the API, of: %s", known)
		}
		app.Scope = known
	}
	return nil
}

// settleAddresses derives what the SDK will send from where the application runs.
func (app *Application) settleAddresses(a Answers) error {
	c, s := app.Client, app.SDK
	if s.Origin == "" && len(a.Origins) > 0 {
		return fault.Field("origin", "is for what has pages; this has none")
	}
	origins := a.Origins
	if len(origins) == 0 && s.Origin != "" {
		origins = []string{s.Origin}
	}
	for _, o := range origins {
		if origin, ok := oauth.Origin(o); !ok || origin != o {
			return fault.Field("origin", "%q must be scheme, host and port, such as https://shop.example.com", clip(o))
		}
	}
	if len(origins) == 0 { // a program on a device: its addresses are whole
		c.RedirectURIs = slices.Clone(s.Callbacks)
	} else {
		app.Origin = origins[0]
		c.RedirectURIs, c.LogoutURLs = below(origins, s.Callbacks), below(origins, s.LogoutURLs)
	}
	if len(a.Callback) > 0 {
		if len(s.Callbacks) == 0 {
			return fault.Field("callback", "is for applications that browsers return to; this has none")
		}
		c.RedirectURIs = slices.Clone(a.Callback)
	}
	if app.ToldOfSignOuts {
		c.BackchannelLogoutURI = app.Origin + s.BackchannelLogout
	}
	if s.WebOrigins {
		c.WebOrigins = slices.Clone(origins)
	}
	if c.Type == apps.SPA && len(c.RedirectURIs) > 0 {
		c.DefaultRedirectURI = c.RedirectURIs[0] // some versions send none
	}
	return nil
}

func below(origins, paths []string) []string {
	var out []string
	for _, o := range origins {
		for _, p := range paths {
			out = append(out, o+p)
		}
	}
	return out
}

func oneOf(field, got string, all []string) error {
	if got == "" {
		return fault.Field(field, "is missing: one of %s", strings.Join(all, ", "))
	}
	return fault.Field(field, "%q is none of %s", clip(got), strings.Join(all, ", "))
}

// clip keeps what somebody sent short enough for a message.
func clip(s string) string {
	if s = strings.ToValidUTF8(s, "?"); len(s) > 80 {
		return s[:80] + "…"
	}
	return s
}
