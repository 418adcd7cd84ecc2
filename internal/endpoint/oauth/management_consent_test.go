package oauth_test

import (
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
	"github.com/gatehouse-dev/gatehouse/internal/server/demo"
	"github.com/gatehouse-dev/gatehouse/internal/server/servertest"
)

// No application gets the house's own API in an administrator's name because the administrator came by:
// also the tenant's own must have been allowed to, each by itself, and can be forbidden again.
func TestThreat_AD03_NoApplicationRulesTheHouseUnasked(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	b := signedIn(t, i, demo.Administrator)
	audience := i.House.Tenant.ManagementAudience()
	ask := func(more ...string) *servertest.Page {
		t.Helper()
		return b.Authorize(demo.SPA, append([]string{"audience", audience, "scope", "openid read:users update:users"}, more...)...)
	}
	if a := ask("prompt", "none").Answer(t); a.Error != "consent_required" {
		t.Errorf("silently: %+v", a)
	}
	p := ask()
	if !strings.Contains(p.Body, `action="/u/consent"`) || !strings.Contains(p.Body, "update:users") && !strings.Contains(p.Body, "Change and block users") {
		t.Fatalf("nobody was asked: %s %s", p.Status, p.Title())
	}
	if a := b.Press(p, "deny").Answer(t); a.Error != "access_denied" {
		t.Errorf("denied: %+v", a)
	}
	a := b.Press(ask(), "allow").Answer(t)
	a.Verifier, a.RedirectURI = servertest.Verifier, redirectURI(i, demo.SPA)
	if tokens := i.Redeem(t, demo.SPA, a); tokens.Error != "" || !strings.Contains(tokens.Scope, "update:users") {
		t.Errorf("allowed: %s", tokens.Raw)
	}
	if a := ask("prompt", "none").Answer(t); a.Code == "" {
		t.Errorf("silently, what was allowed: %+v", a)
	}
	if a := ask("prompt", "none", "scope", "openid read:users delete:users").Answer(t); a.Error != "consent_required" {
		t.Errorf("silently, more than was allowed: %+v", a)
	}
	if p := b.Authorize(demo.RegularWeb, "audience", audience, "scope", "openid read:users"); !strings.Contains(p.Body, `action="/u/consent"`) {
		t.Errorf("another application: %s %s", p.Status, p.Title())
	}
	if a := b.Authorize(demo.SPA).Answer(t); a.Code == "" {
		t.Errorf("the tenant's own API is asked for: %+v", a)
	}
	// Who may change applications can not have the administrator's code sent elsewhere.
	change := func(uri string) {
		t.Helper()
		_, err := i.House.Admin().UpdateClient(t.Context(), i.House.Tenant, i.Content.Client(demo.SPA).ClientID, func(c *apps.Client) error {
			c.RedirectURIs = append(c.RedirectURIs, uri)
			return nil
		}, audit.System())
		must(t, err)
	}
	change("https://elsewhere.example/")
	if a := ask("prompt", "none", "redirect_uri", "https://elsewhere.example/").Answer(t); a.Error != "consent_required" {
		t.Errorf("silently, to a new address: %+v", a)
	}
	if a := b.Press(ask(), "allow").Answer(t); a.Code == "" {
		t.Errorf("allowed again: %+v", a)
	}
	// What is taken back is gone, on the way of a refresh too.
	must(t, i.House.Tenant.DB.Write(t.Context(), func(tx *db.Tx) error {
		return i.House.Grants.WithdrawConsent(tx, i.UserID(t, demo.Administrator), i.Content.Client(demo.SPA).ClientID)
	}))
	i.Clock.Advance(time.Second)
	if a := ask("prompt", "none").Answer(t); a.Error != "consent_required" {
		t.Errorf("after it was withdrawn: %+v", a)
	}
}
