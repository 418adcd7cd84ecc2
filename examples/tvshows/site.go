package tvshows

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/oidclogin"
)

// site is an application whose pages come from a server. The two that exist
// differ in where oidclogin keeps the session, and in what their page explains.
type site struct {
	Options
	Form   string // "rendered" or "server": its template, its icon, its colour
	Kind   string // the same for people
	cookie string // name of the session cookie

	// rows finds the session in the database; nil if there is none.
	rows func(context.Context, *guard.Principal) (*row, error)

	api       *client
	templates *template.Template
}

// newSite builds the application: this is all the routing it has.
func newSite(s site, o oidclogin.Options) (http.Handler, error) {
	var err error
	if s.templates, err = template.New("").Funcs(template.FuncMap{"join": strings.Join}).ParseFS(web, "web/pages/*.html"); err != nil {
		return nil, fmt.Errorf("tvshows: %w", err)
	}
	s.api = newClient(s.APIURL)
	var login *oidclogin.Login
	o.OnError = func(w http.ResponseWriter, r *http.Request, e *oidclogin.Error) {
		guard.Optional(login)(s.signInFailed(e)).ServeHTTP(w, r)
	}
	if login, err = oidclogin.New(o); err != nil {
		return nil, fmt.Errorf("tvshows: %w", err)
	}

	mux := http.NewServeMux()
	mux.Handle("/auth/", login) // login, callback, logout, me
	mux.Handle("GET /{$}", guard.Optional(login)(http.HandlerFunc(s.home)))
	somebody := guard.Require(login, guard.Refuse(s.refuse))
	mux.Handle("GET /shows", somebody(http.HandlerFunc(s.shows)))
	mux.Handle("POST /shows", somebody(http.HandlerFunc(s.add)))
	mux.Handle("GET /shared/", http.StripPrefix("/shared", http.FileServerFS(files("shared"))))

	// Cookies come along with requests that other sites make, so whoever trusts a
	// cookie has to ask where a POST comes from.
	sameOrigin := http.NewCrossOriginProtection().Handler(mux)
	return protect(sameOrigin, policy{
		form: []string{"'self'", origin(s.Issuer)}, // signing out is a form that leads on to the house
	}), nil
}

// home shows who is signed in, if anybody is.
func (s *site) home(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	s.render(w, r, http.StatusOK, view{Arrived: q.Has("signed-in") || q.Has("renewed"), Renewed: q.Has("renewed")})
}

// shows asks the API for the shows, on behalf of who is signed in.
func (s *site) shows(w http.ResponseWriter, r *http.Request) {
	s.ask(w, r, nil)
}

// add sends a new show to the API.
func (s *site) add(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	s.ask(w, r, &Show{Title: r.PostFormValue("title"), Genre: "Yours"})
}

func (s *site) ask(w http.ResponseWriter, r *http.Request, add *Show) {
	// AccessToken renews the token when it is about to expire, and that may
	// change the cookie: it comes before anything is written.
	token, err := oidclogin.AccessToken(r.Context(), "")
	switch {
	case signedOut(err):
		s.render(w, r, http.StatusUnauthorized, view{Over: true, Notice: &notice{Title: "Your sign-in has ended", Text: "The house would not renew it: you signed out elsewhere, or too much time has passed."}})
		return
	case err != nil:
		s.unreachable(w, r, "The house could not be reached", err)
		return
	}
	a, err := s.api.call(r.Context(), token.AccessToken, add)
	switch {
	case err != nil:
		s.unreachable(w, r, "The API could not be reached", err)
	case add != nil && !a.Refused():
		http.Redirect(w, r, "/shows", http.StatusSeeOther) // so that a reload adds nothing
	case a.Refused():
		s.render(w, r, a.Status, view{Answer: a, Adding: add != nil})
	default:
		s.render(w, r, http.StatusOK, view{Answer: a})
	}
}

