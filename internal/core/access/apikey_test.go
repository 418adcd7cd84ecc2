package access_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/clock"
	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/db/dbtest"
	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/base/feed"
	"github.com/gatehouse-dev/gatehouse/internal/base/seal"
	"github.com/gatehouse-dev/gatehouse/internal/core/access"
	"github.com/gatehouse-dev/gatehouse/internal/core/admin"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
	"github.com/gatehouse-dev/gatehouse/internal/core/grants"
	"github.com/gatehouse-dev/gatehouse/internal/core/mail"
	"github.com/gatehouse-dev/gatehouse/internal/core/people"
	"github.com/gatehouse-dev/gatehouse/internal/core/schema"
	"github.com/gatehouse-dev/gatehouse/internal/core/signin"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/protocol/apikey"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

const shows = "https://shows.example/"

var (
	noon = time.Date(2026, 11, 5, 12, 0, 0, 0, time.UTC)
	ada  = audit.Origin{Actor: "operator:ada"}
	ctx  = context.Background()
)

// house is what one node has.
type house struct {
	*access.APIKeys
	t       *testing.T
	d       *db.DB
	tn      *tenant.Tenant
	clock   *clock.Virtual
	grants  *grants.Grants
	signIn  *signin.SignIn
	admin   *admin.Admin
	watcher *feed.Watcher
}

func node(t *testing.T, d *db.DB, c *clock.Virtual) *house {
	t.Helper()
	tn, err := tenant.Ensure(ctx, d, "one", "https://one.example/", tenant.Settings{}, noon)
	if err != nil {
		t.Fatal(err)
	}
	ring, err := seal.New([]seal.MasterKey{seal.NewMasterKey([32]byte{1})})
	if err != nil {
		t.Fatal(err)
	}
	a := apps.New(c)
	rights, g := access.New(c, a), grants.New(c, ring)
	p := people.New(c, ring, people.NewHasher(people.HasherOptions{Params: people.Params{Memory: 64, Time: 1, Threads: 1}}))
	outbox := mail.New(mail.Options{DB: d, Seal: ring, Clock: c, KeepBodies: true})
	keys := access.NewAPIKeys(access.APIKeysOptions{Clock: c, Apps: a, Access: rights, People: p, Revoker: g, Mail: outbox})
	h := &house{
		APIKeys: keys, t: t, d: d, tn: tn, clock: c, grants: g,
		signIn:  signin.New(signin.Options{Clock: c, Seal: ring, People: p, Mail: outbox, Grants: g, Access: rights, APIKeys: keys}),
		admin:   &admin.Admin{Clock: c, Apps: a, Access: rights, Grants: g, People: p, APIKeys: keys},
		watcher: feed.NewWatcher(d),
	}
	h.watcher.Subscribe(feed.Configuration, func(_ context.Context, id string) error { a.Forget(id); return nil })
	h.watcher.Subscribe(feed.APIKeys, func(_ context.Context, id string) error { keys.Forget(id); return nil })
	h.watcher.Subscribe(feed.Revocation, func(ctx context.Context, id string) error { return g.CatchUp(ctx, d.Tenant(id)) })
	return h
}

// furnish makes an API, a user with two of its three permissions, and a client with one.
func (h *house) furnish() (userID, clientID string) {
	h.t.Helper()
	api := apps.NewAPI(shows, "Shows")
	for _, p := range []string{"read:shows", "write:shows", "delete:shows"} {
		api.Permissions = append(api.Permissions, apps.Permission{Value: p})
	}
	h.do(h.admin.CreateAPI(ctx, h.tn, api, ada))
	user, err := h.admin.People.Create(ctx, h.tn, people.NewUser{Email: "bob@example.com"}, "", ada)
	h.do(err)
	h.do(h.admin.GrantPermissions(ctx, h.tn, user.ID, []access.Permission{{Audience: shows, Value: "read:shows"}, {Audience: shows, Value: "write:shows"}}, ada))
	client, _ := apps.NewClient("Job", apps.Machine)
	client.Grants[shows] = oauth.Scope{"read:shows"}
	h.do(h.admin.CreateClient(ctx, h.tn, client, ada))
	return user.ID, client.ClientID
}

