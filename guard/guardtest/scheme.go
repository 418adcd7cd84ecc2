package guardtest

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// Method is the Principal.Method of this package's schemes.
const Method = "guardtest"

// Header carries this package's credentials: one of its own, so that nothing an
// application does with Authorization or cookies is in the way.
const Header = "Guard-Test"

// Scheme is a guard.Authenticator that knows whoever a test has told it about,
// and nobody else. It is safe for concurrent use, in the process of the test or
// behind a real connection.
type Scheme struct {
	// LoginPage, if set, is where a page visit of an anonymous caller is sent, as
	// package oidclogin would; the parameter returnTo says where from. One that has
	// to sign in anew is sent there with acr_values and max_age besides.
	LoginPage string

	mu    sync.Mutex
	known map[string]answer // by credential
}

type answer struct {
	who *guard.Principal
	err *guard.Error
}

// NewScheme returns a Scheme that knows nobody yet, as &Scheme{} is one.
func NewScheme() *Scheme { return &Scheme{} }

// SignIn makes r a request of who. It works for requests a test serves itself
// and for those it sends.
func (s *Scheme) SignIn(r *http.Request, who *guard.Principal) {
	r.Header.Set(Header, s.Credential(who))
}

// Refuse makes r a request with a credential that is refused for the reason why.
func (s *Scheme) Refuse(r *http.Request, why *guard.Error) {
	r.Header.Set(Header, s.add(answer{err: why}))
}

// Credential returns what to put into the Header, or into the metadata of a gRPC
// call, for a request of who.
func (s *Scheme) Credential(who *guard.Principal) string { return s.add(answer{who: who}) }

func (s *Scheme) add(a answer) string {
	credential := rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil {
		s.known = map[string]answer{}
	}
	s.known[credential] = a
	return credential
}

// Authenticate implements guard.Authenticator.
func (s *Scheme) Authenticate(r *http.Request) (guard.Result, error) {
	credential := r.Header.Get(Header)
	if credential == "" {
		return guard.Result{}, nil
	}
	s.mu.Lock()
	a, ok := s.known[credential]
	s.mu.Unlock()
	switch {
	case !ok:
		return guard.Result{}, &guard.Error{Code: guard.InvalidToken, Description: "The test knows no such credential"}
	case a.err != nil:
		return guard.Result{}, a.err
	}
	return guard.Result{Principal: a.who}, nil
}

// Challenge implements guard.Authenticator.
func (s *Scheme) Challenge(_ *http.Request, why *guard.Error) []string {
	if why == nil {
		return []string{"Guard-Test"}
	}
	return []string{oauth.Challenge("Guard-Test",
		oauth.Parameter{Name: "error", Value: string(why.Code)}, oauth.Parameter{Name: "scope", Value: why.Scope})}
}

// LoginURL implements guard.BrowserLogin.
func (s *Scheme) LoginURL(r *http.Request) string { return s.page(r, url.Values{}) }

// StepUpURL implements guard.StepUpLogin.
func (s *Scheme) StepUpURL(r *http.Request, why *guard.Error) string {
	q := url.Values{}
	if len(why.ACRValues) > 0 {
		q.Set("acr_values", strings.Join(why.ACRValues, " "))
	}
	if why.MaxAge > 0 {
		q.Set("max_age", seconds(why.MaxAge))
	}
	return s.page(r, q)
}

func (s *Scheme) page(r *http.Request, q url.Values) string {
	if s.LoginPage == "" {
		return ""
	}
	q.Set("returnTo", r.URL.RequestURI())
	return s.LoginPage + "?" + q.Encode()
}

var (
	_ guard.Authenticator = (*Scheme)(nil)
	_ guard.BrowserLogin  = (*Scheme)(nil)
	_ guard.StepUpLogin   = (*Scheme)(nil)
)
