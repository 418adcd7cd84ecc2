package grants_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
	"github.com/gatehouse-dev/gatehouse/internal/core/grants"
)

func exec(sql string, args ...any) func(*db.Tx) error {
	return func(tx *db.Tx) error {
		_, err := tx.Exec(sql, args...)
		return err
	}
}

// What each way to end something ends, and what it leaves.
func TestThreat_TK09_WhatEnds(t *testing.T) {
	type kept struct{ browser, device, othersBrowser, othersClient, access bool }
	for name, c := range map[string]struct {
		end  func(w *world, tx *db.Tx, sid, gid string) error
		want kept
	}{
		"sign-out": {
			func(w *world, tx *db.Tx, sid, _ string) error { return w.EndSession(tx, sid, "") },
			kept{browser: false, device: true, othersBrowser: true, othersClient: true, access: true},
		},
		"the user": {
			func(w *world, tx *db.Tx, _, _ string) error { return w.EndUser(tx, "ada", "") },
			kept{browser: false, device: false, othersBrowser: true, othersClient: false, access: false},
		},
		"the client": {
			func(w *world, tx *db.Tx, _, _ string) error { return w.EndClient(tx, spa.ClientID, "") },
			kept{browser: false, device: true, othersBrowser: false, othersClient: true, access: false},
		},
		"the client forgotten": {
			func(w *world, tx *db.Tx, _, _ string) error { return w.ForgetClient(tx, spa.ClientID) },
			kept{browser: false, device: true, othersBrowser: false, othersClient: true, access: false},
		},
		"consent": {
			func(w *world, tx *db.Tx, _, _ string) error { return w.WithdrawConsent(tx, "ada", spa.ClientID) },
			kept{browser: false, device: true, othersBrowser: true, othersClient: true, access: false},
		},
		"the API": {
			func(w *world, tx *db.Tx, _, _ string) error { return w.ForgetAPI(tx, api) },
			kept{browser: false, device: false, othersBrowser: false, othersClient: false, access: false},
		},
		"another API": {
			func(w *world, tx *db.Tx, _, _ string) error { return w.ForgetAPI(tx, api+"/more") },
			kept{browser: true, device: true, othersBrowser: true, othersClient: true, access: true},
		},
		"one grant": {
			func(w *world, tx *db.Tx, _, gid string) error { return w.RevokeGrant(tx, gid, "") },
			kept{browser: false, device: true, othersBrowser: true, othersClient: true, access: false},
		},
		"an access token": {
			func(w *world, tx *db.Tx, _, _ string) error { return w.RevokeToken(tx, "jti") },
			kept{browser: true, device: true, othersBrowser: true, othersClient: true, access: true},
		},
	} {
		t.Run(name, func(t *testing.T) {
			two(t, func(t *testing.T, w *world) {
				sid := w.signIn(t, "ada")
				browser, device := w.familyIn(t, spa, "ada", sid), w.familyIn(t, native, "ada", sid)
				elsewhere := w.family(t, &apps.Client{ClientID: "webwebwebwebwebwebwebwebwebwebwe", Type: apps.RegularWeb}, "ada")
				others := w.family(t, spa, "eve")
				if err := w.other.CatchUp(bg, w.other.tn.DB); err != nil { // it knows all rules there are
					t.Fatal(err)
				}
				w.write(t, func(tx *db.Tx) error { return c.end(w, tx, sid, browser.GID) })

				lives := func(r *grants.Redeemed) bool {
					return w.count(t, `SELECT COUNT(*) FROM grants WHERE tenant_id = $1 AND gid = $2 AND revoked_at = 0`, r.GID) == 1
				}
				got := kept{lives(browser), lives(device), lives(others), lives(elsewhere), !w.revoked(t, "", browser.GID, "")}
				if got != c.want {
					t.Errorf("lives: %+v, want %+v", got, c.want)
				}
				if err := w.other.CatchUp(bg, w.other.tn.DB); err != nil {
					t.Fatal(err)
				}
				for _, r := range []*grants.Redeemed{browser, device, elsewhere, others} {
					// An access token is dead exactly where its family is, by its sid or its gid.
					tokenSID := r.Auth.SID
					if r == device {
						tokenSID = ""
					}
					for where, n := range map[string]node{"here": w.node, "there": w.other, "after a restart": w.start(t, w.b)} {
						if dead := n.revoked(t, tokenSID, r.GID, "x"); dead == lives(r) {
							t.Errorf("%s: access token of %s dead: %v", where, r.ClientID, dead)
						}
					}
				}
			})
		})
	}
}

