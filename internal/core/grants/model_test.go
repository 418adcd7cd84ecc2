package grants_test

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/db/dbtest"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/grants"
	"github.com/gatehouse-dev/gatehouse/internal/core/schema"
)

// model is the rotation of one family, told in the plainest way: the list of all its tokens.
type model struct {
	client  *apps.Client
	user    string
	sid     string
	tokens  []string // by generation, from 1
	reached time.Time
	idle    time.Time
	end     time.Time
	dead    bool
}

// present says what a token must lead to, and brings the model there: a new token, the same
// successor, or nothing.
func (m *model) present(generation int, client *apps.Client, now time.Time) (fresh bool, successor string) {
	current := len(m.tokens)
	if m.dead || client != m.client {
		return false, ""
	}
	if generation < current-1 || generation == current-1 && now.Sub(m.reached) > overlap {
		m.dead = true
		return false, ""
	}
	if !now.Before(m.idle) || !now.Before(m.end) {
		return false, ""
	}
	if generation == current-1 {
		return false, m.tokens[current-1]
	}
	m.reached, m.idle = now, now.Add(7*day)
	return true, ""
}

// TestRotationFollowsItsModel tries random lives of several families on two nodes that restart.
func TestRotationFollowsItsModel(t *testing.T) {
	dbtest.Two(t, schema.Files, func(t *testing.T, a, b *db.DB) {
		rapid.Check(t, func(r *rapid.T) { modelRun(t, r, newWorld(t, a, b)) })
	})
}

func modelRun(t *testing.T, r *rapid.T, w *world) {
	nodes := []node{w.node, w.other}
	defer w.write(t, exec(`DELETE FROM grants WHERE tenant_id = $1`)) // the next life begins with none
	var families []*model
	at := func() node { return nodes[rapid.IntRange(0, 1).Draw(r, "node")] }
	pick := func() *model {
		if len(families) == 0 {
			r.Skip("no family")
		}
		return families[rapid.IntRange(0, len(families)-1).Draw(r, "family")]
	}
	run := func(verb func(n node, tx *db.Tx) error) {
		n := at()
		n.write(t, func(tx *db.Tx) error { return verb(n, tx) })
	}
	kill := func(which func(*model) bool) {
		for _, m := range families {
			m.dead = m.dead || which(m)
		}
	}
	present := func(r *rapid.T) {
		m := pick()
		generation := max(1, len(m.tokens)-rapid.SampledFrom([]int{0, 0, 0, 1, 1, 2, 5}).Draw(r, "how old"))
		client := rapid.SampledFrom([]*apps.Client{m.client, m.client, m.client, spa, native}).Draw(r, "client")
		token := m.tokens[generation-1]
		fresh, successor := m.present(generation, client, w.now.Now())
		got, err := at().refresh(client, token)
		switch {
		case !fresh && successor == "":
			if !errors.Is(err, grants.ErrInvalidRefreshToken) {
				r.Fatalf("generation %d of %d: %v, %v; want it refused", generation, len(m.tokens), got, err)
			}
		case err != nil:
			r.Fatalf("generation %d of %d: %v", generation, len(m.tokens), err)
		case !fresh && got.RefreshToken != successor:
			r.Fatalf("generation %d of %d: another successor", generation, len(m.tokens))
		case fresh:
			m.tokens = append(m.tokens, got.RefreshToken)
		}
	}
	r.Repeat(map[string]func(*rapid.T){
		"begin": func(r *rapid.T) {
			if len(families) == 4 {
				r.Skip("enough")
			}
			m := &model{client: rapid.SampledFrom([]*apps.Client{spa, native}).Draw(r, "type"), user: rapid.SampledFrom([]string{"ada", "eve"}).Draw(r, "user")}
			got := at().family(t, m.client, m.user)
			now := w.now.Now()
			m.sid, m.tokens, m.reached, m.idle, m.end = got.Auth.SID, []string{got.RefreshToken}, now, now.Add(7*day), now.Add(30*day)
			families = append(families, m)
		},
		"present": present, "present again": present, "and again": present,
		"wait": func(r *rapid.T) {
			w.now.Advance(rapid.SampledFrom([]time.Duration{time.Microsecond, overlap / 2, overlap, overlap + 1000, time.Hour, 6 * day}).Draw(r, "time"))
		},
		"restart": func(r *rapid.T) {
			i := rapid.IntRange(0, 1).Draw(r, "node")
			nodes[i] = w.start(t, []*db.DB{w.a, w.b}[i])
		},
		"sign out": func(r *rapid.T) {
			m := pick()
			run(func(n node, tx *db.Tx) error { return n.EndSession(tx, m.sid, "") })
			kill(func(o *model) bool { return o.sid == m.sid && o.client == spa })
		},
		"end user": func(r *rapid.T) {
			m := pick()
			run(func(n node, tx *db.Tx) error { return n.EndUser(tx, m.user, "") })
			kill(func(o *model) bool { return o.user == m.user })
		},
		"sweep": func(r *rapid.T) {
			if err := at().Sweep(bg, w.a); err != nil {
				r.Fatal(err)
			}
		},
		"": func(r *rapid.T) { // of what is alive, the database knows no more and no less
			alive := 0
			for _, m := range families {
				if !m.dead && w.now.Now().Before(m.end) {
					alive++
				}
			}
			if n := w.count(t, `SELECT COUNT(*) FROM grants WHERE tenant_id = $1 AND revoked_at = 0 AND expires_at > $2`, db.Micros(w.now.Now())); n != alive {
				r.Fatalf("%d families live, want %d", n, alive)
			}
		},
	})
}
