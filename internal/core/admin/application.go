package admin

import (
	"context"

	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
	"github.com/gatehouse-dev/gatehouse/internal/core/backchannel"
	"github.com/gatehouse-dev/gatehouse/internal/core/checkup"
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

// CheckClient says what is wrong with the configuration of a client, from what this node has met and
// others have written. It fails with NotFound.
func (a *Admin) CheckClient(ctx context.Context, tn *tenant.Tenant, clientID string) (*apps.Client, checkup.Report, error) {
	client, err := a.Apps.Client(ctx, tn, clientID)
	if err != nil {
		return nil, checkup.Report{}, err
	}
	if err := a.Checkup.FlushOf(ctx, tn); err != nil {
		return nil, checkup.Report{}, err
	}
	facts := checkup.Facts{Issuer: tn.Issuer, Client: client}
	if facts.Entries, err = a.Checkup.Of(ctx, tn, clientID); err != nil {
		return nil, checkup.Report{}, err
	}
	if facts.Strays, err = a.Checkup.Of(ctx, tn, ""); err != nil {
		return nil, checkup.Report{}, err
	}
	if facts.Untold, err = a.untold(ctx, tn, clientID); err != nil {
		return nil, checkup.Report{}, err
	}
	page, err := a.Apps.APIs(ctx, tn, "", maxAPIs)
	if err != nil {
		return nil, checkup.Report{}, err
	}
	for _, api := range page {
		facts.APIs = append(facts.APIs, api.Identifier)
	}
	return client, checkup.Examine(facts), nil
}

// untold returns what has failed since the application was last told of a sign-out.
func (a *Admin) untold(ctx context.Context, tn *tenant.Tenant, clientID string) (*checkup.Untold, error) {
	if a.Logouts == nil {
		return nil, nil
	}
	receipts, _, err := a.Logouts.Receipts(ctx, tn, backchannel.Query{ClientID: clientID, Limit: maxReceipts})
	if err != nil {
		return nil, err
	}
	var u *checkup.Untold
	for _, r := range receipts { // the newest first
		if r.State == backchannel.Delivered {
			break
		}
		if r.Failure == "" {
			continue
		}
		if u == nil {
			u = &checkup.Untold{Failure: r.Failure, Status: r.Status, LastAt: r.TriedAt}
		}
		u.Count++
	}
	return u, nil
}

// maxReceipts is how many of the latest sign-outs are looked at.
const maxReceipts = 100

// maxAPIs is among how many the nearest is looked for.
const maxAPIs = 1000
