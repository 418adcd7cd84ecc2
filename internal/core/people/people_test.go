package people_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-dev/gatehouse/internal/base/clock"
	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/db/dbtest"
	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/base/id"
	"github.com/gatehouse-dev/gatehouse/internal/base/seal"
	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
	"github.com/gatehouse-dev/gatehouse/internal/core/people"
	"github.com/gatehouse-dev/gatehouse/internal/core/schema"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/internal/proof"
)

var (
	noon = time.Date(2026, 11, 5, 12, 0, 0, 0, time.UTC)
	bg   = context.Background()
)

const password = "trombone-window-lamp"

// world is the subject on one database (or two handles of it) with a clock that stands still.
type world struct {
	*people.People
	other *people.People // the same on another node
	now   *clock.Virtual
	tn    *tenant.Tenant
	tn2   *tenant.Tenant // the same tenant on another node
	d     *db.DB
}

// update is Update as a verb of its own.
func (w world) update(userID string, patch people.Patch, by audit.Origin) (u *people.User, err error) {
	err = w.tn.DB.Write(bg, func(tx *db.Tx) error {
		if err := w.Lock(tx, userID); err != nil {
			return err
		}
		u, err = w.Update(tx, userID, patch, by)
		return err
	})
	return u, err
}

func newWorld(t *testing.T, a, b *db.DB) world {
	t.Helper()
	keys, err := seal.New([]seal.MasterKey{seal.NewMasterKey([32]byte{1})})
	if err != nil {
		t.Fatal(err)
	}
	now := clock.NewVirtual(noon)
	build := func() *people.People {
		return people.New(now, keys, people.NewHasher(people.HasherOptions{Params: people.Params{Memory: 8, Time: 1, Threads: 1}, Queue: 10_000, Wait: time.Minute}))
	}
	ensure := func(d *db.DB) *tenant.Tenant {
		tn, err := tenant.Ensure(bg, d, "one", "https://one.example.com/", tenant.Settings{Name: "TV Shows"}, noon)
		if err != nil {
			t.Fatal(err)
		}
		return tn
	}
	return world{build(), build(), now, ensure(a), ensure(b), a}
}

func each(t *testing.T, f func(t *testing.T, w world)) {
	dbtest.Each(t, schema.Files, func(t *testing.T, d *db.DB) { f(t, newWorld(t, d, d)) })
}

func two(t *testing.T, f func(t *testing.T, w world)) {
	dbtest.Two(t, schema.Files, func(t *testing.T, a, b *db.DB) { f(t, newWorld(t, a, b)) })
}

// on returns the subject and tenant of the node that caller i talks to.
func (w world) on(i int) (*people.People, *tenant.Tenant) {
	if i%2 == 1 {
		return w.other, w.tn2
	}
	return w.People, w.tn
}

