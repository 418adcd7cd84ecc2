package backchannel_test

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/clock"
	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/db/dbtest"
	"github.com/gatehouse-dev/gatehouse/internal/base/id"
	"github.com/gatehouse-dev/gatehouse/internal/base/outbound"
	"github.com/gatehouse-dev/gatehouse/internal/base/seal"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
	"github.com/gatehouse-dev/gatehouse/internal/core/backchannel"
	"github.com/gatehouse-dev/gatehouse/internal/core/grants"
	"github.com/gatehouse-dev/gatehouse/internal/core/keys"
	"github.com/gatehouse-dev/gatehouse/internal/core/schema"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/protocol/jose"
	"github.com/gatehouse-dev/gatehouse/protocol/oidc"
)

var (
	noon = time.Date(2026, 11, 5, 12, 0, 0, 0, time.UTC)
	bg   = context.Background()
)

// node is the subject in one process.
type node struct {
	*backchannel.Logouts
	apps   *apps.Apps
	grants *grants.Grants
	keys   *keys.Keys
	tn     *tenant.Tenant
}

// world is two nodes on one database, with a clock that stands still.
type world struct {
	node
	other node
	now   *clock.Virtual
	t     *testing.T
}

// setup changes what both nodes stand on.
type setup func(*backchannel.Options)

func newWorld(t *testing.T, a, b *db.DB, change setup) *world {
	t.Helper()
	w := &world{now: clock.NewVirtual(noon), t: t}
	w.node, w.other = w.start(a, change), w.start(b, change)
	return w
}

func (w *world) start(d *db.DB, change setup) node {
	w.t.Helper()
	tn, err := tenant.Ensure(bg, d, "one", "https://one.example.com/", tenant.Settings{}, noon)
	if err != nil {
		w.t.Fatal(err)
	}
	ring, err := seal.New([]seal.MasterKey{seal.NewMasterKey([32]byte{1})})
	if err != nil {
		w.t.Fatal(err)
	}
	n := node{apps: apps.New(w.now), grants: grants.New(w.now, ring), keys: keys.New(w.now, ring), tn: tn}
	o := backchannel.Options{
		DB: d, Clock: w.now, Apps: n.apps, Keys: n.keys, HTTP: outbound.New(outbound.Options{Loopback: true, Timeout: time.Minute}),
		Tenant: func(context.Context, string) (*tenant.Tenant, error) { return tn, nil },
	}
	if change != nil {
		change(&o)
	}
	n.Logouts = backchannel.New(o)
	return n
}

func each(t *testing.T, change setup, f func(t *testing.T, w *world)) {
	t.Helper()
	dbtest.Each(t, schema.Files, func(t *testing.T, d *db.DB) { f(t, newWorld(t, d, d, change)) })
}

func (w *world) write(verb func(tx *db.Tx) error) {
	w.t.Helper()
	if err := w.tn.DB.Write(bg, verb); err != nil {
		w.t.Fatal(err)
	}
}

// client registers an application that is told at an address; empty for one that is not.
func (w *world) client(name, uri string) *apps.Client {
	w.t.Helper()
	c, _ := apps.NewClient(name, apps.RegularWeb)
	c.BackchannelLogoutURI = uri
	w.write(func(tx *db.Tx) error { return w.apps.CreateClient(tx, c) })
	return c
}

func (w *world) join(sid, userID string, clients ...*apps.Client) {
	w.t.Helper()
	w.write(func(tx *db.Tx) error {
		for _, c := range clients {
			if err := w.Join(tx, w.tn, c, sid, userID); err != nil {
				return err
			}
		}
		return nil
	})
}

func (w *world) signOut(sid string) {
	w.t.Helper()
	w.write(func(tx *db.Tx) error { return w.EndSession(tx, sid, "signed_out") })
}

func (w *world) deliver(want int) {
	w.t.Helper()
	if n, err := w.Deliver(bg); err != nil || n != want {
		w.t.Fatalf("Deliver = %d, %v; want %d", n, err, want)
	}
}

// receipts returns the receipts of a client, newest first.
func (w *world) receipts(c *apps.Client) []backchannel.Receipt {
	w.t.Helper()
	list, total, err := w.Receipts(bg, w.tn, backchannel.Query{ClientID: c.ClientID, Limit: 100})
	if err != nil || int64(len(list)) != total {
		w.t.Fatalf("%d receipts of %d: %v", len(list), total, err)
	}
	return list
}