func (h *house) do(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) issue(owner access.APIKeyOwner, change func(*access.NewAPIKey)) (*access.APIKey, apikey.Key) {
	h.t.Helper()
	n := access.NewAPIKey{APIKeyOwner: owner, APIKeySettings: access.APIKeySettings{Name: "Deploy", Scope: oauth.Scope{"read:shows"}}}
	n.Audience = shows
	if change != nil {
		change(&n)
	}
	k, secret, err := h.Issue(ctx, h.tn, n, ada)
	h.do(err)
	return k, secret
}

var office = access.Shown{Addr: netip.MustParseAddr("192.0.2.7"), UserAgent: "curl/8", To: "api"}

// good and bad say what this node thinks of a key.
func (h *house) good(secret apikey.Key) *access.LiveKey {
	h.t.Helper()
	live, err := h.Check(ctx, h.tn, secret.Reveal(), office)
	if err != nil {
		h.t.Fatalf("refused: %v", err)
	}
	return live
}

func (h *house) bad(secret apikey.Key, why string) {
	h.t.Helper()
	if _, err := h.Check(ctx, h.tn, secret.Reveal(), office); !errors.Is(err, access.ErrAPIKey) {
		h.t.Fatalf("%s: %v", why, err)
	}
}

func (h *house) events() (out []audit.Type) {
	h.t.Helper()
	events, err := audit.List(ctx, h.tn, audit.Query{Limit: 100})
	h.do(err)
	for _, e := range events {
		if strings.HasPrefix(string(e.Type), "api_key.") {
			out = append(out, e.Type)
		}
	}
	slices.Reverse(out)
	return out
}

func TestAPIKeyLives(t *testing.T) {
	dbtest.Each(t, schema.Files, func(t *testing.T, d *db.DB) {
		h := node(t, d, clock.NewVirtual(noon))
		userID, clientID := h.furnish()
		k, secret := h.issue(access.APIKeyOwner{UserID: userID, Organization: "org-1"}, func(n *access.NewAPIKey) {
			n.ExpiresAt, n.Networks = noon.Add(time.Hour), []netip.Prefix{netip.MustParsePrefix("192.0.2.9/24")}
		})
		live := h.good(secret)
		if live.ID != k.ID || live.UserID != userID || live.Organization != "org-1" || !live.Scope.Equal(oauth.Scope{"read:shows"}) ||
			live.API.Identifier != shows || live.Networks[0].String() != "192.0.2.0/24" || !slices.Equal(live.Permissions, []string{"read:shows"}) {
			t.Errorf("%+v", live)
		}
		if shown, err := h.Get(ctx, h.tn, k.ID); err != nil || shown.Hint != secret.Hint() || shown.State(noon) != "active" {
			t.Errorf("%+v %v", shown, err)
		}
		for _, from := range []string{"192.0.3.1", "2001:db8::1", ""} {
			addr, _ := netip.ParseAddr(from)
			if _, err := h.Check(ctx, h.tn, secret.Reveal(), access.Shown{Addr: addr}); !errors.Is(err, access.ErrAPIKey) {
				t.Errorf("from %q: %v", from, err)
			}
		}
		if _, err := h.Check(ctx, h.tn, secret.Reveal(), access.Shown{Addr: netip.MustParseAddr("::ffff:192.0.2.1")}); err != nil {
			t.Errorf("from an IPv4 address in IPv6 clothes: %v", err)
		}

		// All that the owner may do, as long as nothing is named.
		all, everything := h.issue(access.APIKeyOwner{UserID: userID}, func(n *access.NewAPIKey) { n.Scope = nil })
		if got := h.good(everything).Scope; !got.Equal(oauth.Scope{"read:shows", "write:shows"}) {
			t.Errorf("scope %v", got)
		}
		_, public := h.issue(access.APIKeyOwner{ClientID: clientID}, func(n *access.NewAPIKey) { n.Kind, n.Environment, n.Scope = apikey.Publishable, apikey.Test, nil })
		if got := h.good(public); len(got.Scope) != 0 || got.ClientID != clientID || got.Kind != apikey.Publishable {
			t.Errorf("%+v", got)
		}

		list, total, err := h.List(ctx, h.tn, access.APIKeyQuery{UserID: userID, Page: apps.Page{Limit: 10}})
		if err != nil || total != 2 || len(list) != 2 || list[1].ID != all.ID {
			t.Errorf("%d %v %v", total, list, err)
		}
		h.clock.Advance(time.Hour)
		h.bad(secret, "expired")
		if _, err := h.Update(ctx, h.tn, k.ID, func(*access.APIKeySettings) error { return nil }, ada); fault.CodeOf(err) != fault.Gone {
			t.Errorf("an expired key is changed: %v", err)
		}
		h.clock.Advance(91 * 24 * time.Hour)
		h.do(h.Sweep(ctx, d))
		if _, err := h.Get(ctx, h.tn, k.ID); !fault.Is(err, fault.NotFound) {
			t.Errorf("an expired key is kept for ever: %v", err)
		}
		if _, err := h.Get(ctx, h.tn, all.ID); err != nil {
			t.Errorf("a living key is swept away: %v", err)
		}
		if want := []audit.Type{audit.APIKeyIssued, audit.APIKeyIssued, audit.APIKeyIssued}; !slices.Equal(h.events(), want) {
			t.Errorf("%v", h.events())
		}
	})
}

