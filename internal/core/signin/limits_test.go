package signin_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
	"github.com/gatehouse-dev/gatehouse/internal/core/people"
	"github.com/gatehouse-dev/gatehouse/internal/core/signin"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
)

// However many guess at once, on two nodes, no more than five learn anything: the right password
// among the others is told from a wrong one only within the budget.
func TestThreat_PW01_ParallelGuesses(t *testing.T) {
	two(t, func(t *testing.T, w *world) {
		w.user(t, "ada@example.com")
		var revealed, limited, other atomic.Int64
		guess := func(i int, right bool) {
			guess := fmt.Sprintf("wrong-password-%d", i)
			if right {
				guess = password
			}
			switch _, err := w.on(i).try("ada@example.com", guess, signin.From{Address: home}); {
			case err == nil, errors.Is(err, signin.ErrBadCredentials):
				revealed.Add(1)
			case fault.Is(err, fault.Limited):
				limited.Add(1)
			default:
				other.Add(1)
				t.Error(err)
			}
		}
		race(500, func(i int) { guess(i, false) })
		if revealed.Load() != 5 || limited.Load() != 495 {
			t.Errorf("%d answers revealed, %d limited; want 5 and 495", revealed.Load(), limited.Load())
		}
		race(64, func(i int) { guess(i, true) })
		if revealed.Load() != 5 {
			t.Error("the right password was accepted beyond the budget")
		}
		w.now.Advance(15 * time.Minute)
		race(64, func(i int) { guess(i, false) })
		if revealed.Load() != 10 {
			t.Errorf("%d answers revealed after the window; want 10", revealed.Load())
		}
	})
}

// A hundred networks with five tries each do not make five hundred tries.
func TestThreat_PW01_ConsecutiveFailuresFromEverywhere(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		u := w.user(t, "ada@example.com")
		device := w.signIn(t, "ada@example.com", signin.From{Address: home}).Device
		revealed := 0
		for i := range 300 {
			from := signin.From{Address: netip.AddrFrom4([4]byte{203, 0, byte(i / 4), 1})}
			switch _, err := w.try("ada@example.com", "wrong-password", from); {
			case errors.Is(err, signin.ErrBadCredentials):
				revealed++
			case !fault.Is(err, fault.Limited):
				t.Fatal(err)
			}
			if i%50 == 0 {
				w.now.Advance(time.Hour)
			}
		}
		if revealed != 100 {
			t.Errorf("%d answers revealed; want 100", revealed)
		}
		w.now.Advance(30 * 24 * time.Hour)
		if _, err := w.try("ada@example.com", password, signin.From{Address: away}); !fault.Is(err, fault.Limited) || retryAfter(err) > 16*time.Minute {
			t.Errorf("a stranger with the right password = %v", err)
		}
		if !slices.Contains(w.events(t, u.ID), audit.SignInLimited) {
			t.Error("nothing in the record tells of it")
		}
		// Her own browser still lets her in, and makes the failures good.
		w.signIn(t, "ada@example.com", signin.From{Address: away, Device: device})
		w.signIn(t, "ada@example.com", signin.From{Address: away})
	})
}

// A reset by mail is the other way in after too many consecutive failures.
func TestThreat_PW01_ResetIsTheExtraProof(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.user(t, "ada@example.com")
		for i := range 100 {
			from := signin.From{Address: netip.AddrFrom4([4]byte{203, 0, byte(i), 1})}
			if _, err := w.try("ada@example.com", "wrong-password", from); !errors.Is(err, signin.ErrBadCredentials) {
				t.Fatal(err)
			}
		}
		mine := signin.From{Address: home, Browser: "mine"}
		if _, err := w.try("ada@example.com", password, mine); !fault.Is(err, fault.Limited) {
			t.Fatalf("sign-in = %v", err)
		}
		challengeID, err := w.StartReset(bg, w.tn, "ada@example.com", mine)
		if err != nil {
			t.Fatal(err)
		}
		_, code := w.letters(t, "ada@example.com")
		if _, err := w.FinishReset(bg, w.tn, signin.Answer{ChallengeID: challengeID, Code: code}, another, mine); err != nil {
			t.Fatal(err)
		}
		if _, err := w.try("ada@example.com", another, mine); err != nil {
			t.Errorf("sign-in after the reset = %v", err)
		}
	})
}

