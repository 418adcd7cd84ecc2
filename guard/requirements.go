package guard

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// requirement returns nil when it is met. Its error is answered as Where says.
type requirement func(*http.Request, *Principal) error

// Where requires that met returns nil. An *Error is answered as it says; any
// other error is AccessDenied, its text kept from the client. It runs after the
// principal is known, in the order of the options, and must not write.
func Where(met func(*http.Request, *Principal) error) Option {
	if met == nil {
		panic("guard: Where needs a function")
	}
	return func(p *policy) { p.requirements = append(p.requirements, met) }
}

// Scopes requires that the credential was granted every one of scopes. It
// panics without any: a requirement that asks for nothing is a mistake.
func Scopes(scopes ...string) Option {
	mustName("Scopes", scopes)
	needed := strings.Join(scopes, " ")
	return every(scopes, (*Principal).HasScope,
		&Error{Code: InsufficientScope, Description: "The credential lacks a scope this resource requires", Scope: needed})
}

// Permissions requires that the principal holds every one of permissions. It
// panics without any.
//
// The refusal names them as scope too (RFC 6750 §3.1 has no other word): an
// issuer that knows permissions grants them by that name.
func Permissions(permissions ...string) Option {
	mustName("Permissions", permissions)
	needed := strings.Join(permissions, " ")
	return every(permissions, (*Principal).HasPermission,
		&Error{Code: InsufficientScope, Description: "The principal lacks a permission this resource requires", Scope: needed})
}

// Roles requires that the principal has every one of roles; for one of several,
// put them into an Either. It panics without any. A refusal does not name them:
// which role opens a door is no business of who stands before it.
func Roles(roles ...string) Option {
	mustValue("Roles", roles)
	return every(slices.Clone(roles), (*Principal).HasRole,
		&Error{Code: AccessDenied, Description: "The principal lacks a role this resource requires"})
}

func every(names []string, holds func(*Principal, string) bool, lacking *Error) Option {
	return Where(func(_ *http.Request, p *Principal) error {
		for _, name := range names {
			if !holds(p, name) {
				return lacking
			}
		}
		return nil
	})
}

// Organizations requires that the principal acts in one of organizations; a
// principal acts in one at a time. It panics without any.
func Organizations(organizations ...string) Option {
	mustValue("Organizations", organizations)
	organizations = slices.Clone(organizations)
	return Where(func(_ *http.Request, p *Principal) error {
		if !slices.Contains(organizations, p.Organization) {
			return &Error{Code: AccessDenied, Description: "This resource belongs to another organisation"}
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

// Bound requires a credential that is good in one hand alone: bound to a DPoP
// key (RFC 9449) or a client certificate (RFC 8705) whose possession was proved
// with the request. Any other is refused with InvalidToken: the same principal
// may come back with a better one.
func Bound() Option {
	return confirmed("a key", func(c Confirmation) bool { return c.JKT != "" || c.X5T != "" })
}

// DPoPBound requires a credential bound to a DPoP key, as Bound does.
func DPoPBound() Option {
	return confirmed("a DPoP key", func(c Confirmation) bool { return c.JKT != "" })
}

// CertificateBound requires a credential bound to the client certificate of the
// connection, as Bound does.
func CertificateBound() Option {
	return confirmed("a client certificate", func(c Confirmation) bool { return c.X5T != "" })
}

func confirmed(what string, enough func(Confirmation) bool) Option {
	refused := &Error{Code: InvalidToken, Description: "This resource takes only credentials that are bound to " + what}
	return Where(func(_ *http.Request, p *Principal) error {
		if !enough(p.Confirmation) {
			return refused
		}
		return nil
	})
}

// Either requires that one of the requirements is met:
//
//	guard.Either(guard.Roles("admin"), guard.Permissions("edit:shows"))
//
// When none is, the first one's refusal is the answer: put the one first that
// most callers should aim for. It panics with fewer than two, and when one of
// them is not a requirement.
func Either(requirements ...Option) Option {
	if len(requirements) < 2 {
		panic("guard: Either needs two requirements at least")
	}
	return func(p *policy) {
		var choices []*policy
		for _, option := range requirements {
			if option == nil {
				panic("guard: Either was given a nil option")
			}
			choice := &policy{now: func() time.Time { return p.now() }}
			option(choice)
			if len(choice.requirements) == 0 {
				panic("guard: Either was given an option that is not a requirement")
			}
			choices = append(choices, choice)
		}
		p.requirements = append(p.requirements, func(r *http.Request, who *Principal) error {
			var first *Error
			for _, choice := range choices {
				err := choice.unmet(r, who)
				if err == nil {
					return nil
				}
				if first == nil {
					first = err
				}
			}
			return first
		})
	}
}

// mustName panics unless each of names can stand in a list separated by spaces.
func mustName(option string, names []string) {
	mustValue(option, names)
	for _, n := range names {
		if strings.ContainsAny(n, " \"\\") {
			panic("guard: " + option + ": " + n + " is not a name; give each as an argument of its own")
		}
	}
}

// mustValue panics unless there are values and none is empty: an empty one would
// be met by every principal that lacks it.
func mustValue(option string, values []string) {
	if len(values) == 0 {
		panic("guard: " + option + " needs at least one name")
	}
	if slices.Contains(values, "") {
		panic("guard: " + option + " was given an empty name")
	}
}
