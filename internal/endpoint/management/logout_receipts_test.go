package management_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
	"github.com/gatehouse-dev/gatehouse/internal/server/demo"
	"github.com/gatehouse-dev/gatehouse/internal/server/servertest"
)

// Whoever wants to know why somebody is still signed in at an application finds out what it was told.
func TestLogoutReceipts(t *testing.T) {
	answer := http.StatusServiceUnavailable
	shop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(answer) }))
	defer shop.Close()
	node := servertest.New(t, servertest.Options{Extras: []demo.Extra{{
		Name: "Shop", Type: apps.RegularWeb, RedirectURIs: []string{"http://localhost:3000/cb"}, BackchannelLogoutURI: shop.URL,
	}}})
	c, ctx := asMachine(t, node), context.Background()
	for _, email := range []string{demo.Reader, demo.Stranger} {
		node.TokensFor(t, email, "Shop")
		if err := node.House.SignIn.EndSessions(ctx, node.House.Tenant, node.UserID(t, email), audit.System()); err != nil {
			t.Fatal(err)
		}
	}
	client, alice := node.Content.Client("Shop").ClientID, node.UserID(t, demo.Reader)
	one := func(query string) m {
		t.Helper()
		page := c.want(200, "GET", "logout-receipts?include_totals=true&"+query, nil)
		if page.object["total"] != 1.0 {
			t.Fatalf("%s: %s", query, page.raw)
		}
		return page.object["logout_receipts"].([]any)[0].(m)
	}
	waiting := one("user_id=" + alice)
	if waiting["state"] != "waiting" || waiting["client_id"] != client || waiting["cause"] != "signed_out_everywhere" || waiting["attempts"] != 0.0 || waiting["next_attempt_at"] == nil {
		t.Errorf("%v", waiting)
	}
	if _, err := node.House.Logouts.Deliver(ctx); err != nil {
		t.Fatal(err)
	}
	tried := one("client_id=" + client + "&user_id=" + alice)
	if tried["state"] != "waiting" || tried["error"] != "rejected" || tried["http_status"] != 503.0 || tried["next_attempt_at"] != "2026-01-02T03:04:15.000Z" {
		t.Errorf("%v", tried)
	}
	answer = http.StatusNoContent
	node.Clock.Advance(time.Minute)
	if _, err := node.House.Logouts.Deliver(ctx); err != nil {
		t.Fatal(err)
	}
	done := one("session_id=" + tried["session_id"].(string))
	if done["state"] != "delivered" || done["error"] != nil || done["http_status"] != 204.0 || done["attempts"] != 2.0 || done["done_at"] != "2026-01-02T03:05:05.000Z" {
		t.Errorf("%v", done)
	}
	if all := c.want(200, "GET", "logout-receipts?client_id="+client, nil); len(all.array) != 2 {
		t.Errorf("%s", all.raw)
	}
	if none := c.want(200, "GET", "logout-receipts?client_id=nobody", nil); len(none.array) != 0 {
		t.Errorf("%s", none.raw)
	}
	c.want(400, "GET", "logout-receipts?sid=x", nil)
	asMachine(t, node, "read:logs").want(403, "GET", "logout-receipts", nil)
}