// Codes that nobody redeemed have nothing to take back: however many somebody has had made, their end writes
// no rules, and who comes with one later is told no and not taken for a thief.
func TestThreat_OV07_UnredeemedCodesMakeNoRules(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		sid := w.signIn(t, "ada")
		redeemed := w.familyIn(t, spa, "ada", sid)
		var codes []string
		for range 20 {
			codes = append(codes, w.code(t, terms(spa, "ada", sid)))
		}
		w.write(t, func(tx *db.Tx) error { return w.EndUser(tx, "ada", "user_blocked") })
		if n := w.count(t, `SELECT COUNT(*) FROM revocations WHERE tenant_id = $1`); n != 1 || !w.revoked(t, "", redeemed.GID, "") {
			t.Errorf("%d rules for one grant", n)
		}
		for _, code := range codes {
			_, err := w.redeem(spa, code)
			wantErr(t, "a code from before", err, grants.ErrInvalidCode)
		}
		if n := w.events(t, "ada", audit.CodeReplayed); n != 0 {
			t.Errorf("%d replays are on record", n)
		}
	})
}

// A token that names nothing is matched by nothing.
func TestRevokedMatchesWhatATokenNames(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.write(t, func(tx *db.Tx) error {
			return errors.Join(w.RevokeToken(tx, "x"), w.RevokeGrant(tx, "y", ""), w.EndSession(tx, "z", ""), w.RevokeToken(tx, ""))
		})
		for _, c := range []struct {
			sid, gid, jti string
			want          bool
		}{
			{"", "", "", false}, {"x", "x", "y", false}, {"y", "z", "z", false}, {"z", "", "", true}, {"", "y", "", true}, {"", "", "x", true}, {"a", "b", "x", true},
		} {
			if got := w.revoked(t, c.sid, c.gid, c.jti); got != c.want {
				t.Errorf("%+v: %v", c, got)
			}
		}
		elsewhere := *w.tn
		elsewhere.ID, elsewhere.DB = "two", w.a.Tenant("two")
		if (node{w.Grants, &elsewhere}).revoked(t, "z", "y", "x") {
			t.Error("a rule reaches into another tenant")
		}
	})
}

// Another node knows a rule once it has caught up, and the one that wrote it at once, also when
// it had read nothing before.
func TestThreat_JW14_RulesReachEveryNode(t *testing.T) {
	two(t, func(t *testing.T, w *world) {
		w.write(t, func(tx *db.Tx) error { return w.RevokeToken(tx, "before") })
		for _, n := range []node{w.node, w.other} {
			if !n.revoked(t, "", "", "before") || n.revoked(t, "", "", "after") {
				t.Error("the first question does not read the rules")
			}
		}
		w.write(t, func(tx *db.Tx) error { return w.RevokeToken(tx, "after") })
		if !w.revoked(t, "", "", "after") {
			t.Error("the node that wrote the rule does not know it")
		}
		if err := w.other.CatchUp(bg, w.other.tn.DB); err != nil || !w.other.revoked(t, "", "", "after") {
			t.Errorf("the other node does not know the rule after catching up: %v", err)
		}
	})
}

