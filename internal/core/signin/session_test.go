package signin_test

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
	"github.com/gatehouse-dev/gatehouse/internal/core/people"
	"github.com/gatehouse-dev/gatehouse/internal/core/signin"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/internal/proof"
)

// Every sign-in makes new ids, and the ids it came with open nothing from then on.
func TestThreat_BR01_NewIDAtEverySignIn(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ada := w.user(t, "ada@example.com")
		w.user(t, "eve@example.com")
		for _, planted := range []string{"", "planted-by-an-attacker"} {
			r := w.signIn(t, "ada@example.com", signin.From{Address: home, Session: planted})
			if r.Cookie == planted || r.Cookie == r.Silent || len(r.Cookie) < 43 || len(r.Silent) < 43 || w.alive(t, planted) || !w.alive(t, r.Cookie) {
				t.Errorf("after a sign-in with %q: %+v", planted, r)
			}
		}

		// The same person in the same browser: another id, the same sid.
		first := w.signIn(t, "ada@example.com", signin.From{Address: home})
		w.now.Advance(time.Hour)
		second := w.signIn(t, "ada@example.com", signin.From{Address: home, Session: first.Cookie})
		if w.alive(t, first.Cookie) || !w.alive(t, second.Cookie) {
			t.Error("the old id lives on")
		}
		if _, err := w.LookupSilent(bg, w.tn, first.Silent); !fault.Is(err, fault.NotFound) {
			t.Errorf("the old silent id: %v", err)
		}
		s, err := w.Lookup(bg, w.tn, second.Cookie)
		if err != nil || s.SID != first.Session.SID || second.Session.SID != s.SID || !s.AuthTime.Equal(noon.Add(time.Hour)) || !s.CreatedAt.Equal(noon) {
			t.Errorf("the session: %+v, %v", s, err)
		}
		if ended := w.grants.take(); ended != nil {
			t.Errorf("signing in again ended %v", ended)
		}

		// Somebody else in the same browser: another session, and the old one has ended.
		third, err := w.try("eve@example.com", password, signin.From{Address: home, Session: second.Cookie})
		if err != nil || third.Session.SID == s.SID || w.alive(t, second.Cookie) {
			t.Errorf("signed in as somebody else: %+v, %v", third, err)
		}
		if ended := w.grants.take(); !slices.Equal(ended, []string{"session " + s.SID + " other_user_signed_in"}) {
			t.Errorf("ended %v", ended)
		}

		// A sign-in that fails changes nothing.
		if _, err := w.try("ada@example.com", "wrong-password", signin.From{Address: home, Session: third.Cookie}); err == nil || !w.alive(t, third.Cookie) {
			t.Errorf("a failed sign-in ended the session, %v", err)
		}

		// A changed password is a new id as well.
		mine := w.signIn(t, "ada@example.com", signin.From{Address: home})
		changed, err := w.ChangePassword(bg, w.tn, mine.Session, password, another, signin.From{Address: home, Session: mine.Cookie})
		if err != nil || w.alive(t, mine.Cookie) || !w.alive(t, changed.Cookie) || changed.User.ID != ada.ID {
			t.Errorf("after the change of password: %+v, %v", changed, err)
		}
	})
}