// The name of a key stands on the terminal of whoever runs the house, beside those of others.
func TestThreat_AD07_KeyNamesAreNames(t *testing.T) {
	dbtest.Each(t, schema.Files, func(t *testing.T, d *db.DB) {
		h := node(t, d, clock.NewVirtual(noon))
		_, clientID := h.furnish()
		for name, ok := range map[string]bool{
			"ci": true, "\u0645\u0641\u062a\u0627\u062d": true,
			"a\x1b[31m": false, "a\nb": false, "a\u009b31m": false, "a\u202eb": false, "a\u2067b": false, "a\u200fb": false,
		} {
			n := access.NewAPIKey{APIKeyOwner: access.APIKeyOwner{ClientID: clientID, Audience: shows}, APIKeySettings: access.APIKeySettings{Name: name}}
			if _, _, err := h.Issue(ctx, h.tn, n, ada); (err == nil) != ok || err != nil && !fault.Is(err, fault.Invalid) {
				t.Errorf("%q: %v", name, err)
			}
		}
	})
}

func TestIssueRefuses(t *testing.T) {
	dbtest.Each(t, schema.Files, func(t *testing.T, d *db.DB) {
		h := node(t, d, clock.NewVirtual(noon))
		userID, clientID := h.furnish()
		house := apps.NewAPI(h.tn.ManagementAudience(), "House")
		house.System, house.Permissions = true, []apps.Permission{{Value: "read:users"}}
		h.do(h.admin.CreateAPI(ctx, h.tn, house, ada))
		public, _ := apps.NewClient("SPA", apps.SPA)
		h.do(h.admin.CreateClient(ctx, h.tn, public, ada))
		for field, change := range map[string]func(*access.NewAPIKey){
			"name":             func(n *access.NewAPIKey) { n.Name = " " },
			"name with a key":  func(n *access.NewAPIKey) { n.Name = "sk_live_" + strings.Repeat("a", 43) },
			"kind":             func(n *access.NewAPIKey) { n.Kind = "ak" },
			"environment":      func(n *access.NewAPIKey) { n.Environment = "prod" },
			"user_id both":     func(n *access.NewAPIKey) { n.ClientID = clientID },
			"user_id neither":  func(n *access.NewAPIKey) { n.UserID = "" },
			"user_id unknown":  func(n *access.NewAPIKey) { n.UserID = "nobody" },
			"client_id":        func(n *access.NewAPIKey) { n.UserID, n.ClientID = "", "nobody" },
			"client_id public": func(n *access.NewAPIKey) { n.UserID, n.ClientID = "", public.ClientID },
			"audience":         func(n *access.NewAPIKey) { n.Audience = "" },
			"audience unknown": func(n *access.NewAPIKey) { n.Audience = "https://other.example/" },
			"audience house":   func(n *access.NewAPIKey) { n.Audience, n.Scope = h.tn.ManagementAudience(), nil },
			"scope unknown":    func(n *access.NewAPIKey) { n.Scope = oauth.Scope{"read:users"} },
			"scope beyond":     func(n *access.NewAPIKey) { n.Scope = oauth.Scope{"delete:shows"} },
			"scope twice":      func(n *access.NewAPIKey) { n.Scope = oauth.Scope{"read:shows", "read:shows"} },
			"scope client":     func(n *access.NewAPIKey) { n.UserID, n.ClientID, n.Scope = "", clientID, oauth.Scope{"write:shows"} },
			"scope restricted": func(n *access.NewAPIKey) { n.Kind, n.Scope = apikey.Restricted, nil },
			"expires_at":       func(n *access.NewAPIKey) { n.ExpiresAt = noon },
			"networks":         func(n *access.NewAPIKey) { n.Networks = []netip.Prefix{{}} },
			"rate_limit":       func(n *access.NewAPIKey) { n.Rate = -1 },
			"quota":            func(n *access.NewAPIKey) { n.Quota = math.MaxInt64 },
		} {
			n := access.NewAPIKey{APIKeyOwner: access.APIKeyOwner{UserID: userID, Audience: shows}, APIKeySettings: access.APIKeySettings{Name: "x", Scope: oauth.Scope{"read:shows"}}}
			change(&n)
			var refused *fault.Error
			if _, _, err := h.Issue(ctx, h.tn, n, ada); !errors.As(err, &refused) || refused.Code != fault.Invalid || refused.Field != strings.Fields(field)[0] {
				t.Errorf("%s: %v", field, err)
			}
		}
		for range access.MaxKeysPerOwner {
			h.issue(access.APIKeyOwner{ClientID: clientID}, nil)
		}
		_, _, err := h.Issue(ctx, h.tn, access.NewAPIKey{APIKeyOwner: access.APIKeyOwner{ClientID: clientID, Audience: shows}, APIKeySettings: access.APIKeySettings{Name: "x"}}, ada)
		if !fault.Is(err, fault.Conflict) {
			t.Errorf("one too many: %v", err)
		}
		full, _, err := h.List(ctx, h.tn, access.APIKeyQuery{ClientID: clientID, Page: apps.Page{Limit: 1}})
		h.do(err)
		if _, _, _, err := h.Rotate(ctx, h.tn, full[0].ID, time.Hour, ada); err != nil {
			t.Errorf("who has the most keys can rotate none: %v", err)
		}
		if _, err := h.signIn.Update(ctx, h.tn, userID, signin.Change{Blocked: new(true)}, ada); err != nil {
			t.Fatal(err)
		}
		_, _, err = h.Issue(ctx, h.tn, access.NewAPIKey{APIKeyOwner: access.APIKeyOwner{UserID: userID, Audience: shows}, APIKeySettings: access.APIKeySettings{Name: "x"}}, ada)
		if !fault.Is(err, fault.Invalid) {
			t.Errorf("for a blocked user: %v", err)
		}
	})
}

