package grants_test

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/id"
	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
	"github.com/gatehouse-dev/gatehouse/internal/core/grants"
)

// Also at a node that did not issue the code.
func TestRedeemReturnsWhatWasGranted(t *testing.T) {
	two(t, func(t *testing.T, w *world) {
		for _, at := range []node{w.node, w.other} {
			want := grants.Code{
				Terms: terms(spa, "ada", w.signIn(t, "ada")), RedirectURI: "https://app/", CodeChallenge: "c", Nonce: "n", ExpiresAt: noon.Add(grants.CodeLifetime),
			}
			r, err := at.redeem(spa, w.code(t, want.Terms))
			if err != nil {
				t.Fatal(err)
			}
			if r.GID == "" || r.RefreshToken == "" {
				t.Errorf("gid %q, refresh token %q", r.GID, r.RefreshToken)
			}
			if diff := cmp.Diff(want, r.Code, cmpopts.IgnoreFields(grants.Code{}, "GID")); diff != "" {
				t.Error(diff)
			}
		}
	})
}

func TestRedeemStartsNoFamilyUnlessAsked(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for name, family := range map[string]func(grants.Code) *grants.NewFamily{"nil": nil, "none": func(grants.Code) *grants.NewFamily { return nil }} {
			code := w.code(t, terms(spa, "ada", w.signIn(t, "ada")))
			r, err := w.Redeem(bg, w.tn, grants.Redemption{Code: code, ClientID: spa.ClientID, Check: func(grants.Code) error { return nil }, Family: family})
			if err != nil || r.RefreshToken != "" || w.live(t, "ada") != 0 {
				t.Errorf("%s: %v, %v, %d families", name, r, err, w.live(t, "ada"))
			}
		}
	})
}

func TestThreat_TK05_CodeNeedsItsSession(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		sid := w.signIn(t, "ada")
		for name, c := range map[string]grants.Terms{
			"no session":         terms(spa, "ada", id.UUID()),
			"session of another": terms(spa, "eve", sid),
		} {
			if _, err := w.issue(c); !errors.Is(err, grants.ErrSessionEnded) {
				t.Errorf("%s: %v; want ErrSessionEnded", name, err)
			}
		}
		if n := w.count(t, `SELECT COUNT(*) FROM grants WHERE tenant_id = $1`); n != 0 {
			t.Errorf("%d codes were left", n)
		}
	})
}

// The code is nowhere in the database: who reads it can redeem nothing.
func TestCodesAreStoredHashed(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		code := w.code(t, terms(spa, "ada", w.signIn(t, "ada")))
		if n := w.count(t, `SELECT COUNT(*) FROM grants WHERE tenant_id = $1 AND code_hash = $2`, id.Hash(code)); n != 1 || len(code) < 43 {
			t.Errorf("%d codes by their hash; the code has %d characters", n, len(code))
		}
	})
}

func TestThreat_TK01_ReplayRevokesWhatCameOfTheCode(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		code := w.code(t, terms(spa, "ada", w.signIn(t, "ada")))
		first, err := w.redeem(spa, code)
		if err != nil {
			t.Fatal(err)
		}
		successor := w.mustRefresh(t, spa, first.RefreshToken)
		w.now.Advance(2 * day) // long after the first access tokens have expired: the family still lives
		if err := w.Sweep(bg, w.a); err != nil {
			t.Fatal(err)
		}
		if _, err := w.redeem(spa, code); !errors.Is(err, grants.ErrInvalidCode) {
			t.Fatalf("the second redemption: %v; want ErrInvalidCode", err)
		}
		w.wantDead(t, spa, "the family's token", successor)
		if !w.revoked(t, "", first.GID, "") {
			t.Error("access tokens of the grant live on")
		}
		if n := w.events(t, "ada", audit.CodeReplayed); n != 1 {
			t.Errorf("%d events, want 1", n)
		}
		rules := w.count(t, `SELECT COUNT(*) FROM revocations WHERE tenant_id = $1`)
		for range 5 {
			if _, err := w.redeem(spa, code); !errors.Is(err, grants.ErrInvalidCode) {
				t.Fatal(err)
			}
		}
		if n := w.count(t, `SELECT COUNT(*) FROM revocations WHERE tenant_id = $1`); n != rules || w.events(t, "ada", audit.CodeReplayed) != 1 {
			t.Errorf("whoever replays on makes the database grow: %d rules after %d", n, rules)
		}
	})
}

func TestThreat_TK02_OneOfManyRedeemsAndTheOthersEndIt(t *testing.T) {
	two(t, func(t *testing.T, w *world) {
		for _, n := range []int{2, 8, callers} {
			for round := range rounds() {
				user := fmt.Sprintf("user-%d-%d", n, round)
				code := w.code(t, terms(spa, user, w.signIn(t, user)))
				var won atomic.Pointer[grants.Redeemed]
				var winners atomic.Int32
				race(n, func(i int) {
					at := w.node
					if i%2 == 1 {
						at = w.other
					}
					r, err := at.redeem(spa, code)
					switch {
					case err == nil:
						winners.Add(1)
						won.Store(r)
					case !errors.Is(err, grants.ErrInvalidCode):
						t.Errorf("a loser got %v", err)
					}
				})
				if winners.Load() != 1 {
					t.Fatalf("%d of %d callers redeemed the code", winners.Load(), n)
				}
				if families := w.count(t, `SELECT COUNT(*) FROM grants WHERE tenant_id = $1 AND user_id = $2 AND generation > 0`, user); families != 1 || w.live(t, user) != 0 {
					t.Fatalf("%d families, %d alive; want 1 and 0", families, w.live(t, user))
				}
				w.wantDead(t, spa, "the winner's token", won.Load().RefreshToken)
			}
		}
		if err := w.CatchUp(bg, w.tn.DB); err != nil {
			t.Error(err)
		}
	})
}