func TestThreat_BR01_OneSuccessorOfAnID(t *testing.T) {
	two(t, func(t *testing.T, w *world) {
		w.user(t, "ada@example.com")
		for range proof.Times(20, 1000) {
			before := w.signIn(t, "ada@example.com", signin.From{Address: home})
			var mu sync.Mutex
			sids, cookies := map[string]int{}, map[string]bool{}
			race(64, func(i int) {
				n := w.on(i)
				r, err := n.try("ada@example.com", password, signin.From{Address: home, Session: before.Cookie})
				if fault.Is(err, fault.Limited) { // many in flight count as tries until they succeed
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				sids[r.Session.SID]++
				cookies[r.Cookie] = true
			})
			if w.alive(t, before.Cookie) {
				t.Error("the old id lives on")
			}
			if sids[before.Session.SID] > 1 {
				t.Errorf("%d sign-ins got the session of one cookie", sids[before.Session.SID])
			}
			for c := range cookies {
				if !w.alive(t, c) {
					t.Error("a sign-in that was confirmed has no session")
				}
			}
		}
	})
}

func TestThreat_BR12_SessionsEndByThemselves(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.user(t, "ada@example.com")
		touch := func(cookie string) error {
			s, err := w.Lookup(bg, w.tn, cookie)
			if err != nil {
				return err
			}
			return w.tn.DB.Write(bg, func(tx *db.Tx) error { return w.Touch(tx, s) })
		}
		idle := w.signIn(t, "ada@example.com", signin.From{Address: home})
		w.now.Advance(3*24*time.Hour - time.Microsecond)
		if !w.alive(t, idle.Cookie) {
			t.Error("ended before three idle days")
		}
		w.now.Advance(time.Microsecond)
		if w.alive(t, idle.Cookie) {
			t.Error("alive after three idle days")
		}
		if _, err := w.LookupSilent(bg, w.tn, idle.Silent); !fault.Is(err, fault.NotFound) {
			t.Errorf("its silent id: %v", err)
		}

		used := w.signIn(t, "ada@example.com", signin.From{Address: home})
		for range 30 {
			w.now.Advance(24*time.Hour - time.Minute)
			if err := touch(used.Cookie); err != nil {
				t.Fatal(err)
			}
		}
		if !w.alive(t, used.Cookie) {
			t.Error("ended before thirty days")
		}
		w.now.Advance(30 * time.Minute)
		if w.alive(t, used.Cookie) {
			t.Error("alive after thirty days")
		}

		// Narrower limits hold at once; a session that has ended is not brought back.
		s := w.signIn(t, "ada@example.com", signin.From{Address: home})
		narrow := *w.tn
		narrow.Settings.SessionIdle = time.Hour
		w.now.Advance(time.Hour)
		if _, err := w.Lookup(bg, &narrow, s.Cookie); !fault.Is(err, fault.NotFound) {
			t.Errorf("under a narrower idle limit: %v", err)
		}
		narrow = *w.tn
		narrow.Settings.SessionAbsolute = time.Hour
		if _, err := w.Lookup(bg, &narrow, s.Cookie); !fault.Is(err, fault.NotFound) {
			t.Errorf("under a narrower absolute limit: %v", err)
		}
		found, err := w.Lookup(bg, w.tn, s.Cookie)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.SignOut(bg, w.tn, found.SID, false, signin.From{}); err != nil {
			t.Fatal(err)
		}
		write(t, w, func(tx *db.Tx) error { return w.Touch(tx, found) })
		if w.alive(t, s.Cookie) {
			t.Error("a touch brought a session back")
		}
	})
}

func TestTouchIsRare(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.user(t, "ada@example.com")
		r := w.signIn(t, "ada@example.com", signin.From{Address: home})
		for minute := range 11 {
			s, err := w.Lookup(bg, w.tn, r.Cookie)
			if err != nil {
				t.Fatal(err)
			}
			if want := noon.Add(time.Duration((minute+4)/5*5-0) * time.Minute); minute%5 == 1 && !s.SeenAt.Equal(want.Add(-5*time.Minute)) {
				t.Errorf("minute %d: seen at %v", minute, s.SeenAt)
			}
			if s.NeedsTouch(w.now.Now()) != (minute == 5 || minute == 10) {
				t.Errorf("minute %d: NeedsTouch = %v", minute, s.NeedsTouch(w.now.Now()))
			}
			write(t, w, func(tx *db.Tx) error { return w.Touch(tx, s) })
			w.now.Advance(time.Minute)
		}
	})
}

