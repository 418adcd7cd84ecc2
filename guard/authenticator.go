package guard

import (
	"net/http"
	"reflect"
	"slices"
)

// Authenticator is a scheme: one way of finding out who sends a request.
//
// A scheme must be safe for concurrent use and must not write a response. What
// it wants to see in the response's header it leaves in [Result.BeforeHeader].
type Authenticator interface {
	// Authenticate gives one of three answers:
	//
	//   - a Result with a Principal: this is who sent the request;
	//   - a Result without one: the request holds nothing meant for this scheme;
	//   - an error: it does, and it is bad. An *Error says how; any other error
	//     means that the scheme could not tell, and refuses the request as an
	//     internal failure whose text stays off the wire. The Result beside an
	//     error counts for its BeforeHeader alone.
	//
	// "Nothing" lets another scheme of an AnyOf try. An error does not: it ends
	// the request, so that no bad credential can hide behind a good one.
	Authenticate(r *http.Request) (Result, error)

	// Challenge returns the WWW-Authenticate values (RFC 9110 §11.6.1) this
	// scheme adds to a refusal, none if it has no use for the header. why is nil
	// when the refusal is not this scheme's own: nothing was presented, or
	// another scheme's credential was bad.
	Challenge(r *http.Request, why *Error) []string
}

// BrowserLogin is what a scheme implements besides Authenticator when people
// can sign in on a page. Require sends a browser there instead of answering 401.
type BrowserLogin interface {
	// LoginURL returns where to send the browser that made r, so that it comes
	// back to r's address once signed in. Empty means nowhere: another scheme is
	// asked, and if none has a page the request gets its 401.
	LoginURL(r *http.Request) string
}

// Result is what a scheme found.
type Result struct {
	// Principal is who sent the request, nil if the scheme saw nothing for it.
	Principal *Principal

	// BeforeHeader, if set, runs at most once, just before the response's header
	// is sent, on the goroutine that sends it. It is the place to renew or clear
	// a cookie. It does not run when the handler panics before writing.
	BeforeHeader func(http.Header)

	// Again, if set, is for a credential that is good once, as the proofs of DPoP
	// are: another guard on the way to the handler, with the same scheme, takes the
	// Principal as it is when Again reports true of the request it got. Without it
	// every guard asks the scheme anew.
	Again func(r *http.Request) bool

	answers []answer // those of the schemes behind this one, or its own
}

// AnyOf joins schemes into one that accepts any of them. They are asked in the
// order given, and all of them are asked: the first that names a principal
// decides who it is, and a bad credential for any of them refuses the request
// however good the others are.
//
// It panics when no scheme is given or one is nil: a chain that authenticates
// nobody is a mistake in the program, not a state of the world.
func AnyOf(schemes ...Authenticator) Authenticator {
	if len(schemes) == 0 {
		panic("guard: AnyOf needs at least one scheme")
	}
	var all anyOf
	for _, s := range schemes {
		switch s := s.(type) {
		case nil:
			panic("guard: AnyOf was given a nil scheme")
		case anyOf:
			all = append(all, s...)
		default:
			all = append(all, &link{s})
		}
	}
	return all
}

// anyOf is a chain of schemes. Its links are pointers, so that the one which
// raised an error can be told from the others whatever type the schemes have.
type anyOf []*link

type link struct{ Authenticator }

// authenticate asks the scheme, unless a guard further out did and its answer
// stands.
func (l *link) authenticate(r *http.Request) (Result, error) {
	answers, _ := r.Context().Value(answersKey{}).([]answer)
	for _, a := range answers {
		if a.of(l.Authenticator) && a.again(r) {
			return Result{Principal: a.who}, nil
		}
	}
	res, err := l.Authenticate(r)
	if err == nil && res.Principal != nil && res.Again != nil {
		res.answers = append(res.answers, answer{l.Authenticator, res.Principal, res.Again})
	}
	return res, err
}

// answer is what a scheme said that need not be asked again.
type answer struct {
	scheme Authenticator
	who    *Principal
	again  func(*http.Request) bool
}

// of reports whether scheme gave the answer. One that cannot be compared is no
// other's equal.
func (a answer) of(scheme Authenticator) bool {
	return reflect.ValueOf(scheme).Comparable() && a.scheme == scheme
}

