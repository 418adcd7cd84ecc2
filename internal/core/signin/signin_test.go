package signin_test

import (
	"context"
	"errors"
	"net/netip"
	"regexp"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/gatehouse-dev/gatehouse/internal/base/clock"
	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/db/dbtest"
	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/base/seal"
	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
	"github.com/gatehouse-dev/gatehouse/internal/core/mail"
	"github.com/gatehouse-dev/gatehouse/internal/core/people"
	"github.com/gatehouse-dev/gatehouse/internal/core/schema"
	"github.com/gatehouse-dev/gatehouse/internal/core/signin"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
)

var (
	noon = time.Date(2026, 11, 5, 12, 0, 0, 0, time.UTC)
	bg   = context.Background()
	home = netip.MustParseAddr("192.0.2.1")
	away = netip.MustParseAddr("198.51.100.7")
)

const (
	password = "trombone-window-lamp"
	another  = "violet-engine-gravel"
)

// node is the subject on one node.
type node struct {
	*signin.SignIn
	people *people.People
	tn     *tenant.Tenant
}

// world is two nodes on one database, with a clock that stands still.
type world struct {
	node
	other  node
	now    *steppedClock
	inbox  mail.Inbox
	grants *fakeGrants
	d      *db.DB
}

// steppedClock does something once, the next time somebody asks for the time: between two steps of
// whoever asks.
type steppedClock struct {
	*clock.Virtual
	next func()
}

func (c *steppedClock) Now() time.Time {
	if f := c.next; f != nil {
		c.next = nil
		f()
	}
	return c.Virtual.Now()
}

// fakeGrants writes down what it is asked to end, in the transaction that asks.
type fakeGrants struct {
	mu    sync.Mutex
	ended []string
}

func (g *fakeGrants) EndSession(tx *db.Tx, sid, because string) error {
	return g.add(tx, "session "+sid+" "+because)
}

func (g *fakeGrants) EndUser(tx *db.Tx, userID, because string) error {
	return g.add(tx, "user "+userID+" "+because)
}

func (g *fakeGrants) ForgetUser(tx *db.Tx, userID string) error {
	return g.add(tx, "consents "+userID)
}

func (g *fakeGrants) add(tx *db.Tx, what string) error {
	tx.OnCommit(func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.ended = append(g.ended, what)
	})
	return nil
}

// take returns what was ended since the last time.
func (g *fakeGrants) take() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := g.ended
	g.ended = nil
	return out
}

// fakeAccess knows two permissions.
type fakeAccess struct{ management string }

const insertPermission = `INSERT INTO user_permissions (tenant_id, user_id, audience, permission) VALUES ($1, $2, $3, $4)`

func (fakeAccess) DefaultPermissions(tx *db.Tx, userID string) error {
	_, err := tx.Exec(insertPermission, userID, "https://api/tv-shows", "read:shows")
	return err
}

func (a fakeAccess) MakeAdministrator(tx *db.Tx, userID string) error {
	_, err := tx.Exec(insertPermission, userID, a.management, "read:users")
	return err
}

const countPermissions = `SELECT COUNT(*) FROM user_permissions WHERE tenant_id = $1 AND audience = $2`

func (fakeAccess) HasAdministrator(tx *db.Tx, audience string) (bool, error) {
	var n int
	err := tx.QueryRow(countPermissions, audience).Scan(&n)
	return n > 0, err
}

func (fakeAccess) Administered(ctx context.Context, tn *tenant.Tenant) (bool, error) {
	var n int
	err := tn.DB.QueryRow(ctx, countPermissions, tn.ManagementAudience()).Scan(&n)
	return n > 0, err
}

func (fakeAccess) WithdrawAll(tx *db.Tx, userID string) error {
	_, err := tx.Exec(`DELETE FROM user_permissions WHERE tenant_id = $1 AND user_id = $2`, userID)
	return err
}

type option func(*tenant.Settings, *signin.Limits)