// Nothing that is not exactly a key reaches the database.
func TestThreat_AK02_WrongChecksumCostsNoQuery(t *testing.T) {
	h := node(t, dbtest.SQLite(t, schema.Files), clock.NewVirtual(noon))
	userID, _ := h.furnish()
	_, secret := h.issue(access.APIKeyOwner{UserID: userID}, nil)
	text := secret.Reveal()
	before := h.Lookups()
	h.d.Close() // any question would fail, and not be a refusal
	for _, wrong := range []string{"", "x", text[:57], text + "x", text[:30] + "~" + text[31:], flip(text, 20), flip(text, 57), "rk" + text[2:]} {
		if _, err := h.Check(ctx, h.tn, wrong, office); !errors.Is(err, access.ErrAPIKey) {
			t.Errorf("%v", err)
		}
		if err := h.ReportLeak(ctx, h.tn, wrong, "", ada); err != nil {
			t.Errorf("%v", err)
		}
	}
	if h.Lookups() != before {
		t.Errorf("%d questions to the database", h.Lookups()-before)
	}
}

func flip(s string, i int) string {
	c := byte('0')
	if s[i] == c {
		c = '1'
	}
	return s[:i] + string(c) + s[i+1:]
}

// However much of a key somebody has guessed, the work is one hash and one question.
func TestThreat_AK03_EqualWorkForEveryGuess(t *testing.T) {
	dbtest.Each(t, schema.Files, func(t *testing.T, d *db.DB) {
		h := node(t, d, clock.NewVirtual(noon))
		userID, _ := h.furnish()
		k, secret := h.issue(access.APIKeyOwner{UserID: userID}, nil)
		if _, err := h.Revoke(ctx, h.tn, k.ID, "test", ada); err != nil {
			t.Fatal(err)
		}
		random := func(b byte) apikey.Key {
			made, err := apikey.New(slices.Repeat([]byte{b}, 32), apikey.Secret, apikey.Live)
			h.do(err)
			return made
		}
		for name, guess := range map[string]apikey.Key{"unknown": random(1), "another unknown": random(0xfe), "known and revoked": secret} {
			for range 3 {
				before := h.Lookups()
				h.bad(guess, name)
				if n := h.Lookups() - before; n != 1 {
					t.Errorf("%s: %d questions, want 1", name, n)
				}
			}
		}
		// What is stored is of no use to whoever reads it.
		var stored string
		row := d.System().QueryRow(ctx, `SELECT COUNT(*) || '' FROM api_keys WHERE key_hash = $1`, hashOf(secret))
		if err := row.Scan(&stored); err != nil || stored != "1" {
			t.Errorf("%q %v: not found by the SHA-256 of the whole key", stored, err)
		}
	})
}