// A verb that is undone takes its rule along.
func TestUndoneRevocationLeavesNothing(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		r := w.family(t, spa, "ada")
		undo := errors.New("undo")
		err := w.tn.DB.Write(bg, func(tx *db.Tx) error {
			return errors.Join(w.EndUser(tx, "ada", ""), w.EndSession(tx, r.Auth.SID, ""), w.RevokeGrant(tx, r.GID, ""), undo)
		})
		if !errors.Is(err, undo) || w.revoked(t, r.Auth.SID, r.GID, "") || w.live(t, "ada") != 1 {
			t.Errorf("%v; revoked %v, %d live", err, w.revoked(t, r.Auth.SID, r.GID, ""), w.live(t, "ada"))
		}
		w.mustRefresh(t, spa, r.RefreshToken)
	})
}

// Where rules can not be read, nobody is told that a token is alive.
func TestThreat_JW14_UnreadableRulesAreAnError(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		gone, cancel := context.WithCancel(bg)
		cancel()
		if dead, err := w.Revoked(gone, w.tn, grants.Marks{TokenID: "x"}); err == nil {
			t.Errorf("revoked %v without having read the rules", dead)
		}
		if w.revoked(t, "", "", "x") {
			t.Error("the failure is remembered")
		}
	})
}

// Numbers are given in the order of commits: whoever has seen one has seen all below.
func TestRulesAreNumberedInTheOrderOfCommits(t *testing.T) {
	two(t, func(t *testing.T, w *world) {
		for i := range 8 {
			for range 4 {
				w.family(t, spa, fmt.Sprint("user-", i))
			}
		}
		ctx, stop := context.WithCancel(bg)
		var reader sync.WaitGroup
		var newest int64
		seen := map[int64]bool{}
		reader.Go(func() {
			for last := false; !last; {
				last = ctx.Err() != nil
				for n := range readNumbers(t, w.other) {
					if n <= newest && !seen[n] {
						t.Errorf("%d appeared after %d", n, newest)
					}
					seen[n] = true
				}
				for n := range seen {
					newest = max(newest, n)
				}
			}
		})
		race(callers, func(i int) {
			at := []node{w.node, w.other}[i%2]
			verb := func(tx *db.Tx) error { return at.RevokeToken(tx, fmt.Sprint("jti-", i)) }
			if i%8 == 0 {
				verb = func(tx *db.Tx) error { return at.EndUser(tx, fmt.Sprint("user-", i/8), "") }
			}
			if err := at.tn.DB.Write(bg, verb); err != nil {
				t.Error(err)
			}
		})
		stop()
		reader.Wait()
		if want := callers*7/8 + 8*4; len(seen) != want || newest != int64(want) {
			t.Errorf("%d rules, the newest %d; want %d without a gap", len(seen), newest, want)
		}
		if err := w.CatchUp(bg, w.tn.DB); err != nil || !w.revoked(t, "", "", "jti-63") {
			t.Errorf("not caught up: %v", err)
		}
	})
}

func readNumbers(t *testing.T, n node) map[int64]bool {
	rows, err := n.tn.DB.Query(bg, `SELECT n FROM revocations WHERE tenant_id = $1`)
	if err != nil {
		t.Error(err)
		return nil
	}
	defer rows.Close()
	out := map[int64]bool{}
	for rows.Next() {
		var number int64
		if err := rows.Scan(&number); err != nil {
			t.Error(err)
		}
		out[number] = true
	}
	return out
}