// receipt returns the one receipt of a client.
func (w *world) receipt(c *apps.Client) backchannel.Receipt {
	w.t.Helper()
	list := w.receipts(c)
	if len(list) != 1 {
		w.t.Fatalf("%d receipts", len(list))
	}
	return list[0]
}

// claims checks a logout token as an application does, and returns what it says.
func (w *world) claims(token string, c *apps.Client) *oidc.LogoutTokenClaims {
	w.t.Helper()
	ring, err := w.keys.Ring(bg, w.tn)
	if err != nil {
		w.t.Fatal(err)
	}
	verified, err := oidc.VerifyLogoutToken(token, oidc.LogoutTokenRules{
		Issuer: w.tn.Issuer, ClientID: c.ClientID, Algs: []jose.Alg{jose.RS256}, Now: w.now.Now(),
	}, ring.Lookup)
	if err != nil {
		w.t.Fatalf("%v: %s", err, token)
	}
	return verified.Claims()
}

// receiver is the back-channel logout endpoint of an application.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	tokens []string
	// answer writes the response; 200 if nil.
	answer func(w http.ResponseWriter, r *http.Request)
}

func newReceiver(t *testing.T, answer func(w http.ResponseWriter, r *http.Request)) *receiver {
	t.Helper()
	r := &receiver{answer: answer}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	token := req.PostFormValue("logout_token")
	r.mu.Lock()
	r.tokens = append(r.tokens, token)
	answer := r.answer
	r.mu.Unlock()
	if req.Method != http.MethodPost || len(req.PostForm) != 1 || len(req.Cookies()) != 0 || req.URL.RawQuery != "" {
		w.WriteHeader(http.StatusTeapot)
		return
	}
	if answer != nil {
		answer(w, req)
	}
}

func (r *receiver) change(answer func(w http.ResponseWriter, r *http.Request)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

func (r *receiver) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.tokens
	r.tokens = nil
	return out
}

