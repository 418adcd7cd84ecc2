package keys

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/protocol/jose"
)

// A key is published, so that everybody has fetched it; then it signs; then its successor does, and
// it is only published again, until nothing that it signed can be shown any more. A key that is not
// trusted any more skips all of that: it is gone at once, and what it signed is dead.

// State is where a key is in its life.
type State string

// The states, in their order.
const (
	Waiting State = "waiting" // published, and does not sign yet
	Signing State = "signing"
	Retired State = "retired" // another signs; published for what this one signed
	Dropped State = "dropped" // its time is over; the row is swept away
)

const (
	// lead is how long a new key is published before it signs: as long as others may keep the set,
	// and a minute for nodes and clocks.
	lead = CacheFor + time.Minute
	// keepRetired is how long a key is published after its successor began to sign. Access tokens
	// live for an hour at most and ID tokens for hours; an ID token that comes back as a hint may be
	// older.
	keepRetired = 30 * 24 * time.Hour
	// rotateAfter is how long a key signs before another takes its place by itself.
	rotateAfter = 90 * 24 * time.Hour
	// maxPublished bounds the key set. Who reads sets has a bound, too: package jose takes a hundred keys.
	maxPublished = 64
)

// Info is what may be known of a key.
type Info struct {
	KeyID       string
	Alg         jose.Alg
	PublishedAt time.Time
	SignsFrom   time.Time
	// DroppedAt is when the key is published no longer; zero while it has no successor.
	DroppedAt time.Time
	// State is that at the time of reading.
	State State

	superseded time.Time // when its successor begins to sign; zero without one
}

// StateAt returns where the key is at a time, if nothing is done about it until then.
func (i Info) StateAt(t time.Time) State {
	switch {
	case !i.DroppedAt.IsZero() && !t.Before(i.DroppedAt):
		return Dropped
	case t.Before(i.SignsFrom):
		return Waiting
	case !i.superseded.IsZero() && !t.Before(i.superseded):
		return Retired
	}
	return Signing
}

const (
	supersedeKeys = `UPDATE signing_keys SET retired_at = $3 WHERE tenant_id = $1 AND alg = $2 AND retired_at = 0`
	selectWaiting = `SELECT COUNT(*) FROM signing_keys WHERE tenant_id = $1 AND alg = $2 AND signs_from > $3`
	countKeys     = `SELECT COUNT(*) FROM signing_keys WHERE tenant_id = $1 AND (retired_at = 0 OR retired_at > $2)`
	deleteKey     = `DELETE FROM signing_keys WHERE tenant_id = $1 AND kid = $2`
	selectKeepers = `SELECT kid, signs_from FROM signing_keys WHERE tenant_id = $1 AND alg = $2 AND retired_at = 0`
	hastenKey     = `UPDATE signing_keys SET signs_from = $3 WHERE tenant_id = $1 AND kid = $2`
	systemDropOld = `DELETE FROM signing_keys WHERE retired_at > 0 AND retired_at < $1`
)

// storedKey is a row.
type storedKey struct {
	Info
	sealed []byte
}

func (k *Keys) stored(ctx context.Context, tn *tenant.Tenant) ([]storedKey, error) {
	rows, err := tn.DB.Query(ctx, selectKeys)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errStorage, err)
	}
	defer rows.Close()
	var out []storedKey
	for rows.Next() {
		var s storedKey
		var published, signs, dropped int64
		if err := rows.Scan(&s.KeyID, &s.Alg, &s.sealed, &published, &signs, &dropped); err != nil {
			return nil, fmt.Errorf("%w: %w", errStorage, err)
		}
		s.PublishedAt, s.SignsFrom, s.DroppedAt = db.Time(published), db.Time(signs), db.Time(dropped)
		out = append(out, s)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", errStorage, err)
	}
	now := k.clock.Now()
	begun := map[jose.Alg]bool{}
	for i := range out {
		for _, later := range out[i+1:] { // in the order in which they begin to sign
			if later.Alg == out[i].Alg {
				out[i].superseded = later.SignsFrom
				break
			}
		}
		out[i].State = out[i].StateAt(now)
		// A first key waits for nobody: by a clock that is ahead it began to sign already.
		if out[i].State == Waiting && !begun[out[i].Alg] {
			out[i].State = Signing
		}
		begun[out[i].Alg] = begun[out[i].Alg] || out[i].State != Dropped
	}
	return out, nil
}

// List returns the tenant's keys, in the order in which they began or begin to sign.
func (k *Keys) List(ctx context.Context, tn *tenant.Tenant) ([]Info, error) {
	stored, err := k.stored(ctx, tn)
	if err != nil {
		return nil, err
	}
	var out []Info
	for _, s := range stored {
		out = append(out, s.Info)
	}
	return out, nil
}

