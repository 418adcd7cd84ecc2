package basic

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/internal/attempts"
	"github.com/gatehouse-dev/gatehouse/guard/ratelimit"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// Method is the Principal.Method of this scheme.
const Method = "basic"

const (
	defaultCacheTTL  = time.Minute
	maxCacheTTL      = 15 * time.Minute
	defaultCacheSize = 1024
	// verifyTimeout ends a verification that no request waits for any more.
	verifyTimeout = 30 * time.Second
)

// Options says whose passwords are accepted. Realm and Verifier are required.
type Options struct {
	// Realm names what the password is for; browsers show it. Printable ASCII.
	Realm string
	// Verifier knows passwords: Users, Hashed, or the application's own.
	Verifier Verifier
	// Normalize, if set, is applied to names and passwords before anything else.
	// Clients are asked for UTF-8 in normalisation form C, and not all comply: who
	// expects letters beyond ASCII passes norm.NFC.String of golang.org/x/text.
	// Without it bytes are compared as they come.
	Normalize func(string) string
	// Canonical, if set, turns a user name into the one spelling under which it is
	// limited, verified and handed on: strings.ToLower where names ignore case.
	// Without it every spelling is a name of its own.
	Canonical func(string) string
	// Limiter counts wrong passwords. Default: five in 15 minutes for each name from
	// each address, in the memory of this process.
	Limiter Limiter
	// InsecureUnlimited lets anybody guess as often as they like.
	InsecureUnlimited bool
	// Revocations, if set, is asked at each request whether the principal still
	// stands.
	Revocations guard.Revocations

	// CacheTTL is how long a right password is remembered: a changed one goes on
	// working so long, unless Forget is called. Default a minute, at most 15;
	// negative: not at all.
	CacheTTL time.Duration
	// CacheSize is how many of them; default 1024.
	CacheSize int

	// Proxies are the addresses of reverse proxies in front of this server. From
	// them, and from nobody else, X-Forwarded-Proto is believed, which must be https,
	// and X-Forwarded-For.
	Proxies []netip.Prefix
	// InsecureAllowHTTP accepts passwords over plain http from other machines.
	// Whoever is on the path can read them.
	InsecureAllowHTTP bool
	// Clock tells the time; default time.Now.
	Clock func() time.Time
}

// Limiter counts attempts; Limit makes one of package ratelimit. Right passwords that are
// remembered do not reach it, and of attempts that come together with the same
// credentials it hears once.
type Limiter interface {
	// Attempt is asked before a password is checked, with the name in its canonical
	// spelling whether somebody has it or not. It takes the attempt off the budget
	// at once, so that parallel guesses cannot pass it together. An error refuses
	// the request: a *guard.Error with the code TooManyRequests and RetryAfter when
	// the budget is used up.
	Attempt(r *http.Request, username string) error
	// Succeeded says that the password of the last Attempt was right: it does not
	// count.
	Succeeded(r *http.Request, username string)
}

// Limit returns a Limiter with a bucket of limits for each user name:
//
//	limits, err := ratelimit.New(ratelimit.Login(ratelimit.Options{Store: shared, Nodes: 3}))
//	…
//	basic.Options{…, Limiter: basic.Limit(limits, ratelimit.ByAddress(proxies...))}
//
// by, if not nil, gives each name a bucket for each of its keys. Without it
// whoever guesses at a name keeps its owner out meanwhile, unless the owner's
// password is remembered; with ByAddress a thief who has many addresses may guess
// from each.
func Limit(limits *ratelimit.Limiter, by ratelimit.KeyFunc) Limiter {
	if limits == nil {
		panic("basic: Limit needs a limiter")
	}
	return attempts.New(limits, by)
}

// Scheme checks user names and passwords. It is safe for concurrent use.
type Scheme struct {
	challenge   []string
	verifier    Verifier
	normalize   func(string) string
	canonical   func(string) string
	limiter     Limiter
	revocations guard.Revocations
	transport   transport
	memory      *memory
	now         func() time.Time
}

