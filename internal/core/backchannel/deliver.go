package backchannel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/base/id"
	"github.com/gatehouse-dev/gatehouse/internal/base/outbound"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
	"github.com/gatehouse-dev/gatehouse/internal/core/outbox"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/protocol/jose"
	"github.com/gatehouse-dev/gatehouse/protocol/oidc"
)

const (
	workers   = 16              // calls under way at a time, on each node
	perClient = 4               // of them to one application: a slow one holds up its own alone
	lease     = time.Minute     // how long a claimed delivery belongs to the node that claimed it
	timeout   = 5 * time.Second // of one call: well within the lease
	// tokenLifetime is short: a token is signed when it is delivered, and has served when it arrives.
	tokenLifetime = 2 * time.Minute
	maxAnswer     = 4 << 10 // read of an answer, so that its connection can be used again
)

// retryAfter holds the pause after each failed attempt: five are made again, within about seven hours.
func retryAfter(attempts int64) (time.Duration, bool) {
	return outbox.RetryAfter(attempts, 10*time.Second, time.Minute, 10*time.Minute, time.Hour, 6*time.Hour)
}

// delivery is what an application is to be told.
type delivery struct {
	clientID, userID, sid, because string
	namesUser                      bool
}

const (
	systemSelectDue = `SELECT tenant_id, id, client_id, user_id, sid, names_user, because, attempts, due_at FROM
		(SELECT d.*, ROW_NUMBER() OVER (PARTITION BY tenant_id, client_id ORDER BY due_at, id) AS place FROM logout_deliveries d
			WHERE delivered_at = 0 AND failed_at = 0 AND due_at <= $1) AS due
		ORDER BY place, due_at, id LIMIT $2`
	systemClaim = `UPDATE logout_deliveries SET due_at = $4, attempts = attempts + 1
		WHERE tenant_id = $1 AND id = $2 AND due_at = $3 AND delivered_at = 0 AND failed_at = 0`

	markDelivered = `UPDATE logout_deliveries SET delivered_at = $4, tried_at = $4, status = $5, error = ''
		WHERE tenant_id = $1 AND id = $2 AND due_at = $3 AND delivered_at = 0 AND failed_at = 0`
	markFailed = `UPDATE logout_deliveries SET failed_at = $4, tried_at = $4, status = $5, error = $6
		WHERE tenant_id = $1 AND id = $2 AND due_at = $3 AND delivered_at = 0 AND failed_at = 0`
	postpone = `UPDATE logout_deliveries SET tried_at = $4, status = $5, error = $6, due_at = $7
		WHERE tenant_id = $1 AND id = $2 AND due_at = $3 AND delivered_at = 0 AND failed_at = 0`
)

func (l *Logouts) newQueue() *outbox.Queue[delivery] {
	return outbox.New(outbox.Options[delivery]{
		Name: "back-channel logout", DB: l.DB, Clock: l.Clock, Log: l.Log, Workers: workers, PerLane: perClient, Lease: lease,
		Select: systemSelectDue, Scan: scanDue, Claim: systemClaim, Send: l.send,
	})
}

func scanDue(rows *db.Rows) (c outbox.Claimed[delivery], err error) {
	d := &c.Content
	err = rows.Scan(&c.TenantID, &c.ID, &d.clientID, &d.userID, &d.sid, &d.namesUser, &d.because, &c.Attempts, &c.Due)
	c.Lane = c.TenantID + " " + d.clientID
	return c, err
}

// Run delivers until ctx ends: see [outbox.Queue.Run].
func (l *Logouts) Run(ctx context.Context) error { return l.queue.Run(ctx) }

// Deliver delivers what is due now and reports how many deliveries that were. One that fails is due again
// after a growing pause, and given up after six attempts.
func (l *Logouts) Deliver(ctx context.Context) (n int, err error) { return l.queue.Deliver(ctx) }

// Wake tells a running worker that there may be something to deliver. It never blocks.
func (l *Logouts) Wake() { l.queue.Wake() }

// send tells one application, and writes down what came of it.
func (l *Logouts) send(ctx context.Context, c outbox.Claimed[delivery]) error {
	status, err := l.call(ctx, c)
	now, failure := l.Clock.Now(), failureOf(status, err)
	log := l.Log.With("tenant", c.TenantID, "client_id", c.Content.clientID, "delivery", c.ID, "attempts", c.Attempts, "status", status, "failure", failure)
	pause, again := retryAfter(c.Attempts)
	if ctx.Err() != nil {
		pause = 0 // this server is leaving: the next one, or another, goes on at once
	}
	switch {
	case failure == "":
		return l.settle(ctx, c, audit.LogoutDelivered, failure, markDelivered, db.Micros(now), status)
	case !again || failure == NoAddress:
		log.WarnContext(ctx, "a back-channel logout is given up", "error", err)
		return l.settle(ctx, c, audit.LogoutFailed, failure, markFailed, db.Micros(now), status, string(failure))
	default:
		log.InfoContext(ctx, "a back-channel logout is not delivered yet", "again_in", pause, "error", err)
		l.queue.WakeIn(pause)
		return l.settle(ctx, c, "", failure, postpone, db.Micros(now), status, string(failure), db.Micros(now.Add(pause)))
	}
}

