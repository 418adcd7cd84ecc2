package oauth

import (
	"slices"
	"strings"
)

// Scopes with a meaning of their own (OpenID Connect Core §5.4, §11).
const (
	ScopeOpenID        = "openid"
	ScopeProfile       = "profile"
	ScopeEmail         = "email"
	ScopeOfflineAccess = "offline_access"
)

// Limits of a scope parameter.
const (
	maxScopeBytes  = 4 << 10
	maxScopeTokens = 100
)

// Scope is a set of scope tokens in the order they were first named.
type Scope []string

// ParseScope reads a space-delimited list (RFC 6749 §3.3); repeated tokens
// count once. A token outside the permitted characters, or a list over 4 KiB
// or 100 tokens, is invalid_scope.
func ParseScope(s string) (Scope, error) {
	if len(s) > maxScopeBytes {
		return nil, NewError(InvalidScope, "The scope is too long.")
	}
	var scope Scope
	for token := range strings.SplitSeq(s, " ") {
		if token == "" || scope.Contains(token) {
			continue
		}
		if !validScopeToken(token) {
			return nil, NewError(InvalidScope, "The scope has characters that are not allowed.")
		}
		if len(scope) == maxScopeTokens {
			return nil, NewError(InvalidScope, "The scope names too many values.")
		}
		scope = append(scope, token)
	}
	return scope, nil
}

// validScopeToken is the grammar of RFC 6749 §3.3: printable ASCII without
// space, quote and backslash.
func validScopeToken(token string) bool {
	for i := range len(token) {
		if c := token[i]; c <= ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return false
		}
	}
	return token != ""
}

// Contains reports whether token is in s.
func (s Scope) Contains(token string) bool { return slices.Contains(s, token) }

// Covers reports whether every token of other is in s.
func (s Scope) Covers(other Scope) bool {
	return !slices.ContainsFunc(other, func(token string) bool { return !s.Contains(token) })
}

// Intersect returns the tokens of s that are also in allowed.
func (s Scope) Intersect(allowed []string) Scope {
	return s.filter(func(token string) bool { return slices.Contains(allowed, token) })
}

// Without returns the tokens of s that are not in denied.
func (s Scope) Without(denied ...string) Scope {
	return s.filter(func(token string) bool { return !slices.Contains(denied, token) })
}

// Union returns s followed by the tokens of other it lacks.
func (s Scope) Union(other Scope) Scope {
	return append(slices.Clone(s), other.Without(s...)...)
}

// Equal reports whether s and other hold the same tokens in any order.
func (s Scope) Equal(other Scope) bool { return s.Covers(other) && other.Covers(s) }

// String is the wire form.
func (s Scope) String() string { return strings.Join(s, " ") }

func (s Scope) filter(keep func(string) bool) Scope {
	var out Scope
	for _, token := range s {
		if keep(token) {
			out = append(out, token)
		}
	}
	return out
}