// Who guesses at somebody's password does not keep them out: not from another network, and with a
// browser that has signed in before not even from the guesser's own.
func TestThreat_PW02_NobodyLocksSomebodyElseOut(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.user(t, "ada@example.com")
		w.user(t, "eve@example.com")
		device := w.signIn(t, "ada@example.com", signin.From{Address: home}).Device
		evesDevice := w.signIn(t, "eve@example.com", signin.From{Address: away}).Device
		exhaust := func(from signin.From) {
			t.Helper()
			for range 5 {
				if _, err := w.try("ada@example.com", "wrong-password", from); !errors.Is(err, signin.ErrBadCredentials) {
					t.Fatal(err)
				}
			}
			if _, err := w.try("ada@example.com", password, from); !fault.Is(err, fault.Limited) || retryAfter(err) <= 0 {
				t.Fatalf("the sixth try = %v", err)
			}
		}
		exhaust(signin.From{Address: away, Device: evesDevice}) // Eve's browser is known, but not for Ada
		w.signIn(t, "ada@example.com", signin.From{Address: home})
		w.signIn(t, "ada@example.com", signin.From{Address: away, Device: device})

		// Her browser's own budget is bounded too, and separate.
		exhaust(signin.From{Address: home, Device: device})
		w.signIn(t, "ada@example.com", signin.From{Address: home})
		w.now.Advance(15 * time.Minute)
		w.signIn(t, "ada@example.com", signin.From{Address: home, Device: device})

		// A device cookie that was changed, or made for another tenant, is a stranger's.
		exhaust(signin.From{Address: away})
		if _, err := w.try("ada@example.com", password, signin.From{Address: away, Device: device[:len(device)-2] + "AA"}); !fault.Is(err, fault.Limited) {
			t.Errorf("with a forged device cookie: %v", err)
		}
	})
}

// A new password makes strangers of all browsers that knew the old one.
func TestThreat_PW02_KnownDeviceEndsWithThePassword(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.user(t, "ada@example.com")
		thief := w.signIn(t, "ada@example.com", signin.From{Address: away}).Device
		w.now.Advance(time.Minute)
		mine := w.signIn(t, "ada@example.com", signin.From{Address: home})
		changed, err := w.ChangePassword(bg, w.tn, mine.Session, password, another, signin.From{Address: home, Session: mine.Cookie, Device: mine.Device})
		if err != nil {
			t.Fatal(err)
		}
		for range 5 {
			w.try("ada@example.com", "wrong-password", signin.From{Address: away})
		}
		if _, err := w.try("ada@example.com", another, signin.From{Address: away, Device: thief}); !fault.Is(err, fault.Limited) {
			t.Errorf("the thief's browser: %v; want Limited", err)
		}
		if _, err := w.try("ada@example.com", another, signin.From{Address: away, Device: changed.Device}); err != nil {
			t.Errorf("her own browser: %v", err)
		}
	})
}

// One password for many accounts is stopped at the network, successes of its neighbours aside.
func TestThreat_PW03_Spraying(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.user(t, "ada@example.com")
		for i := range 150 { // an office of honest people behind one address
			w.signIn(t, "ada@example.com", signin.From{Address: away})
			if i%30 == 0 {
				w.now.Advance(time.Second)
			}
		}
		revealed := 0
		w.user(t, "eve@example.com")
		for i := range 150 {
			if i%10 == 9 { // an account of her own makes nothing good
				w.try("eve@example.com", password, signin.From{Address: away})
			}
			if _, err := w.try(fmt.Sprintf("user%d@example.com", i), "Password2026!", signin.From{Address: away}); errors.Is(err, signin.ErrBadCredentials) {
				revealed++
			} else if !fault.Is(err, fault.Limited) {
				t.Fatal(err)
			}
		}
		if revealed != 100 {
			t.Errorf("%d answers revealed; want 100", revealed)
		}
		w.signIn(t, "ada@example.com", signin.From{Address: home})
		list, err := audit.List(bg, w.tn, audit.Query{Limit: 2})
		if err != nil || list[1].Type != audit.SignInLimited || list[1].Detail["budget"] != "spray" {
			t.Errorf("events %+v, %v", list, err)
		}
	})
}

