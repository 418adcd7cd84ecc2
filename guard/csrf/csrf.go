package csrf

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/internal/address"
	"github.com/gatehouse-dev/gatehouse/guard/internal/cookies"
	"github.com/gatehouse-dev/gatehouse/guard/internal/keyring"
)

// CrossOrigin and BadToken are the codes in the problem document of a refusal.
const (
	CrossOrigin guard.Code = "cross_origin"
	BadToken    guard.Code = "csrf_token"
)

// Options configures a Protection. BaseURL and Secrets are required; the zero
// value of everything else is a good choice.
type Options struct {
	// BaseURL is where browsers find this application: scheme, host and port, no
	// path. Requests from there are its own.
	BaseURL string
	// Secrets are the keys of the tokens, as for session.NewCookieStore.
	Secrets []string

	// TrustedOrigins may send requests, too: scheme, host and port. With the
	// cookies of this application, if the browser adds them: trust them as you do
	// yourself.
	TrustedOrigins []string
	// RequireToken demands the token of every request that could change something,
	// also where the browser says that it comes from this application. Programs,
	// which show a bearer token or an API key and no origin, need none.
	RequireToken bool
	// InsecureExempt names what is let through unseen, each by exact method and
	// path, as plainly as it is written here: "POST /hooks/payments". For senders that are no browsers and prove who
	// they are by other means. They are logged when New is called.
	InsecureExempt []string

	// Binding, if set, says which session a request belongs to, in place of what
	// the package finds out by itself: something that changes at every sign-in,
	// empty for a stranger.
	Binding func(r *http.Request) string
	// Refuse writes the response of a request that is refused, in place of a small
	// page or a problem document. The status should be 403.
	Refuse func(w http.ResponseWriter, r *http.Request, why *guard.Error)
	// CookieName is the name of the strangers' cookie without the prefix; default
	// "csrf".
	CookieName string
	// Logger hears of exemptions; default slog.Default().
	Logger *slog.Logger
	// InsecureAllowHTTP permits plain http for BaseURL off loopback.
	InsecureAllowHTTP bool
}

// Protection refuses forged requests. It is safe for concurrent use.
type Protection struct {
	options Options
	origins []string // our own and those trusted
	exempt  map[string]bool
	mac     *keyring.MAC
	cookie  cookies.Cookie
}

// New checks the options, all of them, and returns a Protection.
func New(o Options) (*Protection, error) {
	var problems []error
	p := &Protection{exempt: map[string]bool{}}
	base, secure, err := address.Origin("BaseURL", o.BaseURL, o.InsecureAllowHTTP)
	if err != nil {
		problems = append(problems, err)
	}
	p.origins = append(p.origins, base)
	for _, trusted := range o.TrustedOrigins {
		other, _, err := address.Origin("TrustedOrigins", trusted, o.InsecureAllowHTTP)
		if err != nil {
			problems = append(problems, err)
		}
		p.origins = append(p.origins, other)
	}
	for _, route := range o.InsecureExempt {
		method, path, ok := strings.Cut(route, " ")
		if !ok || method == "" || strings.Trim(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" || !strings.HasPrefix(path, "/") || strings.ContainsAny(path, " {}*?#") {
			problems = append(problems, fmt.Errorf("InsecureExempt %q must be a method and an exact path, such as POST /hooks/payments", route))
		}
		p.exempt[route] = true
	}
	ring, err := keyring.New(o.Secrets...)
	if err != nil {
		problems = append(problems, fmt.Errorf("Secrets: %w", err))
	} else if p.mac, err = ring.MAC("csrf token"); err != nil {
		problems = append(problems, err)
	}
	if o.CookieName == "" {
		o.CookieName = "csrf"
	}
	if strings.Trim(o.CookieName, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "" {
		problems = append(problems, fmt.Errorf("CookieName %q must be letters, digits, hyphens and underscores; the prefix comes by itself", o.CookieName))
	}
	if len(problems) > 0 {
		return nil, fmt.Errorf("csrf: %w", errors.Join(problems...))
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	for _, route := range o.InsecureExempt {
		o.Logger.Warn("guard: insecure_csrf_exempt", "route", route)
	}
	p.options = o
	p.cookie = cookies.Cookie{Name: cookies.Name(o.CookieName, secure), Secure: secure}
	return p, nil
}

// Middleware refuses forged requests with 403 and lets Token be used behind it.
// Put it inside of session.Manager.Middleware, so that tokens are bound to the
// session, and around everything that browsers can reach, the login form included.
func (p *Protection) Middleware(next http.Handler) http.Handler {
	if next == nil {
		panic("csrf: nothing to protect: the handler is nil")
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler := next
		if why := p.Check(r); why != nil {
			handler = p.refuse(why) // its page may have forms, too
		}
		issuer := &issuer{protection: p, request: r}
		// guard knows how to do something just before the header is sent.
		guard.Optional(issuer)(handler).ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), issuerKey{}, issuer)))
	})
}

func (p *Protection) refuse(why *guard.Error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		if p.options.Refuse != nil {
			p.options.Refuse(w, r, why)
			return
		}
		refusal := guard.Refusal{Status: http.StatusForbidden, Err: why}
		refusal.Write(w, r)
	})
}

// Check says why the request is refused, nil if it is not. It may read the token
// from a form, which then is in r.PostForm, or from the first part of a multipart
// body, which it leaves as it was.
func (p *Protection) Check(r *http.Request) *guard.Error {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return nil
	}
	// What had to be decoded may be another path to the router: a%2Fb is not a/b.
	if p.exempt[r.Method+" "+r.URL.Path] && r.URL.RawPath == "" {
		return nil
	}
	known, ours := p.origin(r)
	switch {
	case known && !ours:
		return &guard.Error{Code: CrossOrigin, Description: "The request was sent by a page of another site"}
	case !known && credentialed(r):
		return nil
	case p.options.RequireToken, !known:
		if !p.verify(r) {
			return &guard.Error{Code: BadToken, Description: "The form has expired or was not made by this site; reload the page and try again"}
		}
	}
	return nil
}

// origin finds out where a request comes from by what browsers say and pages
// cannot change: known tells whether they said anything.
func (p *Protection) origin(r *http.Request) (known, ours bool) {
	from := r.Header.Values("Origin")
	trusted := len(from) == 1 && slices.Contains(p.origins, from[0])
	switch site := r.Header.Values("Sec-Fetch-Site"); {
	case len(site) == 1 && (site[0] == "same-origin" || site[0] == "none"):
		return true, true
	case len(site) > 0:
		return true, trusted
	case len(from) > 0:
		// The host alone is not enough: http://app.example is anybody's on the path.
		return true, trusted
	}
	return false, false
}

// credentialed reports whether the request shows who sends it by a header that no
// browser adds by itself.
func credentialed(r *http.Request) bool {
	scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.EqualFold(scheme, "Bearer") || strings.EqualFold(scheme, "DPoP") || r.Header.Get("X-API-Key") != ""
}
