package guard

import (
	"encoding/json"
	"html/template"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Refusal is the answer to a request that is not let through.
type Refusal struct {
	// Status is the HTTP status to send: 400, 401, 403, 429, 500 or 503. Write
	// answers 303 instead when LoginURL is set.
	Status int
	// Err is the reason; nil when the request showed no credential at all.
	Err *Error
	// LoginURL is where this browser can sign in, or sign in anew when Err says
	// InsufficientUserAuthentication; empty if the request is not a page visit,
	// showed a bad credential, or no scheme has a page.
	LoginURL string
}

// refusal decides the answer and puts into the header what no answer may lack.
func (p *policy) refusal(w http.ResponseWriter, r *http.Request, why *Error) *Refusal {
	f := &Refusal{Status: http.StatusUnauthorized, Err: why}
	if why != nil {
		f.Status = why.Status()
	}
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Add("Vary", "Authorization, Cookie")
	switch f.Status {
	case http.StatusUnauthorized, http.StatusBadRequest:
		addChallenges(h, p.chain.Challenge(r, why))
	case http.StatusForbidden:
		// Who it is is known; only their own scheme can say what more it takes.
		for _, l := range p.chain {
			if why.raised(l) {
				addChallenges(h, l.Challenge(r, why))
			}
		}
	}
	if why != nil && why.RetryAfter > 0 {
		h.Set("Retry-After", strconv.FormatInt(int64((why.RetryAfter+time.Second-1)/time.Second), 10))
	}
	if isPageVisit(r) {
		f.LoginURL = p.loginURL(r, why)
	}
	return f
}

// loginURL returns where the browser that made r can sign in, or sign in anew;
// empty if that would not help.
func (p *policy) loginURL(r *http.Request, why *Error) string {
	for _, l := range p.chain {
		page := ""
		switch {
		case why == nil:
			if b, ok := l.Authenticator.(BrowserLogin); ok {
				page = b.LoginURL(r)
			}
		case why.Code == InsufficientUserAuthentication && why.raised(l):
			if s, ok := l.Authenticator.(StepUpLogin); ok {
				page = s.StepUpURL(r, why)
			}
		}
		if page != "" {
			return page
		}
	}
	return ""
}

func addChallenges(h http.Header, challenges []string) {
	for _, c := range challenges {
		h.Add("WWW-Authenticate", c)
	}
}

// isPageVisit reports whether r is a browser going to a page: the only request
// for which a redirect to another page makes sense. A script's fetch must get
// its 401, and so must an API client that shows a credential.
func isPageVisit(r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	if r.Header.Get("Authorization") != "" || r.Header.Get("Upgrade") != "" {
		return false
	}
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" && mode != "navigate" {
		return false
	}
	return acceptsHTML(r)
}

func acceptsHTML(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Accept"), "text/html")
}

// Write sends the refusal: 303 to LoginURL if there is one, else a small page
// for a browser and a problem document (RFC 9457) for everybody else.
func (f *Refusal) Write(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	if f.LoginURL != "" {
		// Not a 401 any more: its challenge would be answered by a password box.
		h.Del("WWW-Authenticate")
		http.Redirect(w, r, f.LoginURL, http.StatusSeeOther)
		return
	}
	h.Set("X-Content-Type-Options", "nosniff")
	if acceptsHTML(r) {
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
		w.WriteHeader(f.Status)
		_ = refusalPage.Execute(w, f.problem())
		return
	}
	body, err := json.Marshal(f.problem())
	if err != nil { // strings and an int: cannot happen
		w.WriteHeader(f.Status)
		return
	}
	h.Set("Content-Type", "application/problem+json")
	w.WriteHeader(f.Status)
	_, _ = w.Write(append(body, '\n'))
}

type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
	Code   Code   `json:"code,omitempty"`
	Scope  string `json:"scope,omitempty"`
	// What signing in again has to reach, under the names of RFC 9470: a script
	// that is signed in by a cookie has no challenge to read them from.
	ACRValues string `json:"acr_values,omitempty"`
	MaxAge    int64  `json:"max_age,omitempty"`
}

func (f *Refusal) problem() problem {
	p := problem{Type: "about:blank", Title: http.StatusText(f.Status), Status: f.Status}
	if f.Err != nil {
		p.Detail, p.Code, p.Scope = f.Err.Description, f.Err.Code, f.Err.Scope
		p.ACRValues, p.MaxAge = strings.Join(f.Err.ACRValues, " "), int64(f.Err.MaxAge/time.Second)
	}
	return p
}

var refusalPage = template.Must(template.New("refusal").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{{.Title}}</title>
<style>:root{color-scheme:light dark}body{font:1rem/1.5 system-ui,sans-serif;max-width:36rem;margin:15vh auto;padding:0 1.5rem}</style>
</head><body><main><h1>{{.Title}}</h1>{{with .Detail}}<p>{{.}}.</p>{{end}}{{with .Scope}}<p>Needed: <code>{{.}}</code></p>{{end}}</main></body></html>
`))
