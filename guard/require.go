package guard

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"
)

// Require returns middleware that lets a request through only when scheme names
// its principal and every requirement among the options is met:
//
//	guard.Require(guard.AnyOf(tokens, login), guard.Scopes("read:shows"))
//
// Whoever is not let through gets 401 with the challenges of all schemes, 403
// when known but not allowed, or, on a page visit without any credential, a
// redirect to sign in if a scheme offers one. Who has to sign in anew or better
// (ACR, MaxAge) gets 401 and says so, or such a redirect. Refusals are problem documents
// (RFC 9457), small HTML pages for browsers, and never cacheable.
//
// The credential is judged at every request, by every guard on the way to the
// handler: a group of routes may have one, and a route in it another. HEAD, OPTIONS, upgrades and unknown methods are requests
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

// Clock replaces time.Now, by which MaxAge measures; for tests.
func Clock(now func() time.Time) Option {
	if now == nil {
		panic("guard: Clock needs a function")
	}
	return func(p *policy) { p.now = now }
}

type policy struct {
	chain        anyOf
	requirements []requirement
	stepUp       *stepUp // of ACR and MaxAge, nil without them
	anonymous    bool    // let through who shows nothing
	refuse       func(http.ResponseWriter, *http.Request, *Refusal)
	now          func() time.Time
}

func newPolicy(caller string, scheme Authenticator, options []Option) *policy {
	if scheme == nil {
		panic("guard: " + caller + " needs a scheme")
	}
	p := &policy{
		chain:  AnyOf(scheme).(anyOf),
		refuse: func(w http.ResponseWriter, r *http.Request, refusal *Refusal) { refusal.Write(w, r) },
		now:    time.Now,
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
			p.answer(next, w, r, found, refused)
			return
		}
		hw := &hookWriter{ResponseWriter: w, hook: found.BeforeHeader}
		p.answer(next, hw, r, found, refused)
		hw.commit() // for a handler that wrote nothing; not deferred, so that one that panicked renews nothing
	})
}

func (p *policy) answer(next http.Handler, w http.ResponseWriter, r *http.Request, found Result, refused *Error) {
	switch {
	case refused != nil:
		p.refuse(w, r, p.refusal(w, r, refused))
	case found.Principal != nil:
		ctx := withPrincipal(r.Context(), found.Principal)
		if len(found.answers) > 0 {
			outer, _ := ctx.Value(answersKey{}).([]answer)
			ctx = context.WithValue(ctx, answersKey{}, append(slices.Clip(outer), found.answers...))
		}
		next.ServeHTTP(w, r.WithContext(ctx))
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
	if err := p.unmet(r, who); err != nil {
		return err.raisedBy(by)
	}
	return nil
}

// unmet returns what the first requirement that is not met answers.
func (p *policy) unmet(r *http.Request, who *Principal) *Error {
	for _, met := range p.requirements {
		if err := met(r, who); err != nil {
			var e *Error
			if !errors.As(err, &e) || e == nil {
				e = &Error{Code: AccessDenied, Err: err}
			}
			return e
		}
	}
	return nil
}
