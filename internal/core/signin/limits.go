package signin

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/base/id"
	"github.com/gatehouse-dev/gatehouse/internal/base/limit"
	"github.com/gatehouse-dev/gatehouse/internal/core/people"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
)

// Limits bound guessing and mailing.
type Limits struct {
	Window   time.Duration // of Failures, Spray and Flood
	Failures int64         // wrong passwords for one account from one network or one known device
	Spray    int64         // wrong passwords from one network for all accounts together
	// Flood is so many wrong passwords for all accounts from everywhere that operators are told. It is counted on
	// each node, and refuses nobody: whoever changes addresses meets the limits of accounts.
	Flood int
	// Consecutive wrong passwords for one account from everywhere. After that only known devices
	// may try, or the owner sets a new password by mail (NIST SP 800-63B-4, section 3.2.2).
	Consecutive int64

	MailWindow   time.Duration // of the three that follow
	MailsAddress int64         // codes mailed to one address because of strangers, and as many because of each known device
	MailsNetwork int64         // codes mailed because of one network
	MailsSite    int64         // codes mailed because of all networks of one site
	MailsDay     int64         // codes mailed by one tenant in a day

	UserCodesWindow  time.Duration // of the three that follow
	UserCodesSession int64         // wrong user codes of devices, typed in one session
	UserCodesPerson  int64         // wrong user codes of devices, typed by one person in any session and network
	UserCodesNetwork int64         // wrong user codes of devices, typed in one network

	DeviceRequestsWindow time.Duration // of the one that follows
	DeviceRequests       int64         // devices of one client in one site that ask to be let in
}

// DefaultLimits returns the limits that hold unless an operator sets others.
func DefaultLimits() Limits {
	return Limits{
		Window: 15 * time.Minute, Failures: 5, Spray: 100, Flood: 1000, Consecutive: 100,
		MailWindow: time.Hour, MailsAddress: 3, MailsNetwork: 10, MailsSite: 50, MailsDay: 10_000,
		UserCodesWindow: time.Hour, UserCodesSession: 5, UserCodesPerson: 20, UserCodesNetwork: 20,
		DeviceRequestsWindow: 10 * time.Minute, DeviceRequests: 100,
	}
}

// consecutiveMemory is how long wrong passwords are remembered as consecutive after the last one.
const consecutiveMemory = 365 * 24 * time.Hour

// budget is a number of tries that somebody has in a window of time.
type budget struct {
	name    string
	bucket  []byte
	limit   int64
	window  time.Duration
	sliding bool // the window begins anew with every try
	wait    time.Duration
}

func newBudget(name string, limit int64, window time.Duration, whose ...string) budget {
	text := name
	for _, part := range whose {
		text += "\x00" + part
	}
	return budget{name: name, bucket: id.Hash(text), limit: limit, window: window, wait: window}
}

// passwordBudgets are what an attempt on an account takes from, the widest first: everybody locks
// rows in this order. A name without an account is counted like one with.
//
// account is nil for an unknown name. A known device has budgets of its own and touches no others:
// what strangers used up is not missing there.
func (l Limits) passwordBudgets(a *people.Account, key string, d device, from netip.Addr) []budget {
	whose := "name\x00" + key
	if a != nil {
		whose = "user\x00" + a.ID
	}
	if a != nil && d.knows(a) {
		return []budget{
			l.consecutive("device-consecutive", whose, d.ID),
			newBudget("device", l.Failures, l.Window, whose, d.ID),
		}
	}
	return []budget{
		newBudget("spray", l.Spray, l.Window, limit.Site(from)),
		l.consecutive("consecutive", whose),
		newBudget("account", l.Failures, l.Window, whose, limit.Network(from)),
	}
}

func (l Limits) consecutive(name string, whose ...string) budget {
	b := newBudget(name, l.Consecutive, consecutiveMemory, whose...)
	b.sliding, b.wait = true, l.Window
	return b
}

// mailBudgets are what a mailed code takes from. a is nil for an address without an account. A device that
// knows the account has a budget of its own, as with passwords: whoever has codes mailed to the owner, or to
// everybody, keeps the owner from none.
func (l Limits) mailBudgets(addressKey string, a *people.Account, d device, from netip.Addr) []budget {
	if a != nil && d.knows(a) {
		return []budget{newBudget("mail-device", l.MailsAddress, l.MailWindow, addressKey, d.ID)}
	}
	return []budget{
		newBudget("mail-day", l.MailsDay, 24*time.Hour),
		newBudget("mail-site", l.MailsSite, l.MailWindow, limit.Site(from)),
		newBudget("mail-network", l.MailsNetwork, l.MailWindow, limit.Network(from)),
		newBudget("mail-address", l.MailsAddress, l.MailWindow, addressKey),
	}
}