// However the ways to end things meet, none waits for another in a circle.
func TestThreat_DB09_RevocationsNeverDeadlock(t *testing.T) {
	two(t, func(t *testing.T, w *world) {
		for round := range rounds() {
			var families []*grants.Redeemed
			var used []string
			for i := range 6 {
				client := []*apps.Client{spa, native}[i%2]
				r := w.family(t, client, []string{"ada", "eve"}[i/3])
				used = append(used, r.RefreshToken)
				w.mustRefresh(t, client, r.RefreshToken)
				families = append(families, r)
			}
			w.now.Advance(overlap + time.Second)
			race(callers, func(i int) {
				at := []node{w.node, w.other}[i%2]
				f := i % len(families)
				verb := [...]func(tx *db.Tx) error{
					func(tx *db.Tx) error { return at.EndUser(tx, "ada", "") },
					func(tx *db.Tx) error { return at.EndClient(tx, spa.ClientID, "") },
					func(tx *db.Tx) error { return at.EndUser(tx, "eve", "") },
					func(tx *db.Tx) error { return at.EndSession(tx, families[f].Auth.SID, "") },
					func(tx *db.Tx) error { return at.RevokeGrant(tx, families[f].GID, "") },
					func(tx *db.Tx) error { return at.WithdrawConsent(tx, "ada", native.ClientID) },
					nil,
				}[i%7]
				if verb == nil {
					if _, err := at.refresh([]*apps.Client{spa, native}[f%2], used[f]); !errors.Is(err, grants.ErrInvalidRefreshToken) {
						t.Errorf("round %d: reuse: %v", round, err)
					}
					return
				}
				if err := at.tn.DB.Write(bg, verb); err != nil {
					t.Errorf("round %d, verb %d: %v", round, i%7, err)
				}
			})
			if n := w.live(t, "ada") + w.live(t, "eve"); n != 0 {
				t.Fatalf("%d families live", n)
			}
		}
	})
}

// Whatever is under way when a user is ended, nothing of theirs is alive afterwards.
func TestThreat_TK09_NothingIsBornBesideTheEnd(t *testing.T) {
	two(t, func(t *testing.T, w *world) {
		for round := range rounds() {
			user := fmt.Sprint("user-", round)
			var codes, tokens []string
			var sids []string
			for range 8 {
				sid := w.signIn(t, user)
				sids = append(sids, sid)
				codes = append(codes, w.code(t, terms(spa, user, sid)))
				tokens = append(tokens, w.familyIn(t, native, user, sid).RefreshToken)
			}
			var late sync.Map
			race(callers, func(i int) {
				at := []node{w.node, w.other}[i%2]
				switch n := i % 8; {
				case i < 24:
					at.redeem(spa, codes[n])
				case i < 48:
					at.refresh(native, tokens[n])
				case i == 48: // as a password change does
					if err := at.tn.DB.Write(bg, func(tx *db.Tx) error {
						if err := exec(`DELETE FROM sessions WHERE tenant_id = $1 AND user_id = $2`, user)(tx); err != nil {
							return err
						}
						return at.EndUser(tx, user, "password changed")
					}); err != nil {
						t.Error(err)
					}
				default:
					code, err := at.issue(terms(spa, user, sids[n]))
					if err == nil {
						late.Store(code, true)
					} else if !errors.Is(err, grants.ErrSessionEnded) {
						t.Error(err)
					}
				}
			})
			for code := range late.Range {
				if _, err := w.redeem(spa, code.(string)); !errors.Is(err, grants.ErrInvalidCode) {
					t.Errorf("round %d: a code was good after its user had ended: %v", round, err)
				}
			}
			if n := w.live(t, user); n != 0 {
				t.Fatalf("round %d: %d families were born beside the end", round, n)
			}
		}
	})
}

