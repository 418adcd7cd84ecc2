package signin_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
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

// errBusy is what a serialization conflict that outlived its retries looks like.
var errBusy = db.ErrBusy

var mine = signin.From{Address: home, Browser: "my-browser"}

func (w *world) startSignUp(t *testing.T, email string, from signin.From) string {
	t.Helper()
	challengeID, err := w.StartSignUp(bg, w.tn, signin.SignUp{Email: email, Password: password, Profile: people.Profile{Name: "Ada"}}, from)
	if err != nil {
		t.Fatal(err)
	}
	return challengeID
}

func TestSignUp(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		challengeID := w.startSignUp(t, "Ada@Example.com", mine)
		if _, err := w.people.ByLogin(bg, w.tn, "ada@example.com"); !fault.Is(err, fault.NotFound) {
			t.Errorf("before the code is typed there is %v", err)
		}
		subjects, code := w.letters(t, "Ada@example.com")
		if len(subjects) != 1 || code == "" {
			t.Fatalf("letters %v, code %q", subjects, code)
		}
		elsewhere := signin.From{Address: home, Browser: "another-browser"}
		if _, err := w.FinishSignUp(bg, w.tn, signin.Answer{ChallengeID: challengeID, Code: code}, elsewhere); !errors.Is(err, people.ErrCode) {
			t.Errorf("the code in another browser = %v", err)
		}
		r, err := w.FinishSignUp(bg, w.tn, signin.Answer{ChallengeID: challengeID, Code: code}, mine)
		if err != nil {
			t.Fatal(err)
		}
		if !r.User.EmailVerified || r.User.Name != "Ada" || r.User.LoginsCount != 1 || !w.alive(t, r.Cookie) {
			t.Errorf("result %+v, user %+v", r, r.User)
		}
		stored, err := w.people.ByID(bg, w.tn, r.User.ID)
		if err != nil || !stored.EmailVerified || stored.LoginsCount != 1 || stored.Email != "Ada@example.com" {
			t.Errorf("stored %+v, %v", stored, err)
		}
		var n int
		if err := w.tn.DB.QueryRow(bg, `SELECT COUNT(*) FROM user_permissions WHERE tenant_id = $1 AND user_id = $2`, r.User.ID).Scan(&n); err != nil || n != 1 {
			t.Errorf("%d permissions, %v", n, err)
		}
		if got := w.events(t, r.User.ID); !slices.Equal(got, []audit.Type{audit.SignInSucceeded, audit.SignUpSucceeded}) {
			t.Errorf("events %v", got)
		}
		if _, err := w.FinishSignUp(bg, w.tn, signin.Answer{ChallengeID: challengeID, Code: code}, mine); !errors.Is(err, people.ErrCode) {
			t.Errorf("the code again = %v", err)
		}
		w.signIn(t, "ada@example.com", signin.From{Address: away, Device: r.Device})

		// Once more with the same address: a letter to its owner, and a code that nothing answers.
		challengeID = w.startSignUp(t, "ada@example.com", elsewhere)
		subjects, code = w.letters(t, "Ada@example.com")
		if len(subjects) != 2 || code != "" || !strings.Contains(subjects[0], "already") {
			t.Errorf("letters %v, code %q", subjects, code)
		}
		if _, err := w.FinishSignUp(bg, w.tn, signin.Answer{ChallengeID: challengeID, Code: "000000"}, elsewhere); !errors.Is(err, people.ErrCode) {
			t.Errorf("a code for a taken address = %v", err)
		}
	})
}

func TestSignUpRefuses(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for name, c := range map[string]struct {
			u     signin.SignUp
			field string
		}{
			"two addresses":       {signin.SignUp{Email: "a@x.com,b@y.com", Password: password}, "email"},
			"a short password":    {signin.SignUp{Email: "ada@example.com", Password: "short"}, "password"},
			"a common one":        {signin.SignUp{Email: "ada@example.com", Password: "password1234"}, "password"},
			"the address":         {signin.SignUp{Email: "ada.lovelace@example.com", Password: "ada.lovelace"}, "password"},
			"an escaping name":    {signin.SignUp{Email: "ada@example.com", Password: password, Profile: people.Profile{Name: "\x1b[2J"}}, "name"},
			"a picture of script": {signin.SignUp{Email: "ada@example.com", Password: password, Profile: people.Profile{Picture: "javascript:x"}}, "picture"},
		} {
			_, err := w.StartSignUp(bg, w.tn, c.u, mine)
			if e, ok := errors.AsType[*fault.Error](err); !ok || e.Code != fault.Invalid || e.Field != c.field {
				t.Errorf("%s: %v", name, err)
			}
		}
		closed := *w.tn
		closed.Settings.NoSignUp = true
		if _, err := w.StartSignUp(bg, &closed, signin.SignUp{Email: "ada@example.com", Password: password}, mine); !fault.Is(err, fault.NotFound) {
			t.Errorf("where sign-up is closed: %v", err)
		}
	})
}

