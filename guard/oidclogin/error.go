package oidclogin

import (
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"

	"github.com/gatehouse-dev/gatehouse/guard/internal/provider"
)

// Error is why a sign-in failed. Nobody is signed in by a request that ends
// with one.
type Error struct {
	// Code is the provider's error code (RFC 6749 §4.1.2.1) where it refused, such
	// as access_denied, or one of this package's: invalid_callback,
	// invalid_token, token_exchange_failed, provider_unavailable, session_failed.
	Code string
	// Description may be shown to the person. Nothing that came with the request
	// stands in it.
	Description string
	// Status is the HTTP status that fits.
	Status int
	// Err is the cause, for the log alone.
	Err error
}

// Error returns code, description and cause. It is for logs.
func (e *Error) Error() string {
	s := "oidclogin: " + e.Code + ": " + e.Description
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

func invalidCallback(err error) *Error {
	return &Error{
		Code: "invalid_callback", Status: http.StatusBadRequest, Err: err,
		Description: "This sign-in is not under way in this browser. It may have taken too long, or was finished already.",
	}
}

func invalidToken(err error) *Error {
	return &Error{Code: "invalid_token", Status: http.StatusBadRequest, Err: err, Description: "The provider's answer did not check out."}
}

func sessionFailed(err error) *Error {
	return &Error{Code: "session_failed", Status: http.StatusInternalServerError, Err: err, Description: "The session could not be kept."}
}

func unreachable(err error) *Error {
	return &Error{Code: "provider_unavailable", Status: http.StatusServiceUnavailable, Err: err, Description: "The sign-in service cannot be reached at the moment."}
}

// notAsked: the provider cannot be reached, or did not take the request itself.
func notAsked(err error) *Error {
	var refused *refusedError
	if errors.As(err, &refused) {
		e := providerError(refused.Code, refused.Description)
		e.Err = err
		return e
	}
	return unreachable(err)
}

func unmet(err error) *Error {
	return &Error{Code: "unmet_authentication_requirements", Status: http.StatusForbidden, Err: err, Description: "The sign-in service did not confirm who you are as firmly as this page needs."}
}

// notLetIn is the application's own refusal; an *Error says how it looks.
func notLetIn(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{Code: "access_denied", Status: http.StatusForbidden, Err: err, Description: "This account may not use this application."}
}

// byChoice reports whether an error is an answer the application or the person
// asked for, and no fault: prompt=none with nobody signed in, or a change of mind.
func byChoice(code string) bool {
	switch code {
	case "login_required", "consent_required", "interaction_required", "account_selection_required", "access_denied", "unmet_authentication_requirements":
		return true
	}
	return false
}

// failed tells a provider that is down from one that answered wrongly.
func failed(err error) *Error {
	if errors.Is(err, provider.ErrUnavailable) {
		return unreachable(err)
	}
	return invalidToken(err)
}

// fail answers a failed sign-in: the log gets the cause, the browser the code.
func (l *Login) fail(w http.ResponseWriter, r *http.Request, e *Error) {
	level := slog.LevelWarn
	if byChoice(e.Code) {
		level = slog.LevelInfo
	}
	l.log.Log(r.Context(), level, "guard: sign-in failed", "code", e.Code, "issuer", l.options.Issuer, "error", e)
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	if e.Status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "5")
	}
	if l.options.OnError != nil {
		l.options.OnError(w, r, e)
		return
	}
	writePage(w, e.Status, errorPage, map[string]string{
		"Code": e.Code, "Description": e.Description, "Login": l.options.Prefix + "/login",
	})
}

func writePage(w http.ResponseWriter, status int, page *template.Template, data any) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = page.Execute(w, data)
}

const (
	pageTop = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta name="robots" content="noindex">
`
	pageRest = `<title>{{template "title" .}}</title>
<style>:root{color-scheme:light dark}body{font:1rem/1.5 system-ui,sans-serif;max-width:36rem;margin:15vh auto;padding:0 1.5rem}button{font:inherit;padding:.5rem 1.25rem}</style>
</head><body><main><h1>{{template "title" .}}</h1>`
	pageHead = pageTop + pageRest
)

var (
	errorPage = template.Must(template.New("error").Parse(`{{define "title"}}That did not work{{end}}` + pageHead +
		`<p>{{.Description}}</p><p><a href="{{.Login}}">Try again</a></p><p><small>Code: <code>{{.Code}}</code></small></p></main></body></html>
`))
	arrivedPage = template.Must(template.New("arrived").Parse(`{{define "title"}}You are signed in{{end}}` +
		pageTop + `<meta http-equiv="refresh" content="0;url={{.Address}}">` + pageRest +
		`<p><a href="{{.Address}}">Go on</a></p></main></body></html>
`))
	logoutPage = template.Must(template.New("logout").Parse(`{{define "title"}}Sign out?{{end}}` + pageHead +
		`<p>Another site has sent you here.</p><form method="post" action="{{.Logout}}"><button>Sign out</button></form></main></body></html>
`))
)

// providerError keeps what the provider said about an error if it is a plausible
// code; anything else a link's author could have written.
func providerError(code, description string) *Error {
	if !isErrorCode(code) {
		code = "invalid_callback"
	}
	return &Error{
		Code: code, Status: http.StatusBadRequest, Description: "The sign-in service did not let you in.",
		Err: fmt.Errorf("provider says %.100q", description),
	}
}

func isErrorCode(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && c != '_' {
			return false
		}
	}
	return true
}
