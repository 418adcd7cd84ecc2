package oauth_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/core/access"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
	"github.com/gatehouse-dev/gatehouse/internal/core/grants"
	"github.com/gatehouse-dev/gatehouse/internal/core/signin"
	"github.com/gatehouse-dev/gatehouse/internal/proof"
	"github.com/gatehouse-dev/gatehouse/internal/server/demo"
	"github.com/gatehouse-dev/gatehouse/internal/server/servertest"
)

const overlap = 30 * time.Second

func TestThreat_TK06_UsedTokenKillsItsFamily(t *testing.T) {
	onBoth(t, func(t *testing.T, i *servertest.Instance, restart func(*servertest.Instance) *servertest.Instance) {
		for name, c := range map[string]struct {
			wait time.Duration
			old  int
		}{
			"the predecessor, after the overlap": {overlap + time.Second, 1},
			"the predecessor, unexpired, a day":  {24 * time.Hour, 1},
			"an older one, within the overlap":   {0, 2},
		} {
			tokens, _ := i.TokensFor(t, demo.Reader, demo.SPA, "scope", offlineShows)
			used := []string{tokens.RefreshToken}
			for range 2 {
				tokens = i.Refresh(t, demo.SPA, tokens.RefreshToken)
				used = append(used, tokens.RefreshToken)
			}
			i.Clock.Advance(c.wait)
			old := used[len(used)-1-c.old]
			expectTokenError(t, name, i.Refresh(t, demo.SPA, old), "invalid_grant")
			dead(t, i, name, demo.SPA, tokens)
			i = restart(i)
			dead(t, i, name+", after a restart", demo.SPA, tokens)
			expectTokenError(t, name+", once more", i.Refresh(t, demo.SPA, old), "invalid_grant")
		}
		events, err := audit.List(context.Background(), i.House.Tenant, audit.Query{UserID: i.UserID(t, demo.Reader), Limit: 100})
		must(t, err)
		reused := 0
		for _, e := range events {
			if e.Type == audit.RefreshTokenReused {
				reused++
			}
		}
		if reused != 3 {
			t.Errorf("%d events of reuse, want 3", reused)
		}
	})
}

// The promise of rotation, over HTTP: one successor for all who come inside the overlap, and for
// those after it nothing.
func TestThreat_TK07_ParallelRefreshHasOneSuccessor(t *testing.T) {
	onBoth(t, func(t *testing.T, i *servertest.Instance, restart func(*servertest.Instance) *servertest.Instance) {
		for _, n := range []int{2, 8, 64} {
			tokens, _ := i.TokensFor(t, demo.Reader, demo.SPA, "scope", offlineShows)
			successor := oneSuccessor(t, n, func(int) servertest.Tokens { return i.Refresh(t, demo.SPA, tokens.RefreshToken) })
			i.Clock.Advance(overlap)
			if again := oneSuccessor(t, n, func(int) servertest.Tokens { return i.Refresh(t, demo.SPA, tokens.RefreshToken) }); again != successor {
				t.Errorf("%d callers: another successor at the end of the overlap", n)
			}
			i = restart(i)
			if got := i.Refresh(t, demo.SPA, tokens.RefreshToken); got.RefreshToken != successor {
				t.Errorf("%d callers: after a restart %s", n, got.Raw)
			}
			i.Clock.Advance(time.Second)
			atOnce(n, func(int) {
				expectTokenError(t, "after the overlap", i.Refresh(t, demo.SPA, tokens.RefreshToken), "invalid_grant")
			})
			expectTokenError(t, "the successor", i.Refresh(t, demo.SPA, successor), "invalid_grant")
			i = restart(i)
			expectTokenError(t, "the successor after a restart", i.Refresh(t, demo.SPA, successor), "invalid_grant")
		}
	})
}