func TestThreat_BR12_SessionsAreListedAndRevoked(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ada, eve := w.user(t, "ada@example.com"), w.user(t, "eve@example.com")
		phone := w.signIn(t, "ada@example.com", signin.From{Address: home, UserAgent: "Phone"})
		w.now.Advance(time.Minute)
		desk := w.signIn(t, "ada@example.com", signin.From{Address: away, UserAgent: "Desk"})
		eves := w.signIn(t, "eve@example.com", signin.From{Address: away})
		list, err := w.Sessions(bg, w.tn, ada.ID)
		if err != nil || len(list) != 2 || list[0].UserAgent != "Desk" || list[1].Address != "192.0.2.1" {
			t.Fatalf("Sessions = %+v, %v", list, err)
		}
		for _, sid := range []string{phone.Session.SID, "unknown", "", "\x00"} {
			if err := w.EndSession(bg, w.tn, eve.ID, sid, audit.Origin{Actor: eve.ID}); !fault.Is(err, fault.NotFound) {
				t.Errorf("Eve ends %q: %v", sid, err)
			}
		}
		if err := w.EndSession(bg, w.tn, ada.ID, phone.Session.SID, audit.Origin{Actor: ada.ID}); err != nil {
			t.Fatal(err)
		}
		if w.alive(t, phone.Cookie) || !w.alive(t, desk.Cookie) || !w.alive(t, eves.Cookie) {
			t.Error("the wrong session ended")
		}
		if ended := w.grants.take(); !slices.Equal(ended, []string{"session " + phone.Session.SID + " session_revoked"}) {
			t.Errorf("ended %v", ended)
		}
		if err := w.EndSessions(bg, w.tn, ada.ID, audit.Origin{Actor: ada.ID}); err != nil {
			t.Fatal(err)
		}
		if w.alive(t, desk.Cookie) || !w.alive(t, eves.Cookie) {
			t.Error("the wrong sessions ended")
		}
		if ended := w.grants.take(); !slices.Equal(ended, []string{"user " + ada.ID + " signed_out_everywhere"}) {
			t.Errorf("ended %v", ended)
		}
		if got := w.events(t, ada.ID); !slices.Equal(got[:2], []audit.Type{audit.SessionsEnded, audit.SessionEnded}) {
			t.Errorf("events %v", got)
		}
	})
}

func TestSilentIDIsGoodForNothingElse(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.user(t, "ada@example.com")
		r := w.signIn(t, "ada@example.com", signin.From{Address: home})
		if s, err := w.LookupSilent(bg, w.tn, r.Silent); err != nil || s.SID != r.Session.SID {
			t.Errorf("LookupSilent = %+v, %v", s, err)
		}
		if _, err := w.Lookup(bg, w.tn, r.Silent); !fault.Is(err, fault.NotFound) {
			t.Errorf("Lookup by the silent id = %v", err)
		}
		if _, err := w.LookupSilent(bg, w.tn, r.Cookie); !fault.Is(err, fault.NotFound) {
			t.Errorf("LookupSilent by the session's id = %v", err)
		}
		without := *w.tn
		without.Settings.NoSilentCookie = true
		if _, err := w.LookupSilent(bg, &without, r.Silent); !fault.Is(err, fault.NotFound) {
			t.Errorf("LookupSilent where it is switched off = %v", err)
		}
		other, err := tenant.Ensure(bg, w.d, "two", "https://two.example.com/", tenant.Settings{}, noon)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Lookup(bg, other, r.Cookie); !fault.Is(err, fault.NotFound) {
			t.Errorf("Lookup at another tenant = %v", err)
		}
	})
}

func TestPendingSessionOpensNothing(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.user(t, "ada@example.com")
		r := w.signIn(t, "ada@example.com", signin.From{Address: home})
		write(t, w, func(tx *db.Tx) error {
			_, err := tx.Exec(`UPDATE sessions SET state = 'pending' WHERE tenant_id = $1`)
			return err
		})
		_, err1 := w.Lookup(bg, w.tn, r.Cookie)
		_, err2 := w.LookupSilent(bg, w.tn, r.Silent)
		s, err3 := w.LookupPending(bg, w.tn, r.Cookie)
		if !fault.Is(err1, fault.NotFound) || !fault.Is(err2, fault.NotFound) || err3 != nil || s.State != signin.Pending {
			t.Errorf("%v, %v, %+v, %v", err1, err2, s, err3)
		}
	})
}

