package server

import (
	"context"

	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
	"github.com/gatehouse-dev/gatehouse/internal/core/keys"
	"github.com/gatehouse-dev/gatehouse/protocol/jose"
)

// RotateKeys publishes new signing keys for the algorithms, or for every one that is in use.
func (h *House) RotateKeys(ctx context.Context, algs []jose.Alg, by audit.Origin) error {
	if len(algs) > 0 {
		return h.Keys.Rotate(ctx, h.Tenant, algs, by)
	}
	all, err := h.Keys.List(ctx, h.Tenant)
	if err != nil {
		return err
	}
	for _, k := range all {
		if k.State == keys.Signing {
			algs = append(algs, k.Alg)
		}
	}
	return h.Keys.Rotate(ctx, h.Tenant, algs, by)
}

// RevokeKey drops a signing key that is not trusted any more, and ends what it has signed.
func (h *House) RevokeKey(ctx context.Context, kid string, by audit.Origin) error {
	return h.Keys.Revoke(ctx, h.Tenant, kid, h.Grants.RevokeKey, by)
}

// sweepKeys deletes keys whose time is over, and rotates those that have signed for long enough.
func (h *House) sweepKeys(ctx context.Context) error {
	if err := h.Keys.Sweep(ctx, h.DB); err != nil {
		return err
	}
	return h.Keys.RotateDue(ctx, h.Tenant)
}
