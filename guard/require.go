package guard

import (
	"errors"
	"net/http"
	"strings"
)

// Require returns middleware that lets a request through only when scheme names
// its principal and every requirement among the options is met:
//
//	guard.Require(guard.AnyOf(tokens, login), guard.Scopes("read:shows"))
//
// Whoever is not let through gets 401 with the challenges of all schemes, 403
// when known but not allowed, or, on a page visit without any credential, a
// redirect to sign in if a scheme offers one. Refusals are problem documents
// (RFC 9457), small HTML pages for browsers, and never cacheable.
//
// The credential is judged at every request; nothing is remembered between a
// handler and the next. HEAD, OPTIONS, upgrades and unknown methods are requests
// like any other. CORS preflights carry no credential by design: answer them in
// front of Require.
//
// It panics when scheme is nil.
func Require(scheme Authenticator, options ...Option) func(http.Handler) http.Handler {
	return newPolicy("Require", scheme, options).middleware
}

// Optional returns middleware that names the principal when there is one and
// lets anonymous requests through. A bad credential is refused as Require
// refuses it: whoever shows an expired token wants to know.
//
// It panics when scheme is nil, or when a requirement is among the options: an
// anonymous caller could not meet it.
func Optional(scheme Authenticator, options ...Option) func(http.Handler) http.Handler {
	p := newPolicy("Optional", scheme, options)
	if len(p.requirements) > 0 {
		panic("guard: Optional lets anonymous callers through and cannot hold a requirement; use Require")
	}
	p.anonymous = true
	return p.middleware
}

// Option adds a requirement to Require or changes how it answers.
type Option func(*policy)

// Scopes requires that the credential was granted every one of scopes. It
// panics without any: a requirement that asks for nothing is a mistake.
func Scopes(scopes ...string) Option {
	mustName("Scopes", scopes)
	needed := strings.Join(scopes, " ")
	return Where(func(_ *http.Request, p *Principal) error {
		for _, s := range scopes {
			if !p.HasScope(s) {
				return &Error{Code: InsufficientScope, Description: "The credential lacks a scope this resource requires", Scope: needed}
			}
		}
		return nil
	})
}

// Permissions requires that the principal holds every one of permissions. It
// panics without any.
//
// The refusal names them as scope too (RFC 6750 §3.1 has no other word): an
// issuer that knows permissions grants them by that name.
func Permissions(permissions ...string) Option {
	mustName("Permissions", permissions)
	needed := strings.Join(permissions, " ")
	return Where(func(_ *http.Request, p *Principal) error {
		for _, s := range permissions {
			if !p.HasPermission(s) {
				return &Error{Code: InsufficientScope, Description: "The principal lacks a permission this resource requires", Scope: needed}
			}
		}
		return nil
	})
}

// Users requires a person: an application speaking for itself is refused.
func Users() Option { return kind(User, "This resource is for people, not for applications") }

// Clients requires an application speaking for itself: a person is refused.
func Clients() Option { return kind(Client, "This resource is for applications, not for people") }

func kind(k Kind, description string) Option {
	return Where(func(_ *http.Request, p *Principal) error {
		if p.Kind != k {
			return &Error{Code: AccessDenied, Description: description}
		}
		return nil
	})
}

// Where requires that met returns nil. An *Error is answered as it says; any
// other error is AccessDenied, its text kept from the client. It runs after the
// principal is known, in the order of the options, and must not write.
func Where(met func(*http.Request, *Principal) error) Option {
	if met == nil {
		panic("guard: Where needs a function")
	}
	return func(p *policy) { p.requirements = append(p.requirements, met) }
}

// Refuse replaces how refusals are written, for an application with its own
// error pages or its own JSON. Status, challenges and Cache-Control are in the
// header already; write must send refusal.Status and a body. For redirects to
// sign in, call refusal.Write.
func Refuse(write func(w http.ResponseWriter, r *http.Request, refusal *Refusal)) Option {
	if write == nil {
		panic("guard: Refuse needs a function")
	}
	return func(p *policy) { p.refuse = write }
}

type policy struct {
	chain        anyOf
	requirements []func(*http.Request, *Principal) error
	anonymous    bool // let through who shows nothing
	refuse       func(http.ResponseWriter, *http.Request, *Refusal)
}

func newPolicy(caller string, scheme Authenticator, options []Option) *policy {
	if scheme == nil {
		panic("guard: " + caller + " needs a scheme")
	}
	p := &policy{
		chain:  AnyOf(scheme).(anyOf),
		refuse: func(w http.ResponseWriter, r *http.Request, refusal *Refusal) { refusal.Write(w, r) },
	}
	for _, o := range options {
		if o == nil {
			panic("guard: " + caller + " was given a nil option")
		}
		o(p)
	}
	return p
}

func (p *policy) middleware(next http.Handler) http.Handler {
	if next == nil {
		panic("guard: nothing to protect: the handler is nil")
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		found, by, refused := p.chain.ask(r)
		if refused == nil {
			refused = p.judge(r, found.Principal, by)
		}
		if found.BeforeHeader == nil {
			p.answer(next, w, r, found.Principal, refused)
			return
		}
		hw := &hookWriter{ResponseWriter: w, hook: found.BeforeHeader}
		p.answer(next, hw, r, found.Principal, refused)
		hw.commit() // for a handler that wrote nothing; not deferred, so that one that panicked renews nothing
	})
}

func (p *policy) answer(next http.Handler, w http.ResponseWriter, r *http.Request, who *Principal, refused *Error) {
	switch {
	case refused != nil:
		p.refuse(w, r, p.refusal(w, r, refused))
	case who != nil:
		next.ServeHTTP(w, r.WithContext(withPrincipal(r.Context(), who)))
	case p.anonymous:
		next.ServeHTTP(w, r)
	default:
		p.refuse(w, r, p.refusal(w, r, nil))
	}
}

// judge applies the requirements to a principal that is known.
func (p *policy) judge(r *http.Request, who *Principal, by *link) *Error {
	if who == nil {
		return nil
	}
	for _, met := range p.requirements {
		if err := met(r, who); err != nil {
			var e *Error
			if !errors.As(err, &e) {
				e = &Error{Code: AccessDenied, Err: err}
			}
			return e.raisedBy(by)
		}
	}
	return nil
}

func mustName(option string, names []string) {
	if len(names) == 0 {
		panic("guard: " + option + " needs at least one name")
	}
	for _, n := range names {
		if n == "" || strings.ContainsAny(n, " \"\\") {
			panic("guard: " + option + ": " + n + " is not a name; give each as an argument of its own")
		}
	}
}
