package admin

import (
	"context"

	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
	"github.com/gatehouse-dev/gatehouse/internal/core/guide"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
)

// PlanApplication returns what [guide.Make] makes of the answers in this tenant. Nothing is stored.
func (a *Admin) PlanApplication(ctx context.Context, tn *tenant.Tenant, answers guide.Answers) (*guide.Application, error) {
	var api *apps.API
	if answers.Audience != "" {
		found, err := a.Apps.API(ctx, tn, answers.Audience)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return nil, err
		}
		if err == nil && found.Identifier == answers.Audience {
			api = found
		}
	}
	return guide.Make(answers, api)
}

// CreateApplication stores what was planned: a client, a new API, or nothing where the API exists.
func (a *Admin) CreateApplication(ctx context.Context, tn *tenant.Tenant, app *guide.Application, by audit.Origin) error {
	if app.Client != nil {
		return a.CreateClient(ctx, tn, app.Client, by)
	}
	if app.NewAPI != nil {
		return a.CreateAPI(ctx, tn, app.NewAPI, by)
	}
	return nil
}
