package grants

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/id"
	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// DeviceCodeLifetime is how long a device waits for a person (RFC 8628 section 3.2).
const DeviceCodeLifetime = 10 * time.Minute

// expiredDevice is for how long a device that comes back too late is told so.
const expiredDevice = time.Hour

// hurried is how soon after another a question is told to slow down without a note of it: however often
// somebody asks, the database has one row to write a second.
const hurried = time.Second

// DeviceRequest is a device that waits for a person's approval, or did.
type DeviceRequest struct {
	// Terms are what is to be granted. UserID and Auth are those of who approved, Auth without a
	// session: a device is to outlive the browser it was approved in.
	Terms
	CodeChallenge string // S256; empty when the request had none
	Network       string // where the request came from, as package limit writes networks
	CreatedAt     time.Time
	ExpiresAt     time.Time
	// Handle finds the request again. It is no secret, and good for nothing at the token endpoint.
	Handle []byte

	state    deviceState
	interval time.Duration
	polledAt time.Time
}

// deviceState is how far a request has come. Each follows from the one before; denied and spent are
// the end.
type deviceState string

const (
	devicePending  deviceState = "pending"
	deviceApproved deviceState = "approved"
	deviceDenied   deviceState = "denied" // or taken back
	deviceSpent    deviceState = "spent"
)

// Why a device gets no tokens, or a person can not approve it. What the wire calls them is said in
// RFC 8628 section 3.5.
var (
	// ErrInvalidDeviceCode: unknown, spent, or presented by the wrong client or without what binds it.
	ErrInvalidDeviceCode = errors.New("grants: invalid device code")
	// ErrDevicePending: nobody has decided yet.
	ErrDevicePending = errors.New("grants: the device is not yet approved")
	// ErrSlowDown: nobody has decided yet, and the device asks too often.
	ErrSlowDown = errors.New("grants: the device asks too often")
	// ErrDeviceDenied: somebody said no, or what was approved was taken back.
	ErrDeviceDenied = errors.New("grants: the device was not allowed in")
	// ErrDeviceExpired: nobody decided in time, or the device came too late.
	ErrDeviceExpired = errors.New("grants: the device code has expired")
	// ErrUserCode: there is no request with this user code.
	ErrUserCode = errors.New("grants: no device shows this user code")
	// ErrDeviceDecided: somebody has approved or denied the request already.
	ErrDeviceDecided = errors.New("grants: this device was decided about before")
)

const (
	deviceColumns = `device_hash, gid, client_id, scope, audience, code_challenge, network, state, poll_interval, polled_at,
			user_id, auth_time, amr, acr, created_at, expires_at`
	insertDevice = `INSERT INTO device_requests (tenant_id, device_hash, user_code_mac, gid, client_id, scope, audience, code_challenge, network,
			state, poll_interval, polled_at, user_id, auth_time, amr, acr, created_at, expires_at, keep_until)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'pending', $10, 0, '', 0, '', '', $11, $12, $13)
		ON CONFLICT (tenant_id, user_code_mac) DO NOTHING`
	selectDevice     = `SELECT ` + deviceColumns + ` FROM device_requests WHERE tenant_id = $1 AND device_hash = $2`
	selectByUserCode = `SELECT ` + deviceColumns + ` FROM device_requests WHERE tenant_id = $1 AND user_code_mac = $2`
	// Whoever else wants to change the request waits until this verb has ended.
	lockDevice    = `UPDATE device_requests SET state = state WHERE tenant_id = $1 AND device_hash = $2 RETURNING ` + deviceColumns
	polledDevice  = `UPDATE device_requests SET polled_at = $3, poll_interval = $4 WHERE tenant_id = $1 AND device_hash = $2`
	spendDevice   = `UPDATE device_requests SET state = 'spent', keep_until = $3 WHERE tenant_id = $1 AND device_hash = $2`
	approveDevice = `UPDATE device_requests SET state = 'approved', user_id = $4, auth_time = $5, amr = $6, acr = $7
		WHERE tenant_id = $1 AND device_hash = $2 AND state = 'pending' AND expires_at > $3`
	denyDevice            = `UPDATE device_requests SET state = 'denied' WHERE tenant_id = $1 AND device_hash = $2 AND state = 'pending' AND expires_at > $3`
	systemDeleteOldDevice = `DELETE FROM device_requests WHERE (tenant_id, device_hash) IN (SELECT tenant_id, device_hash FROM device_requests WHERE keep_until < $1 LIMIT $2)`
)

// DeviceCodes are what a device is given: one code to ask with, and one to show.
type DeviceCodes struct {
	DeviceCode string
	UserCode   string // without the hyphen
}