// refuse answers whoever has no session: a page visit goes on to sign in; a form
// that was sent too late is told on a page like the others.
func (s *site) refuse(w http.ResponseWriter, r *http.Request, refusal *guard.Refusal) {
	if refusal.LoginURL != "" {
		refusal.Write(w, r)
		return
	}
	n := &notice{Title: "Please sign in first", Text: "Your session ended before the form came in."}
	if refusal.Status >= http.StatusInternalServerError {
		n = &notice{Title: "Your session could not be looked up", Text: "Try again in a moment."}
	}
	s.render(w, r, refusal.Status, view{Notice: n})
}

func (s *site) unreachable(w http.ResponseWriter, r *http.Request, title string, err error) {
	s.Logger.WarnContext(r.Context(), "tvshows: "+title, "error", err)
	s.render(w, r, http.StatusBadGateway, view{Notice: &notice{Title: title, Text: "Try again in a moment; the log of this application says more."}})
}

// signInFailed explains why the house sent the browser back with nothing.
func (s *site) signInFailed(e *oidclogin.Error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := &notice{Title: "Signing in did not work", Text: e.Description, Code: e.Code, Again: true}
		if e.Code == "login_required" {
			n = &notice{Title: "The house does not know this browser any more", Text: "It could not renew your sign-in without asking you. Until you sign in again, you have what this application remembers of you.", Code: e.Code, Again: true}
		}
		s.render(w, r, e.Status, view{Notice: n})
	})
}

// view is what a page shows.
type view struct {
	*site
	Person *person // nil when signed out
	Notice *notice
	Answer *answer // what the API said, if it was asked
	Adding bool    // it was asked to add a show
	Cookie cookie
	Row    *row

	Arrived bool // the browser comes from the house
	Renewed bool // it was there to renew the sign-in
	Over    bool // the session ended during this request
}

type notice struct {
	Title, Text, Code string
	Again             bool // signing in again would help
}

// person is who is signed in: what the ID token says.
type person struct {
	Name, Email, Subject string
	Scopes, AMR          []string
	AuthTime             time.Time
	Expires              time.Time // of the session
}

func personOf(p *guard.Principal) (*person, error) {
	var claims struct {
		Name  string `json:"name"`
		Email string `json:"email"`
	}
	err := p.DecodeClaims(&claims)
	return &person{
		Name: cmp.Or(claims.Name, claims.Email, p.Subject), Email: claims.Email, Subject: p.Subject,
		Scopes: p.Scopes, AMR: p.AMR, AuthTime: p.AuthTime, Expires: p.Expiry,
	}, err
}

// cookie describes the session cookie, without its content.
type cookie struct {
	Name  string
	Bytes int
	Parts int
}

func (s *site) render(w http.ResponseWriter, r *http.Request, status int, v view) {
	v.site = s
	v.Cookie = s.cookieOf(r)
	if p, ok := guard.From(r.Context()); ok && !v.Over {
		var err error
		if v.Person, err = personOf(p); err != nil {
			s.Logger.WarnContext(r.Context(), "tvshows: claims", "error", err)
		}
		if s.rows != nil {
			if v.Row, err = s.rows(r.Context(), p); err != nil {
				s.Logger.WarnContext(r.Context(), "tvshows: session row", "error", err)
			}
		}
	}
	var page bytes.Buffer
	if err := s.templates.ExecuteTemplate(&page, s.Form+".html", v); err != nil {
		s.Logger.ErrorContext(r.Context(), "tvshows: page", "error", err)
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store") // the page of one person
	w.WriteHeader(status)
	_, _ = page.WriteTo(w)
}

// cookieOf measures the session cookie, which is split in two when it is long.
func (s *site) cookieOf(r *http.Request) cookie {
	c := cookie{Name: s.cookie}
	for _, found := range r.Cookies() {
		if found.Name == s.cookie || strings.HasPrefix(found.Name, s.cookie+"_") {
			c.Bytes += len(found.Name) + 1 + len(found.Value)
			c.Parts++
		}
	}
	return c
}