func hashOf(k apikey.Key) []byte { h := k.Hash(); return h[:] }

// Two nodes: what one of them ends, the other refuses after its next look at the numbers, whatever it
// remembers; and what nobody announces, after five seconds.
func TestThreat_AK04_EverythingIsJudgedAnew(t *testing.T) {
	dbtest.Two(t, schema.Files, func(t *testing.T, one, two *db.DB) {
		c := clock.NewVirtual(noon)
		a, b := node(t, one, c), node(t, two, c)
		userID, clientID := a.furnish()
		mine := access.APIKeyOwner{UserID: userID}
		h := func(change func(k *access.APIKey) error) func(*access.APIKey) {
			return func(k *access.APIKey) { a.do(change(k)) }
		}
		block := func(blocked bool) func(*access.APIKey) error {
			return func(*access.APIKey) error {
				_, err := a.signIn.Update(ctx, a.tn, userID, signin.Change{Blocked: &blocked}, ada)
				return err
			}
		}
		for _, tt := range []struct {
			name  string
			owner access.APIKeyOwner
			end   func(*access.APIKey)
		}{
			{"revoked", mine, h(func(k *access.APIKey) error { _, err := a.Revoke(ctx, a.tn, k.ID, "test", ada); return err })},
			{"rotated without grace", mine, h(func(k *access.APIKey) error { _, _, _, err := a.Rotate(ctx, a.tn, k.ID, 0, ada); return err })},
			{"network taken away", mine, h(func(k *access.APIKey) error {
				_, err := a.Update(ctx, a.tn, k.ID, func(s *access.APIKeySettings) error {
					s.Networks = []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}
					return nil
				}, ada)
				return err
			})},
			{"owner blocked", mine, h(block(true))},
			{"client disabled", access.APIKeyOwner{ClientID: clientID}, h(func(*access.APIKey) error {
				_, err := a.admin.UpdateClient(ctx, a.tn, clientID, func(c *apps.Client) error { c.Disabled = true; return nil }, ada)
				return err
			})},
		} {
			k, secret := a.issue(tt.owner, nil)
			a.do(b.watcher.Poll(ctx))
			a.good(secret)
			b.good(secret)
			tt.end(k)
			a.bad(secret, tt.name+", the node that did it")
			a.do(b.watcher.Poll(ctx))
			b.bad(secret, tt.name+", the other node")
			if dead, err := b.grants.Revoked(ctx, b.tn, grants.Marks{GrantID: k.GID, IssuedAt: noon}); err != nil || !dead {
				t.Errorf("%s: access tokens of the key live on: %v", tt.name, err)
			}
			a.do(block(false)(k))
			a.bad(secret, tt.name+", for ever")
		}

		// A blocked owner has no key, even where nothing ended it.
		_, kept := a.issue(mine, nil)
		b.good(kept)
		for _, blocked := range []bool{true, false} {
			a.do(a.tn.DB.Write(ctx, func(tx *db.Tx) error {
				_, err := a.People.SetBlocked(tx, userID, blocked)
				return err
			}))
			c.Advance(5 * time.Second)
			if blocked {
				b.bad(kept, "owner blocked behind the back of all verbs")
			}
		}
		b.good(kept)

		// Rights are those of the owner at the moment. Nobody announces them, so a node may be five seconds behind.
		_, secret := a.issue(mine, nil)
		if got := b.good(secret).Scope; !got.Equal(oauth.Scope{"read:shows"}) {
			t.Fatalf("scope %v", got)
		}
		a.do(a.admin.WithdrawPermissions(ctx, a.tn, userID, []access.Permission{{Audience: shows, Value: "read:shows"}}, ada))
		c.Advance(5 * time.Second)
		if got := b.good(secret).Scope; len(got) != 0 {
			t.Errorf("scope %v of an owner who has none", got)
		}
		a.do(a.signIn.Delete(ctx, a.tn, userID, ada))
		c.Advance(5 * time.Second) // without a poll: as if the announcement was lost
		b.bad(secret, "owner deleted")
		if list, total, err := a.List(ctx, a.tn, access.APIKeyQuery{UserID: userID, Page: apps.Page{Limit: 10}}); err != nil || total != 0 {
			t.Errorf("keys of a deleted user stay: %v %v", list, err)
		}

		// Another tenant knows nothing of it.
		other, err := tenant.Ensure(ctx, one, "two", "https://two.example/", tenant.Settings{}, noon)
		a.do(err)
		_, _, err = a.Issue(ctx, other, access.NewAPIKey{APIKeyOwner: mine, APIKeySettings: access.APIKeySettings{Name: "x"}}, ada)
		if !fault.Is(err, fault.Invalid) {
			t.Errorf("a key for somebody of another tenant: %v", err)
		}
		_, known := a.issue(access.APIKeyOwner{ClientID: a.machine()}, nil)
		if _, err := a.Check(ctx, other, known.Reveal(), office); !errors.Is(err, access.ErrAPIKey) {
			t.Errorf("a key of another tenant: %v", err)
		}
	})
}

