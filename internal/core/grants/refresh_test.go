package grants_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/clock"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
	"github.com/gatehouse-dev/gatehouse/internal/core/grants"
)

func TestThreat_TK06_ReuseKillsTheFamilyForGood(t *testing.T) {
	type family struct{ first, second, third string }
	for name, c := range map[string]struct {
		wait  time.Duration
		which func(family) string
	}{
		"predecessor after the overlap":         {overlap + time.Microsecond, func(f family) string { return f.second }},
		"predecessor, used and not yet expired": {time.Hour, func(f family) string { return f.second }},
		"older, within the overlap":             {0, func(f family) string { return f.first }},
		"older, long after":                     {day, func(f family) string { return f.first }},
		"older, the family idle":                {8 * day, func(f family) string { return f.first }},
		"older, the family over":                {31 * day, func(f family) string { return f.first }},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, w *world) {
				r := w.family(t, spa, "ada")
				f := family{first: r.RefreshToken}
				f.second = w.mustRefresh(t, spa, f.first)
				f.third = w.mustRefresh(t, spa, f.second)
				w.now.Advance(c.wait)
				w.wantDead(t, spa, "reused", c.which(f))
				if n := w.events(t, "ada", audit.RefreshTokenReused); n != 1 || w.live(t, "ada") != 0 {
					t.Errorf("%d events, %d live families; want 1 and 0", n, w.live(t, "ada"))
				}
				restarted := w.start(t, w.b)
				for i, token := range []string{f.third, f.second, f.first, f.third} {
					restarted.wantDead(t, spa, fmt.Sprint("after the restart, token ", i), token)
				}
				if !w.revoked(t, "", r.GID, "") || !restarted.revoked(t, "", r.GID, "") {
					t.Error("access tokens of the grant live on")
				}
				if n := w.events(t, "ada", audit.RefreshTokenReused); n != 1 {
					t.Errorf("the dead family was recorded %d times", n)
				}
			})
		})
	}
}

// hangUp is a clock whose reading makes a caller hang up: in the middle of a verb, at the same moment in each run.
type hangUp struct {
	*clock.Virtual
	caller context.CancelFunc
}

// Now implements clock.Clock.
func (h hangUp) Now() time.Time {
	h.caller()
	return h.Virtual.Now()
}

func TestThreat_TK06_HangingUpSavesNoThief(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		used := w.family(t, spa, "ada").RefreshToken
		current := w.mustRefresh(t, spa, used)
		w.now.Advance(overlap + time.Second)
		ctx, leave := context.WithCancel(bg)
		n := node{grants.New(hangUp{w.now, leave}, w.keys), w.tn}
		p, err := n.ParseRefreshToken(n.tn, used)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = n.Refresh(ctx, n.tn, spa, p, func(*grants.Family) error { return nil }) // nobody reads the answer
		w.wantDead(t, spa, "the current token", current)
		if w.events(t, "ada", audit.RefreshTokenReused) != 1 {
			t.Error("nobody is told of the theft")
		}
	})
}

func TestThreat_TK06_ParallelReuseIsRecordedOnce(t *testing.T) {
	two(t, func(t *testing.T, w *world) {
		for round := range rounds() {
			user := fmt.Sprint("user-", round)
			first := w.family(t, spa, user).RefreshToken
			current := w.mustRefresh(t, spa, first)
			w.now.Advance(overlap + time.Second)
			race(callers, func(i int) {
				at := []node{w.node, w.other}[i%2]
				if _, err := at.refresh(spa, first); !errors.Is(err, grants.ErrInvalidRefreshToken) {
					t.Errorf("reuse: %v", err)
				}
			})
			w.wantDead(t, spa, "the current token", current)
			if n := w.events(t, user, audit.RefreshTokenReused); n != 1 {
				t.Fatalf("%d events, want 1", n)
			}
		}
	})
}

func TestThreat_TK07_ParallelCallersGetOneSuccessor(t *testing.T) {
	two(t, func(t *testing.T, w *world) {
		for _, n := range []int{2, 8, callers} {
			for round := range rounds() {
				user := fmt.Sprintf("user-%d-%d", n, round)
				token := w.family(t, spa, user).RefreshToken
				var mu sync.Mutex
				successors := map[string]int{}
				race(n, func(i int) {
					at := []node{w.node, w.other}[i%2]
					r, err := at.refresh(spa, token)
					if err != nil {
						t.Errorf("caller %d: %v", i, err)
						return
					}
					mu.Lock()
					defer mu.Unlock()
					successors[r.RefreshToken]++
				})
				if len(successors) != 1 {
					t.Fatalf("%d callers got %d different successors", n, len(successors))
				}
				if generation := w.count(t, `SELECT generation FROM grants WHERE tenant_id = $1 AND user_id = $2`, user); generation != 2 {
					t.Fatalf("the family is at generation %d after %d callers, want 2", generation, n)
				}
				for successor := range successors {
					w.mustRefresh(t, spa, successor)
				}
			}
		}
	})
}

