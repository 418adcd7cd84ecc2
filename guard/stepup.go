package guard

import (
	"net/http"
	"slices"
	"time"
)

// StepUpLogin is what a BrowserLogin implements besides when it can have people
// prove anew, or better, who they are. Require sends a browser there when ACR or
// MaxAge is not met, if the scheme is the one that named the principal.
type StepUpLogin interface {
	// StepUpURL returns where to send the browser that made r, so that its person
	// signs in as why asks and comes back to r's address. why has the code
	// InsufficientUserAuthentication; its ACRValues, in order of preference, and
	// its MaxAge are what the provider is to be asked for (OpenID Connect Core
	// §3.1.2.1: acr_values, max_age). Empty means that it cannot help: the request
	// gets its 401.
	StepUpURL(r *http.Request, why *Error) string
}

// ACR requires that the person signed in at one of the authentication context
// classes in values, given in order of preference. Anybody else gets 401 with
// the code insufficient_user_authentication and the values as acr_values (RFC
// 9470 §3), or, on a page visit, a redirect to sign in again if the scheme is a
// StepUpLogin.
//
// Classes have no order that this package knew: list every one that will do. It
// panics without any, and when Require is given it twice.
func ACR(values ...string) Option {
	mustName("ACR", values)
	return func(p *policy) {
		s := p.steppedUp()
		if s.acr != nil {
			panic("guard: ACR stands twice among the options; give all values that will do in one")
		}
		s.acr = slices.Clone(values)
	}
}

// MaxAge requires that the person proved who they are no longer ago than age, a
// whole number of seconds. It answers as ACR does, with max_age; with both, the
// answer names both, so that one sign-in settles them. Of several the smallest
// counts.
//
// A principal of whom it is not known when they signed in is refused: an
// application speaking for itself, a password sent along with each request. Leave
// people the time to come back from signing in: seconds lead in circles.
func MaxAge(age time.Duration) Option {
	if age < time.Second || age%time.Second != 0 {
		panic("guard: MaxAge needs a whole number of seconds, one at least")
	}
	return func(p *policy) {
		s := p.steppedUp()
		if s.age == 0 || age < s.age {
			s.age = age
		}
	}
}

// stepUp is what ACR and MaxAge ask for together.
type stepUp struct {
	acr []string
	age time.Duration
}

// clocksDiffer is how far ahead of ours an issuer's clock may be before its
// times stop being believed.
const clocksDiffer = time.Minute

// steppedUp returns the policy's step-up, which stands among the requirements
// where the first option put it.
func (p *policy) steppedUp() *stepUp {
	if p.stepUp == nil {
		s := &stepUp{}
		p.stepUp = s
		p.requirements = append(p.requirements, func(_ *http.Request, who *Principal) error {
			if s.metBy(who, p.now()) {
				return nil
			}
			return &Error{
				Code: InsufficientUserAuthentication, Description: "This resource requires signing in again",
				ACRValues: s.acr, MaxAge: s.age,
			}
		})
	}
	return p.stepUp
}

func (s *stepUp) metBy(who *Principal, now time.Time) bool {
	if s.acr != nil && !slices.Contains(s.acr, who.ACR) {
		return false
	}
	if s.age == 0 {
		return true
	}
	age := now.Sub(who.AuthTime)
	return !who.AuthTime.IsZero() && age <= s.age && age >= -clocksDiffer
}