func TestThreat_TK07_TwoNodesHaveOneSuccessor(t *testing.T) {
	twoNodes(t, func(t *testing.T, a, b *servertest.Instance) {
		for range proof.Times(4, 250) {
			tokens, _ := a.TokensFor(t, demo.Reader, demo.SPA, "scope", offlineShows)
			successor := oneSuccessor(t, 64, func(n int) servertest.Tokens {
				return []*servertest.Instance{a, b}[n%2].Refresh(t, demo.SPA, tokens.RefreshToken)
			})
			a.Clock.Advance(overlap + time.Second)
			expectTokenError(t, "after the overlap", b.Refresh(t, demo.SPA, tokens.RefreshToken), "invalid_grant")
			expectTokenError(t, "the successor", a.Refresh(t, demo.SPA, successor), "invalid_grant")
		}
	})
}

// oneSuccessor lets n callers refresh at once and demands that all get the same token.
func oneSuccessor(t testing.TB, n int, refresh func(n int) servertest.Tokens) (successor string) {
	t.Helper()
	var mu sync.Mutex
	successors := map[string]int{}
	atOnce(n, func(n int) {
		got := refresh(n)
		if got.Status != 200 || got.AccessToken == "" || got.IDToken == "" || got.ExpiresIn == 0 {
			t.Errorf("caller %d: %d %s", n, got.Status, got.Raw)
		}
		mu.Lock()
		defer mu.Unlock()
		successors[got.RefreshToken]++
	})
	if len(successors) != 1 {
		t.Fatalf("%d callers got %d successors", n, len(successors))
	}
	for successor = range successors {
	}
	return successor
}

// Every condition of a refresh is judged anew each time, for the current token and inside the
// overlap alike.
func TestThreat_TK09_EveryRefreshIsJudgedAnew(t *testing.T) {
	ctx := context.Background()
	by := audit.System()
	user := func(verb func(i *servertest.Instance, userID string) error) func(*testing.T, *servertest.Instance, *servertest.Browser) {
		return func(t *testing.T, i *servertest.Instance, _ *servertest.Browser) {
			t.Helper()
			must(t, verb(i, i.UserID(t, demo.Reader)))
		}
	}
	// browserEnds and deviceEnds say what becomes of families of applications in a browser and on a
	// device: the error they get, or nothing.
	for name, c := range map[string]struct {
		end                     func(*testing.T, *servertest.Instance, *servertest.Browser)
		browserEnds, deviceEnds string
	}{
		"nothing": {func(*testing.T, *servertest.Instance, *servertest.Browser) {}, "", ""},
		"blocked": {user(func(i *servertest.Instance, id string) error {
			return i.House.SignIn.Block(ctx, i.House.Tenant, id, by)
		}), "invalid_grant", "invalid_grant"},
		"blocked and let in again": {user(func(i *servertest.Instance, id string) error {
			if err := i.House.SignIn.Block(ctx, i.House.Tenant, id, by); err != nil {
				return err
			}
			return i.House.SignIn.Unblock(ctx, i.House.Tenant, id, by)
		}), "invalid_grant", "invalid_grant"},
		"blocked behind the core's back": {user(func(i *servertest.Instance, id string) error {
			return i.House.Tenant.DB.Write(ctx, func(tx *db.Tx) error {
				_, err := i.House.People.SetBlocked(tx, id, true)
				return err
			})
		}), "invalid_grant", "invalid_grant"},
		"deleted": {user(func(i *servertest.Instance, id string) error {
			return i.House.SignIn.Delete(ctx, i.House.Tenant, id, by)
		}), "invalid_grant", "invalid_grant"},
		"new password": {user(newPassword), "invalid_grant", "invalid_grant"},
		"forced sign-in": {user(func(i *servertest.Instance, id string) error {
			return i.House.SignIn.ForceSignIn(ctx, i.House.Tenant, id, by)
		}), "invalid_grant", "invalid_grant"},
		"signed out": {func(t *testing.T, i *servertest.Instance, b *servertest.Browser) {
			client := i.Content.Client(demo.SPA)
			b.Get("/v2/logout?client_id=" + client.ClientID + "&returnTo=" + url.QueryEscape(client.LogoutURLs[0]))
		}, "invalid_grant", ""},
		"signed out everywhere": {user(func(i *servertest.Instance, id string) error {
			return i.House.SignIn.EndSessions(ctx, i.House.Tenant, id, by)
		}), "invalid_grant", "invalid_grant"},
		"client disabled": {func(t *testing.T, i *servertest.Instance, _ *servertest.Browser) {
			for _, name := range []string{demo.SPA, demo.Native} {
				change(t, i, name, func(c *apps.Client) { c.Disabled = true })
			}
		}, "invalid_client", "invalid_client"},
		"grant type taken away": {func(t *testing.T, i *servertest.Instance, _ *servertest.Browser) {
			for _, name := range []string{demo.SPA, demo.Native} {
				change(t, i, name, func(c *apps.Client) { c.GrantTypes = []string{"authorization_code"} })
			}
		}, "unauthorized_client", "unauthorized_client"},
	} {
		t.Run(name, func(t *testing.T) {
			i := house(t)
			b := i.NewBrowser(t)
			b.SignIn(demo.Reader, i.Password(t, demo.Reader))
			type family struct{ predecessor, current string }
			families := map[string]family{}
			for _, client := range []string{demo.SPA, demo.Native} {
				first := i.TokensIn(t, b, client, "scope", offlineShows).RefreshToken
				families[client] = family{first, i.Refresh(t, client, first).RefreshToken}
			}
			c.end(t, i, b)
			for client, want := range map[string]string{demo.SPA: c.browserEnds, demo.Native: c.deviceEnds} {
				for what, token := range []string{families[client].predecessor, families[client].current} {
					got := i.Refresh(t, client, token)
					if want == "" {
						if got.Status != 200 {
							t.Errorf("%s, token %d: %s", client, what, got.Raw)
						}
						continue
					}
					expectTokenError(t, fmt.Sprint(client, ", token ", what), got, want)
				}
			}
		})
	}
}

