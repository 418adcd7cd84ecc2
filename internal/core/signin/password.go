package signin

import (
	"context"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
	"github.com/gatehouse-dev/gatehouse/internal/core/mail"
	"github.com/gatehouse-dev/gatehouse/internal/core/people"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
)

// ErrBadCredentials says that a name and a password do not let anybody in: the name is unknown,
// the password wrong, the account blocked or without a password. It never says which.
var ErrBadCredentials = fault.New(fault.Unauthorized, "The address or the password is wrong.")

// ErrStale says that a change needs a sign-in of the last quarter of an hour.
var ErrStale = fault.New(fault.Unauthorized, "Sign in again before you change this.")

// freshness is how recent the sign-in of whoever changes a credential must be.
const freshness = 15 * time.Minute

// Credentials are what somebody typed.
type Credentials struct {
	Login    string
	Password string
}

// String hides the password from logs.
func (c Credentials) String() string { return "Credentials(***)" }

// GoString hides the password from %#v.
func (c Credentials) GoString() string { return c.String() }

// attempt is a password that has been compared, and not yet counted.
type attempt struct {
	tenant   string
	account  *people.Account // nil for an unknown name
	right    bool
	upgraded string // a better hash of the same password, or empty
	device   device
	budgets  []budget
}

// Password signs a person in with name and password. The outcome is told only by a transaction
// that also counts the attempt: however many arrive at once, on however many nodes, no more are
// answered than the limits allow.
//
// The error is [ErrBadCredentials], or a Limited fault whatever the password was, or a Busy fault.
func (s *SignIn) Password(ctx context.Context, tn *tenant.Tenant, c Credentials, from From) (*Result, error) {
	a, err := s.compare(ctx, tn, c, from)
	if err != nil {
		return nil, err
	}
	var result *Result
	ctx, done := paid(ctx)
	defer done()
	err = tn.DB.Write(ctx, func(tx *db.Tx) error {
		result = nil
		if err := s.count(tx, a, from); err != nil || !a.right {
			return err
		}
		result, err = s.enter(tx, tn, a.account, a.device, from)
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case result == nil:
		return nil, ErrBadCredentials
	}
	return result, nil
}

// paid is a context for the verb that counts what was costly: a caller who hangs up once a password is hashed
// has cost that all the same. Else whoever never waits for an answer keeps every core busy, without a limit.
func paid(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
}

// compare finds the account and compares the password, with the same work whether there is an
// account or not. Attempts beyond the limits are refused before that work.
func (s *SignIn) compare(ctx context.Context, tn *tenant.Tenant, c Credentials, from From) (attempt, error) {
	a := attempt{tenant: tn.ID, device: s.openDevice(tn, from.Device)}
	if len(c.Password) > people.MaxPassword {
		return a, ErrBadCredentials // no password is that long, so nothing is told
	}
	account, err := s.people.ByLogin(ctx, tn, c.Login)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return a, err
	}
	a.account = account
	a.budgets = s.limits.passwordBudgets(account, people.LoginKey(c.Login), a.device, from.Address)
	if err := s.check(ctx, tn, a.budgets); err != nil {
		return a, err
	}
	hash := "" // compared with nothing, at the price of something
	if account != nil && !account.Blocked {
		hash = account.Hash
	}
	right, upgrade, err := s.people.Hasher.Verify(ctx, hash, c.Password)
	if err != nil {
		return a, err
	}
	a.right = right
	if upgrade {
		a.upgraded, err = s.people.Hasher.Hash(ctx, c.Password)
	}
	return a, err
}