// Within the overlap, to its last moment, the predecessor stands for the current token: on this
// node, on another, after a restart, and with a new master key in front.
func TestThreat_TK07_OverlapHandsOutTheSameSuccessor(t *testing.T) {
	two(t, func(t *testing.T, w *world) {
		first := w.family(t, spa, "ada").RefreshToken
		second := w.mustRefresh(t, spa, first)
		if second == first {
			t.Fatal("the token was not rotated")
		}
		w.now.Advance(overlap)
		w.keys = ring(t, 2, 1)
		for name, n := range map[string]node{"here": w.node, "there": w.other, "after a restart": w.start(t, w.b)} {
			if got := w.mustRefreshAt(t, n, first); got != second {
				t.Errorf("%s: %s, want %s", name, got, second)
			}
		}
		w.now.Advance(time.Microsecond)
		w.wantDead(t, spa, "after the overlap", first)
		w.wantDead(t, spa, "the successor", second)
	})
}

func (w *world) mustRefreshAt(t *testing.T, n node, token string) string {
	t.Helper()
	return n.mustRefresh(t, spa, token)
}

// The overlap is counted from the rotation, not from the repeats: they do not prolong it.
func TestThreat_TK07_RepeatsDoNotProlongTheOverlap(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		first := w.family(t, spa, "ada").RefreshToken
		second := w.mustRefresh(t, spa, first)
		for range 3 {
			w.now.Advance(overlap / 3)
			if got := w.mustRefresh(t, spa, first); got != second {
				t.Fatal("another successor")
			}
		}
		w.now.Advance(overlap / 3)
		w.wantDead(t, spa, "after the overlap", first)
	})
}

// A repeat writes nothing.
func TestThreat_TK07_RepeatIsFree(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		first := w.family(t, spa, "ada").RefreshToken
		w.mustRefresh(t, spa, first)
		const state = `SELECT SUM(generation * 1000 + reached_at + idle_expires_at) FROM grants WHERE tenant_id = $1`
		before := w.count(t, state)
		w.now.Advance(overlap / 2)
		w.mustRefresh(t, spa, first)
		if after := w.count(t, state); after != before {
			t.Error("a repeat changed the family")
		}
	})
}

func TestClientsOwnOverlap(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		patient := &apps.Client{ClientID: "patientpatientpatientpatientpati", Type: apps.SPA, ClientSettings: apps.ClientSettings{RefreshOverlap: time.Minute}}
		first := w.family(t, patient, "ada").RefreshToken
		second := w.mustRefresh(t, patient, first)
		w.now.Advance(time.Minute)
		if got := w.mustRefresh(t, patient, first); got != second {
			t.Error("another successor within the client's own overlap")
		}
		w.now.Advance(time.Microsecond)
		w.wantDead(t, patient, "after it", first)
	})
}

func TestRefreshExpires(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		token := w.family(t, spa, "ada").RefreshToken
		for range 4 { // a family in use lives to its absolute end
			w.now.Advance(6 * day)
			token = w.mustRefresh(t, spa, token)
		}
		w.now.Set(noon.Add(30*day - time.Microsecond))
		token = w.mustRefresh(t, spa, token)
		w.now.Set(noon.Add(30 * day))
		w.wantDead(t, spa, "at the absolute end", token)

		idle := w.family(t, spa, "eve").RefreshToken
		w.now.Advance(7*day - time.Microsecond)
		idle = w.mustRefresh(t, spa, idle)
		w.now.Advance(7 * day)
		w.wantDead(t, spa, "idle", idle)
		if w.live(t, "eve") != 1 {
			t.Error("expiry revoked something")
		}
	})
}

func TestThreat_TK10_ForeignClientChangesNothing(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		first := w.family(t, spa, "ada").RefreshToken
		second := w.mustRefresh(t, spa, first)
		w.wantDead(t, native, "the current token", second)
		w.wantDead(t, native, "the predecessor", first)
		w.now.Advance(overlap + time.Second)
		w.wantDead(t, native, "a used token", first)
		w.mustRefresh(t, spa, second)
	})
}