func TestResendReplacesTheCode(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.user(t, "taken@example.com")
		first := w.startSignUp(t, "ada@example.com", mine)
		_, oldCode := w.letters(t, "ada@example.com")
		if _, err := w.ResendSignUp(bg, w.tn, first, signin.From{Address: home, Browser: "another"}); !errors.Is(err, people.ErrCode) {
			t.Errorf("resend from another browser = %v", err)
		}
		for range 5 {
			w.FinishSignUp(bg, w.tn, signin.Answer{ChallengeID: first, Code: "x"}, mine)
		}
		second, err := w.ResendSignUp(bg, w.tn, first, mine)
		if err != nil {
			t.Fatal(err)
		}
		_, newCode := w.letters(t, "ada@example.com")
		if _, err := w.FinishSignUp(bg, w.tn, signin.Answer{ChallengeID: first, Code: oldCode}, mine); !errors.Is(err, people.ErrCode) {
			t.Errorf("the old code = %v", err)
		}
		if _, err := w.FinishSignUp(bg, w.tn, signin.Answer{ChallengeID: second, Code: newCode}, mine); err != nil {
			t.Errorf("the new code = %v", err)
		}
		taken := w.startSignUp(t, "taken@example.com", mine)
		if again, err := w.ResendSignUp(bg, w.tn, taken, mine); err != nil || again == taken {
			t.Errorf("resend for a taken address = %q, %v", again, err)
		}
		reset, err := w.StartReset(bg, w.tn, "taken@example.com", mine)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.ResendReset(bg, w.tn, reset, mine); !fault.Is(err, fault.Limited) {
			t.Errorf("the fourth letter to one address = %v", err)
		}
	})
}

func TestThreat_EM02_OneAccountOfManyAnswers(t *testing.T) {
	two(t, func(t *testing.T, w *world) {
		// Two browsers sign up with one address, and both type their codes many times at once.
		browsers := []signin.From{{Address: home, Browser: "one"}, {Address: away, Browser: "two"}}
		var answers []signin.Answer
		for _, from := range browsers {
			challengeID := w.startSignUp(t, "ada@example.com", from)
			_, code := w.letters(t, "ada@example.com")
			answers = append(answers, signin.Answer{ChallengeID: challengeID, Code: code})
			w.now.Advance(time.Second)
		}
		var won atomic.Int64
		race(64, func(i int) {
			n, who := w.on(i), i/2%2
			switch _, err := n.FinishSignUp(bg, n.tn, answers[who], browsers[who]); {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, people.ErrCode):
				t.Error(err)
			}
		})
		_, total, err := w.people.List(bg, w.tn, people.Query{})
		if err != nil || won.Load() != 1 || total != 1 || w.rows(t)["sessions"] != 1 {
			t.Errorf("%d won, %d users, %d sessions, %v", won.Load(), total, w.rows(t)["sessions"], err)
		}
	})
}