// What each cause ends, by the table and in the database.
func TestEventMatrix(t *testing.T) {
	want := map[signin.Cause]signin.Ending{
		signin.SignedOut:           {Session: true},
		signin.Revoked:             {Session: true},
		signin.Replaced:            {Session: true},
		signin.SignedOutEverywhere: {Session: true, Sessions: true, Grants: true},
		signin.PasswordChanged:     {Session: true, Sessions: true, Grants: true, Mailed: true},
		signin.Blocked:             {Session: true, Sessions: true, Grants: true, Mailed: true, APIKeys: true, Person: true},
		signin.Deleted:             {Session: true, Sessions: true, Grants: true, Mailed: true, APIKeys: true, Person: true},
		signin.Suspicious:          {Session: true, Sessions: true, Grants: true, Mailed: true, APIKeys: true, Person: true},
		"something new":            {Session: true, Sessions: true, Grants: true, Mailed: true, APIKeys: true, Person: true},
	}
	for cause, ending := range want {
		if got := signin.Endings(cause); got != ending {
			t.Errorf("Endings(%s) = %+v; want %+v", cause, got, ending)
		}
	}
	each(t, func(t *testing.T, w *world) {
		for name, c := range map[string]struct {
			do       func(u *people.User, r *signin.Result) error
			sessions bool // the other one ends too
			mailed   bool
			ended    func(u *people.User, r *signin.Result) []string
		}{
			"sign-out": {
				do: func(_ *people.User, r *signin.Result) error {
					return w.SignOut(bg, w.tn, r.Session.SID, false, signin.From{})
				},
				ended: func(_ *people.User, r *signin.Result) []string {
					return []string{"session " + r.Session.SID + " signed_out"}
				},
			},
			"sign-out everywhere": {
				do: func(_ *people.User, r *signin.Result) error {
					return w.SignOut(bg, w.tn, r.Session.SID, true, signin.From{})
				},
				sessions: true,
				ended: func(u *people.User, r *signin.Result) []string {
					return []string{"session " + r.Session.SID + " signed_out_everywhere", "user " + u.ID + " signed_out_everywhere"}
				},
			},
			"block": {
				do:       func(u *people.User, _ *signin.Result) error { return w.Block(bg, w.tn, u.ID, audit.System()) },
				sessions: true, mailed: true,
				ended: func(u *people.User, _ *signin.Result) []string { return []string{"user " + u.ID + " user_blocked"} },
			},
			"delete": {
				do:       func(u *people.User, _ *signin.Result) error { return w.Delete(bg, w.tn, u.ID, audit.System()) },
				sessions: true, mailed: true,
				ended: func(u *people.User, _ *signin.Result) []string {
					return []string{"user " + u.ID + " user_deleted", "consents " + u.ID}
				},
			},
			"suspicion": {
				do:       func(u *people.User, _ *signin.Result) error { return w.ForceSignIn(bg, w.tn, u.ID, audit.System()) },
				sessions: true, mailed: true,
				ended: func(u *people.User, _ *signin.Result) []string {
					return []string{"user " + u.ID + " suspicious_activity"}
				},
			},
		} {
			t.Run(name, func(t *testing.T) {
				email := "u" + string(rune('a'+len(name))) + "@example.com"
				u := w.user(t, email)
				w.user(t, "bystander-"+email)
				one, two := w.signIn(t, email, signin.From{Address: home}), w.signIn(t, email, signin.From{Address: away})
				bystander := w.signIn(t, "bystander-"+email, signin.From{Address: away})
				link := ""
				if _, err := w.IssuePasswordLink(bg, w.tn, signin.Link{UserID: u.ID, URL: func(token string) string { link = token; return token }}, audit.System()); err != nil {
					t.Fatal(err)
				}
				w.grants.take()
				if err := c.do(u, one); err != nil {
					t.Fatal(err)
				}
				if w.alive(t, one.Cookie) && name != "" {
					t.Error("the session lives on")
				}
				if w.alive(t, two.Cookie) == c.sessions {
					t.Errorf("the other session: alive %v", w.alive(t, two.Cookie))
				}
				if !w.alive(t, bystander.Cookie) {
					t.Error("somebody else's session ended")
				}
				if _, err := w.LinkUser(bg, w.tn, link); errors.Is(err, people.ErrTicket) != c.mailed {
					t.Errorf("the mailed link: %v", err)
				}
				if got := w.grants.take(); !slices.Equal(got, c.ended(u, one)) {
					t.Errorf("ended %v; want %v", got, c.ended(u, one))
				}
			})
		}
	})
}