// The race of the test above, forced: the redemption is held while the end arrives, once its code is
// spent, and before.
func TestThreat_TK09_EndMeetsTheCodeBeingRedeemed(t *testing.T) {
	heldVerbs(t, func(t *testing.T, w *world, hold func(func() error)) {
		for name, end := range map[string]func(tx *db.Tx, sid string) error{
			"the user":    func(tx *db.Tx, _ string) error { return w.other.EndUser(tx, "ada", "") },
			"the session": func(tx *db.Tx, sid string) error { return w.other.EndSession(tx, sid, "") },
			"the client":  func(tx *db.Tx, _ string) error { return w.other.EndClient(tx, spa.ClientID, "") },
			"the consent": func(tx *db.Tx, _ string) error { return w.other.WithdrawConsent(tx, "ada", spa.ClientID) },
		} {
			for when, held := range map[string]func(*grants.Redemption, func()){
				"after it is spent": func(r *grants.Redemption, hold func()) {
					r.Join = func(grants.Code) func(*db.Tx) error {
						return func(*db.Tx) error { hold(); return nil }
					}
				},
				"before": func(r *grants.Redemption, hold func()) {
					r.Check = func(grants.Code) error { hold(); return nil }
				},
			} {
				sid := w.signIn(t, "ada")
				request := grants.Redemption{
					Code: w.code(t, terms(spa, "ada", sid)), ClientID: spa.ClientID,
					Check:  func(grants.Code) error { return nil },
					Family: func(grants.Code) *grants.NewFamily { return w.newFamily(spa) },
				}
				held(&request, func() {
					hold(func() error { return w.other.tn.DB.Write(bg, func(tx *db.Tx) error { return end(tx, sid) }) })
				})
				r, err := w.Redeem(bg, w.tn, request)
				hold(nil)
				if when == "before" && !errors.Is(err, grants.ErrInvalidCode) || when != "before" && err != nil {
					t.Fatalf("%s ends %s: %v", name, when, err)
				}
				if n := w.live(t, "ada"); n != 0 {
					t.Errorf("%s ends %s: the family of the code outlived it", name, when)
				}
				if r == nil {
					continue
				}
				if err := w.CatchUp(bg, w.tn.DB); err != nil || !w.revoked(t, sid, r.GID, "") {
					t.Errorf("%s ends %s: its access token outlived it: %v", name, when, err)
				}
			}
		}
	})
}