// Whoever changes the address with every try meets no network's limit. Operators hear of it, once in a window,
// and nobody is answered otherwise for it.
func TestThreat_PW03_SprayingFromEverywhere(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.user(t, "ada@example.com")
		floods := func() (n int) {
			list, err := audit.List(bg, w.tn, audit.Query{Limit: 100})
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range list {
				if e.Type == audit.SignInFlood && e.Actor == audit.System().Actor && e.Detail["failures"] == 10.0 {
					n++
				}
			}
			return n
		}
		try := func(n int) {
			from := signin.From{Address: netip.AddrFrom4([4]byte{10, 0, byte(n), 1})}
			if _, err := w.try(fmt.Sprintf("user%d@example.com", n), "Password2026!", from); !errors.Is(err, signin.ErrBadCredentials) {
				t.Errorf("try %d: %v", n, err)
			}
		}
		for n := range 30 {
			try(n)
			w.signIn(t, "ada@example.com", signin.From{Address: home}) // what is right makes nothing good
			if got, want := floods(), min(1, (n+1)/10); got != want {
				t.Fatalf("%d events after %d wrong passwords", got, n+1)
			}
		}
		w.now.Advance(15 * time.Minute)
		for n := range 10 {
			try(100 + n)
		}
		if got := floods(); got != 2 {
			t.Errorf("%d events after another window", got)
		}
	}, func(_ *tenant.Settings, l *signin.Limits) { l.Flood = 10 })
}

func TestThreat_PW04_OneBudgetForAllSpellings(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.user(t, "jos\u00e9@b\u00fccher.example")
		for _, names := range [][]string{
			{"jos\u00e9@b\u00fccher.example", "JOSE\u0301@B\u00dcCHER.example.", " jos\u00e9@xn--bcher-kva.example", "Jos\u00c9@XN--BCHER-KVA.example.", "jose\u0301@bu\u0308cher.EXAMPLE"},
			{"nobody@example.com", "Nobody@example.com", "NOBODY@EXAMPLE.COM.", "\tnobody@example.com", "nobody@Example.com "},
			{"admin", "Admin", "ADMIN ", " aDMIN", "\u0041dmin"},
		} {
			for _, name := range names {
				if _, err := w.try(name, "wrong-password", signin.From{Address: home}); !errors.Is(err, signin.ErrBadCredentials) {
					t.Errorf("Password(%q) = %v", name, err)
				}
			}
			for _, name := range names {
				if _, err := w.try(name, password, signin.From{Address: home}); !fault.Is(err, fault.Limited) {
					t.Errorf("the sixth try, as %q = %v", name, err)
				}
			}
		}
	})
}

// strangers are all the accounts that a password does not open.
func (w *world) strangers(t *testing.T) map[string]string {
	t.Helper()
	w.user(t, "known@example.com")
	blocked := w.user(t, "blocked@example.com")
	if err := w.Block(bg, w.tn, blocked.ID, audit.System()); err != nil {
		t.Fatal(err)
	}
	if _, err := w.people.Create(bg, w.tn, people.NewUser{Email: "passwordless@example.com"}, "", audit.System()); err != nil {
		t.Fatal(err)
	}
	return map[string]string{"known@example.com": "wrong-password", "blocked@example.com": password, "passwordless@example.com": password, "unknown@example.com": password, "no address": password}
}

// The same answer, the same hashes and the same writes, whoever is asked about.
func TestThreat_PW05_PW06_SignInTellsNothing(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		var want string
		for login, guess := range w.strangers(t) {
			got := ""
			for range 7 {
				rows, hashes := w.rows(t), w.people.Hasher.Hashes()
				_, err := w.try(login, guess, signin.From{Address: home})
				got += fmt.Sprintf("%v, %d hashes, wrote %v\n", err, w.people.Hasher.Hashes()-hashes, difference(rows, w.rows(t)))
			}
			// The network's own counter goes on from one name to the next.
			write(t, w, func(tx *db.Tx) error { _, err := tx.Exec(`DELETE FROM failures WHERE tenant_id = $1`); return err })
			if want == "" {
				want = got
			}
			if got != want {
				t.Errorf("%s is told apart:\n%s\nothers:\n%s", login, got, want)
			}
		}
		if strings.Count(want, "1 hashes") != 5 || strings.Count(want, "0 hashes") != 2 {
			t.Errorf("%s", want)
		}
	})
}

