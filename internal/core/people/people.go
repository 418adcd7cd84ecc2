// Package people knows the users of a tenant: who they are, how they sign in to the local user
// database, and what they have been mailed to prove an address.
//
// A person is one row with a UUID that never changes, the "sub". An identity links what a
// connection calls them to that row; the local connection calls them by the canonical form of
// their address. What ends when something about a person changes is for package signin to know,
// which stands above this one.
//
// Methods that take a *db.Tx are steps of a larger verb; the others are whole verbs.
package people

import (
	"encoding/json"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/clock"
	"github.com/gatehouse-dev/gatehouse/internal/base/feed"
	"github.com/gatehouse-dev/gatehouse/internal/base/seal"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
)

// LocalConnection is the name of the connection whose users sign in with address and password.
const LocalConnection = "users"

// People is the subject's verbs. It is safe for concurrent use.
type People struct {
	Clock  clock.Clock
	Keys   *seal.Keyring
	Hasher *Hasher
	policy Policy
	known  *feed.Cache[*User] // by id
}

// Users are read for every token, and seldom changed. What this node changes counts at once, what
// others change within staleness: soon enough for a name. That a user is blocked or gone does not
// wait for it: families and rules say so, too.
const (
	staleness  = 5 * time.Second
	usersKnown = 16_384
)

// New returns the subject on top of a clock, the keys that seal and a hasher.
func New(c clock.Clock, keys *seal.Keyring, h *Hasher) *People {
	return &People{Clock: c, Keys: keys, Hasher: h, policy: NewPolicy(0), known: feed.NewCache[*User](c, staleness, usersKnown)}
}

// CheckPassword applies the tenant's policy to a new password; see [Policy.Check].
func (p *People) CheckPassword(tn *tenant.Tenant, password string, context ...string) error {
	policy := p.policy
	policy.MinLength = tn.Settings.PasswordMinLength
	return policy.Check(password, append(context, tn.Settings.Name, "gatehouse")...)
}

// User is a person as the house knows them.
type User struct {
	ID            string // the "sub": a UUID, never reused, never changed
	Email         string
	EmailVerified bool
	Profile
	Blocked      bool
	LastLoginAt  time.Time // zero: never
	LoginsCount  int64
	CreatedAt    time.Time
	UpdatedAt    time.Time
	UserMetadata json.RawMessage // an object: what the user may say about themselves
	AppMetadata  json.RawMessage // an object: what only applications may say about the user
}

// PlausibleID reports whether s can be an id of a row. What comes out of a URL or a form is asked
// this before it goes to the database, which refuses some texts instead of not finding them.
func PlausibleID(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return s != "" && len(s) <= 128
}