func TestReset(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		u := w.user(t, "ada@example.com")
		one, two := w.signIn(t, "ada@example.com", signin.From{Address: home}), w.signIn(t, "ada@example.com", signin.From{Address: away})
		link := ""
		if _, err := w.IssuePasswordLink(bg, w.tn, signin.Link{UserID: u.ID, URL: func(token string) string { link = token; return token }}, audit.System()); err != nil {
			t.Fatal(err)
		}
		thiefs := signin.From{Address: away, Browser: "thief"}
		theirs, err := w.StartReset(bg, w.tn, "ada@example.com", thiefs)
		if err != nil {
			t.Fatal(err)
		}
		_, theirCode := w.letters(t, "ada@example.com")
		challengeID, err := w.StartReset(bg, w.tn, "ADA@example.com", mine)
		if err != nil {
			t.Fatal(err)
		}
		_, code := w.letters(t, "ada@example.com")
		answer := signin.Answer{ChallengeID: challengeID, Code: code}
		for _, bad := range []string{"short", "password1234", "ada@example.com"} {
			if _, err := w.FinishReset(bg, w.tn, answer, bad, mine); !fault.Is(err, fault.Invalid) || errors.Is(err, people.ErrCode) {
				t.Errorf("with the password %q: %v", bad, err)
			}
		}
		if _, err := w.FinishReset(bg, w.tn, answer, another, thiefs); !errors.Is(err, people.ErrCode) {
			t.Errorf("in another browser: %v", err)
		}
		if _, err := w.FinishReset(bg, w.tn, signin.Answer{ChallengeID: challengeID, Code: "x"}, another, mine); !errors.Is(err, people.ErrCode) {
			t.Errorf("with a wrong code: %v", err)
		}
		w.grants.take()
		device, err := w.FinishReset(bg, w.tn, answer, another, mine)
		if err != nil {
			t.Fatal(err)
		}
		if w.alive(t, one.Cookie) || w.alive(t, two.Cookie) || w.rows(t)["sessions"] != 0 {
			t.Error("sessions live on, or one was begun")
		}
		if got := w.grants.take(); !slices.Equal(got, []string{"user " + u.ID + " password_changed"}) {
			t.Errorf("ended %v", got)
		}
		if subjects, _ := w.letters(t, "ada@example.com"); !strings.Contains(subjects[0], "was changed") {
			t.Errorf("letters %v", subjects)
		}
		if _, err := w.FinishReset(bg, w.tn, answer, password, mine); !errors.Is(err, people.ErrCode) {
			t.Errorf("the code again: %v", err)
		}
		if _, err := w.FinishReset(bg, w.tn, signin.Answer{ChallengeID: theirs, Code: theirCode}, password, thiefs); !errors.Is(err, people.ErrCode) {
			t.Errorf("another live code: %v", err)
		}
		if _, err := w.LinkUser(bg, w.tn, link); !errors.Is(err, people.ErrTicket) {
			t.Errorf("a live link: %v", err)
		}
		if _, err := w.try("ada@example.com", password, signin.From{Address: home, Device: device}); !errors.Is(err, signin.ErrBadCredentials) {
			t.Errorf("the old password: %v", err)
		}
		r, err := w.try("ada@example.com", another, signin.From{Address: home, Device: device})
		if err != nil || !r.User.EmailVerified {
			t.Errorf("the new password: %+v, %v", r, err)
		}
	})
}

func TestThreat_EM08_ResetRevivesNobody(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		u := w.user(t, "ada@example.com")
		challengeID, err := w.StartReset(bg, w.tn, "ada@example.com", mine)
		if err != nil {
			t.Fatal(err)
		}
		_, code := w.letters(t, "ada@example.com")
		token := ""
		if err := w.Block(bg, w.tn, u.ID, audit.System()); err != nil {
			t.Fatal(err)
		}
		if _, err := w.IssuePasswordLink(bg, w.tn, signin.Link{UserID: u.ID, URL: func(s string) string { token = s; return s }}, audit.System()); err != nil {
			t.Fatal(err)
		}
		if _, err := w.FinishReset(bg, w.tn, signin.Answer{ChallengeID: challengeID, Code: code}, another, mine); !errors.Is(err, people.ErrCode) {
			t.Errorf("reset of a blocked account: %v", err)
		}
		if _, err := w.UsePasswordLink(bg, w.tn, token, another, mine); err != nil {
			t.Errorf("link of a blocked account: %v", err)
		}
		for _, p := range []string{password, another} {
			if _, err := w.try("ada@example.com", p, signin.From{Address: home}); !errors.Is(err, signin.ErrBadCredentials) {
				t.Errorf("sign-in to a blocked account: %v", err)
			}
		}
		if err := w.Unblock(bg, w.tn, u.ID, audit.System()); err != nil {
			t.Fatal(err)
		}
		if _, err := w.try("ada@example.com", another, signin.From{Address: home}); err != nil {
			t.Errorf("after the block: %v", err)
		}
	})
}