func difference(before, after map[string]int) []string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(after)) {
		if n := after[k] - before[k]; n != 0 {
			out = append(out, fmt.Sprintf("%s %+d", k, n))
		}
	}
	return out
}

func TestThreat_PW05_PW06_SignUpAndResetTellNothing(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for name, start := range map[string]func(email string) (string, error){
			"sign-up": func(email string) (string, error) {
				return w.StartSignUp(bg, w.tn, signin.SignUp{Email: email, Password: another}, signin.From{Address: home, Browser: "b"})
			},
			"reset": func(email string) (string, error) {
				return w.StartReset(bg, w.tn, email, signin.From{Address: home, Browser: "b"})
			},
		} {
			var want string
			for email := range w.strangersOnce(t) {
				if email == "no address" {
					continue
				}
				rows, hashes := w.rows(t), w.people.Hasher.Hashes()
				challengeID, err := start(email)
				got := fmt.Sprintf("%d, %v, %d hashes, wrote %v\n", len(challengeID), err, w.people.Hasher.Hashes()-hashes, difference(rows, w.rows(t)))
				for _, answer := range []string{"000000", "", "999999", "123456", "111111", "222222"} {
					rows = w.rows(t)
					hashes = w.people.Hasher.Hashes()
					if name == "reset" {
						_, err = w.FinishReset(bg, w.tn, signin.Answer{ChallengeID: challengeID, Code: answer}, another, signin.From{Address: home, Browser: "b"})
					} else {
						_, err = w.FinishSignUp(bg, w.tn, signin.Answer{ChallengeID: challengeID, Code: answer}, signin.From{Address: home, Browser: "b"})
					}
					got += fmt.Sprintf("%v, %d hashes, wrote %v\n", err, w.people.Hasher.Hashes()-hashes, difference(rows, w.rows(t)))
				}
				write(t, w, func(tx *db.Tx) error { _, err := tx.Exec(`DELETE FROM failures WHERE tenant_id = $1`); return err })
				if want == "" {
					want = got
				}
				if got != want {
					t.Errorf("%s: %s is told apart:\n%s\nothers:\n%s", name, email, got, want)
				}
			}
			if !strings.Contains(want, "mails +1") || !strings.Contains(want, "challenges +1") {
				t.Errorf("%s: %s", name, want)
			}
		}
		if subjects, _ := w.letters(t, "unknown@example.com"); len(subjects) != 1 {
			t.Errorf("letters to a stranger: %v; want the sign-up code alone", subjects)
		}
		if subjects, _ := w.letters(t, "blocked@example.com"); len(subjects) != 1 {
			t.Errorf("letters to a blocked user: %v; want the one about the account alone", subjects)
		}
	})
}

func (w *world) strangersOnce(t *testing.T) map[string]string {
	t.Helper()
	if _, err := w.people.ByLogin(bg, w.tn, "known@example.com"); err == nil {
		return map[string]string{"known@example.com": "", "blocked@example.com": "", "passwordless@example.com": "", "unknown@example.com": ""}
	}
	return w.strangers(t)
}

func TestThreat_PW08_LongPasswordsAreNotHashed(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.user(t, "ada@example.com")
		before, rows := w.people.Hasher.Hashes(), w.rows(t)
		huge := strings.Repeat("a", 10<<20)
		for _, login := range []string{"ada@example.com", "nobody@example.com"} {
			if _, err := w.try(login, huge, signin.From{Address: home}); !errors.Is(err, signin.ErrBadCredentials) {
				t.Errorf("Password = %v", err)
			}
		}
		if _, err := w.StartSignUp(bg, w.tn, signin.SignUp{Email: "bob@example.com", Password: huge}, signin.From{Address: home}); !fault.Is(err, fault.Invalid) {
			t.Errorf("StartSignUp = %v", err)
		}
		if n := w.people.Hasher.Hashes() - before; n != 0 || difference(rows, w.rows(t)) != nil {
			t.Errorf("%d hashes, wrote %v", n, difference(rows, w.rows(t)))
		}
	})
}