// machine makes one more client that may read.
func (h *house) machine() string {
	h.t.Helper()
	client, _ := apps.NewClient("Another", apps.Machine)
	client.Grants[shows] = oauth.Scope{"read:shows"}
	h.do(h.admin.CreateClient(ctx, h.tn, client, ada))
	return client.ClientID
}

func TestRotate(t *testing.T) {
	dbtest.Each(t, schema.Files, func(t *testing.T, d *db.DB) {
		h := node(t, d, clock.NewVirtual(noon))
		userID, _ := h.furnish()
		k, first := h.issue(access.APIKeyOwner{UserID: userID}, func(n *access.NewAPIKey) { n.ExpiresAt = noon.Add(30 * 24 * time.Hour) })
		h.good(first)
		h.clock.Advance(24 * time.Hour)
		old, fresh, second, err := h.Rotate(ctx, h.tn, k.ID, 2*time.Hour, ada)
		h.do(err)
		now := h.clock.Now()
		if old.Successor != fresh.ID || old.State(now) != "rotated" || !old.ExpiresAt.Equal(now.Add(2*time.Hour)) ||
			!fresh.ExpiresAt.Equal(now.Add(30*24*time.Hour)) || fresh.Name != k.Name || !fresh.Scope.Equal(k.Scope) || fresh.GID == k.GID {
			t.Errorf("%+v\n%+v", old, fresh)
		}
		h.good(first)
		h.good(second)
		if _, _, _, err := h.Rotate(ctx, h.tn, k.ID, time.Hour, ada); !fault.Is(err, fault.Conflict) {
			t.Errorf("rotated twice: %v", err)
		}
		if _, err := h.Update(ctx, h.tn, k.ID, func(s *access.APIKeySettings) error { s.ExpiresAt = time.Time{}; return nil }, ada); !fault.Is(err, fault.Invalid) {
			t.Errorf("a rotated key lives for ever: %v", err)
		}
		h.clock.Advance(2 * time.Hour)
		h.bad(first, "grace is over")
		h.good(second)
		if _, _, _, err := h.Rotate(ctx, h.tn, k.ID, 0, ada); !fault.Is(err, fault.Gone) {
			t.Errorf("an ended key is rotated: %v", err)
		}
		for _, grace := range []time.Duration{-1, access.MaxKeyGrace + 1} {
			if _, _, _, err := h.Rotate(ctx, h.tn, fresh.ID, grace, ada); !fault.Is(err, fault.Invalid) {
				t.Errorf("grace %v: %v", grace, err)
			}
		}
		if want := []audit.Type{audit.APIKeyIssued, audit.APIKeyRotated}; !slices.Equal(h.events(), want) {
			t.Errorf("%v", h.events())
		}
	})
}