// RequestDevice stores, inside tx, that a device waits for approval. Of d it takes ClientID, Scope,
// Audience, CodeChallenge and Network. How many a client and a network may have is for the caller to
// bound.
func (g *Grants) RequestDevice(tx *db.Tx, d DeviceRequest) (DeviceCodes, error) {
	now := g.clock.Now()
	expires := now.Add(DeviceCodeLifetime)
	for range 5 { // a user code that is taken is drawn anew
		codes := DeviceCodes{DeviceCode: id.Secret(), UserCode: randomUserCode()}
		mac, err := g.userCodeMAC(tx.TenantID(), g.seal.CurrentID(), codes.UserCode)
		if err != nil {
			return DeviceCodes{}, err
		}
		n, err := tx.Exec(insertDevice, id.Hash(codes.DeviceCode), mac, id.UUID(), d.ClientID, d.Scope.String(), d.Audience, d.CodeChallenge, d.Network,
			oauth.DeviceInterval.Microseconds(), db.Micros(now), db.Micros(expires), db.Micros(expires.Add(expiredDevice)))
		if err != nil {
			return DeviceCodes{}, fmt.Errorf("grants: write device request: %w", err)
		}
		if n == 1 {
			return codes, nil
		}
	}
	return DeviceCodes{}, errors.New("grants: no user code is free")
}

func randomUserCode() string {
	var random [8]byte
	_, _ = rand.Read(random[:]) // never fails: crypto/rand aborts the program instead
	return oauth.UserCode(binary.NativeEndian.Uint64(random[:]))
}

// userCodeMAC is how a user code is stored. It has so few letters that a plain hash of it could be
// turned back in seconds.
func (g *Grants) userCodeMAC(tenantID, keyID, code string) ([]byte, error) {
	mac, err := g.seal.MAC("user code", keyID, []byte(tenantID+"\x00"+code))
	if err != nil {
		return nil, fmt.Errorf("grants: compute user code: %w", err)
	}
	return mac, nil
}

// DeviceByUserCode returns the request of the device that shows a code, or ErrUserCode. Guesses are
// for the caller to bound.
func (g *Grants) DeviceByUserCode(ctx context.Context, tn *tenant.Tenant, code string) (*DeviceRequest, error) {
	for _, keyID := range g.seal.IDs() {
		mac, err := g.userCodeMAC(tn.ID, keyID, code)
		if err != nil {
			return nil, err
		}
		d, err := scanDevice(tn.DB.QueryRow(ctx, selectByUserCode, mac))
		if !errors.Is(err, db.ErrNoRows) {
			return d, err
		}
	}
	return nil, ErrUserCode
}

// Device returns the request with a handle, or ErrUserCode when there is none any more.
func (g *Grants) Device(ctx context.Context, tn *tenant.Tenant, handle []byte) (*DeviceRequest, error) {
	d, err := scanDevice(tn.DB.QueryRow(ctx, selectDevice, handle))
	if errors.Is(err, db.ErrNoRows) {
		return nil, ErrUserCode
	}
	return d, err
}

// Undecided returns nil while a person can approve or deny the request; afterwards it is
// ErrDeviceExpired or ErrDeviceDecided.
func (d *DeviceRequest) Undecided(now time.Time) error {
	switch {
	case d.state != devicePending:
		return ErrDeviceDecided
	case !now.Before(d.ExpiresAt):
		return ErrDeviceExpired
	}
	return nil
}

// ApproveDevice lets a device in, as who is signed in in the session that auth names. Of any number
// of decisions the first counts: every other gets ErrDeviceDecided. A session that has ended
// meanwhile approves nothing: ErrSessionEnded. With consent, the scopes are allowed to the client by the same
// verb, as a third party needs at every refresh.
func (g *Grants) ApproveDevice(ctx context.Context, tn *tenant.Tenant, d *DeviceRequest, userID string, auth Authentication, consent bool, by audit.Origin) error {
	return tn.DB.WriteSerializable(ctx, func(tx *db.Tx) error {
		now := g.clock.Now()
		// Held, so that whoever ends what this person granted finds the approval, or ends the session first.
		if err := g.HoldSession(tx, auth.SID, userID); err != nil {
			return err
		}
		err := g.decide(tx, d, audit.DeviceApproved, by, userID, now,
			approveDevice, d.Handle, db.Micros(now), userID, db.Micros(auth.Time), joinAMR(auth.AMR), auth.ACR)
		if err != nil || !consent {
			return err
		}
		return g.consent(tx, userID, d.ClientID, d.Audience, d.Scope)
	})
}

// DenyDevice turns a device away, as a person asks, or fails with ErrDeviceDecided.
func (g *Grants) DenyDevice(ctx context.Context, tn *tenant.Tenant, d *DeviceRequest, userID string, by audit.Origin) error {
	return tn.DB.Write(ctx, func(tx *db.Tx) error {
		now := g.clock.Now()
		return g.decide(tx, d, audit.DeviceDenied, by, userID, now, denyDevice, d.Handle, db.Micros(now))
	})
}

func (g *Grants) decide(tx *db.Tx, d *DeviceRequest, what audit.Type, by audit.Origin, userID string, now time.Time, sql string, args ...any) error {
	n, err := tx.Exec(sql, args...)
	if err != nil {
		return fmt.Errorf("grants: decide about device: %w", err)
	}
	if n == 0 {
		return ErrDeviceDecided
	}
	e := by.Event(what, userID, now)
	e.ClientID = d.ClientID
	e.Detail = map[string]any{"gid": d.GID, "scope": d.Scope.String(), "audience": d.Audience, "network": d.Network}
	return audit.Record(tx, e)
}