// New checks the options, all of them, and returns a Scheme.
func New(o Options) (*Scheme, error) {
	var problems []error
	if o.Realm == "" || slices.ContainsFunc([]byte(o.Realm), func(c byte) bool { return c < ' ' || c > '~' }) {
		problems = append(problems, errors.New("Realm must be printable ASCII, and not empty"))
	}
	if o.Verifier == nil {
		problems = append(problems, errors.New("Verifier is missing; Users and Hashed make one"))
	}
	switch {
	case o.CacheTTL == 0:
		o.CacheTTL = defaultCacheTTL
	case o.CacheTTL > maxCacheTTL:
		problems = append(problems, fmt.Errorf("CacheTTL %v is longer than %v: a password that was changed would work for too long", o.CacheTTL, maxCacheTTL))
	}
	switch {
	case o.CacheSize == 0:
		o.CacheSize = defaultCacheSize
	case o.CacheSize < 0:
		problems = append(problems, errors.New("CacheSize is negative; to remember nothing set CacheTTL to -1"))
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	limiter, err := attempts.Limit(o.Limiter, o.InsecureUnlimited, o.Proxies, o.Clock)
	if err := errors.Join(append(problems, err)...); err != nil {
		return nil, fmt.Errorf("basic: %w", err)
	}
	same := func(s string) string { return s }
	if o.Normalize == nil {
		o.Normalize = same
	}
	if o.Canonical == nil {
		o.Canonical = same
	}
	return &Scheme{
		challenge: []string{oauth.Challenge("Basic",
			oauth.Parameter{Name: "realm", Value: o.Realm}, oauth.Parameter{Name: "charset", Value: "UTF-8"})},
		verifier:    o.Verifier,
		normalize:   o.Normalize,
		canonical:   o.Canonical,
		limiter:     limiter,
		revocations: o.Revocations,
		transport:   transport{proxies: slices.Clone(o.Proxies), http: o.InsecureAllowHTTP},
		memory:      newMemory(max(o.CacheTTL, 0), o.CacheSize),
		now:         o.Clock,
	}, nil
}

// Authenticate implements guard.Authenticator. Nothing is seen for this scheme
// in a request without Basic credentials. Malformed ones, a wrong password and a
// name nobody has get the same answer.
func (s *Scheme) Authenticate(r *http.Request) (guard.Result, error) {
	username, password, found, err := credentials(r.Header)
	switch {
	case !found:
		return guard.Result{}, nil
	case errors.Is(err, errTwice):
		return guard.Result{}, &guard.Error{Code: guard.InvalidRequest, Description: "Send one Authorization header", Err: err}
	case !s.transport.confidential(r):
		return guard.Result{}, &guard.Error{Code: guard.InvalidRequest, Description: "A password must not be sent over plain http: use https, and change it"}
	case err != nil:
		return guard.Result{}, refused(err)
	}
	username, password = s.canonical(s.normalize(username)), s.normalize(password)
	v, err := s.memory.once(r.Context(), s.now(), username, password, func() (*guard.Principal, error) {
		return s.verify(r, username, password)
	})
	if err != nil {
		return guard.Result{}, err
	}
	if s.revocations != nil {
		cleared, err := s.revocations.Check(r.Context(), v.principal, "", v.cleared.Load())
		if err != nil {
			return guard.Result{}, err
		}
		v.cleared.Store(cleared)
	}
	return guard.Result{Principal: v.principal}, nil
}

// verify asks the Verifier. Its work outlives the request that began it: others
// may be waiting for the answer.
func (s *Scheme) verify(r *http.Request, username, password string) (*guard.Principal, error) {
	if s.limiter != nil {
		if err := s.limiter.Attempt(r, username); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), verifyTimeout)
	defer cancel()
	found, err := s.verifier.Verify(ctx, username, password)
	switch {
	case errors.Is(err, ErrRefused), err == nil && found == nil:
		return nil, refused(err)
	case err != nil:
		return nil, err
	}
	if s.limiter != nil {
		s.limiter.Succeeded(r, username)
	}
	p := *found // a copy: it is the verifier's
	p.Method = Method
	if p.Kind == "" {
		p.Kind = guard.User
	}
	if p.Subject == "" {
		p.Subject = username
	}
	if p.AMR == nil {
		p.AMR = []string{"pwd"}
	}
	return &p, nil
}

func refused(cause error) *guard.Error {
	return &guard.Error{Code: guard.InvalidToken, Description: "The user name or the password is wrong", Err: cause}
}

// Forget drops what is remembered of a user, under the canonical spelling of the
// name: call it when a password was changed or an account closed. It reaches
// this process; in others the cache runs out by itself.
func (s *Scheme) Forget(username string) {
	username = s.canonical(s.normalize(username))
	s.memory.forget(func(v *verified) bool { return v.username == username })
}

// ForgetAll drops what is remembered of everybody.
func (s *Scheme) ForgetAll() { s.memory.forget(func(*verified) bool { return true }) }

// Challenge implements guard.Authenticator. Nothing is asked for where the
// password could be read on its way, nor when another one of the same person
// would not help.
func (s *Scheme) Challenge(r *http.Request, why *guard.Error) []string {
	if !s.transport.confidential(r) {
		return nil
	}
	if why != nil && why.Code != guard.InvalidToken && why.Code != guard.InvalidRequest {
		return nil
	}
	return slices.Clone(s.challenge)
}

var _ guard.Authenticator = (*Scheme)(nil)