// settle writes an outcome, and the event it makes unless that is empty, if the claim still holds.
func (l *Logouts) settle(ctx context.Context, c outbox.Claimed[delivery], event audit.Type, failure Failure, text string, args ...any) error {
	return l.queue.Settle(ctx, c.Row, func(tx *db.Tx) error {
		n, err := tx.Exec(text, append([]any{c.ID, c.Due}, args...)...)
		if err != nil || n == 0 || event == "" {
			return err
		}
		detail := map[string]any{"sid": c.Content.sid, "cause": c.Content.because, "attempts": c.Attempts, "delivery": c.ID}
		if failure != "" {
			detail["error"] = string(failure)
		}
		return audit.Record(tx, audit.Event{
			Type: event, At: l.Clock.Now(), Actor: "system", UserID: c.Content.userID, ClientID: c.Content.clientID, Detail: detail,
		})
	})
}

// call posts a logout token to the application, and returns the status it answered with: 0 if there was no
// answer.
func (l *Logouts) call(ctx context.Context, c outbox.Claimed[delivery]) (status int64, err error) {
	uri, token, err := l.prepare(ctx, c)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, uri, strings.NewReader(url.Values{"logout_token": {token}}.Encode()))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("User-Agent", "Gatehouse")
	res, err := l.HTTP.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	_, _ = io.CopyN(io.Discard, res.Body, maxAnswer) // what it says beyond the status is of no interest
	return int64(res.StatusCode), nil
}

// prepare returns the address that is registered, byte for byte, and the token to post there. The error wraps
// errNoAddress or errUnsigned.
func (l *Logouts) prepare(ctx context.Context, c outbox.Claimed[delivery]) (uri, token string, err error) {
	tn, err := l.Tenant(ctx, c.TenantID)
	if err != nil {
		return "", "", fmt.Errorf("%w: %w", errUnsigned, err)
	}
	client, err := l.Apps.Client(ctx, tn, c.Content.clientID)
	if fault.Is(err, fault.NotFound) || err == nil && client.BackchannelLogoutURI == "" {
		return "", "", errNoAddress
	}
	if err == nil {
		token, err = l.token(ctx, tn, client, c.Content)
	}
	if err != nil {
		return "", "", fmt.Errorf("%w: %w", errUnsigned, err)
	}
	return client.BackchannelLogoutURI, token, nil
}

// token makes the logout token (Back-Channel Logout section 2.4), fresh for each attempt. It names the
// session, always; and the person only if they are to be signed out whatever session they came from, because
// some SDKs take a sub for that even beside a sid.
func (l *Logouts) token(ctx context.Context, tn *tenant.Tenant, client *apps.Client, d delivery) (string, error) {
	now := l.Clock.Now()
	claims := oidc.LogoutTokenClaims{
		Issuer: tn.Issuer, Audience: jose.Audience{client.ClientID}, IssuedAt: jose.Date(now), Expiry: jose.Date(now.Add(tokenLifetime)),
		ID: id.UUID(), SessionID: d.sid,
	}
	if d.namesUser {
		claims.Subject = d.userID
	}
	payload, err := claims.Payload()
	if err != nil {
		return "", err
	}
	return l.Keys.Sign(ctx, tn, jose.RS256, oidc.TypeLogoutToken, payload) // as the client's ID tokens
}

// Failure is the kind of the last failure of a delivery.
type Failure string

// The failures. All but NoAddress and QueueFull are tried again.
const (
	NoAddress      Failure = "no_address"      // the client is gone, or has no backchannel_logout_uri any more
	QueueFull      Failure = "queue_full"      // Options.MaxWaiting deliveries were waiting for the client already
	AddressRefused Failure = "address_refused" // the address is none that the house calls
	TimedOut       Failure = "timeout"         // no answer in time
	Unreachable    Failure = "unreachable"     // no connection, no certificate, no HTTP
	Redirected     Failure = "redirected"      // the answer leads elsewhere, where the house does not go
	Rejected       Failure = "rejected"        // the answer says that it failed; the status has more
	Unsigned       Failure = "unsigned"        // the house could not make the token
)

var (
	errNoAddress = errors.New("backchannel: the client has no backchannel_logout_uri any more")
	errUnsigned  = errors.New("backchannel: no logout token")
)

// failureOf sorts what came of a call. Any 2xx is success (section 2.8 demands 200; many answer 204).
func failureOf(status int64, err error) Failure {
	switch {
	case errors.Is(err, errNoAddress):
		return NoAddress
	case errors.Is(err, errUnsigned):
		return Unsigned
	case errors.Is(err, outbound.ErrRefused):
		return AddressRefused
	case errors.Is(err, context.DeadlineExceeded):
		return TimedOut
	case err != nil:
		return Unreachable
	case status >= 300 && status < 400:
		return Redirected
	case status < 200 || status >= 300:
		return Rejected
	}
	return ""
}
