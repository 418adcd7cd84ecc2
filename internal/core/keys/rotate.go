package keys

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/base/seal"
	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
)

// Rotation takes a house from old master keys to the current one: what is sealed at rest is sealed
// anew, in small transactions, beside servers that go on; what can not be sealed anew, because it
// was computed with the old key, is counted until it has ended by itself. An old key on which
// nothing depends any more is struck off the list of those the database needs.
//
// It may be stopped at any point and run again: what is done is not done twice.
type Rotation struct {
	DB   *db.DB
	Ring *seal.Keyring
	// Subjects seal anew what they keep, by what it is called. The private keys of this package
	// are not among them.
	Subjects map[string]func(context.Context) (resealed int, err error)
	// Waiting tells what was computed with a master key and is still alive.
	Waiting []func(context.Context, *db.DB, time.Time) ([]Dependence, error)
	// Progress hears what was done; it may be nil.
	Progress func(what string, resealed int)
	Batch    int // rows in a transaction; 100 when zero
}

// Dependence is something that ends with an old master key, and ends by itself later.
type Dependence struct {
	KeyID string    // of the master key
	What  string    // "refresh token families"
	Count int64     // how many
	Until time.Time // when the last of them is over
}

// Report is what came of a rotation.
type Report struct {
	Current  string         // the id of the key that seals
	Resealed map[string]int // by what it is called
	Retired  []string       // ids of old keys that can be removed from the configuration
	Waiting  []Dependence   // why others can not, yet
}

const (
	systemSelectPrivateKeys = `SELECT tenant_id, kid, private_sealed FROM signing_keys
		WHERE (tenant_id, kid) > ($1, $2) ORDER BY tenant_id, kid LIMIT $3`
	systemResealPrivateKey = `UPDATE signing_keys SET private_sealed = $4 WHERE tenant_id = $1 AND kid = $2 AND private_sealed = $3`
	systemDeleteMasterKey  = `DELETE FROM master_keys WHERE id = $1`
)

// privateKeys is what Report calls the private keys.
const privateKeys = "signing keys"

// Run seals anew and reports. An error says what stopped it; what was done before stays done.
func (r Rotation) Run(ctx context.Context, now time.Time) (*Report, error) {
	report := &Report{Current: r.Ring.CurrentID(), Resealed: map[string]int{}}
	n, err := r.resealPrivateKeys(ctx)
	report.Resealed[privateKeys] = n
	if err != nil {
		return report, err
	}
	for _, what := range sortedKeys(r.Subjects) {
		n, err := r.Subjects[what](ctx)
		report.Resealed[what] = n
		r.tell(what, n)
		if err != nil {
			return report, explainUnknown(err)
		}
	}
	for _, ask := range r.Waiting {
		waiting, err := ask(ctx, r.DB, now)
		if err != nil {
			return report, err
		}
		for _, w := range waiting {
			if w.KeyID != report.Current {
				report.Waiting = append(report.Waiting, w)
			}
		}
	}
	return report, r.retire(ctx, report, now)
}

func (r Rotation) tell(what string, n int) {
	if r.Progress != nil && n > 0 {
		r.Progress(what, n)
	}
}

// sealedKey is the private key of one row.
type sealedKey struct {
	tenantID, kid string
	sealed        []byte
}

func (r Rotation) resealPrivateKeys(ctx context.Context) (resealed int, err error) {
	var last sealedKey
	for {
		page, err := r.privateKeysAfter(ctx, last)
		if err != nil || len(page) == 0 {
			return resealed, err
		}
		n, err := r.resealPage(ctx, page)
		if err != nil {
			return resealed, err
		}
		resealed += n
		r.tell(privateKeys, n)
		last = page[len(page)-1]
	}
}

func (r Rotation) privateKeysAfter(ctx context.Context, last sealedKey) ([]sealedKey, error) {
	batch := r.Batch
	if batch == 0 {
		batch = 100
	}
	rows, err := r.DB.System().Query(ctx, systemSelectPrivateKeys, last.tenantID, last.kid, batch)
	if err != nil {
		return nil, fmt.Errorf("keys: read private keys: %w", err)
	}
	defer rows.Close()
	var out []sealedKey
	for rows.Next() {
		var k sealedKey
		if err := rows.Scan(&k.tenantID, &k.kid, &k.sealed); err != nil {
			return nil, fmt.Errorf("keys: read private keys: %w", err)
		}
		out = append(out, k)
	}
	return out, rows.Err()
}

// resealPage seals one page anew. A row that changed meanwhile, by another that does the same, is
// left to that one.
func (r Rotation) resealPage(ctx context.Context, page []sealedKey) (resealed int, err error) {
	err = r.DB.System().Write(ctx, func(tx *db.Tx) error {
		resealed = 0
		for _, k := range page {
			if id, err := seal.KeyID(k.sealed); err == nil && id == r.Ring.CurrentID() {
				continue
			}
			aad := privateKeyAAD(k.tenantID, k.kid)
			der, err := r.Ring.Open(sealPurpose, aad, k.sealed)
			if err != nil {
				return explainUnknown(fmt.Errorf("keys: private key %s of tenant %s, sealed with master key %s: %w", k.kid, k.tenantID, nameOf(k.sealed), err))
			}
			n, err := tx.Exec(systemResealPrivateKey, k.tenantID, k.kid, k.sealed, r.Ring.Seal(sealPurpose, aad, der))
			if err != nil {
				return fmt.Errorf("keys: reseal %s: %w", k.kid, err)
			}
			resealed += int(n)
		}
		return nil
	})
	return resealed, err
}

func nameOf(sealed []byte) string {
	id, err := seal.KeyID(sealed)
	if err != nil {
		return "?"
	}
	return id
}

// explainUnknown says what to do about a value that does not open.
func explainUnknown(err error) error {
	if !errors.Is(err, seal.ErrOpen) {
		return err
	}
	return fault.Wrap(fault.Invalid, err, "Something does not open with the configured master keys. Nothing was lost; what was sealed anew before it stays. Put the key it names behind the first one and run this again.")
}

// retire strikes off the old keys on which nothing depends, and writes the record. Whatever was
// sealed with them is sealed anew by now, since every key that seals is in the list.
func (r Rotation) retire(ctx context.Context, report *Report, now time.Time) error {
	known, err := masterKeys(ctx, r.DB)
	if err != nil {
		return err
	}
	for _, id := range ids(known) {
		needed := slices.ContainsFunc(report.Waiting, func(w Dependence) bool { return w.KeyID == id })
		if id != report.Current && !needed {
			report.Retired = append(report.Retired, id)
		}
	}
	total := 0
	for _, n := range report.Resealed {
		total += n
	}
	if total == 0 && len(report.Retired) == 0 {
		return nil
	}
	tenants, err := tenant.All(ctx, r.DB)
	if err != nil {
		return err
	}
	for _, tn := range tenants {
		err := tn.DB.Write(ctx, func(tx *db.Tx) error {
			return audit.Record(tx, audit.Event{
				Type: audit.MasterKeyRotated, At: now, Actor: audit.System().Actor,
				Detail: map[string]any{"current": report.Current, "resealed": total, "retired": strings.Join(report.Retired, " ")},
			})
		})
		if err != nil {
			return err
		}
	}
	return r.DB.System().Write(ctx, func(tx *db.Tx) error {
		for _, id := range report.Retired {
			if _, err := tx.Exec(systemDeleteMasterKey, id); err != nil {
				return fmt.Errorf("keys: retire master key %s: %w", id, err)
			}
		}
		return nil
	})
}

func sortedKeys[V any](m map[string]V) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