// A sign-in that runs while the user is blocked, deleted or gets another password either comes
// first, and ends with the rest, or fails.
func TestNoSessionSlipsPastAnEnding(t *testing.T) {
	two(t, func(t *testing.T, w *world) {
		for round := range 5 {
			for _, end := range []func(n node, u *people.User) error{
				func(n node, u *people.User) error { return n.Block(bg, n.tn, u.ID, audit.System()) },
				func(n node, u *people.User) error { return n.Delete(bg, n.tn, u.ID, audit.System()) },
				func(n node, u *people.User) error {
					token, err := n.IssuePasswordLink(bg, n.tn, signin.Link{UserID: u.ID, URL: func(s string) string { return s }}, audit.System())
					if err != nil {
						return err
					}
					_, err = n.UsePasswordLink(bg, n.tn, token, another, signin.From{})
					return err
				},
			} {
				email := "ada" + string(rune('0'+round)) + "@example.com"
				u := w.user(t, email)
				device := w.signIn(t, email, signin.From{Address: home}).Device
				var mu sync.Mutex
				var cookies []string
				race(32, func(i int) {
					n := w.on(i)
					if i == 8 {
						if err := end(n, u); err != nil {
							t.Error(err)
						}
						return
					}
					from := signin.From{Address: home}
					if i%3 == 0 {
						from.Device = device
					}
					r, err := n.try(email, password, from)
					switch {
					case err == nil:
						mu.Lock()
						cookies = append(cookies, r.Cookie)
						mu.Unlock()
					case !errors.Is(err, signin.ErrBadCredentials) && !fault.Is(err, fault.Limited):
						t.Error(err)
					}
				})
				for _, c := range cookies {
					if w.alive(t, c) {
						t.Error("a session survived")
					}
				}
				if list, err := w.Sessions(bg, w.tn, u.ID); err != nil || len(list) != 0 {
					t.Errorf("sessions left: %v, %v", list, err)
				}
				if err := w.Delete(bg, w.tn, u.ID, audit.System()); err != nil && !fault.Is(err, fault.NotFound) {
					t.Fatal(err)
				}
			}
		}
	})
}

// What happened to the account between the comparison of the password and the commit counts.
func TestNothingIsOpenedByAPasswordThatJustEnded(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for name, meanwhile := range map[string]func(u *people.User) error{
			"blocked": func(u *people.User) error { return w.Block(bg, w.tn, u.ID, audit.System()) },
			"deleted": func(u *people.User) error { return w.Delete(bg, w.tn, u.ID, audit.System()) },
			"changed": func(u *people.User) error {
				return w.tn.DB.Write(bg, func(tx *db.Tx) error {
					_, err := w.people.SetPassword(tx, u.ID, "$argon2id$another")
					return err
				})
			},
		} {
			email := name + "@example.com"
			u := w.user(t, email)
			r := w.signIn(t, email, signin.From{Address: home})
			from := signin.From{Address: home, Session: r.Cookie}
			for path, try := range map[string]func() error{
				"sign-in": func() error { _, err := w.try(email, password, from); return err },
				"change":  func() error { _, err := w.ChangePassword(bg, w.tn, r.Session, password, another, from); return err },
			} {
				steps := 1
				if path == "change" {
					steps = 2 // the first question is whether the sign-in is fresh
				}
				arm(w, steps, func() {
					if err := meanwhile(u); err != nil && !fault.Is(err, fault.NotFound) {
						t.Error(err)
					}
				})
				if err := try(); !errors.Is(err, signin.ErrBadCredentials) && !fault.Is(err, fault.Invalid) {
					t.Errorf("%s while the password was %s: %v", path, name, err)
				}
			}
			if name != "changed" && w.alive(t, r.Cookie) {
				t.Errorf("%s: a session lives on", name)
			}
		}
	})
}

// arm has f done at the nth question for the time from now.
func arm(w *world, n int, f func()) {
	if n == 1 {
		w.now.next = f
		return
	}
	w.now.next = func() { arm(w, n-1, f) }
}