func TestThreat_TK03_CodeOfAnotherClientOrFailingItsCheckIsBurnt(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		stop := errors.New("redirect_uri differs")
		for name, r := range map[string]grants.Redemption{
			"another client": {ClientID: native.ClientID, Check: func(grants.Code) error { return nil }},
			"failed check":   {ClientID: spa.ClientID, Check: func(grants.Code) error { return stop }},
		} {
			r.Family = func(grants.Code) *grants.NewFamily {
				t.Errorf("%s: asked for a family", name)
				return nil
			}
			r.Code = w.code(t, terms(spa, "ada", w.signIn(t, "ada")))
			if got, err := w.Redeem(bg, w.tn, r); got != nil || !errors.Is(err, grants.ErrInvalidCode) && !errors.Is(err, stop) {
				t.Errorf("%s: %v, %v", name, got, err)
			}
			if _, err := w.redeem(spa, r.Code); !errors.Is(err, grants.ErrInvalidCode) {
				t.Errorf("%s: the code is still good: %v", name, err)
			}
		}
		if n := w.live(t, "ada"); n != 0 {
			t.Errorf("%d families live", n)
		}
	})
}

// Access tokens carry the gid that a code begins with: it is worth nothing without the secret, and harms
// nothing.
func TestThreat_TK03_NameOfAGrantIsNoCode(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		code, other := w.code(t, terms(spa, "ada", w.signIn(t, "ada"))), w.code(t, terms(spa, "eve", w.signIn(t, "eve")))
		gid, secret, _ := strings.Cut(code, ".")
		_, othersSecret, _ := strings.Cut(other, ".")
		for _, forged := range []string{
			"", ".", gid, gid + ".", gid + "." + othersSecret, gid + "." + secret + "x", strings.ToUpper(gid) + "." + secret, "." + secret, secret,
			id.UUID() + ".", "\x00" + code, code + "\xff", strings.Repeat("x", 36) + "." + secret,
		} {
			if r, err := w.redeem(spa, forged); !errors.Is(err, grants.ErrInvalidCode) {
				t.Errorf("%q: %v, %v", forged, r, err)
			}
		}
		for _, honest := range []string{code, other} {
			if _, err := w.redeem(spa, honest); err != nil {
				t.Errorf("a guess has burnt a code: %v", err)
			}
		}
	})
}

func TestThreat_TK05_CodeEnds(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		in := func(verb func(tx *db.Tx, sid string) error) func(t *testing.T, sid string) {
			return func(t *testing.T, sid string) { w.write(t, func(tx *db.Tx) error { return verb(tx, sid) }) }
		}
		for name, end := range map[string]func(t *testing.T, sid string){
			"a minute":          func(*testing.T, string) { w.now.Advance(grants.CodeLifetime) },
			"sign-out":          in(func(tx *db.Tx, sid string) error { return w.EndSession(tx, sid, "") }),
			"the user ends":     in(func(tx *db.Tx, _ string) error { return w.EndUser(tx, "ada", "") }),
			"the client ends":   in(func(tx *db.Tx, _ string) error { return w.EndClient(tx, spa.ClientID, "") }),
			"the client goes":   in(func(tx *db.Tx, _ string) error { return w.ForgetClient(tx, spa.ClientID) }),
			"consent withdrawn": in(func(tx *db.Tx, _ string) error { return w.WithdrawConsent(tx, "ada", spa.ClientID) }),
		} {
			sid := w.signIn(t, "ada")
			code := w.code(t, terms(spa, "ada", sid))
			end(t, sid)
			for where, at := range map[string]node{"here": w.node, "at another node": w.other} {
				if r, err := at.redeem(spa, code); !errors.Is(err, grants.ErrInvalidCode) {
					t.Errorf("%s, %s: %v, %v; want ErrInvalidCode", name, where, r, err)
				}
			}
		}
		code := w.code(t, terms(spa, "ada", w.signIn(t, "ada")))
		w.now.Advance(grants.CodeLifetime - time.Microsecond)
		if _, err := w.redeem(spa, code); err != nil {
			t.Errorf("just before its minute is over: %v", err)
		}
	})
}

// What ends for others leaves the code alone.
func TestCodeSurvivesWhatIsNotItsEnd(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		sid := w.signIn(t, "ada")
		code := w.code(t, terms(spa, "ada", sid))
		w.write(t, func(tx *db.Tx) error {
			return errors.Join(w.EndSession(tx, id.UUID(), ""), w.EndUser(tx, "eve", ""), w.EndClient(tx, native.ClientID, ""),
				w.WithdrawConsent(tx, "ada", native.ClientID), w.WithdrawConsent(tx, "eve", spa.ClientID), w.RevokeGrant(tx, id.UUID(), ""))
		})
		if _, err := w.redeem(spa, code); err != nil {
			t.Error(err)
		}
	})
}

// A code is worth nothing at another tenant.
func TestCodeOfAnotherTenant(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		code := w.code(t, terms(spa, "ada", w.signIn(t, "ada")))
		elsewhere := *w.tn
		elsewhere.ID, elsewhere.DB = "two", w.a.Tenant("two")
		if _, err := (node{w.Grants, &elsewhere}).redeem(spa, code); !errors.Is(err, grants.ErrInvalidCode) {
			t.Error(err)
		}
		r, err := w.redeem(spa, code)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.ParseRefreshToken(&elsewhere, r.RefreshToken); !errors.Is(err, grants.ErrInvalidRefreshToken) {
			t.Errorf("its refresh token there: %v", err)
		}
	})
}