// DeviceRedemption is what a client shows when its device asks.
type DeviceRedemption struct {
	DeviceCode string
	ClientID   string
	// Check is the pure judgement of the protocol on the request that was found (PKCE). An error
	// burns the code: whoever holds it is not who asked for it.
	Check func(DeviceRequest) error
	// Family says which refresh policy a family is to be started with, or nil for none.
	Family func(DeviceRequest) *NewFamily
}

// RedeemedDevice is an approval that was just spent, and the refresh token that was born with it.
type RedeemedDevice struct {
	DeviceRequest
	RefreshToken string // empty unless a family was asked for
}

// RedeemDevice answers a device: with what was granted, once, or with one of the errors above. Of any
// number of callers one succeeds. Each question notes its time, but for those of one moment, so that one
// that comes too early is told to slow down, whichever node it reaches.
func (g *Grants) RedeemDevice(ctx context.Context, tn *tenant.Tenant, r DeviceRedemption) (*RedeemedDevice, error) {
	hash := id.Hash(r.DeviceCode)
	known, err := scanDevice(tn.DB.QueryRow(ctx, selectDevice, hash))
	if errors.Is(err, db.ErrNoRows) {
		return nil, ErrInvalidDeviceCode
	}
	if err != nil {
		return nil, err
	}
	if err := known.closed(r.ClientID, g.clock.Now()); err != nil {
		return nil, err // nothing opens it again: whoever goes on asking writes nothing
	}
	if known.state == devicePending && g.clock.Now().Sub(known.polledAt) < hurried && r.Check(*known) == nil {
		return nil, ErrSlowDown
	}
	var out *RedeemedDevice
	var refused error
	err = tn.DB.Write(ctx, func(tx *db.Tx) error {
		out, refused = nil, nil
		now := g.clock.Now()
		d, err := scanDevice(tx.QueryRow(lockDevice, hash))
		if errors.Is(err, db.ErrNoRows) {
			refused = ErrInvalidDeviceCode
			return nil
		}
		if err != nil {
			return err
		}
		if refused = d.closed(r.ClientID, now); refused != nil {
			return nil
		}
		if refused = r.Check(*d); refused == nil && d.state == devicePending {
			refused, err = g.poll(tx, d, now)
			return err
		}
		if _, err := tx.Exec(spendDevice, hash, db.Micros(now.Add(longestAccessToken))); err != nil {
			return fmt.Errorf("grants: spend device code: %w", err)
		}
		if refused != nil {
			return nil
		}
		out = &RedeemedDevice{DeviceRequest: *d}
		f := r.Family(*d).begin(d.Terms, g.seal.CurrentID(), now)
		if f == nil {
			return nil
		}
		if err := g.insertFamily(tx, f); err != nil {
			return err
		}
		out.RefreshToken, err = g.refreshToken(tn.ID, f.GID, f.Generation, f.KeyID)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, refused
}

// closed is why a request is over for this client, or nil.
func (d *DeviceRequest) closed(clientID string, now time.Time) error {
	switch {
	case d.ClientID != clientID, d.state == deviceSpent:
		return ErrInvalidDeviceCode
	case d.state == deviceDenied:
		return ErrDeviceDenied
	case !now.Before(d.ExpiresAt):
		return ErrDeviceExpired
	}
	return nil
}

// poll notes that a device has asked in vain, and says what it is told.
func (g *Grants) poll(tx *db.Tx, d *DeviceRequest, now time.Time) (told, err error) {
	interval, tooEarly := oauth.Poll(d.interval, now.Sub(d.polledAt))
	if _, err := tx.Exec(polledDevice, d.Handle, db.Micros(now), interval.Microseconds()); err != nil {
		return nil, fmt.Errorf("grants: note poll: %w", err)
	}
	if tooEarly {
		return ErrSlowDown, nil
	}
	return ErrDevicePending, nil
}

func scanDevice(row *db.Row) (*DeviceRequest, error) {
	var d DeviceRequest
	var scope, amr string
	var interval, polled, authTime, created, expires int64
	err := row.Scan(&d.Handle, &d.GID, &d.ClientID, &scope, &d.Audience, &d.CodeChallenge, &d.Network, &d.state, &interval, &polled,
		&d.UserID, &authTime, &amr, &d.Auth.ACR, &created, &expires)
	if err != nil {
		return nil, fmt.Errorf("grants: read device request: %w", err)
	}
	d.Scope, d.Auth.Time, d.Auth.AMR = oauth.Scope(strings.Fields(scope)), db.Time(authTime), splitAMR(amr)
	d.interval, d.polledAt = time.Duration(interval)*time.Microsecond, db.Time(polled)
	d.CreatedAt, d.ExpiresAt = db.Time(created), db.Time(expires)
	return &d, nil
}