func TestThreat_PW10_ChangeNeedsCurrentPasswordAndFreshSignIn(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		u := w.user(t, "ada@example.com")
		other := w.signIn(t, "ada@example.com", signin.From{Address: away})
		r := w.signIn(t, "ada@example.com", signin.From{Address: home})
		from := signin.From{Address: home, Session: r.Cookie, Device: r.Device}
		if _, err := w.ChangePassword(bg, w.tn, r.Session, "wrong-password", another, from); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "current_password") {
			t.Errorf("with a wrong current password: %v", err)
		}
		if _, err := w.ChangePassword(bg, w.tn, r.Session, password, "password1234", from); !fault.Is(err, fault.Invalid) {
			t.Errorf("to a common password: %v", err)
		}
		w.now.Advance(15*time.Minute + time.Second)
		if _, err := w.ChangePassword(bg, w.tn, r.Session, password, another, from); !errors.Is(err, signin.ErrStale) {
			t.Errorf("with a stale sign-in: %v", err)
		}
		r = w.signIn(t, "ada@example.com", from)
		from.Session = r.Cookie
		w.grants.take()
		changed, err := w.ChangePassword(bg, w.tn, r.Session, password, another, from)
		if err != nil {
			t.Fatal(err)
		}
		if w.alive(t, other.Cookie) || w.alive(t, r.Cookie) || !w.alive(t, changed.Cookie) {
			t.Error("other sessions survive, or the own one does not")
		}
		if got := w.grants.take(); !slices.Equal(got, []string{"user " + u.ID + " password_changed"}) {
			t.Errorf("ended %v", got)
		}
		if subjects, _ := w.letters(t, "ada@example.com"); len(subjects) != 1 || !strings.Contains(subjects[0], "was changed") {
			t.Errorf("letters %v", subjects)
		}
		if !slices.Contains(w.events(t, u.ID), audit.PasswordChanged) {
			t.Error("nothing in the record")
		}
		// Guessing the current password is guessing.
		for range 5 {
			w.ChangePassword(bg, w.tn, changed.Session, "wrong-password", another+"!", signin.From{Address: home, Session: changed.Cookie})
		}
		if _, err := w.ChangePassword(bg, w.tn, changed.Session, another, another+"!", signin.From{Address: home, Session: changed.Cookie}); !fault.Is(err, fault.Limited) {
			t.Errorf("the sixth guess: %v", err)
		}
	})
}

func TestPasswordLink(t *testing.T) {
	two(t, func(t *testing.T, w *world) {
		u, err := w.people.Create(bg, w.tn, people.NewUser{Email: "ada@example.com"}, "", audit.System())
		if err != nil {
			t.Fatal(err)
		}
		url := func(token string) string { return "https://one.example.com/u/password-link?ticket=" + token }
		link, err := w.IssuePasswordLink(bg, w.tn, signin.Link{UserID: u.ID, URL: url, Mail: true}, audit.System())
		if err != nil {
			t.Fatal(err)
		}
		mails, err := w.inbox.List(bg, w.tn, "ada@example.com")
		if err != nil || len(mails) != 1 || !strings.Contains(mails[0].Text, link) || !strings.Contains(mails[0].Text, "7 days") {
			t.Errorf("letters %+v, %v", mails, err)
		}
		_, token, _ := strings.Cut(link, "ticket=")
		if got, err := w.LinkUser(bg, w.tn, token); err != nil || got.ID != u.ID {
			t.Errorf("LinkUser = %+v, %v", got, err)
		}
		if _, err := w.UsePasswordLink(bg, w.tn, token, "short", mine); !fault.Is(err, fault.Invalid) {
			t.Errorf("with a short password: %v", err)
		}
		var won atomic.Int64
		race(64, func(i int) {
			n := w.on(i)
			switch _, err := n.UsePasswordLink(bg, n.tn, token, another, mine); {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, people.ErrTicket):
				t.Error(err)
			}
		})
		if won.Load() != 1 {
			t.Errorf("the link worked %d times", won.Load())
		}
		if _, err := w.try("ada@example.com", another, mine); err != nil {
			t.Errorf("sign-in: %v", err)
		}
		if _, err := w.IssuePasswordLink(bg, w.tn, signin.Link{UserID: "nobody", URL: url}, audit.System()); !fault.Is(err, fault.NotFound) {
			t.Errorf("a link for nobody: %v", err)
		}
	})
}