func (w world) user(t *testing.T, email string) *people.User {
	t.Helper()
	u, err := w.Create(bg, w.tn, people.NewUser{Email: email}, password, audit.System())
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func write(t *testing.T, tn *tenant.Tenant, verb func(tx *db.Tx) error) {
	t.Helper()
	if err := tn.DB.Write(bg, verb); err != nil {
		t.Fatal(err)
	}
}

func ptr[T any](v T) *T { return &v }

func TestUserFromCreationToDeletion(t *testing.T) {
	each(t, func(t *testing.T, w world) {
		u, err := w.Create(bg, w.tn, people.NewUser{Email: "Ada@Example.com", Profile: people.Profile{Name: "Ada"}, UserMetadata: json.RawMessage(`{"a":1}`)}, password, audit.System())
		if err != nil {
			t.Fatal(err)
		}
		if u.ID == "" || u.Email != "Ada@example.com" || u.EmailVerified || !u.CreatedAt.Equal(noon) || string(u.AppMetadata) != "{}" {
			t.Errorf("created %+v", u)
		}
		got, err := w.ByID(bg, w.tn, u.ID)
		if err != nil || got.Name != "Ada" || string(got.UserMetadata) != `{"a":1}` || !got.CreatedAt.Equal(noon) || !got.LastLoginAt.IsZero() {
			t.Errorf("ByID = %+v, %v", got, err)
		}
		a, err := w.ByLogin(bg, w.tn, " ada@EXAMPLE.com. ")
		if err != nil || a.ID != u.ID || !a.PasswordChangedAt.Equal(noon) {
			t.Errorf("ByLogin = %+v, %v", a, err)
		}
		if ok, _, err := w.Hasher.Verify(bg, a.Hash, password); !ok || err != nil {
			t.Errorf("Verify = %v, %v", ok, err)
		}
		if _, err := w.Create(bg, w.tn, people.NewUser{Email: "ADA@example.com"}, password, audit.System()); !errors.Is(err, people.ErrTaken) {
			t.Errorf("second Create = %v; want ErrTaken", err)
		}
		if _, err := w.Create(bg, w.tn, people.NewUser{Email: "bob@example.com"}, "short", audit.System()); !fault.Is(err, fault.Invalid) {
			t.Errorf("Create with a short password = %v", err)
		}

		w.now.Advance(time.Hour)
		u, err = w.update(u.ID, people.Patch{
			Email: ptr("ada@example.org"), GivenName: ptr("Ada"),
			UserMetadata: map[string]json.RawMessage{"a": json.RawMessage("null"), "b": json.RawMessage("2")},
		}, audit.System())
		if err != nil || u.Email != "ada@example.org" || u.Name != "Ada" || u.GivenName != "Ada" || string(u.UserMetadata) != `{"b":2}` || !u.UpdatedAt.Equal(noon.Add(time.Hour)) {
			t.Errorf("Update = %+v, %v", u, err)
		}
		if _, err := w.ByLogin(bg, w.tn, "ada@example.com"); !fault.Is(err, fault.NotFound) {
			t.Errorf("ByLogin by the old address = %v", err)
		}
		if a, err := w.ByLogin(bg, w.tn, "ada@example.org"); err != nil || a.ID != u.ID || a.GivenName != "Ada" {
			t.Errorf("ByLogin by the new address = %+v, %v", a, err)
		}
		bob := w.user(t, "bob@example.com")
		if _, err := w.update(bob.ID, people.Patch{Email: ptr("Ada@example.org")}, audit.System()); !errors.Is(err, people.ErrTaken) {
			t.Errorf("Update to a taken address = %v", err)
		}
		for field, patch := range map[string]people.Patch{
			"email":   {Email: ptr("a@x,b@y")},
			"name":    {Name: ptr("Ada\x1b[2J")},
			"picture": {Picture: ptr("javascript:alert(1)")},
		} {
			if _, err := w.update(bob.ID, patch, audit.System()); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), field) {
				t.Errorf("Update of %s = %v", field, err)
			}
		}

		users, total, err := w.List(bg, w.tn, people.Query{})
		if err != nil || total != 2 || len(users) != 2 || users[0].ID != u.ID {
			t.Errorf("List = %+v, %d, %v", users, total, err)
		}
		users, total, err = w.List(bg, w.tn, people.Query{Offset: 1, Limit: 1})
		if err != nil || total != 2 || len(users) != 1 || users[0].ID != bob.ID {
			t.Errorf("second page = %+v, %d, %v", users, total, err)
		}
		users, total, err = w.List(bg, w.tn, people.Query{Email: "BOB@example.com"})
		if err != nil || total != 1 || len(users) != 1 || users[0].ID != bob.ID {
			t.Errorf("List of bob = %+v, %d, %v", users, total, err)
		}

		write(t, w.tn, func(tx *db.Tx) error { return w.Remove(tx, u.ID) })
		for _, table := range []string{"users", "identities", "passwords"} {
			var n int
			if err := w.tn.DB.QueryRow(bg, `SELECT COUNT(*) FROM `+table+` WHERE tenant_id = $1`).Scan(&n); err != nil || n != 1 {
				t.Errorf("%d rows in %s, %v; want bob's alone", n, table, err)
			}
		}
		for _, unknown := range []string{u.ID, "", "x\x00", "\xff", strings.Repeat("x", 1000)} {
			if _, err := w.ByID(bg, w.tn, unknown); !fault.Is(err, fault.NotFound) {
				t.Errorf("ByID(%.20q) = %v", unknown, err)
			}
			if _, err := w.ByLogin(bg, w.tn, unknown); !fault.Is(err, fault.NotFound) {
				t.Errorf("ByLogin(%.20q) = %v", unknown, err)
			}
		}
	})
}

