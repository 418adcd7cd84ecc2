package guide

import (
	"embed"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/template"

	"github.com/gatehouse-dev/gatehouse/internal/base/shell"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// Step is one thing to do, in order: a file with its content, or lines for a terminal.
type Step struct {
	Where string `json:"where"`
	Text  string `json:"text"`
}

//go:embed snippets/*.txt
var snippets embed.FS

// Steps returns the lines of configuration and code that make the SDK work with the application, its
// keys filled in, so they are as secret as these. issuer is the house; sessionSecret is a fresh
// secret for the application's own cookies.
func (app *Application) Steps(issuer, sessionSecret string) ([]Step, error) {
	name := "snippets/" + app.SDK.ID + ".txt"
	t, err := template.New(app.SDK.ID+".txt").Delims("«", "»").Option("missingkey=error").Funcs(quoting()).ParseFS(snippets, name)
	if err != nil {
		return nil, fmt.Errorf("guide: %w", err)
	}
	var text strings.Builder
	if err := t.Execute(&text, app.values(issuer, sessionSecret)); err != nil {
		return nil, fmt.Errorf("guide: %w", err)
	}
	return split(text.String()), nil
}

// Note is something good to know, with the command that does something about it, if one does.
type Note struct {
	Text    string
	Command []string // the words after "gatehouse"
}

// Notes returns what is good to know about the application, the reasons of its settings first.
func (app *Application) Notes() []Note {
	var out []Note
	s := app.SDK
	if s.Basic != "" {
		out = append(out, Note{Text: "The client has the profile oidc-basic, which is less strict than the default: " + s.Basic})
	}
	for _, text := range append(slices.Clone(app.Building.Notes), s.Notes...) {
		out = append(out, Note{Text: text})
	}
	if s.DefaultNeedsBasic != "" {
		out = append(out, Note{s.DefaultNeedsBasic, []string{"client", "update", app.Client.ClientID, "--profile", string(apps.OIDCBasic)}})
	}
	if s.BackchannelLogout != "" && !app.ToldOfSignOuts {
		out = append(out, Note{
			"Once it keeps its sessions in a store, the house can tell it of sign-outs elsewhere:",
			[]string{"client", "update", app.Client.ClientID, "--backchannel-logout-uri", app.Origin + s.BackchannelLogout},
		})
	}
	return out
}

// values is what the snippets are made of.
type values struct {
	Package, Issuer, Domain               string // Domain is the issuer without its slash
	ClientID, ClientSecret, SessionSecret string
	Origin, Callback, LogoutURL, Listen   string
	Audience, Scope, Permission, Alg      string
	Authorize, Token, Device              string
	PlainHTTP, Auth0Dialect, Refresh      bool
	BackchannelLogout                     bool
}

func (app *Application) values(issuer, sessionSecret string) values {
	domain := strings.TrimSuffix(issuer, "/")
	v := values{
		Package: app.SDK.Package, Issuer: domain + "/", Domain: domain, SessionSecret: sessionSecret, ClientSecret: app.Secret,
		Origin: app.Origin, Listen: listen(app.Origin), Authorize: domain + "/authorize", Token: domain + "/oauth/token",
		Device: domain + "/oauth/device/code", PlainHTTP: strings.HasPrefix(issuer, "http://"), BackchannelLogout: app.ToldOfSignOuts,
	}
	scope := app.Scope
	if app.API != nil {
		v.Audience, v.Alg, v.Auth0Dialect = app.API.Identifier, string(app.API.SigningAlg), app.API.TokenDialect == oauth.DialectAuth0
	}
	if len(app.Scope) > 0 {
		v.Permission = app.Scope[0]
	}
	if c := app.Client; c != nil {
		v.ClientID = c.ClientID
		v.Callback, v.LogoutURL = first(c.RedirectURIs), first(c.LogoutURLs)
		v.Refresh = c.MayUse(oauth.GrantRefreshToken) && (app.API == nil || app.API.AllowOfflineAccess)
		if c.Type != apps.Machine {
			scope = append([]string{oauth.ScopeOpenID, oauth.ScopeProfile, oauth.ScopeEmail}, scope...)
			if v.Refresh && !sdkAsksItself(app.SDK.ID) {
				scope = append(scope, oauth.ScopeOfflineAccess)
			}
		}
	}
	v.Scope = strings.Join(scope, " ")
	return v
}

// sdkAsksItself: with useRefreshTokens these SDKs add offline_access.
func sdkAsksItself(sdk string) bool { return strings.HasPrefix(sdk, "auth0-") }

func first(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}

// listen is the address behind an origin, as a program takes it.
func listen(origin string) string {
	_, host, _ := strings.Cut(origin, "://")
	if strings.HasPrefix(origin, "http://") && strings.Contains(host, ":") {
		return host
	}
	return "localhost:3000" // behind whatever ends TLS
}

// split reads a snippet: a line "-- NAME --" begins each step.
func split(text string) []Step {
	var out []Step
	for line := range strings.Lines(text) {
		name, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "-- ")
		if ok {
			if name, ok = strings.CutSuffix(name, " --"); ok {
				out = append(out, Step{Where: name})
				continue
			}
		}
		if len(out) > 0 {
			out[len(out)-1].Text += line
		}
	}
	for i := range out {
		out[i].Text = strings.Trim(out[i].Text, "\n") + "\n"
	}
	return out
}

// quoting returns how each language writes a string. An API's identifier may hold any printable
// character, so nothing that somebody chose stands in code without one of these.
func quoting() template.FuncMap {
	return template.FuncMap{
		"go": strconv.Quote, "java": jsonString, "yaml": jsonString, "py": jsonString, "js": jsString, "sh": shell.Quote, "env": shell.Quote,
		"golist": func(s string) string {
			fields := strings.Fields(s)
			for i, f := range fields {
				fields[i] = strconv.Quote(f)
			}
			return strings.Join(fields, ", ")
		},
	}
}

// jsonString is a string of JSON, YAML, Python and Java alike.
func jsonString(s string) string {
	raw, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string can always be written
	}
	return string(raw)
}

// jsString is a string of JavaScript in single quotes.
func jsString(s string) string {
	inner := jsonString(s)
	return "'" + strings.NewReplacer(`\"`, `"`, `'`, `\'`).Replace(inner[1:len(inner)-1]) + "'"
}