// leaver is a caller who hangs up as soon as a password has been hashed.
type leaver struct {
	context.Context
	gone func() bool
}

// Err implements context.Context.
func (l leaver) Err() error {
	if l.gone() {
		return context.Canceled
	}
	return nil
}

// Done implements context.Context.
func (l leaver) Done() <-chan struct{} {
	done := make(chan struct{})
	if l.gone() {
		close(done)
	}
	return done
}

// Hashing is what costs, and it is counted, whether or not somebody waits for what comes of it.
func TestThreat_PW08_HangingUpIsNoWayAroundTheLimits(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.user(t, "ada@example.com")
		leave := func() context.Context {
			before := w.people.Hasher.Hashes()
			return leaver{bg, func() bool { return w.people.Hasher.Hashes() > before }}
		}
		from := signin.From{Address: home, Browser: "b"}
		reset, err := w.StartReset(bg, w.tn, "ada@example.com", from)
		if err != nil {
			t.Fatal(err)
		}
		_, code := w.letters(t, "ada@example.com")
		for range 5 {
			_, _ = w.Password(leave(), w.tn, signin.Credentials{Login: "ada@example.com", Password: "wrong-password"}, from)
			_, _ = w.StartSignUp(leave(), w.tn, signin.SignUp{Email: "bob@example.com", Password: another}, from)
			_, _ = w.FinishReset(leave(), w.tn, signin.Answer{ChallengeID: reset, Code: "x"}, another, from)
		}
		if _, err := w.try("ada@example.com", password, from); !fault.Is(err, fault.Limited) {
			t.Errorf("sign-in after five wrong passwords: %v", err)
		}
		if _, err := w.StartSignUp(bg, w.tn, signin.SignUp{Email: "bob@example.com", Password: another}, from); !fault.Is(err, fault.Limited) {
			t.Errorf("sign-up after five: %v", err)
		}
		if _, err := w.FinishReset(bg, w.tn, signin.Answer{ChallengeID: reset, Code: code}, another, from); !errors.Is(err, people.ErrCode) {
			t.Errorf("a new password after five wrong codes: %v", err)
		}
	})
}

// A link is good for one password, and not for as many hashes as its holder can hang up on.
func TestThreat_PW08_HangingUpSpendsALink(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		u := w.user(t, "ada@example.com")
		from := signin.From{Address: home, Browser: "b"}
		var token string
		if _, err := w.IssuePasswordLink(bg, w.tn, signin.Link{UserID: u.ID, URL: func(s string) string { token = s; return s }}, audit.System()); err != nil {
			t.Fatal(err)
		}
		before := w.people.Hasher.Hashes()
		for range 5 {
			asked := w.people.Hasher.Hashes()
			_, _ = w.UsePasswordLink(leaver{bg, func() bool { return w.people.Hasher.Hashes() > asked }}, w.tn, token, another, from)
		}
		if hashes := w.people.Hasher.Hashes() - before; hashes != 1 {
			t.Errorf("%d hashes for one link", hashes)
		}
		if r, err := w.try("ada@example.com", another, from); err != nil || r == nil {
			t.Errorf("the password that was set: %v", err)
		}
	})
}

