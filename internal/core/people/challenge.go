package people

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/base/id"
	"github.com/gatehouse-dev/gatehouse/internal/base/seal"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
)

// Purpose says what a mailed code or link is for. It is part of the row's key and of what is
// hashed, so that one is never taken for another.
type Purpose string

// The purposes.
const (
	SignUp        Purpose = "sign_up"        // a code that makes an account
	PasswordReset Purpose = "password_reset" // a code that sets a new password
	PasswordLink  Purpose = "password_link"  // an administrator's link that sets a new password
	Administrator Purpose = "administrator"  // the token that makes the first administrator
)

// The bounds of guessing a code: six digits, five tries, and no more than three codes alive for
// one address and purpose.
const (
	CodeDigits    = 6
	CodeTries     = 5
	CodeLifetime  = 10 * time.Minute
	liveCodes     = 3
	challengeSeal = "challenge"
)

// NewChallenge is a code to be mailed.
type NewChallenge struct {
	Purpose Purpose
	Target  string // the canonical form of the address it is mailed to
	Browser string // the secret of the browser that must answer
	Payload []byte // what the answer sets free; sealed at rest
	// Doomed makes a challenge that no code answers: for an address that must not get one, where
	// the answer must not tell.
	Doomed bool
}

// Challenge is an open challenge as its own browser may see it.
type Challenge struct {
	Purpose Purpose
	ID      string
	Target  string
	Payload []byte
	// Exhausted says that no try is left: a fresh code can be mailed, this one is over.
	Exhausted bool
}

// ErrCode says that a code was not accepted: wrong, expired, used, from another browser, or tried
// too often. It never says which.
var ErrCode = fault.Field("code", "This code is wrong or no longer valid. Check the digits, or ask for a new code.")

const (
	// A newer code for the same address in the same browser replaces the older one.
	replaceChallenge = `DELETE FROM challenges WHERE tenant_id = $1 AND purpose = $2 AND target = $3 AND browser_hash = $4`
	// Of those for the same address in other browsers the newest two stay.
	trimChallenges = `DELETE FROM challenges WHERE tenant_id = $1 AND purpose = $2 AND target = $3 AND id NOT IN
		(SELECT id FROM challenges WHERE tenant_id = $1 AND purpose = $2 AND target = $3 ORDER BY created_at DESC, id DESC LIMIT $4)`
	insertChallenge = `INSERT INTO challenges (tenant_id, purpose, id, target, browser_hash, code_hash, payload, tries, created_at, expires_at, used_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8, $9, 0)`
	selectChallenge = `SELECT target, payload, tries FROM challenges
		WHERE tenant_id = $1 AND purpose = $2 AND id = $3 AND browser_hash = $4 AND used_at = 0 AND expires_at > $5`
	// A try is taken before the code is looked at: however many come at once, five are looked at.
	tryChallenge = `UPDATE challenges SET tries = tries + 1
		WHERE tenant_id = $1 AND purpose = $2 AND id = $3 AND browser_hash = $4 AND used_at = 0 AND expires_at > $5 AND tries < $6
		RETURNING target, code_hash, payload`
	useChallenge  = `UPDATE challenges SET used_at = $4 WHERE tenant_id = $1 AND purpose = $2 AND id = $3 AND used_at = 0`
	endChallenges = `DELETE FROM challenges WHERE tenant_id = $1 AND purpose = $2 AND target = $3`
)

// Issue writes a challenge and returns its id and the code to mail. Calls for one target must be
// made one after another; whoever counts mails per address first has that.
func (p *People) Issue(tx *db.Tx, n NewChallenge) (challengeID, code string, err error) {
	challengeID, code = id.UUID(), id.Digits(CodeDigits)
	hash, err := p.codeHash(p.Keys.CurrentID(), n.Purpose, challengeID, code)
	if err != nil {
		return "", "", err
	}
	if n.Doomed {
		rand.Read(hash)
	}
	browser := id.Hash(n.Browser)
	sealed := p.Keys.Seal(challengeSeal, payloadAAD(tx.TenantID(), n.Purpose, challengeID), n.Payload)
	now := p.Clock.Now()
	if _, err := tx.Exec(replaceChallenge, string(n.Purpose), n.Target, browser); err != nil {
		return "", "", fmt.Errorf("people: replace challenge: %w", err)
	}
	if _, err := tx.Exec(trimChallenges, string(n.Purpose), n.Target, liveCodes-1); err != nil {
		return "", "", fmt.Errorf("people: trim challenges: %w", err)
	}
	_, err = tx.Exec(insertChallenge, string(n.Purpose), challengeID, n.Target, browser, hash, sealed, db.Micros(now), db.Micros(now.Add(CodeLifetime)))
	if err != nil {
		return "", "", fmt.Errorf("people: issue challenge: %w", err)
	}
	return challengeID, code, nil
}

