package mail

import (
	"context"
	"fmt"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/seal"
)

const (
	resealBatch        = 200
	systemSelectSealed = `SELECT tenant_id, id, body_sealed FROM mails
		WHERE (tenant_id, id) > ($1, $2) AND LENGTH(body_sealed) > 0 ORDER BY tenant_id, id LIMIT $3`
	systemReseal = `UPDATE mails SET body_sealed = $4 WHERE tenant_id = $1 AND id = $2 AND body_sealed = $3`
)

// sealedBody is a body as it is stored.
type sealedBody struct {
	tenantID, id string
	sealed       []byte
}

// Reseal seals every body anew that was sealed with another than the current master key, and
// returns how many those were. It may be stopped and run again at any time, while letters are
// written and delivered.
func (o *Outbox) Reseal(ctx context.Context) (resealed int, err error) {
	tenantID, id := "", ""
	for {
		page, err := o.sealedAfter(ctx, tenantID, id)
		if err != nil || len(page) == 0 {
			return resealed, err
		}
		n, err := o.resealPage(ctx, page)
		resealed += n
		if err != nil {
			return resealed, err
		}
		tenantID, id = page[len(page)-1].tenantID, page[len(page)-1].id
	}
}

func (o *Outbox) sealedAfter(ctx context.Context, tenantID, id string) ([]sealedBody, error) {
	rows, err := o.DB.System().Query(ctx, systemSelectSealed, tenantID, id, resealBatch)
	if err != nil {
		return nil, fmt.Errorf("mail: read sealed bodies: %w", err)
	}
	defer rows.Close()
	var out []sealedBody
	for rows.Next() {
		var l sealedBody
		if err := rows.Scan(&l.tenantID, &l.id, &l.sealed); err != nil {
			return nil, fmt.Errorf("mail: read sealed bodies: %w", err)
		}
		out = append(out, l)
	}
	return out, rows.Err()
}

func (o *Outbox) resealPage(ctx context.Context, page []sealedBody) (resealed int, err error) {
	err = o.DB.System().Write(ctx, func(tx *db.Tx) error {
		resealed = 0
		for _, l := range page {
			keyID, err := seal.KeyID(l.sealed)
			if err == nil && keyID == o.Seal.CurrentID() {
				continue
			}
			aad := bodyAAD(l.tenantID, l.id)
			plain, err := o.Seal.Open(purpose, aad, l.sealed)
			if err != nil {
				return fmt.Errorf("mail: body of %s: %w", l.id, err)
			}
			n, err := tx.Exec(systemReseal, l.tenantID, l.id, l.sealed, o.Seal.Seal(purpose, aad, plain))
			if err != nil {
				return fmt.Errorf("mail: reseal %s: %w", l.id, err)
			}
			resealed += int(n)
		}
		return nil
	})
	return resealed, err
}
