package main

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/csrf"
	"github.com/gatehouse-dev/gatehouse/guard/ratelimit"
	"github.com/gatehouse-dev/gatehouse/guard/session"
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
	Who     *guard.Principal // nil: a stranger
	Flashes []string
	Data    any

	r *http.Request
}

// message is a page that only says something.
type message struct{ Title, Text string }

// Field is the hidden input that every form needs. For a stranger it sets a cookie, so it is made
// where a form is, and nowhere else.
func (v view) Field() template.HTML { return csrf.Field(v.r.Context()) }

// Name is whose notebook it is.
func (v view) Name() string { return nameOf(v.Who) }

// Admin says whether to show the way to /admin. That it is shown is a courtesy: guard.Roles decides.
func (v view) Admin() bool { return v.Who.HasRole(admin) }

// Path is where the person is.
func (v view) Path() string { return v.r.URL.Path }

// Moment and Day write times as people read them.
func (v view) Moment(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04 UTC") }

// Day writes a date.
func (v view) Day(t time.Time) string { return t.UTC().Format("2 Jan 2006") }

// flashed are messages for the next page. Several tabs may leave some at once.
const flashed session.Key[[]string] = "flash"

// flash leaves a message for the next page. One that is lost is not worth failing for.
func (a *app) flash(r *http.Request, text string) {
	err := flashed.Update(r.Context(), func(list []string) ([]string, error) { return append(list, text), nil })
	if err != nil {
		a.log.WarnContext(r.Context(), "flash", "error", err)
	}
}

// show writes a page. It is rendered before anything is sent: forms and messages may change cookies.
func (a *app) show(w http.ResponseWriter, r *http.Request, status int, page string, data any) error {
	v := view{Data: data, r: r}
	v.Who, _ = guard.From(r.Context())
	v.Flashes, _, _ = flashed.Take(r.Context()) // a message that cannot be read is no reason to show nothing
	return a.render(w, status, page, v)
}

func (a *app) render(w http.ResponseWriter, status int, page string, v view) error {
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

func (a *app) notFound(w http.ResponseWriter, r *http.Request) error {
	return a.show(w, r, http.StatusNotFound, "message.html", message{"There is nothing here", "The address is mistyped, or what was here is gone."})
}

// refuse answers whom guard.Require does not let through: page visits go on to the sign-in page,
// programs get the guard's own words, people a page like the others.
func (a *app) refuse(w http.ResponseWriter, r *http.Request, f *guard.Refusal) {
	if f.LoginURL != "" || !strings.Contains(r.Header.Get("Accept"), "text/html") {
		f.Write(w, r)
		return
	}
	m := message{"This did not work", "Try again in a moment."}
	switch {
	case f.Err == nil:
		m = message{"You are signed out", "Your session ended before the form came in. Sign in and send it again."}
	case f.Err.Code == guard.InsufficientUserAuthentication:
		m = message{"That took a while", "It is more than five minutes since you gave your password. Go back and begin again."}
	case f.Err.Code == guard.AccessDenied:
		m = message{"This page is not for you", "It takes a role that your account does not have."}
	case f.Err.Code == csrf.CrossOrigin, f.Err.Code == csrf.BadToken:
		m = message{"Nothing was changed", "The form is out of date, or another site sent it. Go back, reload the page, and try again."}
	}
	// A refused form gets a page without forms: there may be nothing to make their tokens of.
	v := view{Data: m, r: r}
	if err := a.render(w, f.Status, "message.html", v); err != nil {
		a.log.ErrorContext(r.Context(), "refusal", "error", err)
	}
}

// refuseForm answers forged and outdated forms.
func (a *app) refuseForm(w http.ResponseWriter, r *http.Request, why *guard.Error) {
	if _, signedIn := guard.From(r.Context()); signedIn && r.URL.Path == "/login" && why.Code == csrf.BadToken {
		// Another tab has signed in since the form was made: the page knows where to go on.
		http.Redirect(w, r, r.URL.RequestURI(), http.StatusSeeOther)
		return
	}
	a.refuse(w, r, &guard.Refusal{Status: http.StatusForbidden, Err: why})
}

// tooMany answers whoever has tried too often; the headers are written already.
func (a *app) tooMany(w http.ResponseWriter, r *http.Request, result ratelimit.Result) {
	form := a.typed(r)
	minutes := int((result.RetryAfter + time.Minute - 1) / time.Minute)
	form.Problem = "Too many attempts. Try again in " + strconv.Itoa(minutes) + " minutes."
	if minutes == 1 {
		form.Problem = "Too many attempts. Try again in a minute."
	}
	page := "login.html"
	if r.URL.Path == "/signup" {
		page = "signup.html"
	}
	if err := a.show(w, r, http.StatusTooManyRequests, page, form); err != nil {
		a.log.ErrorContext(r.Context(), "refusal", "error", err)
	}
}
