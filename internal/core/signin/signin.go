// Package signin lets people in and out: sign-up, sign-in, forgotten passwords, sessions, and the
// limits on guessing, all of which meet here whatever page, API or protocol they come from.
//
// Each attempt is one write transaction, in which it is counted before its outcome is told. Answers
// for names that exist and names that do not are the same, and so is the work behind them.
//
// It stands above packages people and mail. What it needs of grants and permissions it declares as
// interfaces.
package signin

import (
	"context"
	"net/netip"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/clock"
	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/limit"
	"github.com/gatehouse-dev/gatehouse/internal/base/seal"
	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
	"github.com/gatehouse-dev/gatehouse/internal/core/mail"
	"github.com/gatehouse-dev/gatehouse/internal/core/people"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
)

// ACRPassword is the "acr" of a sign-in with a password alone.
const ACRPassword = "urn:gatehouse:acr:password"

// Grants ends what was granted to applications.
type Grants interface {
	// EndSession ends what was granted in a session and is bound to it.
	EndSession(tx *db.Tx, sid, because string) error
	// EndUser ends everything that a user granted, on devices too.
	EndUser(tx *db.Tx, userID, because string) error
	// ForgetUser forgets what a user who is to be deleted has consented to.
	ForgetUser(tx *db.Tx, userID string) error
}

// Access gives permissions to users.
type Access interface {
	// DefaultPermissions gives a new user what everybody has.
	DefaultPermissions(tx *db.Tx, userID string) error
	// MakeAdministrator gives a user every permission of the house's own APIs.
	MakeAdministrator(tx *db.Tx, userID string) error
	// HasAdministrator reports whether anybody holds a permission at the tenant's management API.
	HasAdministrator(tx *db.Tx, managementAudience string) (bool, error)
	// Administered is HasAdministrator outside a transaction.
	Administered(ctx context.Context, tn *tenant.Tenant) (bool, error)
	// WithdrawAll takes every permission from a user who is to be deleted.
	WithdrawAll(tx *db.Tx, userID string) error
}

// APIKeys ends the API keys of users.
type APIKeys interface {
	// EndOfUser ends every key of a user.
	EndOfUser(tx *db.Tx, userID, because string) error
	// ForgetUser deletes the ended keys of a user who is to be deleted.
	ForgetUser(tx *db.Tx, userID string) error
}

// Logouts tells applications that sessions have ended.
type Logouts interface {
	// EndSession tells the applications that took part in a session.
	EndSession(tx *db.Tx, sid, because string) error
	// EndUser tells those that took part in any session of a user; with gone, that it is about the person.
	EndUser(tx *db.Tx, userID, because string, gone bool) error
}

// Options are what the subject stands on. All fields but APIKeys, Logouts and Limits are required.
type Options struct {
	Clock  clock.Clock
	Seal   *seal.Keyring
	People *people.People
	Mail   *mail.Outbox
	Grants Grants
	Access Access
	// APIKeys is nil where nobody has any.
	APIKeys APIKeys
	// Logouts is nil where no application is told of anything.
	Logouts Logouts
	Limits  Limits // DefaultLimits when zero
}

// maxFloods bounds the tenants whose wrong passwords are counted at a time.
const maxFloods = 10_000

// SignIn is the subject's verbs. It is safe for concurrent use.
type SignIn struct {
	clock   clock.Clock
	seal    *seal.Keyring
	people  *people.People
	mail    *mail.Outbox
	grants  Grants
	access  Access
	apiKeys APIKeys
	logouts Logouts
	limits  Limits
	flood   *limit.Counter
}

// New returns the subject.
func New(o Options) *SignIn {
	if o.Limits == (Limits{}) {
		o.Limits = DefaultLimits()
	}
	if o.APIKeys == nil {
		o.APIKeys = noAPIKeys{}
	}
	if o.Logouts == nil {
		o.Logouts = noLogouts{}
	}
	return &SignIn{
		clock: o.Clock, seal: o.Seal, people: o.People, mail: o.Mail, grants: o.Grants, access: o.Access, apiKeys: o.APIKeys, logouts: o.Logouts, limits: o.Limits,
		flood: limit.NewCounter(o.Limits.Flood, o.Limits.Window, maxFloods),
	}
}

// noAPIKeys is for a house where there are none.
type noAPIKeys struct{}

func (noAPIKeys) EndOfUser(*db.Tx, string, string) error { return nil }
func (noAPIKeys) ForgetUser(*db.Tx, string) error        { return nil }

// noLogouts is for a house that tells nobody.
type noLogouts struct{}

func (noLogouts) EndSession(*db.Tx, string, string) error    { return nil }
func (noLogouts) EndUser(*db.Tx, string, string, bool) error { return nil }

// From is the browser and the network that a verb is asked for from.
type From struct {
	Address   netip.Addr // of the peer, as the HTTP edge determined it
	UserAgent string
	Browser   string // the id of the browser: codes work only in the browser that asked for them
	Session   string // the session cookie, if there is one
	Device    string // the device cookie, if there is one
	ClientID  string // the application whose flow this is, if it is one's
}

func (f From) origin(actor string) audit.Origin {
	address := ""
	if f.Address.IsValid() {
		address = f.Address.Unmap().String()
	}
	return audit.Origin{Actor: actor, ClientID: f.ClientID, Address: address, UserAgent: f.UserAgent}
}

// Result is a sign-in that succeeded, with the cookies to set.
type Result struct {
	Session *Session
	User    *people.User
	Cookie  string // the id of the session
	// Silent is the other id of the same session, for silent authentication alone.
	Silent string
	Device string // who has signed in from this browser, sealed
}

func (s *SignIn) record(tx *db.Tx, t audit.Type, from From, userID string, detail map[string]any) error {
	e := from.origin(userID).Event(t, userID, s.now())
	e.Detail = detail
	return audit.Record(tx, e)
}

func (s *SignIn) now() time.Time { return s.clock.Now() }
