// Package attempts counts wrong passwords by package ratelimit, for the schemes
// that are shown a password at each request.
package attempts

import (
	"errors"
	"net/http"
	"net/netip"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/internal/clientip"
	"github.com/gatehouse-dev/gatehouse/guard/ratelimit"
)

// Attempts has a bucket for each user name and key. It is a [Limiter].
type Attempts struct {
	limits *ratelimit.Limiter
	by     ratelimit.KeyFunc // nil: the name alone
}

// New returns Attempts that take from limits.
func New(limits *ratelimit.Limiter, by ratelimit.KeyFunc) *Attempts { return &Attempts{limits, by} }

// Limiter is what packages basic and digest call one.
type Limiter interface {
	Attempt(r *http.Request, username string) error
	Succeeded(r *http.Request, username string)
}

// Limit returns what a scheme counts attempts by: the limiter it was given; nil where it
// is to be unlimited; and otherwise the login preset in the memory of this process,
// five wrong passwords in 15 minutes for each name from each address. The error is about
// the options of these names.
func Limit(given Limiter, unlimited bool, proxies []netip.Prefix, now func() time.Time) (Limiter, error) {
	problems := clientip.Proxies(proxies).Check()
	if given != nil && unlimited {
		problems = errors.Join(problems, errors.New("Limiter is set beside InsecureUnlimited"))
	}
	if problems != nil || given != nil || unlimited {
		return given, problems
	}
	limits, err := ratelimit.New(ratelimit.Login(ratelimit.Options{Clock: now}))
	if err != nil {
		return nil, err
	}
	address := ratelimit.ByAddress(proxies...)
	return New(limits, func(r *http.Request) (string, error) {
		if _, err := netip.ParseAddrPort(r.RemoteAddr); err != nil {
			return "no address", nil // a socket of this machine: all who use it are one
		}
		return address(r)
	}), nil
}

// Attempt takes an attempt off the budget, or refuses it.
func (a *Attempts) Attempt(r *http.Request, username string) error {
	key, err := a.key(r, username)
	if err != nil {
		return &guard.Error{Code: guard.InvalidRequest, Description: "The address of the client cannot be told", Err: err}
	}
	if result := a.limits.Allow(r.Context(), key); !result.Allowed {
		return &guard.Error{Code: guard.TooManyRequests, Description: "Too many attempts", RetryAfter: result.RetryAfter}
	}
	return nil
}

// Succeeded gives the last attempt back.
func (a *Attempts) Succeeded(r *http.Request, username string) {
	if key, err := a.key(r, username); err == nil {
		a.limits.Refund(r.Context(), key)
	}
}

// key puts the name last: it cannot pass for part of another key, for names have
// no control characters.
func (a *Attempts) key(r *http.Request, username string) (key string, err error) {
	if a.by != nil {
		key, err = a.by(r)
	}
	return "password\n" + key + "\n" + username, err
}