// count takes the attempt from its budgets and, if it is right, makes the failures before it good.
// An attempt whose account changed since the comparison is refused with [ErrBadCredentials], which
// undoes the verb.
func (s *SignIn) count(tx *db.Tx, a attempt, from From) error {
	used, err := s.take(tx, a.budgets)
	if err != nil {
		return err
	}
	if a.right {
		// Counters before users: the order in which all verbs lock rows.
		if err := s.clear(tx, a.account, a.budgets); err != nil {
			return err
		}
		allowed, err := s.people.RecordLogin(tx, a.account.ID)
		if err != nil {
			return err
		}
		hash, err := s.people.HashInTx(tx, a.account.ID)
		if err != nil {
			return err
		}
		if !allowed || hash != a.account.Hash {
			return ErrBadCredentials
		}
		if a.upgraded == "" {
			return nil
		}
		if err := s.people.UpgradePassword(tx, a.account.ID, hash, a.upgraded); err != nil {
			return err
		}
		return s.record(tx, audit.PasswordUpgraded, from, a.account.ID, nil)
	}
	t, detail, userID := audit.SignInFailed, map[string]any(nil), ""
	if used != "" {
		t, detail = audit.SignInLimited, map[string]any{"budget": used}
	}
	if a.account != nil {
		userID = a.account.ID
	}
	if s.flood.Add(a.tenant, s.now()) {
		flood := audit.System().Event(audit.SignInFlood, "", s.now())
		flood.Detail = map[string]any{"failures": s.limits.Flood}
		if err := audit.Record(tx, flood); err != nil {
			return err
		}
	}
	e := from.origin("").Event(t, userID, s.now())
	e.Detail = detail
	return audit.Record(tx, e)
}

// enter begins a session for an account whose owner has just proven to be who they are.
func (s *SignIn) enter(tx *db.Tx, tn *tenant.Tenant, a *people.Account, d device, from From) (*Result, error) {
	session, cookie, silent, err := s.begin(tx, tn, proof{userID: a.ID, email: a.Email, name: a.Name, state: Active, amr: []string{"pwd"}, acr: ACRPassword}, from)
	if err != nil {
		return nil, err
	}
	if err := s.record(tx, audit.SignInSucceeded, from, a.ID, map[string]any{"sid": session.SID, "amr": session.AMR}); err != nil {
		return nil, err
	}
	user := a.User
	user.LastLoginAt, user.LoginsCount = session.AuthTime, user.LoginsCount+1
	return &Result{
		Session: session, User: &user, Cookie: cookie, Silent: silent,
		Device: s.sealDevice(tn, d.with(a.ID, a.PasswordChangedAt)),
	}, nil
}

// ChangePassword sets another password for who is signed in. It needs the current one, which is
// counted like a sign-in, and a sign-in of the last quarter of an hour ([ErrStale]). Everything
// that was signed in or granted with the old password ends, and this browser gets a new session.
func (s *SignIn) ChangePassword(ctx context.Context, tn *tenant.Tenant, session *Session, current, password string, from From) (*Result, error) {
	if s.now().Sub(session.AuthTime) > freshness {
		return nil, ErrStale
	}
	if err := s.people.CheckPassword(tn, password, session.Email, session.Name); err != nil {
		return nil, err
	}
	a, err := s.compare(ctx, tn, Credentials{session.Email, current}, from)
	if err != nil {
		return nil, err
	}
	hash, err := s.people.Hasher.Hash(ctx, password)
	if err != nil {
		return nil, err
	}
	a.right, a.upgraded = a.right && a.account.ID == session.UserID, ""
	ctx, done := paid(ctx)
	defer done()
	var result *Result
	err = tn.DB.Write(ctx, func(tx *db.Tx) error {
		result = nil
		if err := s.count(tx, a, from); err != nil || !a.right {
			return err
		}
		if err := s.replacePassword(tx, tn, a.account, hash, from); err != nil {
			return err
		}
		from.Session = "" // it has just ended
		result, err = s.enter(tx, tn, a.account, a.device, from)
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case result == nil:
		return nil, fault.Field("current_password", "This is not your current password.")
	}
	return result, nil
}

// replacePassword is the one way in which a password that was becomes another: it ends what the
// old one opened and tells the owner. The user must be locked.
func (s *SignIn) replacePassword(tx *db.Tx, tn *tenant.Tenant, a *people.Account, hash string, from From) error {
	changed, err := s.people.SetPassword(tx, a.ID, hash)
	if err != nil {
		return err
	}
	a.Hash, a.PasswordChangedAt = hash, changed
	if err := s.end(tx, a.ID, "", PasswordChanged); err != nil {
		return err
	}
	if err := s.record(tx, audit.PasswordChanged, from, a.ID, nil); err != nil {
		return err
	}
	notice, err := mail.PasswordChanged(tn, a.Email, changed)
	if err != nil {
		return err
	}
	return s.mail.Enqueue(tx, notice)
}