func TestThreat_AD09_OneFirstAdministrator(t *testing.T) {
	two(t, func(t *testing.T, w *world) {
		create := func(n node, token, email string) (*signin.Result, error) {
			return n.CreateFirstAdmin(bg, n.tn, token, signin.SignUp{Email: email, Password: password}, mine)
		}
		if _, err := create(w.node, "guessed", "eve@example.com"); !errors.Is(err, people.ErrTicket) {
			t.Errorf("without a token: %v", err)
		}
		expired, err := w.IssueAdminTicket(bg, w.tn)
		if err != nil {
			t.Fatal(err)
		}
		w.now.Advance(time.Hour)
		if _, err := create(w.node, expired, "eve@example.com"); !errors.Is(err, people.ErrTicket) {
			t.Errorf("with an expired token: %v", err)
		}
		older, err := w.IssueAdminTicket(bg, w.tn)
		if err != nil {
			t.Fatal(err)
		}
		token, err := w.IssueAdminTicket(bg, w.tn)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := create(w.node, older, "eve@example.com"); !errors.Is(err, people.ErrTicket) {
			t.Errorf("with a replaced token: %v", err)
		}
		if _, err := w.CreateFirstAdmin(bg, w.tn, token, signin.SignUp{Email: "root@example.com", Password: "short"}, mine); !fault.Is(err, fault.Invalid) {
			t.Errorf("with a short password: %v", err)
		}
		// An administrator who came another way closes this one, to good tokens and to bad ones.
		if err := w.tn.DB.Write(bg, func(tx *db.Tx) error {
			return fakeAccess{w.tn.ManagementAudience()}.MakeAdministrator(tx, "somebody")
		}); err != nil {
			t.Fatal(err)
		}
		for _, token := range []string{token, "guessed"} {
			if _, err := create(w.node, token, "eve@example.com"); !fault.Is(err, fault.NotFound) {
				t.Errorf("beside an administrator: %v", err)
			}
		}
		if err := w.tn.DB.Write(bg, func(tx *db.Tx) error { return fakeAccess{}.WithdrawAll(tx, "somebody") }); err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		var made []*signin.Result
		race(64, func(i int) {
			r, err := create(w.on(i), token, "root"+string(rune('a'+i%26))+"@example.com")
			switch {
			case err == nil:
				mu.Lock()
				made = append(made, r)
				mu.Unlock()
			case !fault.Is(err, fault.NotFound) && !errors.Is(err, errBusy):
				t.Error(err)
			}
		})
		_, users, err := w.people.List(bg, w.tn, people.Query{})
		if err != nil || len(made) != 1 || users != 1 || !w.alive(t, made[0].Cookie) {
			t.Fatalf("%d administrators, %d users, %v", len(made), users, err)
		}
		if _, err := w.IssueAdminTicket(bg, w.tn); !fault.Is(err, fault.NotFound) {
			t.Errorf("another token: %v", err)
		}
		if _, err := create(w.node, token, "eve@example.com"); !fault.Is(err, fault.NotFound) {
			t.Errorf("the used token: %v", err)
		}
	})
}

// Two tokens that were issued at the same moment do not make two administrators.
func TestThreat_AD09_TwoTokensAtOnce(t *testing.T) {
	two(t, func(t *testing.T, w *world) {
		var mu sync.Mutex
		var tokens []string
		race(8, func(i int) {
			n := w.on(i)
			token, err := n.IssueAdminTicket(bg, n.tn)
			if errors.Is(err, errBusy) {
				return
			}
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			tokens = append(tokens, token)
		})
		var won atomic.Int64
		race(64, func(i int) {
			n := w.on(i)
			_, err := n.CreateFirstAdmin(bg, n.tn, tokens[i%len(tokens)], signin.SignUp{Email: "root" + string(rune('a'+i%26)) + "@example.com", Password: password}, mine)
			if err == nil {
				won.Add(1)
			} else if !fault.Is(err, fault.NotFound) && !errors.Is(err, people.ErrTicket) && !errors.Is(err, errBusy) {
				t.Error(err)
			}
		})
		if won.Load() != 1 {
			t.Errorf("%d administrators", won.Load())
		}
	})
}

func TestNoSettingOpensThePolicy(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		if _, err := w.StartSignUp(bg, w.tn, signin.SignUp{Email: "ada@example.com", Password: "nineteen-characters"}, mine); !fault.Is(err, fault.Invalid) {
			t.Errorf("under a longer minimum: %v", err)
		}
	}, func(s *tenant.Settings, _ *signin.Limits) { s.PasswordMinLength = 20 })
}
