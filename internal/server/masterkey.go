package server

import (
	"context"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/core/grants"
	"github.com/gatehouse-dev/gatehouse/internal/core/keys"
	"github.com/gatehouse-dev/gatehouse/internal/core/people"
)

// RotateMasterKey seals everything at rest with the first of the configured master keys and tells
// what still depends on the others. Progress may be nil.
func (h *House) RotateMasterKey(ctx context.Context, progress func(what string, resealed int)) (*keys.Report, error) {
	return keys.Rotation{
		DB: h.DB, Ring: h.Seal, Progress: progress,
		Subjects: map[string]func(context.Context) (int, error){"letters": h.Outbox.Reseal},
		Waiting:  []func(context.Context, *db.DB, time.Time) ([]keys.Dependence, error){grants.FamiliesByMasterKey, mailedCodes},
	}.Run(ctx, h.Clock.Now())
}

func mailedCodes(ctx context.Context, d *db.DB, now time.Time) (out []keys.Dependence, err error) {
	uses, err := people.ChallengesByMasterKey(ctx, d, now)
	for id, use := range uses {
		out = append(out, keys.Dependence{KeyID: id, What: "mailed codes", Count: use.Count, Until: use.Until})
	}
	return out, err
}