// Whoever still uses the old key can be found; what is kept of them is bounded.
func TestUsesOfARotatedKey(t *testing.T) {
	dbtest.Each(t, schema.Files, func(t *testing.T, d *db.DB) {
		h := node(t, d, clock.NewVirtual(noon))
		userID, _ := h.furnish()
		k, secret := h.issue(access.APIKeyOwner{UserID: userID}, nil)
		h.good(secret)
		h.do(h.FlushUses(ctx, d))
		if uses, err := h.Uses(ctx, h.tn, k.ID); err != nil || len(uses) != 0 {
			t.Errorf("%v %v: who uses a key that was not rotated is nobody's business", uses, err)
		}
		if _, _, _, err := h.Rotate(ctx, h.tn, k.ID, access.MaxKeyGrace, ada); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			h.clock.Advance(time.Minute)
			h.good(secret)
			h.do(h.FlushUses(ctx, d))
		}
		uses, err := h.Uses(ctx, h.tn, k.ID)
		h.do(err)
		if len(uses) != 1 || uses[0].Count != 3 || uses[0].Network != "192.0.2.7/32" || uses[0].UserAgent != "curl/8" || uses[0].ShownTo != "api" ||
			!uses[0].FirstAt.Equal(noon.Add(time.Minute)) || !uses[0].LastAt.Equal(noon.Add(3*time.Minute)) {
			t.Errorf("%+v", uses)
		}
		if shown, _ := h.Get(ctx, h.tn, k.ID); !shown.LastUsedAt.Equal(noon.Add(3*time.Minute)) || shown.Uses != 4 {
			t.Errorf("last used %v, %d times", shown.LastUsedAt, shown.Uses)
		}
		for i := range 3 * access.MaxUses {
			from := access.Shown{Addr: netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), UserAgent: fmt.Sprint("agent ", i)}
			if _, err := h.Check(ctx, h.tn, secret.Reveal(), from); err != nil {
				t.Fatal(err)
			}
		}
		h.do(h.FlushUses(ctx, d))
		uses, err = h.Uses(ctx, h.tn, k.ID)
		h.do(err)
		var n int64
		for _, u := range uses {
			n += u.Count
		}
		if len(uses) != access.MaxUses+1 || n != 3+3*access.MaxUses {
			t.Errorf("%d rows, %d uses", len(uses), n)
		}
		h.clock.Advance(91 * 24 * time.Hour)
		h.do(h.Sweep(ctx, d))
		if uses, err := h.Uses(ctx, h.tn, k.ID); err != nil || len(uses) != 0 {
			t.Errorf("uses are kept for ever: %d %v", len(uses), err)
		}
	})
}