func newWorld(t *testing.T, a, b *db.DB, options ...option) *world {
	t.Helper()
	keys, err := seal.New([]seal.MasterKey{seal.NewMasterKey([32]byte{1})})
	if err != nil {
		t.Fatal(err)
	}
	settings, limits := tenant.Settings{Name: "TV Shows"}, signin.DefaultLimits()
	for _, o := range options {
		o(&settings, &limits)
	}
	w := &world{now: &steppedClock{Virtual: clock.NewVirtual(noon)}, grants: &fakeGrants{}, d: a}
	build := func(d *db.DB) (node, *mail.Outbox) {
		tn, err := tenant.Ensure(bg, d, "one", "https://one.example.com/", settings, noon)
		if err != nil {
			t.Fatal(err)
		}
		p := people.New(w.now, keys, people.NewHasher(people.HasherOptions{Params: people.Params{Memory: 8, Time: 1, Threads: 1}, Queue: 10_000, Wait: time.Minute}))
		outbox := mail.New(mail.Options{DB: d, Seal: keys, Clock: w.now})
		return node{signin.New(signin.Options{
			Clock: w.now, Seal: keys, People: p, Mail: outbox, Grants: w.grants,
			Access: fakeAccess{tn.ManagementAudience()}, Limits: limits,
		}), p, tn}, outbox
	}
	var outbox *mail.Outbox
	w.node, outbox = build(a)
	w.other, _ = build(b)
	w.inbox = outbox.Inbox()
	return w
}

func each(t *testing.T, f func(t *testing.T, w *world), options ...option) {
	dbtest.Each(t, schema.Files, func(t *testing.T, d *db.DB) { f(t, newWorld(t, d, d, options...)) })
}

func two(t *testing.T, f func(t *testing.T, w *world), options ...option) {
	dbtest.Two(t, schema.Files, func(t *testing.T, a, b *db.DB) { f(t, newWorld(t, a, b, options...)) })
}

// on returns the node that caller i talks to.
func (w *world) on(i int) node {
	if i%2 == 1 {
		return w.other
	}
	return w.node
}

func (w *world) user(t *testing.T, email string) *people.User {
	t.Helper()
	u, err := w.people.Create(bg, w.tn, people.NewUser{Email: email}, password, audit.System())
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func (n node) try(login, password string, from signin.From) (*signin.Result, error) {
	return n.Password(bg, n.tn, signin.Credentials{Login: login, Password: password}, from)
}

func (w *world) signIn(t *testing.T, login string, from signin.From) *signin.Result {
	t.Helper()
	r, err := w.try(login, password, from)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// alive reports whether a session cookie still opens a session.
func (w *world) alive(t *testing.T, cookie string) bool {
	t.Helper()
	_, err := w.Lookup(bg, w.tn, cookie)
	if err != nil && !fault.Is(err, fault.NotFound) {
		t.Fatal(err)
	}
	return err == nil
}

var sixDigits = regexp.MustCompile(`\b\d{6}\b`)

// letters returns the subjects of all mail to an address, the newest first, and the code in the
// newest.
func (w *world) letters(t *testing.T, to string) (subjects []string, code string) {
	t.Helper()
	all, err := w.inbox.List(bg, w.tn, to)
	if err != nil {
		t.Fatal(err)
	}
	for i, m := range all {
		subjects = append(subjects, m.Subject)
		if i == 0 {
			code = sixDigits.FindString(m.Text)
		}
	}
	return subjects, code
}

// rows counts the rows of every table that an attempt can write to.
func (w *world) rows(t *testing.T) map[string]int {
	t.Helper()
	out := map[string]int{}
	for table, query := range map[string]string{
		"failures":     `SELECT COUNT(*) FROM failures WHERE tenant_id = $1`,
		"tries":        `SELECT COALESCE(SUM(count), 0) FROM failures WHERE tenant_id = $1`,
		"audit_events": `SELECT COUNT(*) FROM audit_events WHERE tenant_id = $1`,
		"challenges":   `SELECT COUNT(*) FROM challenges WHERE tenant_id = $1`,
		"mails":        `SELECT COUNT(*) FROM mails WHERE tenant_id = $1`,
		"tickets":      `SELECT COUNT(*) FROM tickets WHERE tenant_id = $1`,
		"sessions":     `SELECT COUNT(*) FROM sessions WHERE tenant_id = $1`,
		"users":        `SELECT COUNT(*) FROM users WHERE tenant_id = $1`,
	} {
		var n int
		if err := w.tn.DB.QueryRow(bg, query).Scan(&n); err != nil {
			t.Fatalf("%s: %v", table, err)
		}
		out[table] = n
	}
	return out
}

// events returns the types of all events of a user, the newest first.
func (w *world) events(t *testing.T, userID string) []audit.Type {
	t.Helper()
	list, err := audit.List(bg, w.tn, audit.Query{UserID: userID, Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	var out []audit.Type
	for _, e := range list {
		out = append(out, e.Type)
	}
	return out
}

// race calls f from n callers at once.
func race(n int, f func(i int)) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-start
			f(i)
		})
	}
	close(start)
	wg.Wait()
}

