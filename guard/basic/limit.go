package basic

import (
	"net/http"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/ratelimit"
)

// Limit returns a Limiter, for this package and package digest, with a bucket of
// limits for each user name:
//
//	limits, err := ratelimit.New(ratelimit.Login(ratelimit.Options{}))
//	…
//	basic.Options{…, Limiter: basic.Limit(limits, nil)}
//
// by, if set, gives each name a bucket for each of its keys, as
// ratelimit.ByAddress. Without it whoever guesses at a name keeps its owner out
// meanwhile, unless the owner's password is remembered; with it a thief who has
// many addresses may guess from each.
func Limit(limits *ratelimit.Limiter, by ratelimit.KeyFunc) Limiter {
	if limits == nil {
		panic("basic: Limit needs a limiter")
	}
	if by == nil {
		by = func(*http.Request) (string, error) { return "", nil }
	}
	return limit{limits, by}
}

type limit struct {
	limits *ratelimit.Limiter
	by     ratelimit.KeyFunc
}

func (l limit) Attempt(r *http.Request, username string) error {
	key, err := l.key(r, username)
	if err != nil {
		return &guard.Error{Code: guard.InvalidRequest, Description: "The address of the client cannot be told", Err: err}
	}
	if result := l.limits.Allow(r.Context(), key); !result.Allowed {
		return &guard.Error{Code: guard.TooManyRequests, Description: "Too many attempts", RetryAfter: result.RetryAfter}
	}
	return nil
}

func (l limit) Succeeded(r *http.Request, username string) {
	if key, err := l.key(r, username); err == nil {
		l.limits.Refund(r.Context(), key)
	}
}

// key puts the name last: a name with a line's end in it cannot pass for another
// key, for names have no control characters.
func (l limit) key(r *http.Request, username string) (string, error) {
	key, err := l.by(r)
	return "password\n" + key + "\n" + username, err
}