func TestOneOfManySignUpsGetsTheAddress(t *testing.T) {
	two(t, func(t *testing.T, w world) {
		var won, taken atomic.Int64
		race(64, func(i int) {
			p, tn := w.on(i)
			switch _, err := p.Create(bg, tn, people.NewUser{Email: "ada@example.com"}, "", audit.System()); {
			case err == nil:
				won.Add(1)
			case errors.Is(err, people.ErrTaken):
				taken.Add(1)
			default:
				t.Error(err)
			}
		})
		_, total, err := w.List(bg, w.tn, people.Query{})
		if err != nil || won.Load() != 1 || taken.Load() != 63 || total != 1 {
			t.Errorf("%d won, %d were told it is taken, %d users, %v", won.Load(), taken.Load(), total, err)
		}
	})
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

func (w world) issue(t *testing.T, n people.NewChallenge) (challengeID, code string) {
	t.Helper()
	write(t, w.tn, func(tx *db.Tx) (err error) {
		challengeID, code, err = w.Issue(tx, n)
		return err
	})
	return challengeID, code
}

func answer(t *testing.T, p *people.People, tn *tenant.Tenant, purpose people.Purpose, challengeID, browser, code string) (c *people.Challenge, right bool) {
	t.Helper()
	if err := tn.DB.Write(bg, func(tx *db.Tx) (err error) {
		c, right, err = p.Answer(tx, purpose, challengeID, browser, code)
		return err
	}); err != nil {
		t.Error(err)
	}
	return c, right
}

func wrong(code string) string {
	if code[0] == '9' {
		return "0" + code[1:]
	}
	return string(code[0]+1) + code[1:]
}

func TestThreat_MF09_FiveTriesHoweverManyAtOnce(t *testing.T) {
	two(t, func(t *testing.T, w world) {
		for range proof.Times(20, 1000) {
			challenge := people.NewChallenge{Purpose: people.SignUp, Target: "ada@example.com", Browser: "browser", Payload: []byte("x")}
			challengeID, code := w.issue(t, challenge)
			var tried atomic.Int64
			race(64, func(i int) {
				p, tn := w.on(i)
				c, right := answer(t, p, tn, people.SignUp, challengeID, "browser", wrong(code))
				if right {
					t.Error("a wrong code was taken")
				}
				if c != nil {
					tried.Add(1)
				}
			})
			if tried.Load() != people.CodeTries {
				t.Errorf("%d codes were looked at; want %d", tried.Load(), people.CodeTries)
			}
			if c, right := answer(t, w.People, w.tn, people.SignUp, challengeID, "browser", code); right || c != nil {
				t.Error("the right code was taken after five wrong ones")
			}
			if c, err := w.Open(bg, w.tn, people.SignUp, challengeID, "browser"); err != nil || !c.Exhausted {
				t.Errorf("Open = %+v, %v", c, err)
			}
		}
	})
}

func TestThreat_MF09_CodesAreBound(t *testing.T) {
	each(t, func(t *testing.T, w world) {
		ada := people.NewChallenge{Purpose: people.SignUp, Target: "ada@example.com", Browser: "hers", Payload: []byte("ada")}
		eve := people.NewChallenge{Purpose: people.SignUp, Target: "eve@example.com", Browser: "eves", Payload: []byte("eve")}
		adaID, adaCode := w.issue(t, ada)
		eveID, eveCode := w.issue(t, eve)
		for adaCode == eveCode {
			eveID, eveCode = w.issue(t, eve)
		}
		for name, try := range map[string]func() (*people.Challenge, bool){
			"the code for another address": func() (*people.Challenge, bool) {
				return answer(t, w.People, w.tn, people.SignUp, adaID, "hers", eveCode)
			},
			"from another browser": func() (*people.Challenge, bool) {
				return answer(t, w.People, w.tn, people.SignUp, adaID, "eves", adaCode)
			},
			"for another purpose": func() (*people.Challenge, bool) {
				return answer(t, w.People, w.tn, people.PasswordReset, adaID, "hers", adaCode)
			},
			"no code": func() (*people.Challenge, bool) { return answer(t, w.People, w.tn, people.SignUp, adaID, "hers", "") },
			"a challenge that does not exist": func() (*people.Challenge, bool) {
				return answer(t, w.People, w.tn, people.SignUp, "x\x00", "hers", adaCode)
			},
		} {
			if _, right := try(); right {
				t.Errorf("%s was taken", name)
			}
		}
		if _, err := w.Open(bg, w.tn, people.SignUp, adaID, "eves"); !errors.Is(err, people.ErrCode) {
			t.Errorf("Open from another browser = %v", err)
		}
		w.now.Advance(people.CodeLifetime - time.Second)
		if c, right := answer(t, w.People, w.tn, people.SignUp, adaID, "hers", adaCode); !right || string(c.Payload) != "ada" || c.Target != "ada@example.com" {
			t.Errorf("the right code in time: %+v, %v", c, right)
		}
		w.now.Advance(time.Second)
		if _, right := answer(t, w.People, w.tn, people.SignUp, eveID, "eves", eveCode); right {
			t.Error("an expired code was taken")
		}
		doomedID, code := w.issue(t, people.NewChallenge{Purpose: people.SignUp, Target: "ada@example.com", Browser: "hers", Doomed: true})
		if c, right := answer(t, w.People, w.tn, people.SignUp, doomedID, "hers", code); right || c == nil {
			t.Errorf("a doomed challenge: %+v, %v", c, right)
		}
	})
}

func TestThreat_MF09_ThreeLiveCodesForOneAddress(t *testing.T) {
	each(t, func(t *testing.T, w world) {
		type issued struct{ id, browser, code string }
		var all []issued
		for _, browser := range []string{"a", "b", "c", "d", "e", "e"} {
			id, code := w.issue(t, people.NewChallenge{Purpose: people.SignUp, Target: "ada@example.com", Browser: browser})
			all = append(all, issued{id, browser, code})
			w.now.Advance(time.Second)
		}
		alive := ""
		for _, c := range all {
			if _, right := answer(t, w.People, w.tn, people.SignUp, c.id, c.browser, c.code); right {
				alive += c.browser
			}
		}
		if alive != "cde" { // of e's two, the newer replaced the older
			t.Errorf("codes of %q were alive; want those of cde", alive)
		}
	})
}

func TestThreat_EM02_CodesAndTicketsWorkOnce(t *testing.T) {
	two(t, func(t *testing.T, w world) {
		for range proof.Times(20, 1000) {
			challengeID, code := w.issue(t, people.NewChallenge{Purpose: people.SignUp, Target: "ada@example.com", Browser: "b", Payload: []byte("x")})
			var token string
			write(t, w.tn, func(tx *db.Tx) (err error) {
				token, err = w.IssueTicket(tx, people.PasswordLink, "ada", time.Hour)
				return err
			})
			var codes, tickets atomic.Int64
			race(64, func(i int) {
				p, tn := w.on(i)
				if i%4 < 2 {
					if _, right := answer(t, p, tn, people.SignUp, challengeID, "b", code); right {
						codes.Add(1)
					}
					return
				}
				err := tn.DB.Write(bg, func(tx *db.Tx) error {
					_, err := p.SpendTicket(tx, people.PasswordLink, token)
					return err
				})
				if err == nil {
					tickets.Add(1)
				} else if !errors.Is(err, people.ErrTicket) {
					t.Error(err)
				}
			})
			if codes.Load() != 1 || tickets.Load() != 1 {
				t.Fatalf("the code was taken %d times, the ticket %d times", codes.Load(), tickets.Load())
			}
		}
	})
}

func TestThreat_EM02_NewerOnesAndANewAddressEndTheRest(t *testing.T) {
	each(t, func(t *testing.T, w world) {
		u := w.user(t, "ada@example.com")
		issueTicket := func(purpose people.Purpose) (token string) {
			write(t, w.tn, func(tx *db.Tx) (err error) {
				token, err = w.IssueTicket(tx, purpose, u.ID, time.Hour)
				return err
			})
			return token
		}
		live := func(purpose people.Purpose, token string) bool {
			userID, err := w.TicketUser(bg, w.tn, purpose, token)
			if err != nil && !errors.Is(err, people.ErrTicket) {
				t.Fatal(err)
			}
			return err == nil && userID == u.ID
		}
		older, newer := issueTicket(people.PasswordLink), issueTicket(people.PasswordLink)
		if live(people.PasswordLink, older) || !live(people.PasswordLink, newer) {
			t.Error("a newer link did not end the older one")
		}
		reset := people.NewChallenge{Purpose: people.PasswordReset, Target: "ada@example.com", Browser: "b"}
		olderID, olderCode := w.issue(t, reset)
		newerID, newerCode := w.issue(t, reset)
		if _, right := answer(t, w.People, w.tn, people.PasswordReset, olderID, "b", olderCode); right {
			t.Error("a newer code did not end the older one")
		}
		if _, err := w.update(u.ID, people.Patch{Email: ptr("ada@example.org")}, audit.System()); err != nil {
			t.Fatal(err)
		}
		if _, right := answer(t, w.People, w.tn, people.PasswordReset, newerID, "b", newerCode); right {
			t.Error("a code to the old address lives on")
		}
		if live(people.PasswordLink, newer) {
			t.Error("a link to the old address lives on")
		}
		last := issueTicket(people.PasswordLink)
		w.now.Advance(time.Hour)
		if live(people.PasswordLink, last) {
			t.Error("an expired link is alive")
		}
		if n, err := w.Sweep(bg, w.d); err != nil || n == 0 {
			t.Errorf("Sweep = %d, %v", n, err)
		}
		if n, err := w.Sweep(bg, w.d); err != nil || n != 0 {
			t.Errorf("second Sweep = %d, %v", n, err)
		}
	})
}

func TestThreat_EM03_NoTicketServesAnotherPurpose(t *testing.T) {
	each(t, func(t *testing.T, w world) {
		purposes := []people.Purpose{people.SignUp, people.PasswordReset, people.PasswordLink, people.Administrator}
		for _, made := range purposes {
			for _, used := range purposes {
				var token string
				write(t, w.tn, func(tx *db.Tx) (err error) {
					token, err = w.IssueTicket(tx, made, "ada", time.Hour)
					return err
				})
				_, err := w.TicketUser(bg, w.tn, used, token)
				spend := w.tn.DB.Write(bg, func(tx *db.Tx) error {
					_, err := w.SpendTicket(tx, used, token)
					return err
				})
				if ok := made == used; (err == nil) != ok || (spend == nil) != ok {
					t.Errorf("a ticket for %s used for %s: %v, %v", made, used, err, spend)
				}
				challengeID, code := w.issue(t, people.NewChallenge{Purpose: made, Target: "ada@example.com", Browser: "b"})
				if _, right := answer(t, w.People, w.tn, used, challengeID, "b", code); right != (made == used) {
					t.Errorf("a code for %s used for %s: %v", made, used, right)
				}
			}
		}
	})
}

// Whoever reads the table cannot try a million codes against it, nor move a row to another purpose.
func TestCodesAreStoredUnderAKey(t *testing.T) {
	each(t, func(t *testing.T, w world) {
		challengeID, code := w.issue(t, people.NewChallenge{Purpose: people.SignUp, Target: "ada@example.com", Browser: "b", Payload: []byte("secret-payload")})
		var stored, payload []byte
		if err := w.tn.DB.QueryRow(bg, `SELECT code_hash, payload FROM challenges WHERE tenant_id = $1`).Scan(&stored, &payload); err != nil {
			t.Fatal(err)
		}
		for _, plain := range []string{code, challengeID + code, "sign_up\x00" + challengeID + "\x00" + code} {
			if strings.Contains(string(stored), string(id.Hash(plain))) {
				t.Error("the hash has no key")
			}
		}
		if strings.Contains(string(payload), "secret-payload") {
			t.Error("the payload is stored in clear")
		}
		write(t, w.tn, func(tx *db.Tx) error {
			_, err := tx.Exec(`UPDATE challenges SET purpose = 'password_reset' WHERE tenant_id = $1`)
			return err
		})
		if _, right := answer(t, w.People, w.tn, people.PasswordReset, challengeID, "b", code); right {
			t.Error("a row moved to another purpose works")
		}
	})
}

func TestImport(t *testing.T) {
	each(t, func(t *testing.T, w world) {
		raw, err := bcrypt.GenerateFromPassword([]byte("old password"), bcrypt.MinCost)
		if err != nil {
			t.Fatal(err)
		}
		argon, err := w.Hasher.Hash(bg, "old password")
		if err != nil {
			t.Fatal(err)
		}
		w.user(t, "taken@example.com")
		quote := func(s string) string { b, _ := json.Marshal(s); return string(b) }
		users := []string{
			`{"email":"bcrypt@example.com","email_verified":true,"password_hash":` + quote(string(raw)) + `,"name":"B","user_id":"abc123","app_metadata":{"plan":"x"}}`,
			`{"email":"argon@example.com","custom_password_hash":{"algorithm":"argon2","hash":{"value":` + quote(argon) + `}},"user_id":"7f1c1c3e-3a54-4b63-9c05-0d0cf1d6c1aa"}`,
			`{"email":"none@example.com","blocked":true}`,
			`{"email":"Taken@example.com"}`,
			`{"email":"a@x,b@y"}`,
			`{"email":"absurd@example.com","password_hash":"$argon2id$v=19$m=8,t=2147483648,p=1$c29tZXNhbHQ$MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0"}`,
			`{"email":"role@example.com","is_admin":true}`,
			`{"email":"again@example.com","user_id":"abc123"}`,
			`{"email":"nul@example.com","name":"a\u0000b"}`,
			`{"email":"meta@example.com","user_metadata":[1]}`,
			`{"email":"bcrypt@example.com"}`,
			`not json`,
		}
		report, err := w.Import(bg, w.tn, strings.NewReader(strings.Join(users, "\n")), audit.System())
		if err != nil || report.Created != 3 {
			t.Fatalf("Import = %+v, %v", report, err)
		}
		var lines []int
		for _, f := range report.Failures {
			lines = append(lines, f.Line)
			if f.Err == nil || strings.Contains(f.Error(), "$argon2id$v=19$m=8,t=2147483648,p=1$c29t") {
				t.Errorf("failure %v", f)
			}
		}
		if len(lines) != 9 {
			t.Errorf("failures in lines %v", report.Failures)
		}
		a, err := w.ByLogin(bg, w.tn, "bcrypt@example.com")
		if err != nil || !a.EmailVerified || a.Name != "B" || string(a.AppMetadata) != `{"plan":"x"}` || a.ID == "abc123" {
			t.Errorf("imported %+v, %v", a, err)
		}
		if ok, upgrade, err := w.Hasher.Verify(bg, a.Hash, "old password"); !ok || !upgrade || err != nil {
			t.Errorf("bcrypt: %v, %v, %v", ok, upgrade, err)
		}
		if a, err := w.ByLogin(bg, w.tn, "argon@example.com"); err != nil || a.ID != "7f1c1c3e-3a54-4b63-9c05-0d0cf1d6c1aa" || a.Hash != argon {
			t.Errorf("imported %+v, %v", a, err)
		}
		if a, err := w.ByLogin(bg, w.tn, "none@example.com"); err != nil || !a.Blocked || a.Hash != "" {
			t.Errorf("imported %+v, %v", a, err)
		}
		// Nothing is left of those that failed.
		for table, want := range map[string]int{"users": 4, "identities": 5, "passwords": 3} {
			var n int
			if err := w.tn.DB.QueryRow(bg, `SELECT COUNT(*) FROM `+table+` WHERE tenant_id = $1`).Scan(&n); err != nil || n != want {
				t.Errorf("%d rows in %s, %v; want %d", n, table, err, want)
			}
		}
		report, err = w.Import(bg, w.tn, strings.NewReader(" [ "+`{"email":"x@example.com"}, {"email":"taken@example.com"}, {"email":"y@example.com"}`+"]"), audit.System())
		if err != nil || report.Created != 2 || len(report.Failures) != 1 || report.Failures[0].Line != 2 {
			t.Errorf("Import of an array = %+v, %v", report, err)
		}
		report, err = w.Import(bg, w.tn, strings.NewReader(`[{"email":"z@example.com"}, {"email":`), audit.System())
		if err == nil || report.Created != 1 {
			t.Errorf("Import of half an array = %+v, %v", report, err)
		}
		if report, err := w.Import(bg, w.tn, strings.NewReader(""), audit.System()); err != nil || report.Created != 0 {
			t.Errorf("Import of nothing = %+v, %v", report, err)
		}
	})
}

// What is remembered of a user is the user, without the metadata, and at most as old as it says.
func TestKnown(t *testing.T) {
	two(t, func(t *testing.T, w world) {
		u, err := w.Create(bg, w.tn, people.NewUser{Email: "Ada@example.com", Profile: people.Profile{Name: "Ada Lovelace", Picture: "https://example.com/ada.png"}}, "", audit.System())
		if err != nil {
			t.Fatal(err)
		}
		known := func(p *people.People, tn *tenant.Tenant) *people.User {
			t.Helper()
			k, err := p.Known(bg, tn, u.ID)
			if err != nil {
				t.Fatal(err)
			}
			return k
		}
		want, err := w.ByID(bg, w.tn, u.ID)
		if err != nil {
			t.Fatal(err)
		}
		want.UserMetadata, want.AppMetadata = nil, nil
		other, otherTenant := w.on(1)
		known(other, otherTenant)
		if diff := cmp.Diff(want, known(w.People, w.tn)); diff != "" {
			t.Error(diff)
		}
		if _, err := w.update(u.ID, people.Patch{Name: ptr("Ada King")}, audit.System()); err != nil {
			t.Fatal(err)
		}
		if got := known(w.People, w.tn).Name; got != "Ada King" {
			t.Errorf("the node that wrote it says %q", got)
		}
		w.now.Advance(5 * time.Second)
		if got := known(other, otherTenant).Name; got != "Ada King" {
			t.Errorf("another node, five seconds later, says %q", got)
		}
		if _, err := w.Known(bg, w.tn, "01a1fd90-5e9e-74c9-9e6e-54db5720f1aa"); !fault.Is(err, fault.NotFound) {
			t.Errorf("nobody: %v", err)
		}
	})
}
