package main

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/csrf"
	"github.com/gatehouse-dev/gatehouse/guard/oidclogin"
	"github.com/gatehouse-dev/gatehouse/guard/ratelimit"
)

//go:embed web
var web embed.FS

// views are the pages, each parsed together with the layout.
type views struct{ pages map[string]*template.Template }

func parseViews() (*views, error) {
	names, err := fs.Glob(web, "web/*.html")
	if err != nil {
		return nil, err
	}
	v := &views{pages: map[string]*template.Template{}}
	for _, name := range names {
		if v.pages[strings.TrimPrefix(name, "web/")], err = template.ParseFS(web, "web/layout.html", name); err != nil {
			return nil, err
		}
	}
	return v, nil
}

func (v *views) files() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=300")
		http.ServeFileFS(w, r, web, "web"+r.URL.Path)
	})
}

// view is what a page shows.
type view struct {
	Who  *guard.Principal // nil: a stranger
	Name string
	Said string // by the page before
	Data any

	r *http.Request
}

// Field is the hidden input that every form of this application needs.
func (v view) Field() template.HTML { return csrf.Field(v.r.Context()) }

// Admin and Editor say what to show. That it is shown is a courtesy: guard.Require decides.
func (v view) Admin() bool { return v.Who.HasRole(admin) }

// Editor says whether to show the form for new shows.
func (v view) Editor() bool { return v.Who.HasScope(writeShows) }

// Path is where the person is.
func (v view) Path() string { return v.r.URL.Path }

// Moment writes a time as people read it.
func (v view) Moment(t time.Time) string { return t.UTC().Format("2 January, 15:04 UTC") }

// show writes a page. It is rendered before anything is sent: it may change cookies.
func (a *app) show(w http.ResponseWriter, r *http.Request, status int, page string, data any) error {
	v := view{Data: data, r: r}
	if s, ok := oidclogin.FromContext(r.Context()); ok {
		v.Who = s.Principal()
		is, err := describe(v.Who)
		if err != nil {
			return err
		}
		v.Name = is.Name
		if v.Said = s.Value(said); v.Said != "" {
			if err := s.SetValue(r.Context(), said, ""); err != nil {
				a.Logger.WarnContext(r.Context(), "message", "error", err)
			}
		}
	}
	var body bytes.Buffer
	if err := a.views.pages[page].ExecuteTemplate(&body, "layout", v); err != nil {
		return fmt.Errorf("page %s: %w", page, err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store") // somebody's own page
	w.WriteHeader(status)
	_, _ = body.WriteTo(w)
	return nil
}

// said is the session's value for what the next page is to say.
const said = "said"

// back leads to a page, which says something.
func (a *app) back(w http.ResponseWriter, r *http.Request, path, text string) error {
	s, _ := oidclogin.FromContext(r.Context())
	if err := s.SetValue(r.Context(), said, text); err != nil { // one that is lost is not worth failing for
		a.Logger.WarnContext(r.Context(), "message", "error", err)
	}
	http.Redirect(w, r, path, http.StatusSeeOther)
	return nil
}

// message is a page that only says something.
type message struct{ Title, Text, Back string }

func (a *app) say(w http.ResponseWriter, r *http.Request, status int, title, text string) error {
	m := message{title, text, "/"}
	if from, err := url.Parse(r.Referer()); err == nil && from.Path == "/shows" {
		m.Back = from.Path
	}
	return a.show(w, r, status, "message.html", m)
}

func (a *app) notFound(w http.ResponseWriter, r *http.Request) error {
	return a.say(w, r, http.StatusNotFound, "There is nothing here", "The address is mistyped, or what was here is gone.")
}

// refuse answers whom guard.Require does not let through: page visits go on to sign in, programs get the
// guard's own words, people a page like the others.
func (a *app) refuse(w http.ResponseWriter, r *http.Request, f *guard.Refusal) {
	if f.LoginURL != "" || !strings.Contains(r.Header.Get("Accept"), "text/html") {
		f.Write(w, r)
		return
	}
	title, text := "This did not work", "Try again in a moment."
	switch {
	case f.Err == nil:
		title, text = "You are signed out", "Your session ended before the form came in. Sign in and send it again."
	case f.Err.Code == guard.InsufficientUserAuthentication:
		title, text = "That took a while", "It is more than five minutes since you signed in. Go back and begin again."
	case f.Err.Code == guard.InsufficientScope:
		title, text = "This is for editors", "It takes the permission "+f.Err.Scope+", which your account does not have at the house."
	case f.Err.Code == guard.AccessDenied:
		title, text = "This page is not for you", "It takes a role that you do not have here."
	case f.Err.Code == guard.TooManyRequests:
		title, text = "Slow down", "That is more than a person changes in a minute. Try again in a moment."
	case f.Err.Code == csrf.CrossOrigin, f.Err.Code == csrf.BadToken:
		title, text = "Nothing was changed", "The form is out of date, or another site sent it. Go back, reload the page, and try again."
	}
	if err := a.say(w, r, f.Status, title, text); err != nil {
		a.Logger.ErrorContext(r.Context(), "refusal", "error", err)
	}
}

func (a *app) refuseForm(w http.ResponseWriter, r *http.Request, why *guard.Error) {
	a.refuse(w, r, &guard.Refusal{Status: http.StatusForbidden, Err: why})
}

// tooMany answers whoever changes more than a person can; the headers are written already.
func (a *app) tooMany(w http.ResponseWriter, r *http.Request, _ ratelimit.Result) {
	a.refuse(w, r, &guard.Refusal{Status: http.StatusTooManyRequests, Err: &guard.Error{Code: guard.TooManyRequests, Description: "Too many changes at once"}})
}