func TestReportLeak(t *testing.T) {
	dbtest.Each(t, schema.Files, func(t *testing.T, d *db.DB) {
		h := node(t, d, clock.NewVirtual(noon))
		userID, clientID := h.furnish()
		_, secret := h.issue(access.APIKeyOwner{UserID: userID}, nil)
		_, machine := h.issue(access.APIKeyOwner{ClientID: clientID}, nil)
		_, public := h.issue(access.APIKeyOwner{ClientID: clientID}, func(n *access.NewAPIKey) { n.Kind = apikey.Publishable })
		unknown, err := apikey.New(make([]byte, 32), apikey.Secret, apikey.Live)
		h.do(err)
		scanner := audit.Origin{Address: "198.51.100.9"}
		for _, k := range []apikey.Key{secret, machine, public, unknown, secret} {
			h.do(h.ReportLeak(ctx, h.tn, k.Reveal(), "https://git.example/x?key="+secret.Reveal(), scanner))
		}
		h.bad(secret, "leaked")
		h.bad(machine, "leaked")
		h.good(public)
		letters, err := h.Mail.Inbox().List(ctx, h.tn, "")
		h.do(err)
		if len(letters) != 1 || letters[0].To != "bob@example.com" || !strings.Contains(letters[0].Text, secret.String()) || strings.Contains(letters[0].Text, secret.Reveal()) {
			t.Errorf("%+v", letters)
		}
		leaks := 0
		events, err := audit.List(ctx, h.tn, audit.Query{Limit: 100})
		h.do(err)
		for _, e := range events {
			if e.Type == audit.APIKeyLeaked {
				leaks++
			}
			if strings.Contains(fmt.Sprint(e), secret.Reveal()[8:40]) {
				t.Errorf("a key in the record: %v", e)
			}
		}
		if leaks != 2 {
			t.Errorf("%d events", leaks)
		}
	})
}

// However rotations, revocations and uses meet: one rotation wins, after a revocation nobody gets in, and
// no verb fails for another.
func TestThreat_AK04_RotateRevokeAndUseRace(t *testing.T) {
	rounds := 5
	if testing.Short() {
		rounds = 2
	}
	dbtest.Two(t, schema.Files, func(t *testing.T, one, two *db.DB) {
		c := clock.NewVirtual(noon)
		a, b := node(t, one, c), node(t, two, c)
		userID, _ := a.furnish()
		for range rounds {
			k, secret := a.issue(access.APIKeyOwner{UserID: userID}, nil)
			var mu sync.Mutex
			var rotated []apikey.Key
			var revokedAt, lateUses int
			var all sync.WaitGroup
			start := make(chan struct{})
			for i := range 64 {
				all.Go(func() {
					<-start
					h := []*house{a, b}[i%2]
					switch i % 4 {
					case 0:
						_, _, fresh, err := h.Rotate(ctx, h.tn, k.ID, time.Hour, ada)
						mu.Lock()
						defer mu.Unlock()
						switch fault.CodeOf(err) {
						case "":
							rotated = append(rotated, fresh)
						case fault.Conflict, fault.Gone:
						default:
							t.Errorf("rotate: %v", err)
						}
					case 1:
						if i != 1 {
							return
						}
						if _, err := h.Revoke(ctx, h.tn, k.ID, "race", ada); err != nil {
							t.Errorf("revoke: %v", err)
						}
						mu.Lock()
						revokedAt++
						mu.Unlock()
					default:
						mu.Lock()
						after := revokedAt > 0
						mu.Unlock()
						h.Forget(h.tn.ID)
						_, err := h.Check(ctx, h.tn, secret.Reveal(), office)
						if err != nil && !errors.Is(err, access.ErrAPIKey) {
							t.Errorf("use: %v", err)
						}
						if after && err == nil {
							mu.Lock()
							lateUses++
							mu.Unlock()
						}
					}
				})
			}
			close(start)
			all.Wait()
			if len(rotated) > 1 || lateUses > 0 {
				t.Errorf("%d rotations won, %d uses after the revocation", len(rotated), lateUses)
			}
			for _, h := range []*house{a, b} {
				h.Forget(h.tn.ID)
				h.bad(secret, "revoked")
				for _, fresh := range rotated {
					h.good(fresh)
				}
			}
			if stored, err := a.Get(ctx, a.tn, k.ID); err != nil || stored.RevokedAt.IsZero() || (stored.Successor != "") != (len(rotated) == 1) {
				t.Errorf("%+v %v", stored, err)
			}
			for _, fresh := range rotated { // the owner's keys are numbered
				list, _, err := a.List(ctx, a.tn, access.APIKeyQuery{UserID: userID, Page: apps.Page{Limit: 100}})
				a.do(err)
				for _, k := range list {
					if k.Hint == fresh.Hint() {
						_, err := a.Revoke(ctx, a.tn, k.ID, "done", ada)
						a.do(err)
					}
				}
			}
		}
	})
}