// answersKey is where the answers of guards further out are in a context.
type answersKey struct{}

func (chain anyOf) Authenticate(r *http.Request) (Result, error) {
	found, _, refused := chain.ask(r)
	if refused != nil {
		return found, refused
	}
	return found, nil
}

func (chain anyOf) Challenge(r *http.Request, why *Error) []string {
	var all []string
	for _, l := range chain {
		if why.raised(l) {
			all = append(all, l.Challenge(r, why)...)
		} else {
			all = append(all, l.Challenge(r, nil)...)
		}
	}
	return all
}

// ask puts the request to every scheme. by is the one that named the principal.
// When refused is set, found holds hooks but no principal.
func (chain anyOf) ask(r *http.Request) (found Result, by *link, refused *Error) {
	var hooks []func(http.Header)
	for _, l := range chain {
		res, err := l.authenticate(r)
		found.answers = append(found.answers, res.answers...)
		switch {
		case err != nil:
			hooks = appendHook(hooks, res.BeforeHeader)
			if refused == nil {
				refused = asError(err).raisedBy(l)
			}
		case res.Principal == nil:
			hooks = appendHook(hooks, res.BeforeHeader)
		case found.Principal == nil:
			hooks = appendHook(hooks, res.BeforeHeader)
			found.Principal, by = res.Principal, l
		}
	}
	if refused != nil {
		found.Principal, by = nil, nil
	}
	found.BeforeHeader = joinHooks(hooks)
	return found, by, refused
}

// AllOf joins schemes into one that needs every one of them: a person's session
// and the API key of the application they use it from, for example. The
// principal is the first scheme's; the others' are in its Also, in order. The
// schemes need not agree who somebody is: where that matters, compare the two
// with Where.
//
// A request that lacks one of the credentials counts as one that holds nothing,
// and gets the challenges of all; one with a bad credential is refused. Nobody is
// sent to a page to sign in: the other credentials are not had there.
//
// It panics with fewer than two schemes, or when one is nil.
func AllOf(schemes ...Authenticator) Authenticator {
	if len(schemes) < 2 {
		panic("guard: AllOf needs two schemes at least")
	}
	var all allOf
	for _, s := range schemes {
		if s == nil {
			panic("guard: AllOf was given a nil scheme")
		}
		all = append(all, &link{s})
	}
	return all
}

type allOf []*link

func (all allOf) Authenticate(r *http.Request) (Result, error) {
	var hooks []func(http.Header)
	var named []*Principal
	var answers []answer
	var refused *Error
	for _, l := range all {
		res, err := l.authenticate(r)
		answers = append(answers, res.answers...)
		hooks = appendHook(hooks, res.BeforeHeader)
		switch {
		case err != nil && refused == nil:
			refused = asError(err).raisedBy(l)
		case err == nil && res.Principal != nil:
			named = append(named, res.Principal)
		}
	}
	found := Result{BeforeHeader: joinHooks(hooks), answers: answers}
	if refused != nil {
		return found, refused
	}
	if len(named) == len(all) {
		who := *named[0] // a copy: the scheme may have handed out one it keeps
		who.Also = append(slices.Clip(who.Also), named[1:]...)
		found.Principal = &who
	}
	return found, nil
}

func (all allOf) Challenge(r *http.Request, why *Error) []string {
	// What none of them raised is a requirement, and those are asked of the first.
	by := slices.IndexFunc(all, why.raised)
	if by < 0 {
		by = 0
	}
	var challenges []string
	for i, l := range all {
		if i == by {
			challenges = append(challenges, l.Challenge(r, why)...)
		} else {
			challenges = append(challenges, l.Challenge(r, nil)...)
		}
	}
	return challenges
}

func appendHook(hooks []func(http.Header), hook func(http.Header)) []func(http.Header) {
	if hook == nil {
		return hooks
	}
	return append(hooks, hook)
}

func joinHooks(hooks []func(http.Header)) func(http.Header) {
	switch len(hooks) {
	case 0:
		return nil
	case 1:
		return hooks[0]
	}
	return func(h http.Header) {
		for _, hook := range hooks {
			hook(h)
		}
	}
}