// What is refused before anything is spent leaves the token as it was, also as a predecessor.
func TestRefusedRefreshSpendsNothing(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		no := errors.New("the user is blocked")
		first := w.family(t, spa, "ada").RefreshToken
		refuse := func(token string) {
			t.Helper()
			p, err := w.ParseRefreshToken(w.tn, token)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.Refresh(bg, w.tn, spa, p, func(*grants.Family) error { return no }); !errors.Is(err, no) {
				t.Errorf("refresh = %v, want what allow said", err)
			}
		}
		refuse(first)
		second := w.mustRefresh(t, spa, first)
		refuse(first)
		refuse(second)
		w.mustRefresh(t, spa, second)
	})
}

// Losing the race must not lead past the conditions: every answer was allowed.
func TestThreat_TK09_AllowIsAskedForEveryAnswer(t *testing.T) {
	two(t, func(t *testing.T, w *world) {
		token := w.family(t, spa, "ada").RefreshToken
		p, err := w.ParseRefreshToken(w.tn, token)
		if err != nil {
			t.Fatal(err)
		}
		race(callers, func(i int) {
			asked := false
			_, err := []node{w.node, w.other}[i%2].Refresh(bg, w.tn, spa, p, func(f *grants.Family) error {
				asked = f.UserID == "ada"
				return nil
			})
			if err != nil || !asked {
				t.Errorf("caller %d: asked %v, %v", i, asked, err)
			}
		})
	})
}

// A backup that was restored knows less than the tokens out there: the family fails safe.
func TestThreat_TK11_RestoredBackupFailsSafe(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		token := w.family(t, spa, "ada").RefreshToken
		for range 3 {
			token = w.mustRefresh(t, spa, token)
		}
		w.write(t, exec(`UPDATE grants SET generation = 1 WHERE tenant_id = $1`))
		w.wantDead(t, spa, "a token from the future", token)
		if w.live(t, "ada") != 0 {
			t.Error("the family lives")
		}
	})
}

func TestForgedRefreshTokensAreRefused(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		token := w.family(t, spa, "ada").RefreshToken
		gid, rest, _ := strings.Cut(token, ".")
		generation, mac, _ := strings.Cut(rest, ".")
		raw, err := base64.RawURLEncoding.DecodeString(mac)
		if err != nil || len(raw) != 32 {
			t.Fatalf("mac %s: %d bytes, %v", mac, len(raw), err)
		}
		flipped := base64.RawURLEncoding.EncodeToString(append([]byte{raw[0] ^ 1}, raw[1:]...))
		for name, forged := range map[string]string{
			"empty":                 "",
			"dots":                  "..",
			"no mac":                gid + "." + generation,
			"empty mac":             gid + "." + generation + ".",
			"next generation":       gid + ".2." + mac,
			"another spelling":      gid + ".01." + mac,
			"plus":                  gid + ".+1." + mac,
			"zero":                  gid + ".0." + mac,
			"negative":              gid + ".-1." + mac,
			"beyond 64 bits":        gid + ".zzzzzzzzzzzzzzz." + mac,
			"another family":        strings.Repeat("0", 36) + "." + generation + "." + mac,
			"upper case":            strings.ToUpper(gid) + "." + generation + "." + mac,
			"flipped bit":           gid + "." + generation + "." + flipped,
			"cut":                   gid + "." + generation + "." + mac[:len(mac)-2],
			"lengthened":            token + "AA",
			"padded":                token + "=",
			"other last character":  token[:len(token)-1] + string(rune(token[len(token)-1])+1),
			"line break in the mac": token[:60] + "\n" + token[60:],
			"space":                 token + " ",
			"fourth part":           token + ".x",
		} {
			if p, err := w.ParseRefreshToken(w.tn, forged); !errors.Is(err, grants.ErrInvalidRefreshToken) {
				t.Errorf("%s: %v, %v", name, p, err)
			}
		}
		stranger := grants.New(w.now, ring(t, 9))
		if _, err := stranger.ParseRefreshToken(w.tn, token); !errors.Is(err, grants.ErrInvalidRefreshToken) {
			t.Errorf("with another master key: %v", err)
		}
	})
}

// Tokens do not grow with use beyond the digits of their generation, nor does the database.
func TestFamilyIsOneRowHoweverOftenItIsUsed(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		token := w.family(t, native, "ada").RefreshToken
		for i := range 100 {
			token = w.mustRefresh(t, native, token)
			if want := "." + strconv.FormatInt(int64(i+2), 36) + "."; !strings.Contains(token, want) || len(token) > 90 {
				t.Fatalf("refresh %d: %s", i, token)
			}
		}
		if n := w.count(t, `SELECT COUNT(*) FROM grants WHERE tenant_id = $1`); n != 1 {
			t.Errorf("%d rows", n)
		}
	})
}
