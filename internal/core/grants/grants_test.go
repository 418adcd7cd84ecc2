package grants_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/clock"
	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/db/dbtest"
	"github.com/gatehouse-dev/gatehouse/internal/base/id"
	"github.com/gatehouse-dev/gatehouse/internal/base/seal"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
	"github.com/gatehouse-dev/gatehouse/internal/core/grants"
	"github.com/gatehouse-dev/gatehouse/internal/core/schema"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/internal/proof"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

const (
	callers = 64
	overlap = 30 * time.Second
	api     = "https://api/tv-shows"
)

// rounds is how often each race is run.
func rounds() int { return proof.Times(20, 1000) }

var (
	noon = time.Date(2026, 11, 5, 12, 0, 0, 0, time.UTC)
	bg   = context.Background()
	day  = 24 * time.Hour

	// The clients of all tests. Nobody changes them.
	spa    = &apps.Client{ClientID: "spaspaspaspaspaspaspaspaspaspasp", Type: apps.SPA}
	native = &apps.Client{ClientID: "nativenativenativenativenativena", Type: apps.Native}
)

// node is the subject in one process.
type node struct {
	*grants.Grants
	tn *tenant.Tenant
}

// world is two nodes on one database, with a clock that stands still.
type world struct {
	node
	other node
	now   *clock.Virtual
	keys  *seal.Keyring
	a, b  *db.DB
}

func newWorld(t *testing.T, a, b *db.DB) *world {
	t.Helper()
	w := &world{now: clock.NewVirtual(noon), keys: ring(t, 1), a: a, b: b}
	w.node, w.other = w.start(t, a), w.start(t, b)
	return w
}

func ring(t *testing.T, seeds ...byte) *seal.Keyring {
	t.Helper()
	var keys []seal.MasterKey
	for _, seed := range seeds {
		keys = append(keys, seal.NewMasterKey([32]byte{seed}))
	}
	r, err := seal.New(keys)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// start is a process that has just begun: it remembers nothing.
func (w *world) start(t *testing.T, d *db.DB) node {
	t.Helper()
	tn, err := tenant.Ensure(bg, d, "one", "https://one.example.com/", tenant.Settings{}, noon)
	if err != nil {
		t.Fatal(err)
	}
	return node{grants.New(w.now, w.keys), tn}
}

func each(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	dbtest.Each(t, schema.Files, func(t *testing.T, d *db.DB) { f(t, newWorld(t, d, d)) })
}

func two(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	dbtest.Two(t, schema.Files, func(t *testing.T, a, b *db.DB) { f(t, newWorld(t, a, b)) })
}

// race lets n callers begin at once and waits for all of them.
func race(n int, call func(i int)) {
	var all sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		all.Go(func() {
			<-start
			call(i)
		})
	}
	close(start)
	all.Wait()
}

const insertSession = `INSERT INTO sessions (tenant_id, sid, cookie_hash, silent_hash, user_id, state, auth_time, amr, acr, address, user_agent,
	created_at, seen_at, idle_expires_at, expires_at) VALUES ($1, $2, $3, $4, $5, 'active', $6, 'pwd', '', '', '', $6, $6, $7, $7)`

// signIn begins a session of a user and returns its sid.
func (n node) signIn(t *testing.T, userID string) string {
	t.Helper()
	sid := id.UUID()
	n.write(t, func(tx *db.Tx) error {
		_, err := tx.Exec(insertSession, sid, id.Hash(sid), id.Hash("silent"+sid), userID, db.Micros(noon), db.Micros(noon.Add(30*day)))
		return err
	})
	return sid
}

// signOut ends a session as the sign-in does: first its row, then what was granted in it.
func (n node) signOut(sid string) error {
	return n.tn.DB.Write(bg, func(tx *db.Tx) error {
		if _, err := tx.Exec(`DELETE FROM sessions WHERE tenant_id = $1 AND sid = $2`, sid); err != nil {
			return err
		}
		return n.EndSession(tx, sid, "signed out")
	})
}