func newPassword(i *servertest.Instance, userID string) error {
	ctx, by := context.Background(), audit.System()
	token, err := i.House.SignIn.IssuePasswordLink(ctx, i.House.Tenant, signin.Link{UserID: userID, URL: func(token string) string { return token }}, by)
	if err != nil {
		return err
	}
	_, err = i.House.SignIn.UsePasswordLink(ctx, i.House.Tenant, token, "a-new-password-of-alice", signin.From{})
	return err
}

// The description is what SDKs clear a local login by.
func TestBlockedUserIsToldSo(t *testing.T) {
	i := house(t)
	tokens, _ := i.TokensFor(t, demo.Reader, demo.SPA, "scope", offline)
	must(t, i.House.Tenant.DB.Write(context.Background(), func(tx *db.Tx) error {
		_, err := i.House.People.SetBlocked(tx, i.UserID(t, demo.Reader), true)
		return err
	}))
	if got := i.Refresh(t, demo.SPA, tokens.RefreshToken); !strings.Contains(got.Description, "user is blocked") {
		t.Errorf("%s", got.Raw)
	}
}

// A permission that was taken away is not in the next access token.
func TestThreat_TK09_PermissionsAreReadAnew(t *testing.T) {
	i := house(t)
	tokens, _ := i.TokensFor(t, demo.Reader, demo.SPA, "scope", offlineShows)
	must(t, i.House.Tenant.DB.Write(context.Background(), func(tx *db.Tx) error {
		return i.House.Access.Withdraw(tx, i.UserID(t, demo.Reader), access.Permission{Audience: demo.Audience, Value: demo.ReadShows})
	}))
	got := i.Refresh(t, demo.SPA, tokens.RefreshToken)
	if got.Scope != "openid offline_access" || strings.Contains(fmt.Sprint(claims(t, got.AccessToken)["permissions"]), demo.ReadShows) {
		t.Errorf("scope %q, permissions %v", got.Scope, claims(t, got.AccessToken)["permissions"])
	}
}