func TestThreat_EM07_MailIsLimited(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.user(t, "known@example.com")
		start := func(email string, from netip.Addr) error {
			_, err := w.StartReset(bg, w.tn, email, signin.From{Address: from, Browser: "b"})
			return err
		}
		v4 := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}) }
		var refusals []string
		for _, email := range []string{"known@example.com", "unknown@example.com"} {
			for i := range 3 {
				if err := start(email, v4(i)); err != nil {
					t.Fatal(err)
				}
			}
			err := start(strings.ToUpper(email)+".", v4(9))
			if !fault.Is(err, fault.Limited) {
				t.Errorf("the fourth mail to %s = %v", email, err)
			}
			refusals = append(refusals, fmt.Sprint(fault.MessageOf(err), retryAfter(err)))
			if _, err := w.StartSignUp(bg, w.tn, signin.SignUp{Email: email, Password: another}, signin.From{Address: v4(9)}); !fault.Is(err, fault.Limited) {
				t.Errorf("sign-up with %s = %v", email, err)
			}
		}
		if refusals[0] != refusals[1] {
			t.Errorf("refusals differ: %q", refusals)
		}
		w.now.Advance(time.Hour)
		if err := start("known@example.com", v4(1)); err != nil {
			t.Errorf("an hour later: %v", err)
		}
		sent := 0
		for i := range 20 {
			if err := start(fmt.Sprintf("user%d@example.com", i), away); err == nil {
				sent++
			} else if !fault.Is(err, fault.Limited) {
				t.Fatal(err)
			}
		}
		if sent != 10 {
			t.Errorf("%d mails for one network; want 10", sent)
		}
	})
}

// Strangers who have codes mailed to somebody, or to everybody, do not keep the owner from one in a browser
// they have signed in with. That has a budget, too, which a new password ends.
func TestThreat_PW02_StrangersKeepNobodyFromACode(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.user(t, "ada@example.com")
		w.user(t, "eve@example.com")
		device := w.signIn(t, "ada@example.com", signin.From{Address: home, Browser: "ada's"}).Device
		stranger := w.signIn(t, "eve@example.com", signin.From{Address: away, Browser: "eve's"}).Device
		start := func(address netip.Addr, browser, device string) error {
			_, err := w.StartReset(bg, w.tn, "ada@example.com", signin.From{Address: address, Browser: browser, Device: device})
			return err
		}
		for i := range 20 {
			start(netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}), "x", "")
			w.StartReset(bg, w.tn, fmt.Sprintf("user%d@example.com", i), signin.From{Address: netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}), Browser: "x"})
		}
		for name, device := range map[string]string{"without a device": "", "a device that knows somebody else": stranger, "a made-up device": device + "x"} {
			if err := start(home, "ada's", device); !fault.Is(err, fault.Limited) {
				t.Errorf("%s: %v", name, err)
			}
		}
		for range 3 {
			if err := start(home, "ada's", device); err != nil {
				t.Errorf("the owner: %v", err)
			}
		}
		if err := start(home, "ada's", device); !fault.Is(err, fault.Limited) {
			t.Errorf("a fourth code for the device: %v", err)
		}
	}, func(_ *tenant.Settings, l *signin.Limits) { l.MailsDay = 20 })
}

// Who owns a /48 has 65,536 networks, and no more mail sent for that.
func TestThreat_EM07_HoppingIsNoWayToMail(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		sent, devices := 0, 0
		for i := range 200 {
			from := signin.From{Browser: "b", Address: netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 0xaa, 0xaa, 0, byte(i), 15: 1})}
			if _, err := w.StartReset(bg, w.tn, fmt.Sprintf("user%d@example.com", i), from); err == nil {
				sent++
			} else if !fault.Is(err, fault.Limited) {
				t.Fatal(err)
			}
			err := w.tn.DB.Write(bg, func(tx *db.Tx) error { return w.TakeDeviceRequest(tx, "client", from) })
			if err == nil {
				devices++
			} else if !fault.Is(err, fault.Limited) {
				t.Fatal(err)
			}
		}
		if sent != 50 || devices != 100 {
			t.Errorf("%d mails and %d device codes for one /48; want 50 and 100", sent, devices)
		}
	})
}

func TestThreat_EM07_MailIsLimitedForAllTogether(t *testing.T) {
	two(t, func(t *testing.T, w *world) {
		var sent atomic.Int64
		race(64, func(i int) {
			n := w.on(i)
			_, err := n.StartReset(bg, n.tn, fmt.Sprintf("user%d@example.com", i), signin.From{Address: netip.AddrFrom4([4]byte{203, 0, 113, byte(i)})})
			if err == nil {
				sent.Add(1)
			} else if !fault.Is(err, fault.Limited) {
				t.Error(err)
			}
		})
		if sent.Load() != 20 {
			t.Errorf("%d mails in a day; want 20", sent.Load())
		}
	}, func(_ *tenant.Settings, l *signin.Limits) { l.MailsDay = 20 })
}