// Open returns the challenge that waits for this browser, else [ErrCode].
func (p *People) Open(ctx context.Context, tn *tenant.Tenant, purpose Purpose, challengeID, browser string) (*Challenge, error) {
	if !PlausibleID(challengeID) {
		return nil, ErrCode
	}
	c := &Challenge{Purpose: purpose, ID: challengeID}
	var sealed []byte
	var tries int64
	err := tn.DB.QueryRow(ctx, selectChallenge, string(purpose), challengeID, id.Hash(browser), db.Micros(p.Clock.Now())).Scan(&c.Target, &sealed, &tries)
	if errors.Is(err, db.ErrNoRows) {
		return nil, ErrCode
	}
	if err != nil {
		return nil, fmt.Errorf("people: read challenge: %w", err)
	}
	c.Exhausted = tries >= CodeTries
	c.Payload, err = p.Keys.Open(challengeSeal, payloadAAD(tn.ID, purpose, challengeID), sealed)
	if errors.Is(err, seal.ErrUnknownKey) { // a master key was taken away: nobody can answer any more
		return nil, ErrCode
	}
	if err != nil {
		return nil, fmt.Errorf("people: payload of challenge %s: %w", challengeID, err)
	}
	return c, nil
}

// Answer takes a try and reports whether the code is the right one; then the challenge is used and
// the payload is what it sets free. c is nil when there was nothing to try. The verb must commit
// whatever the outcome: a try that is undone is a try for nothing.
func (p *People) Answer(tx *db.Tx, purpose Purpose, challengeID, browser, code string) (c *Challenge, right bool, err error) {
	if !PlausibleID(challengeID) {
		return nil, false, nil
	}
	now := db.Micros(p.Clock.Now())
	c = &Challenge{Purpose: purpose, ID: challengeID}
	var stored, sealed []byte
	err = tx.QueryRow(tryChallenge, string(purpose), challengeID, id.Hash(browser), now, CodeTries).Scan(&c.Target, &stored, &sealed)
	if errors.Is(err, db.ErrNoRows) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("people: answer challenge: %w", err)
	}
	if right, err = p.matches(stored, purpose, challengeID, code); err != nil || !right {
		return c, false, err
	}
	won, err := tx.Exec(useChallenge, string(purpose), challengeID, now)
	if err != nil {
		return nil, false, fmt.Errorf("people: use challenge: %w", err)
	}
	if won == 0 {
		return c, false, nil
	}
	c.Payload, err = p.Keys.Open(challengeSeal, payloadAAD(tx.TenantID(), purpose, challengeID), sealed)
	if err != nil {
		return nil, false, fmt.Errorf("people: payload of challenge %s: %w", challengeID, err)
	}
	return c, true, nil
}

// EndChallenges ends all codes of one purpose for one address.
func (p *People) EndChallenges(tx *db.Tx, purpose Purpose, target string) error {
	if _, err := tx.Exec(endChallenges, string(purpose), target); err != nil {
		return fmt.Errorf("people: end challenges: %w", err)
	}
	return nil
}

// codeHash is how a code is stored: a million codes are no secret to whoever reads the table, so
// the hash has a key. In front of it stands the id of the master key.
func (p *People) codeHash(keyID string, purpose Purpose, challengeID, code string) ([]byte, error) {
	mac, err := p.Keys.MAC(challengeSeal, keyID, []byte(string(purpose)+"\x00"+challengeID+"\x00"+code))
	if err != nil {
		return nil, err
	}
	raw, err := hex.DecodeString(keyID)
	return append(raw, mac...), err
}

func (p *People) matches(stored []byte, purpose Purpose, challengeID, code string) (bool, error) {
	if len(stored) < 4 {
		return false, nil
	}
	want, err := p.codeHash(hex.EncodeToString(stored[:4]), purpose, challengeID, code)
	if errors.Is(err, seal.ErrUnknownKey) { // also what a doomed challenge looks like
		return false, nil
	}
	return subtle.ConstantTimeCompare(want, stored) == 1, err
}

// payloadAAD ties a payload to its row. The purpose is part of the row's key.
func payloadAAD(tenantID string, purpose Purpose, challengeID string) []byte {
	return seal.ColumnAAD(tenantID, "challenges", "payload", string(purpose)+"/"+challengeID)
}