// A code is issued while its session ends: who has written it makes the end wait.
func TestThreat_TK05_EndWaitsForTheCodeBeingIssued(t *testing.T) {
	heldVerbs(t, func(t *testing.T, w *world, hold func(func() error)) {
		// From here on who writes a code stands still until lock 1 is free.
		for _, ddl := range []string{
			`CREATE FUNCTION stand() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN NULL; END'`,
			`CREATE TRIGGER stand AFTER INSERT ON grants EXECUTE FUNCTION stand()`,
		} {
			if err := w.a.System().Write(bg, exec(ddl)); err != nil {
				t.Fatal(err)
			}
		}
		sid := w.signIn(t, "ada")
		var code string
		issued := make(chan error, 1)
		err := w.a.System().Write(bg, func(tx *db.Tx) error {
			if err := exec(`SELECT pg_advisory_xact_lock(1)`)(tx); err != nil {
				return err
			}
			go func() {
				var err error
				code, err = w.issue(terms(spa, "ada", sid))
				issued <- err
			}()
			waitForLocks(t, w.b, 1, nil)
			hold(func() error { return w.other.signOut(sid) })
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := <-issued; err != nil {
			t.Fatal(err)
		}
		hold(nil)
		if _, err := w.redeem(spa, code); !errors.Is(err, grants.ErrInvalidCode) {
			t.Errorf("a code outlived its session: %v", err)
		}
	})
}

// heldVerbs runs a test on PostgreSQL, where verbs run side by side: hold starts another verb from
// inside one and returns when that waits for a lock, or has ended; hold(nil) waits for its end.
// (SQLite has one writer, so there is nothing to hold.)
func heldVerbs(t *testing.T, f func(t *testing.T, w *world, hold func(func() error))) {
	two(t, func(t *testing.T, w *world) {
		if w.a.Dialect() == db.SQLite {
			return
		}
		var outcome chan error
		f(t, w, func(verb func() error) {
			if verb == nil {
				if err := <-outcome; err != nil {
					t.Errorf("the other verb: %v", err)
				}
				return
			}
			before := waiting(t, w.b)
			ended := make(chan struct{})
			outcome = make(chan error, 1)
			go func() {
				defer close(ended)
				outcome <- verb()
			}()
			waitForLocks(t, w.b, before+1, ended)
		})
	})
}

// waitForLocks returns when that many statements wait for a lock, or something has ended.
func waitForLocks(t *testing.T, d *db.DB, n int, ended <-chan struct{}) {
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for waiting(t, d) < n && !t.Failed() {
		select {
		case <-ended:
			return
		case <-poll.C:
		}
	}
}

// waiting returns how many statements wait for a lock.
func waiting(t *testing.T, d *db.DB) (n int) {
	err := d.System().QueryRow(bg, `SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&n)
	if err != nil {
		t.Error(err)
	}
	return n
}

// Ending somebody takes no more statements for many grants than for one, so nobody can have too
// many to be ended.
func TestThreat_OV07_ManyGrantsEndInOneVerb(t *testing.T) {
	const grantsOfAda = 20_000
	each(t, func(t *testing.T, w *world) {
		w.write(t, exec(`INSERT INTO grants (tenant_id, gid, client_id, user_id, sid, scope, audience, auth_time, amr, acr,
				code_hash, redirect_uri, code_challenge, nonce, code_expires_at, spent_at,
				session_bound, generation, reached_at, key_id, idle_expires_at, expires_at, revoked_at, revoked_because, created_at, keep_until)
			WITH RECURSIVE numbers (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < $2)
			SELECT $1, 'gid-' || i, 'client', 'ada', 'sid', '', '', 0, '', '', '', '', '', '', 0, $4, TRUE, 1, $4, '', $3, $3, 0, '', 0, $3 FROM numbers`,
			grantsOfAda, db.Micros(noon.Add(day)), db.Micros(noon)))
		w.write(t, func(tx *db.Tx) error { return w.EndUser(tx, "ada", "blocked") })
		for _, gid := range []string{"gid-1", fmt.Sprint("gid-", grantsOfAda)} {
			if !w.revoked(t, "", gid, "") {
				t.Errorf("%s lives", gid)
			}
		}
		w.write(t, func(tx *db.Tx) error { return w.RevokeToken(tx, "next") })
		if n := w.count(t, `SELECT MAX(n) FROM revocations WHERE tenant_id = $1`); n != grantsOfAda+1 {
			t.Errorf("the next rule is number %d", n)
		}
	})
}

// Who lets grants lie for weeks and then ends them all makes no rule for each: guards that are given too many trust
// none, and refuse everybody.
func TestThreat_OV07_SleepingGrantsMakeNoRules(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		type made struct {
			spent, reached time.Duration // ago; 0: never
			rule           bool
		}
		grants := map[string]made{
			"asleep":                {2 * time.Hour, 2 * time.Hour, false},
			"asleep, never a token": {2 * time.Hour, 0, false},
			"long ago":              {20 * day, 20 * day, false},
			"just redeemed":         {time.Second, time.Second, true},
			"a token at most":       {time.Hour, 0, true},
			"refreshed since":       {20 * day, time.Hour, true},
			"in the overlap":        {20 * day, time.Hour + time.Minute, true},
		}
		verbs := map[string]func(*db.Tx) error{
			"user":    func(tx *db.Tx) error { return w.EndUser(tx, "ada", "blocked") },
			"client":  func(tx *db.Tx) error { return w.EndClient(tx, "client", "disabled") },
			"consent": func(tx *db.Tx) error { return w.WithdrawConsent(tx, "ada", "client") },
			"API":     func(tx *db.Tx) error { return w.ForgetAPI(tx, "") },
			"session": func(tx *db.Tx) error { return w.EndSession(tx, "sid", "signed out") },
		}
		for verb, end := range verbs {
			ago := func(d time.Duration) int64 {
				if d == 0 {
					return 0
				}
				return db.Micros(noon.Add(-d))
			}
			for name, g := range grants {
				w.write(t, exec(`INSERT INTO grants (tenant_id, gid, client_id, user_id, sid, scope, audience, auth_time, amr, acr,
						code_hash, redirect_uri, code_challenge, nonce, code_expires_at, spent_at,
						session_bound, generation, reached_at, key_id, idle_expires_at, expires_at, revoked_at, revoked_because, created_at, keep_until)
					VALUES ($1, $2, 'client', 'ada', 'sid', '', '', 0, '', '', '', '', '', '', 0, $3, TRUE, 1, $4, '', $5, $5, 0, '', 0, $5)`,
					verb+name, ago(g.spent), ago(g.reached), db.Micros(noon.Add(day))))
			}
			w.write(t, end)
			for name, g := range grants {
				rule := g.rule && verb != "session" // whose one rule is about the sid
				if got := w.count(t, `SELECT COUNT(*) FROM revocations WHERE tenant_id = $1 AND kind = 'gid' AND id = $2`, verb+name); (got == 1) != rule {
					t.Errorf("%s: %s: %d rules", verb, name, got)
				}
				if w.count(t, `SELECT COUNT(*) FROM grants WHERE tenant_id = $1 AND gid = $2 AND revoked_at = 0`, verb+name) != 0 {
					t.Errorf("%s: %s lives", verb, name)
				}
			}
		}
	})
}

// Questions are answered while rules are being read.
func TestRulesAreReadBesideQuestions(t *testing.T) {
	two(t, func(t *testing.T, w *world) {
		var asked atomic.Int64
		race(callers, func(i int) {
			at := []node{w.node, w.other}[i%2]
			for n := range 20 {
				switch {
				case i%8 == 0:
					if err := at.tn.DB.Write(bg, func(tx *db.Tx) error { return at.RevokeToken(tx, fmt.Sprintf("%d-%d", i, n)) }); err != nil {
						t.Error(err)
					}
					if !at.revoked(t, "", "", fmt.Sprintf("%d-%d", i, n)) {
						t.Errorf("a rule that was just written is not known here")
					}
				case i%8 == 1:
					if err := at.CatchUp(bg, at.tn.DB); err != nil {
						t.Error(err)
					}
				default:
					at.revoked(t, "", "", "x")
					asked.Add(1)
				}
			}
		})
	})
}

func TestConsents(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		consented := func(user, client, audience string) []string {
			t.Helper()
			scope, err := w.Consented(bg, w.tn, user, client, audience)
			if err != nil {
				t.Fatal(err)
			}
			slices.Sort(scope)
			return scope
		}
		allow := func(user, client, audience string, scope ...string) {
			t.Helper()
			if err := w.Consent(bg, w.tn, user, client, audience, scope); err != nil {
				t.Fatal(err)
			}
		}
		if got := consented("ada", "app", api); got != nil {
			t.Errorf("before: %v", got)
		}
		allow("ada", "app", api, "b", "a")
		allow("ada", "app", api, "c", "a")
		allow("ada", "app", "", "z")
		allow("eve", "app", api, "y")
		allow("ada", "tool", api, "x")
		if got := consented("ada", "app", api); !slices.Equal(got, []string{"a", "b", "c"}) {
			t.Errorf("together: %v", got)
		}
		w.write(t, func(tx *db.Tx) error { return w.WithdrawConsent(tx, "ada", "app") })
		if got := slices.Concat(consented("ada", "app", api), consented("ada", "app", "")); len(got) != 0 {
			t.Errorf("after the withdrawal: %v", got)
		}
		if !slices.Equal(consented("eve", "app", api), []string{"y"}) || !slices.Equal(consented("ada", "tool", api), []string{"x"}) {
			t.Error("the withdrawal took more than its own")
		}
		if w.events(t, "ada", audit.ConsentGranted) != 4 || w.events(t, "ada", audit.ConsentWithdrawn) != 1 {
			t.Error("events are missing")
		}
		w.write(t, func(tx *db.Tx) error { return w.ForgetClient(tx, "app") })
		if got := consented("eve", "app", api); len(got) != 0 {
			t.Errorf("of a client that is gone: %v", got)
		}
	})
}

func TestThreat_AZ14_ParallelConsentsAreAllKept(t *testing.T) {
	two(t, func(t *testing.T, w *world) {
		var kept atomic.Int64
		race(8, func(i int) {
			at := []node{w.node, w.other}[i%2]
			err := at.Consent(bg, at.tn, "ada", "app", api, []string{fmt.Sprint("scope-", i)})
			if err == nil {
				kept.Add(1)
			} else if !errors.Is(err, db.ErrBusy) {
				t.Error(err)
			}
		})
		scope, err := w.Consented(bg, w.tn, "ada", "app", api)
		if err != nil || len(scope) != int(kept.Load()) || kept.Load() == 0 {
			t.Errorf("%d consents were given and %v is kept, %v", kept.Load(), scope, err)
		}
	})
}

// Sweeping takes what can mean nothing any more, and leaves what a replay must find.
func TestThreat_DB15_SweepKeepsWhatReplayNeeds(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		sweep := func(after time.Duration) {
			t.Helper()
			w.now.Set(noon.Add(after))
			if err := w.Sweep(bg, w.a); err != nil {
				t.Fatal(err)
			}
		}
		rows := func(table string) int { return w.count(t, `SELECT COUNT(*) FROM `+table+` WHERE tenant_id = $1`) }
		sid := w.signIn(t, "ada")
		code := w.code(t, terms(spa, "ada", sid))
		r, err := w.redeem(spa, code)
		if err != nil {
			t.Fatal(err)
		}
		short := w.code(t, terms(spa, "ada", sid)) // redeemed without a family
		if _, err := w.Redeem(bg, w.tn, grants.Redemption{Code: short, ClientID: spa.ClientID, Check: func(grants.Code) error { return nil }}); err != nil {
			t.Fatal(err)
		}
		w.code(t, terms(spa, "ada", sid)) // never redeemed
		if sweep(time.Minute); rows("grants") != 3 {
			t.Errorf("after a minute: %d grants, want all", rows("grants"))
		}
		if sweep(time.Hour); rows("grants") != 2 {
			t.Errorf("after an hour: %d grants, want those that something came of", rows("grants"))
		}
		if sweep(time.Hour + 2*time.Minute); rows("grants") != 1 {
			t.Errorf("when its access token has expired: %d grants, want the one with the family", rows("grants"))
		}
		if sweep(30*day + time.Hour); rows("grants") != 1 {
			t.Errorf("while the family's last access token can live: %d grants", rows("grants"))
		}
		if _, err := w.redeem(spa, code); !errors.Is(err, grants.ErrInvalidCode) || !w.revoked(t, "", r.GID, "") || w.live(t, "ada") != 0 {
			t.Errorf("a replay after a month: %v", err)
		}
		if sweep(30*day + 2*time.Hour + 2*time.Minute); rows("grants") != 0 || rows("revocations") != 0 {
			t.Errorf("at the end: %d grants, %d rules", rows("grants"), rows("revocations"))
		}
		if err := w.CatchUp(bg, w.tn.DB); err != nil || w.revoked(t, "", r.GID, "") {
			t.Errorf("a rule is remembered past its time: %v", err)
		}
	})
}

// revokeTokens writes a rule about each of the tokens "0", "1" …, a hundred at once: a verb has seconds.
func (n node) revokeTokens(t *testing.T, many int) {
	t.Helper()
	for first := 0; first < many; first += 100 {
		n.write(t, func(tx *db.Tx) error {
			for i := first; i < min(first+100, many); i++ {
				if err := n.RevokeToken(tx, strconv.Itoa(i)); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

func TestSweepWorksInBatches(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		const many = 1203 // more than two batches
		w.revokeTokens(t, many)
		w.now.Advance(2 * time.Hour)
		if err := w.Sweep(bg, w.a); err != nil {
			t.Fatal(err)
		}
		if n := w.count(t, `SELECT COUNT(*) FROM revocations WHERE tenant_id = $1`); n != 0 {
			t.Errorf("%d rules are left", n)
		}
	})
}