const (
	// One statement, so that of any number of callers at once no more than the limit get through:
	// a try is taken if there is one, and no row comes back if there is none.
	takeTry = `INSERT INTO failures (tenant_id, bucket, count, expires_at) VALUES ($1, $2, 1, $4)
		ON CONFLICT (tenant_id, bucket) DO UPDATE SET
			count = CASE WHEN failures.expires_at <= $3 THEN 1 ELSE failures.count + 1 END,
			expires_at = CASE WHEN failures.expires_at <= $3 OR $6 = 1 THEN $4 ELSE failures.expires_at END
		WHERE failures.expires_at <= $3 OR failures.count < $5
		RETURNING count`
	selectTries = `SELECT bucket, count, expires_at FROM failures WHERE tenant_id = $1 AND bucket IN ($2, $3, $4, $5) AND expires_at > $6`
	selectTry   = `SELECT expires_at FROM failures WHERE tenant_id = $1 AND bucket = $2`
	giveBackTry = `UPDATE failures SET count = count - 1 WHERE tenant_id = $1 AND bucket = $2 AND count > 0`
	lockTries   = `UPDATE failures SET count = count WHERE tenant_id = $1 AND bucket = $2`
	deleteTries = `DELETE FROM failures WHERE tenant_id = $1 AND bucket = $2`
)

// take takes a try from every budget, before anything is told of its outcome. If one has none left
// the error is a Limited fault, which must undo the verb. used names a budget whose last try this
// was.
func (s *SignIn) take(tx *db.Tx, budgets []budget) (used string, err error) {
	now := s.now()
	for _, b := range budgets {
		sliding := 0
		if b.sliding {
			sliding = 1
		}
		var count int64
		err := tx.QueryRow(takeTry, b.bucket, db.Micros(now), db.Micros(now.Add(b.window)), b.limit, sliding).Scan(&count)
		if errors.Is(err, db.ErrNoRows) {
			return "", s.limitedInTx(tx, b)
		}
		if err != nil {
			return "", fmt.Errorf("signin: count: %w", err)
		}
		if count == b.limit {
			used = b.name
		}
	}
	return used, nil
}

func (s *SignIn) limitedInTx(tx *db.Tx, b budget) error {
	var expires int64
	if err := tx.QueryRow(selectTry, b.bucket).Scan(&expires); err != nil {
		return fmt.Errorf("signin: count: %w", err)
	}
	return limited(b, db.Time(expires).Sub(s.now()))
}

// check refuses, before any costly work, what take would refuse. It reads and takes nothing.
func (s *SignIn) check(ctx context.Context, tn *tenant.Tenant, budgets []budget) error {
	args := make([]any, 0, 5)
	for i := range 4 {
		args = append(args, budgets[min(i, len(budgets)-1)].bucket)
	}
	now := s.now()
	rows, err := tn.DB.Query(ctx, selectTries, append(args, db.Micros(now))...)
	if err != nil {
		return fmt.Errorf("signin: read counters: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var bucket []byte
		var count, expires int64
		if err := rows.Scan(&bucket, &count, &expires); err != nil {
			return fmt.Errorf("signin: read counters: %w", err)
		}
		for _, b := range budgets {
			if string(b.bucket) == string(bucket) && count >= b.limit {
				return limited(b, db.Time(expires).Sub(now))
			}
		}
	}
	return rows.Err()
}

// limited is one answer for every budget and every name.
func limited(b budget, left time.Duration) error {
	return &fault.Error{
		Code: fault.Limited, Message: "Too many attempts. Wait a while, then try again.",
		RetryAfter: min(left, b.wait).Truncate(time.Second) + time.Second, Err: fmt.Errorf("signin: budget %q is used up", b.name),
	}
}

// clear forgets the failures that a success makes good: those of the account, but not those the
// network had with others.
func (s *SignIn) clear(tx *db.Tx, a *people.Account, budgets []budget) error {
	for _, b := range budgets {
		text := deleteTries
		if b.name == "spray" {
			text = giveBackTry
		}
		if _, err := tx.Exec(text, b.bucket); err != nil {
			return fmt.Errorf("signin: clear counters: %w", err)
		}
	}
	return s.clearConsecutive(tx, a.ID)
}

// clearConsecutive lets an account be tried from anywhere again.
func (s *SignIn) clearConsecutive(tx *db.Tx, userID string) error {
	return s.onConsecutive(tx, deleteTries, userID)
}

// lockConsecutive makes others who count on the account wait, and changes nothing.
func (s *SignIn) lockConsecutive(tx *db.Tx, userID string) error {
	return s.onConsecutive(tx, lockTries, userID)
}

func (s *SignIn) onConsecutive(tx *db.Tx, text, userID string) error {
	if _, err := tx.Exec(text, s.limits.consecutive("consecutive", "user\x00"+userID).bucket); err != nil {
		return fmt.Errorf("signin: %w", err)
	}
	return nil
}