func TestThreat_TK09_WithdrawnConsentEndsThirdParties(t *testing.T) {
	for name, withdraw := range map[string]func(t *testing.T, i *servertest.Instance){
		"withdrawn": func(t *testing.T, i *servertest.Instance) { withdrawConsent(t, i) },
		"forgotten behind the core's back": func(t *testing.T, i *servertest.Instance) {
			must(t, i.House.Tenant.DB.Write(context.Background(), func(tx *db.Tx) error {
				_, err := tx.Exec(`DELETE FROM consents WHERE tenant_id = $1`)
				return err
			}))
		},
		"narrowed": func(t *testing.T, i *servertest.Instance) {
			must(t, i.House.Tenant.DB.Write(context.Background(), func(tx *db.Tx) error {
				_, err := tx.Exec(`UPDATE consents SET scope = 'openid' WHERE tenant_id = $1`)
				return err
			}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			i := house(t)
			b := i.NewBrowser(t)
			b.SignIn(demo.Reader, i.Password(t, demo.Reader))
			tokens := i.Redeem(t, demo.ThirdParty, consented(t, b))
			tokens = i.Refresh(t, demo.ThirdParty, tokens.RefreshToken)
			if tokens.Status != 200 {
				t.Fatal(tokens.Raw)
			}
			withdraw(t, i)
			expectTokenError(t, name, i.Refresh(t, demo.ThirdParty, tokens.RefreshToken), "invalid_grant")
		})
	}
}

func TestThreat_TK10_RefreshIsNeverWiderThanTheGrant(t *testing.T) {
	i := house(t)
	tokens, b := i.TokensFor(t, demo.Reader, demo.SPA, "scope", offlineShows)
	token := tokens.RefreshToken
	for name, c := range map[string]struct {
		client string
		pairs  []string
		want   string
	}{
		"another public client":   {demo.Native, nil, "invalid_grant"},
		"a confidential client":   {demo.RegularWeb, nil, "invalid_grant"},
		"wider scope":             {demo.SPA, []string{"scope", "openid read:shows write:shows"}, "invalid_scope"},
		"an unknown scope":        {demo.SPA, []string{"scope", "openid everything"}, "invalid_scope"},
		"a malformed scope":       {demo.SPA, []string{"scope", "openid \"x\""}, "invalid_scope"},
		"another audience":        {demo.SPA, []string{"audience", i.URL + "/api/v2/"}, "invalid_target"},
		"another resource":        {demo.SPA, []string{"resource", i.URL + "/api/v2/"}, "invalid_target"},
		"audience against itself": {demo.SPA, []string{"audience", demo.Audience, "resource", i.URL + "/api/v2/"}, "invalid_target"},
		"no absolute resource":    {demo.SPA, []string{"resource", "tv-shows"}, "invalid_target"},
	} {
		expectTokenError(t, name, i.Refresh(t, c.client, token, c.pairs...), c.want)
	}
	// None of them has spent it, and all that a grant covers can be asked for again.
	for name, pairs := range map[string][]string{
		"nothing":      {},
		"the same":     {"scope", offlineShows, "audience", demo.Audience},
		"the resource": {"resource", demo.Audience},
		"narrower":     {"scope", "openid"},
		"custom":       {"redirect_uri", "https://x/", "custom", "y"},
	} {
		got := i.Refresh(t, demo.SPA, token, pairs...)
		if got.Status != 200 || got.IDToken == "" || got.RefreshToken == "" {
			t.Errorf("%s: %s", name, got.Raw)
			continue
		}
		token = got.RefreshToken
		want := map[bool]string{true: "openid", false: "openid offline_access read:shows"}[name == "narrower"]
		if c := claims(t, got.AccessToken); got.Scope != want || c["scope"] != want {
			t.Errorf("%s: scope %q, in the token %q", name, got.Scope, c["scope"])
		}
	}
	// A grant without an API is for /userinfo, and stays so.
	change(t, i, demo.SPA, func(c *apps.Client) { c.Audience = "" })
	plain := i.TokensIn(t, b, demo.SPA, "scope", offline)
	expectTokenError(t, "an API for a grant without one", i.Refresh(t, demo.SPA, plain.RefreshToken, "audience", demo.Audience), "invalid_target")
	change(t, i, demo.SPA, func(c *apps.Client) { c.Audience = demo.Audience })
	if c := claims(t, i.Refresh(t, demo.SPA, plain.RefreshToken).AccessToken); fmt.Sprint(c["aud"]) != i.URL+"/userinfo" {
		t.Errorf("after the client got a default audience: aud %v", c["aud"])
	}
}

// offline_access is what a refresh token comes of, and the API and the client must allow it.
func TestRefreshTokenOnlyWhereItWasGranted(t *testing.T) {
	i := house(t)
	b := i.NewBrowser(t)
	b.SignIn(demo.Reader, i.Password(t, demo.Reader))
	if got := i.TokensIn(t, b, demo.SPA, "scope", "openid read:shows"); got.RefreshToken != "" {
		t.Error("a refresh token without offline_access")
	}
	code := b.Authorize(demo.SPA, "scope", offlineShows).Answer(t)
	change(t, i, demo.SPA, func(c *apps.Client) { c.GrantTypes = []string{"authorization_code"} })
	if got := i.Redeem(t, demo.SPA, code); got.Status != 200 || got.RefreshToken != "" {
		t.Errorf("for a client that may not refresh any more: %s", got.Raw)
	}
	if got := i.TokensIn(t, b, demo.SPA, "scope", offlineShows); got.RefreshToken != "" || strings.Contains(got.Scope, "offline_access") {
		t.Errorf("for a client that may not refresh: %s", got.Raw)
	}
}

// Another node notices within one poll what was decided here.
func TestThreat_DB14_OtherNodesNotice(t *testing.T) {
	twoNodes(t, func(t *testing.T, a, b *servertest.Instance) {
		tokens, _ := a.TokensFor(t, demo.Reader, demo.SPA, "scope", offlineShows)
		// b has another issuer in this test, so what it knows is asked of the core.
		c := claims(t, tokens.AccessToken)
		knows := func() bool {
			dead, err := b.House.Grants.Revoked(context.Background(), b.House.Tenant, grants.Marks{SessionID: fmt.Sprint(c["sid"]), GrantID: fmt.Sprint(c["gid"]), TokenID: fmt.Sprint(c["jti"])})
			must(t, err)
			return dead
		}
		disabled := func() bool { return b.Refresh(t, demo.SPA, "x").Error == "invalid_client" }
		must(t, b.House.Watch(context.Background()))
		if knows() || disabled() {
			t.Fatal("b knows before it happened")
		}
		a.PostForm(t, "/oauth/revoke", demo.SPA, "token", tokens.RefreshToken)
		change(t, a, demo.SPA, func(c *apps.Client) { c.Disabled = true })
		if got := a.Refresh(t, demo.SPA, "x"); got.Status != http.StatusUnauthorized {
			t.Errorf("this node does not know at once: %s", got.Raw)
		}
		if knows() || disabled() {
			t.Log("b noticed before it polled: nothing is cached there")
		}
		must(t, b.House.Watch(context.Background()))
		if !knows() || !disabled() {
			t.Errorf("after a poll b knows of the rule: %v, of the client: %v", knows(), disabled())
		}
	})
}

// However people sign out of several browsers at once, nobody waits for another in a circle.
func TestThreat_DB09_SignOutsNeverDeadlock(t *testing.T) {
	twoNodes(t, func(t *testing.T, a, b *servertest.Instance) {
		ctx := context.Background()
		for range 5 {
			var sids []string
			for range 8 {
				tokens, _ := a.TokensFor(t, demo.Reader, demo.SPA, "scope", offlineShows)
				sids = append(sids, fmt.Sprint(claims(t, tokens.IDToken)["sid"]))
			}
			atOnce(32, func(n int) {
				at := []*servertest.Instance{a, b}[n%2].House
				if err := at.SignIn.SignOut(ctx, at.Tenant, sids[n%8], n%3 == 0, signin.From{}); err != nil {
					t.Error(err)
				}
			})
		}
	})
}