// Rotate publishes a new key for each of the algorithms, which signs as soon as everybody can have
// fetched it, in some eleven minutes; those before it are dropped a month after that. It fails with
// a Conflict while a key is waiting to sign already, and while so many old ones are published that
// others could not read a longer set.
func (k *Keys) Rotate(ctx context.Context, tn *tenant.Tenant, algs []jose.Alg, by audit.Origin) error {
	var fresh []*made
	for _, alg := range algs {
		m, err := k.generate(tn, alg)
		if err != nil {
			return fault.Wrap(fault.Invalid, err, "No keys are made for %q.", string(alg))
		}
		fresh = append(fresh, m)
	}
	return tn.DB.WriteSerializable(ctx, func(tx *db.Tx) error {
		now := k.clock.Now()
		signsFrom := now.Add(lead)
		var published int
		if err := tx.QueryRow(countKeys, db.Micros(now)).Scan(&published); err != nil {
			return fmt.Errorf("keys: count published: %w", err)
		}
		if published+len(fresh) > maxPublished {
			return fault.New(fault.Conflict, "%d keys are published already, as many as others can read. Old ones are dropped a month after they have signed; one that is not trusted any more is to be revoked.", published)
		}
		for _, m := range fresh {
			var waiting int
			if err := tx.QueryRow(selectWaiting, string(m.alg), db.Micros(now)).Scan(&waiting); err != nil {
				return fmt.Errorf("keys: count waiting: %w", err)
			}
			if waiting > 0 {
				return fault.New(fault.Conflict, "A new key for %s is published already and does not sign yet.", m.alg)
			}
			if _, err := tx.Exec(supersedeKeys, string(m.alg), db.Micros(signsFrom.Add(keepRetired))); err != nil {
				return fmt.Errorf("keys: supersede: %w", err)
			}
			if _, err := k.store(tx, m, signsFrom, by); err != nil {
				return err
			}
		}
		return k.changed(tx)
	})
}

// RotateDue rotates the keys that have signed for long enough. Any number of nodes may try.
func (k *Keys) RotateDue(ctx context.Context, tn *tenant.Tenant) error {
	all, err := k.List(ctx, tn)
	if err != nil {
		return err
	}
	var due []jose.Alg
	for _, i := range all {
		if i.State == Signing && i.superseded.IsZero() && k.clock.Now().Sub(i.SignsFrom) >= rotateAfter {
			due = append(due, i.Alg)
		}
	}
	if due == nil {
		return nil
	}
	if err := k.Rotate(ctx, tn, due, audit.System()); !fault.Is(err, fault.Conflict) {
		return err
	}
	return nil
}

// Revoke takes a key that is not trusted any more out of the set, and has another sign in its place
// from this moment: the one that waits to, or a new one. rule, in the same transaction, ends what the
// key has signed. It fails with NotFound for a key that is not there.
func (k *Keys) Revoke(ctx context.Context, tn *tenant.Tenant, kid string, rule func(tx *db.Tx, kid string) error, by audit.Origin) error {
	all, err := k.List(ctx, tn)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(all, func(i Info) bool { return i.KeyID == kid })
	if at < 0 {
		return fault.New(fault.NotFound, "There is no signing key %s.", kid)
	}
	spare, err := k.generate(tn, all[at].Alg)
	if err != nil {
		return err
	}
	return tn.DB.WriteSerializable(ctx, func(tx *db.Tx) error {
		if err := rule(tx, kid); err != nil {
			return err
		}
		n, err := tx.Exec(deleteKey, kid)
		if err != nil {
			return fmt.Errorf("keys: delete: %w", err)
		}
		if n == 0 {
			return fault.New(fault.NotFound, "There is no signing key %s.", kid)
		}
		if err := k.replace(tx, spare, by); err != nil {
			return err
		}
		if err := k.note(tx, audit.SigningKeyRevoked, by, map[string]any{"kid": kid, "alg": string(spare.alg)}); err != nil {
			return err
		}
		return k.changed(tx)
	})
}

// replace makes sure that a key signs at this moment, of those that are there to stay.
func (k *Keys) replace(tx *db.Tx, spare *made, by audit.Origin) error {
	now := k.clock.Now()
	var kid string
	var signsFrom int64
	rows, err := tx.Query(selectKeepers, string(spare.alg))
	if err != nil {
		return fmt.Errorf("keys: read keepers: %w", err)
	}
	for rows.Next() {
		if err := rows.Scan(&kid, &signsFrom); err != nil {
			rows.Close()
			return fmt.Errorf("keys: read keepers: %w", err)
		}
	}
	rows.Close()
	if err := rows.Err(); err != nil {
		return fmt.Errorf("keys: read keepers: %w", err)
	}
	switch {
	case kid == "":
		_, err = k.store(tx, spare, now, by)
	case signsFrom > db.Micros(now):
		_, err = tx.Exec(hastenKey, kid, db.Micros(now))
	}
	if err != nil {
		return fmt.Errorf("keys: replace: %w", err)
	}
	return nil
}

// Sweep deletes keys whose time is over, private parts and all.
func (k *Keys) Sweep(ctx context.Context, d *db.DB) error {
	return d.System().Write(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(systemDropOld, db.Micros(k.clock.Now()))
		return err
	})
}
