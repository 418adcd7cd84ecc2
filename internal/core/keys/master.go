package keys

import (
	"context"
	"fmt"
	"slices"
	"strings"
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

// CheckMaster makes sure, before anything is opened, that the ring is the one this database needs:
// it holds every master key that something here is still sealed with, and each opens its proof.
// Otherwise it is refused, and nothing was half decrypted. A new current key is noted.
//
// A guest works beside servers and must seal with nothing they cannot open: it is refused while
// its current key is one that no server has started with.
func CheckMaster(ctx context.Context, d *db.DB, ring *seal.Keyring, now time.Time, guest bool) error {
	known, err := masterKeys(ctx, d)
	if err != nil {
		return err
	}
	missing := slices.DeleteFunc(ids(known), func(id string) bool { return slices.Contains(ring.IDs(), id) })
	switch {
	case len(missing) > 0 && len(missing) == len(known):
		return fault.New(fault.Invalid, "This database was sealed with other master keys: none of %v is configured. Put the old key back, behind the new one if there is one.", missing)
	case len(missing) > 0:
		return fault.New(fault.Invalid, "Values in this database are still sealed with the master key %s, which is not configured. Put it back behind the first key; gatehouse masterkey rotate says when it can go.", strings.Join(missing, ", "))
	}
	for _, id := range ids(known) {
		if _, err := ring.Open(masterProof, []byte(id), known[id]); err != nil {
			return fmt.Errorf("keys: master key %s is not the one this database was sealed with: %w", id, err)
		}
	}
	current := ring.CurrentID()
	if _, ok := known[current]; ok {
		return nil
	}
	if guest && len(known) > 0 {
		return fault.New(fault.Invalid, "No server has started with the master key %s yet. Restart all servers with this configuration first: they could not open what is sealed with it.", current)
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