func status(code int) func(w http.ResponseWriter, r *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// Every application that took part is told once, by a token that fits it alone and lives two minutes; who
// took part elsewhere, or wants to be told of nothing, is not.
func TestThreat_LO05_TokensOfTheHouse(t *testing.T) {
	each(t, nil, func(t *testing.T, w *world) {
		shop, blog, quiet := newReceiver(t, nil), newReceiver(t, status(http.StatusNoContent)), newReceiver(t, nil)
		a, b, c := w.client("Shop", shop.URL), w.client("Blog", blog.URL+"/backchannel-logout"), w.client("Quiet", "")
		w.join("s1", "ada", a, b, c)
		w.join("s1", "ada", a) // again, as at every sign-in to the application
		w.join("s2", "ada", a)
		undone := errors.New("undone")
		if err := w.tn.DB.Write(bg, func(tx *db.Tx) error { return errors.Join(w.EndSession(tx, "s1", "x"), undone) }); !errors.Is(err, undone) {
			t.Fatal(err)
		}
		w.deliver(0)
		w.signOut("s1")
		w.signOut("s1")
		w.now.Advance(time.Hour) // the token is as old as its delivery, not as the sign-out
		w.deliver(2)
		w.deliver(0)
		for r, client := range map[*receiver]*apps.Client{shop: a, blog: b} {
			tokens := r.take()
			if len(tokens) != 1 {
				t.Fatalf("%s was told %d times", client.Name, len(tokens))
			}
			got := w.claims(tokens[0], client)
			if got.SessionID != "s1" || got.Subject != "" || len(got.Audience) != 1 {
				t.Errorf("%+v", got)
			}
			if got.IssuedAt.Time() != w.now.Now() || got.Expiry.Time().Sub(got.IssuedAt.Time()) > 2*time.Minute || got.ID == "" {
				t.Errorf("%+v", got)
			}
			header, err := jose.Peek(tokens[0])
			if err != nil || header.Type != "logout+jwt" || header.Alg != jose.RS256 || header.KeyID == "" {
				t.Errorf("%+v %v", header, err)
			}
			payload, err := base64.RawURLEncoding.DecodeString(strings.Split(tokens[0], ".")[1])
			if object, err2 := jose.ParseObject(string(payload)); err != nil || err2 != nil || object.Get("nonce") != "" || object.Get("sub") != "" {
				t.Errorf("%s %v %v", payload, err, err2)
			}
			if got := w.receipt(client); got.State != backchannel.Delivered || got.SID != "s1" || got.UserID != "ada" || got.Cause != "signed_out" ||
				got.Attempts != 1 || got.Status/100 != 2 || got.Failure != "" || !got.CreatedAt.Equal(noon) || !got.DoneAt.Equal(w.now.Now()) || !got.NextAt.IsZero() {
				t.Errorf("%+v", got)
			}
		}
		if n := len(quiet.take()); n != 0 {
			t.Errorf("who did not ask was told %d times", n)
		}
		if got := events(t, w); !slices.Equal(got, []audit.Type{audit.LogoutDelivered, audit.LogoutDelivered}) {
			t.Errorf("the record is %v", got)
		}
	})
}

// Who is locked out is named, so that applications end what they know of them from any sign-in; who may
// come back is not, because a slow delivery would end what they begin meanwhile.
func TestAllSessionsOfAUser(t *testing.T) {
	each(t, nil, func(t *testing.T, w *world) {
		shop := newReceiver(t, nil)
		a := w.client("Shop", shop.URL)
		for _, gone := range []bool{false, true} {
			w.join("s1", "ada", a)
			w.join("s2", "ada", a)
			w.join("s3", "bob", a)
			w.write(func(tx *db.Tx) error { return w.EndUser(tx, "ada", "user_blocked", gone) })
			w.deliver(2)
			sids, ids := map[string]bool{}, map[string]bool{}
			for _, token := range shop.take() {
				got := w.claims(token, a)
				sids[got.SessionID], ids[got.ID] = true, true
				if gone != (got.Subject == "ada") || !gone && got.Subject != "" {
					t.Errorf("gone %v: %+v", gone, got)
				}
			}
			if !sids["s1"] || !sids["s2"] || len(sids) != 2 || len(ids) != 2 {
				t.Errorf("told of %v by %v", sids, ids)
			}
			w.now.Advance(time.Minute)
		}
	})
}

func TestThreat_LO06_TriedAgainAndGivenUp(t *testing.T) {
	each(t, nil, func(t *testing.T, w *world) {
		shop := newReceiver(t, status(http.StatusInternalServerError))
		a := w.client("Shop", shop.URL)
		w.join("s1", "ada", a)
		w.signOut("s1")
		seen := map[string]bool{}
		attempt := func(n int, next time.Duration) {
			t.Helper()
			w.deliver(1)
			w.deliver(0)
			for _, token := range shop.take() {
				if got := w.claims(token, a); seen[got.ID] || !got.IssuedAt.Time().Equal(w.now.Now()) {
					t.Errorf("attempt %d sends an old token: %+v", n, got)
				} else {
					seen[got.ID] = true
				}
			}
			got := w.receipt(a)
			if got.State != backchannel.Waiting || got.Attempts != int64(n) || got.Status != 500 || got.Failure != backchannel.Rejected ||
				!got.TriedAt.Equal(w.now.Now()) || !got.NextAt.Equal(w.now.Now().Add(next)) || !got.DoneAt.IsZero() {
				t.Errorf("after attempt %d: %+v", n, got)
			}
			w.now.Advance(next - time.Millisecond)
			w.deliver(0)
			w.now.Advance(time.Millisecond)
		}
		pauses := []time.Duration{10 * time.Second, time.Minute, 10 * time.Minute, time.Hour, 6 * time.Hour}
		attempt(1, pauses[0])
		attempt(2, pauses[1])
		shop.change(nil)
		w.deliver(1)
		if got := w.receipt(a); got.State != backchannel.Delivered || got.Attempts != 3 || got.Status != 200 || got.Failure != "" {
			t.Errorf("%+v", got)
		}

		blog := newReceiver(t, status(http.StatusBadRequest))
		b := w.client("Blog", blog.URL)
		w.join("s2", "ada", b)
		w.signOut("s2")
		for _, pause := range pauses {
			w.deliver(1)
			w.now.Advance(pause)
		}
		w.deliver(1)
		if got := w.receipt(b); got.State != backchannel.Failed || got.Attempts != 6 || got.Status != 400 || !got.DoneAt.Equal(w.now.Now()) {
			t.Errorf("%+v", got)
		}
		w.now.Advance(24 * time.Hour)
		w.deliver(0)
		if n := len(blog.take()); n != 6 {
			t.Errorf("called %d times", n)
		}
		if got := events(t, w); !slices.Equal(got, []audit.Type{audit.LogoutFailed, audit.LogoutDelivered}) {
			t.Errorf("the record is %v", got)
		}
	})
}

// Whatever an application does, the outcome is written down, and nothing it says is followed or read to
// its end.
func TestThreat_LO06_HostileReceivers(t *testing.T) {
	each(t, nil, func(t *testing.T, w *world) {
		trap := newReceiver(t, nil)
		dead := newReceiver(t, nil)
		dead.Close()
		for name, try := range map[string]struct {
			uri     string
			answer  func(w http.ResponseWriter, r *http.Request)
			failure backchannel.Failure
			state   backchannel.State
		}{
			"dead":         {uri: dead.URL, failure: backchannel.Unreachable},
			"inside":       {uri: "https://10.0.0.1/logout", failure: backchannel.AddressRefused},
			"metadata":     {uri: "https://169.254.169.254/latest/meta-data/", failure: backchannel.AddressRefused},
			"redirects":    {answer: http.RedirectHandler(trap.URL, http.StatusTemporaryRedirect).ServeHTTP, failure: backchannel.Redirected},
			"endless body": {answer: endless, state: backchannel.Delivered},
			"huge header": {answer: func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("X", strings.Repeat("x", 1<<20))
			}, failure: backchannel.Unreachable},
			"informal":  {answer: status(http.StatusAccepted), state: backchannel.Delivered},
			"forbidden": {answer: status(http.StatusForbidden), failure: backchannel.Rejected},
		} {
			if try.answer != nil {
				try.uri = newReceiver(t, try.answer).URL
			}
			c := w.client(name, try.uri)
			w.join("session of "+name, "ada", c)
			w.signOut("session of " + name)
			w.deliver(1)
			want := try.state
			if want == "" {
				want = backchannel.Waiting
			}
			if got := w.receipt(c); got.State != want || got.Failure != try.failure {
				t.Errorf("%s: %+v", name, got)
			}
		}
		if n := len(trap.take()); n != 0 {
			t.Errorf("followed %d redirects", n)
		}
	})
	// Nobody is waited for longer than the client of requests is patient.
	each(t, func(o *backchannel.Options) {
		o.HTTP = outbound.New(outbound.Options{Loopback: true, Timeout: time.Second})
	}, func(t *testing.T, w *world) {
		ended := make(chan struct{})
		slow := newReceiver(t, func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-ended:
			case <-r.Context().Done():
			}
		})
		t.Cleanup(func() { close(ended) })
		c := w.client("slow", slow.URL)
		w.join("session", "ada", c)
		w.signOut("session")
		w.deliver(1)
		if got := w.receipt(c); got.State != backchannel.Waiting || got.Failure != backchannel.TimedOut {
			t.Errorf("%+v", got)
		}
	})
}