func (n node) write(t *testing.T, verb func(tx *db.Tx) error) {
	t.Helper()
	if err := n.tn.DB.Write(bg, verb); err != nil {
		t.Fatal(err)
	}
}

// terms are what tests grant unless they say otherwise.
func terms(client *apps.Client, userID, sid string) grants.Terms {
	return grants.Terms{
		ClientID: client.ClientID, UserID: userID, Scope: oauth.Scope{"openid", "offline_access", "read:shows"}, Audience: api,
		Auth: grants.Authentication{SID: sid, Time: noon.Add(-time.Minute), AMR: []string{"pwd"}, ACR: "urn:password"},
	}
}

// code issues a code for a client's family.
func (n node) code(t *testing.T, terms grants.Terms) string {
	t.Helper()
	code, err := n.issue(terms)
	if err != nil {
		t.Fatal(err)
	}
	return code
}

func (n node) issue(terms grants.Terms) (string, error) {
	return n.IssueCode(bg, n.tn, grants.Code{Terms: terms, RedirectURI: "https://app/", CodeChallenge: "c", Nonce: "n"}, nil)
}

func (n node) newFamily(client *apps.Client) *grants.NewFamily {
	return &grants.NewFamily{Policy: client.Refresh(n.tn), SessionBound: client.SessionBound()}
}

// redeem spends a code for a client, with a family.
func (n node) redeem(client *apps.Client, code string) (*grants.Redeemed, error) {
	return n.Redeem(bg, n.tn, grants.Redemption{
		Code: code, ClientID: client.ClientID,
		Check:  func(grants.Code) error { return nil },
		Family: func(grants.Code) *grants.NewFamily { return n.newFamily(client) },
	})
}

// family is a code flow from the session on; the user is signed in anew.
func (n node) family(t *testing.T, client *apps.Client, userID string) *grants.Redeemed {
	t.Helper()
	return n.familyIn(t, client, userID, n.signIn(t, userID))
}

func (n node) familyIn(t *testing.T, client *apps.Client, userID, sid string) *grants.Redeemed {
	t.Helper()
	r, err := n.redeem(client, n.code(t, terms(client, userID, sid)))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// refresh spends a refresh token for a client.
func (n node) refresh(client *apps.Client, token string) (*grants.Refreshed, error) {
	p, err := n.ParseRefreshToken(n.tn, token)
	if err != nil {
		return nil, err
	}
	return n.Refresh(bg, n.tn, client, p, func(*grants.Family) error { return nil })
}

func (n node) mustRefresh(t *testing.T, client *apps.Client, token string) string {
	t.Helper()
	r, err := n.refresh(client, token)
	if err != nil {
		t.Fatal(err)
	}
	return r.RefreshToken
}

func (n node) wantDead(t *testing.T, client *apps.Client, what, token string) {
	t.Helper()
	if r, err := n.refresh(client, token); !errors.Is(err, grants.ErrInvalidRefreshToken) {
		t.Errorf("%s: refresh = %v, %v; want ErrInvalidRefreshToken", what, r, err)
	}
}

func (n node) revoked(t *testing.T, sid, gid, jti string) bool {
	t.Helper()
	dead, err := n.Revoked(bg, n.tn, grants.Marks{SessionID: sid, GrantID: gid, TokenID: jti})
	if err != nil {
		t.Fatal(err)
	}
	return dead
}

// live returns how many families of a user are not revoked.
func (n node) live(t *testing.T, userID string) int {
	t.Helper()
	return n.count(t, `SELECT COUNT(*) FROM grants WHERE tenant_id = $1 AND user_id = $2 AND generation > 0 AND revoked_at = 0`, userID)
}

func (n node) count(t *testing.T, sql string, args ...any) (rows int) {
	t.Helper()
	if err := n.tn.DB.QueryRow(bg, sql, args...).Scan(&rows); err != nil {
		t.Fatal(err)
	}
	return rows
}

// events returns how often something was recorded about a user.
func (n node) events(t *testing.T, userID string, typ audit.Type) (found int) {
	t.Helper()
	events, err := audit.List(bg, n.tn, audit.Query{UserID: userID, Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if e.Type == typ {
			found++
		}
	}
	return found
}