func TestThreat_HT02_NetworksAreCounted(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.user(t, "ada@example.com")
		for _, addresses := range [][]string{
			{"192.0.2.1", "::ffff:192.0.2.1", "192.0.2.1", "::ffff:c000:201", "192.0.2.1", "::ffff:192.0.2.1"},
			{"2001:db8:1:2::1", "2001:db8:1:2::2", "2001:db8:1:2:ffff::1", "2001:db8:1:2:a:b:c:d", "2001:db8:1:2::1%eth0", "2001:db8:1:2::3"},
		} {
			for i, a := range addresses {
				_, err := w.try("ada@example.com", "wrong-password", signin.From{Address: netip.MustParseAddr(a)})
				if limited := fault.Is(err, fault.Limited); limited != (i == 5) {
					t.Errorf("try %d, from %s = %v", i+1, a, err)
				}
			}
		}
		for _, a := range []string{"192.0.2.2", "2001:db8:1:3::1"} {
			if _, err := w.try("ada@example.com", "wrong-password", signin.From{Address: netip.MustParseAddr(a)}); !errors.Is(err, signin.ErrBadCredentials) {
				t.Errorf("from the neighbour %s = %v", a, err)
			}
		}
		// Hopping between the networks of a /48 does not help to spray.
		revealed := 0
		for i := range 200 {
			from := signin.From{Address: netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 0xaa, 0xaa, 0, byte(i), 15: 1})}
			if _, err := w.try(fmt.Sprintf("user%d@example.com", i), "wrong-password", from); errors.Is(err, signin.ErrBadCredentials) {
				revealed++
			}
		}
		if revealed != 100 {
			t.Errorf("%d answers revealed to one /48; want 100", revealed)
		}
		// Without an address everybody is one network.
		for range 5 {
			w.try("bob@example.com", "wrong-password", signin.From{})
		}
		if _, err := w.try("bob@example.com", "wrong-password", signin.From{}); !fault.Is(err, fault.Limited) {
			t.Errorf("without an address = %v", err)
		}
	})
}

// Whoever signs in again and again, from one network after the other, types no more wrong codes for it.
func TestThreat_DV01_NewSessionsAndNetworksAreNoNewTries(t *testing.T) {
	two(t, func(t *testing.T, w *world) {
		unknown := errors.New("no such code")
		wrong := func(userID string, i int) error {
			session := &signin.Session{SID: fmt.Sprint(userID, "'s session ", i/5), UserID: userID}
			from := signin.From{Address: netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, byte(i), 15: 1})}
			return w.on(i).TryUserCode(bg, w.tn, session, from, func() error { return unknown })
		}
		answered := 0
		for i := range 100 {
			switch err := wrong("eve", i); {
			case errors.Is(err, unknown):
				answered++
			case !fault.Is(err, fault.Limited):
				t.Fatal(err)
			}
		}
		if answered != 20 {
			t.Errorf("%d wrong codes were answered, want 20", answered)
		}
		if err := wrong("ada", 0); !errors.Is(err, unknown) {
			t.Errorf("somebody else, from the same network: %v", err)
		}
		w.now.Advance(time.Hour)
		if err := wrong("eve", 0); !errors.Is(err, unknown) {
			t.Errorf("an hour later: %v", err)
		}
	})
}

func TestSweep(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.user(t, "ada@example.com")
		r := w.signIn(t, "ada@example.com", signin.From{Address: home})
		w.try("ada@example.com", "wrong-password", signin.From{Address: home})
		if n, err := w.Sweep(bg, w.d); err != nil || n != 0 || !w.alive(t, r.Cookie) {
			t.Errorf("Sweep of what is alive = %d, %v", n, err)
		}
		w.now.Advance(366 * 24 * time.Hour)
		if n, err := w.Sweep(bg, w.d); err != nil || n != 4 {
			t.Errorf("Sweep = %d, %v; want three counters and a session", n, err)
		}
		if ended := w.grants.take(); ended != nil {
			t.Errorf("a session that expired ended %v", ended)
		}
	})
}