func endless(w http.ResponseWriter, _ *http.Request) {
	for {
		if _, err := w.Write(make([]byte, 64<<10)); err != nil {
			return
		}
	}
}

// An application that does not answer, with any number of deliveries waiting for it, holds up its own alone.
func TestThreat_LO06_SlowReceiverHoldsUpNobody(t *testing.T) {
	each(t, nil, func(t *testing.T, w *world) {
		const waiting, perClient = 40, 4
		begun, release, told := make(chan struct{}, waiting), make(chan struct{}), make(chan struct{}, 1)
		var busy, most atomic.Int64
		slow := newReceiver(t, func(http.ResponseWriter, *http.Request) {
			now := busy.Add(1)
			for m := most.Load(); now > m && !most.CompareAndSwap(m, now); m = most.Load() {
			}
			begun <- struct{}{}
			<-release
			busy.Add(-1)
		})
		quick := newReceiver(t, func(http.ResponseWriter, *http.Request) { told <- struct{}{} })
		a, b := w.client("Slow", slow.URL), w.client("Quick", quick.URL)
		for range waiting {
			sid := id.UUID()
			w.join(sid, "ada", a)
			w.signOut(sid)
		}
		w.now.Advance(time.Second)
		w.join("s", "ada", b)
		w.signOut("s") // the last of all
		done := make(chan error, 1)
		go func() {
			n, err := w.Deliver(bg)
			if err == nil && n != waiting+1 {
				err = errors.New("not all were delivered")
			}
			done <- err
		}()
		<-told
		for range waiting / perClient {
			for range perClient {
				<-begun
			}
			for range perClient {
				release <- struct{}{}
			}
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if most.Load() != perClient {
			t.Errorf("%d calls to one application at a time", most.Load())
		}
		for _, r := range w.receipts(a) {
			if r.State != backchannel.Delivered {
				t.Errorf("%+v", r)
			}
		}
	})
}

// Some slow applications together keep all workers; the next that is free is for one that has none.
func TestThreat_LO06_SlowReceiversTogetherHoldUpNobody(t *testing.T) {
	each(t, nil, func(t *testing.T, w *world) {
		const workers, perClient = 16, 4
		begun, release := make(chan string, 2*workers), make(chan struct{}, 10*workers)
		for _, name := range []string{"Slow 1", "Slow 2", "Slow 3", "Slow 4"} {
			slow := w.client(name, newReceiver(t, func(http.ResponseWriter, *http.Request) {
				begun <- name
				<-release
			}).URL)
			for range 3 * perClient {
				sid := id.UUID()
				w.join(sid, "ada", slow)
				w.signOut(sid)
			}
		}
		done := make(chan error, 1)
		go func() {
			_, err := w.Deliver(bg)
			done <- err
		}()
		for range workers {
			<-begun
		}
		w.join("s", "ada", w.client("Quick", newReceiver(t, func(http.ResponseWriter, *http.Request) { begun <- "Quick" }).URL))
		w.signOut("s") // the last of all
		release <- struct{}{}
		if next := <-begun; next != "Quick" {
			t.Errorf("%s is told next", next)
		}
		for range 4 * 3 * perClient {
			release <- struct{}{}
		}
		for {
			select {
			case <-begun:
			case err := <-done:
				if err != nil {
					t.Error(err)
				}
				return
			}
		}
	})
}

// Workers of two nodes, and sign-outs that race: every application is told once.
func TestThreat_LO06_TwoNodesNeverDeliverTwice(t *testing.T) {
	dbtest.Two(t, schema.Files, func(t *testing.T, x, y *db.DB) {
		w := newWorld(t, x, y, nil)
		shop := newReceiver(t, nil)
		a := w.client("Shop", shop.URL)
		const sessions = 30
		var all sync.WaitGroup
		for i := range sessions {
			sid := id.UUID()
			w.join(sid, "ada", a)
			for n := range 4 {
				all.Go(func() {
					at := []node{w.node, w.other}[(i+n)%2]
					if err := at.tn.DB.Write(bg, func(tx *db.Tx) error {
						if err := at.grants.EndSession(tx, sid, "signed_out"); err != nil {
							return err
						}
						return at.EndSession(tx, sid, "signed_out")
					}); err != nil {
						t.Error(err)
					}
					if _, err := at.Deliver(bg); err != nil {
						t.Error(err)
					}
				})
			}
		}
		all.Wait()
		if _, err := w.Deliver(bg); err != nil {
			t.Fatal(err)
		}
		told := map[string]int{}
		for _, token := range shop.take() {
			told[w.claims(token, a).SessionID]++
		}
		if len(told) != sessions {
			t.Errorf("told of %d sessions", len(told))
		}
		for sid, n := range told {
			if n != 1 {
				t.Errorf("told %d times of %s", n, sid)
			}
		}
	})
}

// What a node that died had claimed is delivered when its lease is over, by any other; a node that merely
// hung changes nothing when it comes back.
func TestThreat_LO06_DeliveryOfADeadNode(t *testing.T) {
	dbtest.Two(t, schema.Files, func(t *testing.T, x, y *db.DB) {
		w := newWorld(t, x, y, nil)
		began, release := make(chan struct{}), make(chan struct{})
		var calls atomic.Int64
		shop := newReceiver(t, func(http.ResponseWriter, *http.Request) {
			if calls.Add(1) == 1 {
				close(began)
				<-release
			}
		})
		a := w.client("Shop", shop.URL)
		w.join("s1", "ada", a)
		w.signOut("s1")
		done := make(chan error)
		go func() {
			_, err := w.Deliver(bg)
			done <- err
		}()
		<-began
		if n, err := w.other.Deliver(bg); err != nil || n != 0 {
			t.Errorf("delivered while another node does: %d %v", n, err)
		}
		w.now.Advance(time.Minute)
		if n, err := w.other.Deliver(bg); err != nil || n != 1 {
			t.Errorf("not delivered after the lease: %d %v", n, err)
		}
		first := w.receipt(a)
		close(release)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if got := w.receipt(a); got != first || got.State != backchannel.Delivered || got.Attempts != 2 {
			t.Errorf("%+v, after %+v", got, first)
		}
		if got := events(t, w); len(got) != 1 {
			t.Errorf("the record is %v", got)
		}
	})
}

// Of a code that is redeemed while its session ends, one wins: the application is told, or it got nothing.
func TestThreat_LO07_WhoJoinsWhileTheSessionEnds(t *testing.T) {
	dbtest.Two(t, schema.Files, func(t *testing.T, x, y *db.DB) {
		w := newWorld(t, x, y, nil)
		a := w.client("Shop", "https://shop.example.com/logout")
		for range 20 {
			sid := id.UUID()
			w.write(func(tx *db.Tx) error {
				_, err := tx.Exec(insertSession, sid, id.Hash(sid), id.Hash("silent"+sid), "ada", db.Micros(noon), db.Micros(noon.Add(time.Hour)))
				return err
			})
			code, err := w.grants.IssueCode(bg, w.tn, grants.Code{Terms: grants.Terms{ClientID: a.ClientID, UserID: "ada", Auth: grants.Authentication{SID: sid}}}, nil)
			if err != nil {
				t.Fatal(err)
			}
			var all sync.WaitGroup
			var redeemed bool
			all.Go(func() {
				_, err := w.grants.Redeem(bg, w.tn, grants.Redemption{
					Code: code, ClientID: a.ClientID, Check: func(grants.Code) error { return nil },
					Join: func(c grants.Code) func(*db.Tx) error {
						return func(tx *db.Tx) error { return w.Join(tx, w.tn, a, c.Auth.SID, c.UserID) }
					},
				})
				if redeemed = err == nil; err != nil && !errors.Is(err, grants.ErrInvalidCode) {
					t.Error(err)
				}
			})
			all.Go(func() {
				err := w.other.tn.DB.Write(bg, func(tx *db.Tx) error {
					if _, err := tx.Exec(`DELETE FROM sessions WHERE tenant_id = $1 AND sid = $2`, sid); err != nil {
						return err
					}
					if err := w.other.grants.EndSession(tx, sid, "signed_out"); err != nil {
						return err
					}
					return w.other.EndSession(tx, sid, "signed_out")
				})
				if err != nil {
					t.Error(err)
				}
			})
			all.Wait()
			list, _, err := w.Receipts(bg, w.tn, backchannel.Query{SID: sid, Limit: 10})
			if err != nil || redeemed != (len(list) == 1) {
				t.Errorf("redeemed %v, %d deliveries, %v", redeemed, len(list), err)
			}
		}
	})
}

const insertSession = `INSERT INTO sessions (tenant_id, sid, cookie_hash, silent_hash, user_id, state, auth_time, amr, acr, address, user_agent,
	created_at, seen_at, idle_expires_at, expires_at) VALUES ($1, $2, $3, $4, $5, 'active', $6, 'pwd', '', '', '', $6, $6, $7, $7)`

// An application that has been away for long fills no database, and its change of mind is respected.
func TestThreat_LO06_TheQueueIsBounded(t *testing.T) {
	each(t, func(o *backchannel.Options) { o.MaxWaiting = 3 }, func(t *testing.T, w *world) {
		shop, blog := newReceiver(t, nil), newReceiver(t, nil)
		a, b := w.client("Shop", shop.URL), w.client("Blog", blog.URL)
		for _, sid := range []string{"s1", "s2", "s3", "s4", "s5"} {
			w.join(sid, "ada", a)
			w.signOut(sid)
		}
		w.join("s6", "ada", b)
		w.signOut("s6")
		w.deliver(4)
		var failed int
		for _, r := range w.receipts(a) {
			if r.State == backchannel.Failed && r.Failure == backchannel.QueueFull && r.Attempts == 0 && r.DoneAt.Equal(noon) {
				failed++
			}
		}
		if failed != 2 || len(shop.take()) != 3 || len(blog.take()) != 1 {
			t.Errorf("%d were over: %+v", failed, w.receipts(a))
		}
		if got := events(t, w); !slices.Contains(got, audit.LogoutFailed) {
			t.Errorf("the record is %v", got)
		}

		for _, sid := range []string{"t1", "t2", "t3", "t4", "t5"} { // by one verb, too
			w.join(sid, "eve", a)
		}
		w.write(func(tx *db.Tx) error { return w.EndUser(tx, "eve", "user_blocked", true) })
		w.deliver(3)
		if n := len(shop.take()); n != 3 {
			t.Errorf("%d were waiting", n)
		}

		w.join("s7", "ada", b)
		w.signOut("s7")
		b.BackchannelLogoutURI = ""
		w.write(func(tx *db.Tx) error { return w.apps.UpdateClient(tx, b) })
		w.deliver(1)
		if got := w.receipts(b)[0]; got.State != backchannel.Failed || got.Failure != backchannel.NoAddress || len(blog.take()) != 0 {
			t.Errorf("%+v", got)
		}

		w.now.Advance(13 * 24 * time.Hour)
		w.join("s8", "ada", a)
		if err := w.Sweep(bg); err != nil || len(w.receipts(a)) != 10 {
			t.Errorf("%v, %d left", err, len(w.receipts(a)))
		}
		w.now.Advance(24 * time.Hour)
		if err := w.Sweep(bg); err != nil || len(w.receipts(a)) != 0 {
			t.Errorf("%v, %d left", err, len(w.receipts(a)))
		}
		w.now.Advance(29 * 24 * time.Hour)
		if err := w.Sweep(bg); err != nil {
			t.Error(err)
		}
		w.signOut("s8") // nothing of it can be alive
		w.deliver(0)
	})
}

// A running worker is woken by the sign-out, and by the end of a short pause.
func TestRunDeliversWhatIsWritten(t *testing.T) {
	d := dbtest.SQLite(t, schema.Files)
	w := newWorld(t, d, d, nil)
	told := make(chan struct{}, 1)
	shop := newReceiver(t, func(http.ResponseWriter, *http.Request) { told <- struct{}{} })
	a := w.client("Shop", shop.URL)
	ctx, stop := context.WithCancel(bg)
	ended := make(chan error)
	go func() { ended <- w.Run(ctx) }()
	w.join("s1", "ada", a)
	w.signOut("s1")
	<-told
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Run = %v", err)
	}
}

// What a server that leaves has under way is delivered by the next one, at once.
func TestThreat_LO06_DeliveryOfALeavingServer(t *testing.T) {
	each(t, nil, func(t *testing.T, w *world) {
		began := make(chan struct{})
		shop := newReceiver(t, func(_ http.ResponseWriter, r *http.Request) {
			close(began)
			<-r.Context().Done()
		})
		a := w.client("Shop", shop.URL)
		w.join("s1", "ada", a)
		w.signOut("s1")
		ctx, stop := context.WithCancel(bg)
		ended := make(chan error)
		go func() { ended <- w.Run(ctx) }()
		<-began
		stop()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Run = %v", err)
		}
		shop.change(nil)
		w.deliver(1)
		if got := w.receipt(a); got.State != backchannel.Delivered || got.Attempts != 2 || !got.DoneAt.Equal(noon) {
			t.Errorf("%+v", got)
		}
	})
}

// events returns what the record says of deliveries, newest first.
func events(t *testing.T, w *world) (out []audit.Type) {
	t.Helper()
	list, err := audit.List(bg, w.tn, audit.Query{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		if strings.HasPrefix(string(e.Type), "backchannel_logout.") {
			out = append(out, e.Type)
		}
	}
	return out
}