func retryAfter(err error) time.Duration {
	if e, ok := errors.AsType[*fault.Error](err); ok {
		return e.RetryAfter
	}
	return 0
}

func TestSignIn(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		u := w.user(t, "ada@example.com")
		w.now.Advance(time.Minute)
		r := w.signIn(t, " Ada@EXAMPLE.com.", signin.From{Address: home, UserAgent: "Firefox\x1b"})
		s, err := w.Lookup(bg, w.tn, r.Cookie)
		if err != nil {
			t.Fatal(err)
		}
		if s.SID != r.Session.SID || s.UserID != u.ID || s.Email != "ada@example.com" || s.State != signin.Active || !s.AuthTime.Equal(noon.Add(time.Minute)) ||
			!slices.Equal(s.AMR, []string{"pwd"}) || s.ACR != signin.ACRPassword || s.Address != "192.0.2.1" || s.UserAgent != "Firefox" {
			t.Errorf("session %+v", s)
		}
		if got, err := w.people.ByID(bg, w.tn, u.ID); err != nil || got.LoginsCount != 1 || !got.LastLoginAt.Equal(s.AuthTime) || r.User.LoginsCount != 1 {
			t.Errorf("user %+v, %v", got, err)
		}
		if got := w.events(t, u.ID); got[0] != audit.SignInSucceeded {
			t.Errorf("events %v", got)
		}
		for _, c := range []struct{ login, password string }{
			{"ada@example.com", another},
			{"ada@example.com", ""},
			{"bob@example.com", password},
			{"", ""},
			{"a\x00\xff", password},
			{"ada@example.com", string(make([]byte, 2000))},
		} {
			if r, err := w.try(c.login, c.password, signin.From{Address: home}); !errors.Is(err, signin.ErrBadCredentials) || r != nil {
				t.Errorf("Password(%q, …) = %v, %v", c.login, r, err)
			}
		}
	})
}

func TestThreat_PW07_ImportedHashIsUpgradedAtSignIn(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
		if err != nil {
			t.Fatal(err)
		}
		write(t, w, func(tx *db.Tx) error {
			_, err := w.people.Insert(tx, people.NewUser{Email: "ada@example.com", PasswordHash: string(hash)})
			return err
		})
		w.now.Advance(time.Hour)
		device := w.signIn(t, "ada@example.com", signin.From{Address: home}).Device
		a, err := w.people.ByLogin(bg, w.tn, "ada@example.com")
		if err != nil || a.Hash[:9] != "$argon2id" || !a.PasswordChangedAt.Equal(noon) {
			t.Errorf("after the first sign-in: %q, changed at %v, %v", a.Hash, a.PasswordChangedAt, err)
		}
		before := w.people.Hasher.Hashes()
		w.signIn(t, "ada@example.com", signin.From{Address: home, Device: device})
		if n := w.people.Hasher.Hashes() - before; n != 1 {
			t.Errorf("%d hashes for the second sign-in", n)
		}
	})
}

func write(t *testing.T, w *world, verb func(tx *db.Tx) error) {
	t.Helper()
	if err := w.tn.DB.Write(bg, verb); err != nil {
		t.Fatal(err)
	}
}
