package keys

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/base/seal"
)

const (
	systemSelectMasterKeys = `SELECT id, proof FROM master_keys`
	systemInsertMasterKey  = `INSERT INTO master_keys (id, proof, created_at) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING`
)

const masterProof = "master key proof"

// CheckMaster makes sure, before anything is opened, that the ring holds the master keys this
// database was sealed with: each key that is known to it must open its proof. A ring that shares
// no key with the database is refused. A new key is noted.
func CheckMaster(ctx context.Context, d *db.DB, ring *seal.Keyring, now time.Time) error {
	known, err := masterKeys(ctx, d)
	if err != nil {
		return err
	}
	shared := false
	for id, proof := range known {
		if !slices.Contains(ring.IDs(), id) {
			continue
		}
		if _, err := ring.Open(masterProof, []byte(id), proof); err != nil {
			return fmt.Errorf("keys: master key %s is not the one this database was sealed with: %w", id, err)
		}
		shared = true
	}
	if len(known) > 0 && !shared {
		return fault.New(fault.Invalid, "This database was sealed with other master keys: none of %v is configured. Put the old key back, behind the new one if there is one.", ids(known))
	}
	current := ring.CurrentID()
	if _, ok := known[current]; ok {
		return nil
	}
	return d.System().Write(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(systemInsertMasterKey, current, ring.Seal(masterProof, []byte(current), []byte(current)), db.Micros(now))
		return err
	})
}

func masterKeys(ctx context.Context, d *db.DB) (map[string][]byte, error) {
	rows, err := d.System().Query(ctx, systemSelectMasterKeys)
	if err != nil {
		return nil, fmt.Errorf("keys: read master keys: %w", err)
	}
	defer rows.Close()
	known := map[string][]byte{}
	for rows.Next() {
		var id string
		var proof []byte
		if err := rows.Scan(&id, &proof); err != nil {
			return nil, fmt.Errorf("keys: read master keys: %w", err)
		}
		known[id] = proof
	}
	return known, rows.Err()
}

func ids(known map[string][]byte) []string {
	var out []string
	for id := range known {
		out = append(out, id)
	}
	slices.Sort(out)
	return out
}
