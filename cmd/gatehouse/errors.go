package main

import (
	"errors"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// flagOf names the flag behind a field that the core complains of in the management API's words.
func flagOf(field string) string {
	switch field {
	case "app_type":
		return "--type"
	case "callbacks":
		return "--callback"
	case "allowed_logout_urls":
		return "--logout-url"
	case "oidc_logout.backchannel_logout_urls":
		return "--backchannel-logout-uri"
	case "web_origins":
		return "--web-origin"
	case "grant_types":
		return "--grant-type"
	case "token_endpoint_auth_method":
		return "--auth-method"
	case "scopes":
		return "--permission"
	case "scope", "audience":
		return "--grant"
	case "networks":
		return "--network"
	case "permissions":
		return "--allow"
	case "default_permissions":
		return "--default-permission"
	case "refresh_token.leeway":
		return "--refresh-overlap"
	case "":
		return ""
	default:
		return "--" + strings.ReplaceAll(field, "_", "-")
	}
}

// wordsOf names a field as the command line of a command does: by its flag, or as the argument that
// stands without one.
func wordsOf(command *kong.Node) func(field string) string {
	return func(field string) string {
		flag := flagOf(field)
		for _, argument := range command.Positional {
			if "--"+argument.Name == flag {
				return strings.ToUpper(argument.Name)
			}
		}
		return flag
	}
}

// asItStands names a field of a file as the file does.
func asItStands(field string) string { return field }

// explain returns what the operator needs to know about an error; named is how they know a field. Who runs
// the command owns the house, so causes are told too; secrets are in no error anyway.
func explain(err error, named func(field string) string) string {
	if errors.Is(err, db.ErrBusy) {
		return "The database cannot be reached, or has too much to do: " + strings.Replace(err.Error(), db.ErrBusy.Error()+": ", "", 1)
	}
	e, ok := errors.AsType[*fault.Error](err)
	if !ok || e.Message == "" {
		return err.Error()
	}
	text := e.Message
	if name := named(e.Field); name != "" {
		text = name + ": " + text
	}
	var told *oauth.Error // the message is what it says
	if e.Err != nil && !errors.As(e.Err, &told) && !strings.Contains(text, e.Err.Error()) {
		text += " (" + e.Err.Error() + ")"
	}
	return text
}
