package signin_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gatehouse-dev/gatehouse/internal/core/people"
	"github.com/gatehouse-dev/gatehouse/internal/proof"
	"github.com/gatehouse-dev/gatehouse/internal/server/demo"
	"github.com/gatehouse-dev/gatehouse/internal/server/servertest"
)

var (
	sealedFlow = regexp.MustCompile(`name="flow" value="([^"]*)"`)
	nonce      = regexp.MustCompile(`nonce="[^"]*"|'nonce-[^']*'`)
)

// shape is everything of an answer that may not differ: status, headers, cookies by name, and the
// page byte for byte, but for what is random at its full length and the address that was typed.
func shape(p *servertest.Page, email string) string {
	h := maps.Clone(p.Header)
	for _, name := range []string{"Date", "Set-Cookie"} {
		delete(h, name)
	}
	var out strings.Builder
	fmt.Fprintln(&out, p.StatusCode)
	for _, name := range slices.Sorted(maps.Keys(h)) {
		fmt.Fprintln(&out, name, nonce.ReplaceAllString(strings.Join(h[name], "|"), "nonce"))
	}
	for _, c := range p.Cookies() {
		fmt.Fprintln(&out, "cookie", c.Name, len(c.Value), c.MaxAge)
	}
	body := strings.ReplaceAll(p.Body, email, strings.Repeat("@", len(email)))
	body = sealedFlow.ReplaceAllStringFunc(body, func(s string) string { return fmt.Sprint("flow of ", len(s)) })
	out.WriteString(nonce.ReplaceAllString(body, "nonce"))
	return out.String()
}

// addresses of one length: with an account, without one, and with one that is blocked.
const (
	known   = "alice@example.com"
	nobody  = "alicf@example.com"
	blocked = "block@example.com"
)

func somebodyBlocked(t *testing.T, o servertest.Options) *servertest.Instance {
	t.Helper()
	i := servertest.New(t, o)
	i.AddUser(t, blocked, "a-password-of-theirs")
	i.Block(t, blocked)
	return i
}

// same runs one way through the pages for each address, from networks of their own, and demands
// the same answer at every step.
func same(t *testing.T, name string, i *servertest.Instance, way func(b *servertest.Browser, email string) []*servertest.Page) {
	t.Helper()
	var want []string
	for n, email := range []string{known, nobody, blocked} {
		b := from(i.NewBrowser(t), fmt.Sprintf("198.51.100.%d", n+1))
		for step, p := range way(b, email) {
			got := shape(p, email)
			switch {
			case n == 0:
				want = append(want, got)
			case got != want[step]:
				t.Errorf("%s, step %d: %s gets another answer than %s:\n%s\n---\n%s", name, step+1, email, known, got, want[step])
				return
			}
		}
	}
}

func TestThreat_PW05_OneAnswerForAllNames(t *testing.T) {
	o := servertest.Options{Configure: behindProxy}
	for name, way := range map[string]func(b *servertest.Browser, email string) []*servertest.Page{
		"sign-in, until the limit": func(b *servertest.Browser, email string) (out []*servertest.Page) {
			p := b.Authorize(demo.SPA)
			for range 7 {
				out = append(out, b.Enter(p, email, "not-the-password"))
			}
			return append(out, b.Press(out[6], "forgot"))
		},
		"sign-in, odd passwords": func(b *servertest.Browser, email string) []*servertest.Page {
			p := b.Get("/u/sign-in")
			return []*servertest.Page{b.Enter(p, email, ""), b.Enter(p, email, "x"), b.Enter(p, email, strings.Repeat("x", 2000)), b.Enter(p, email, "\x00")}
		},
		"forgot": func(b *servertest.Browser, email string) []*servertest.Page {
			p := b.Get("/u/forgot")
			sent := b.Press(p, "forgot", "email", email)
			wrong := b.Press(sent, "set_password", "code", "000000", "password", "a-long-enough-one")
			return []*servertest.Page{
				sent, wrong, b.Press(wrong, "set_password", "code", "", "password", "a-long-enough-one"), b.Press(wrong, "set_password", "code", "000000", "password", "short"),
				b.Press(wrong, "resend"), b.Press(wrong, "resend"), b.Press(p, "forgot", "email", email), b.Press(p, "forgot", "email", email),
			}
		},
		"forgot, too many codes": func(b *servertest.Browser, email string) (out []*servertest.Page) {
			sent := b.Press(b.Get("/u/forgot"), "forgot", "email", email)
			for range 8 {
				out = append(out, b.Press(sent, "set_password", "code", "000000", "password", "a-long-enough-one"))
			}
			return out
		},
		"sign-up": func(b *servertest.Browser, email string) []*servertest.Page {
			p := b.Press(b.Authorize(demo.SPA), "sign_up")
			sent := b.Press(p, "sign_up", "email", email, "password", "a-long-enough-one")
			return []*servertest.Page{
				sent, b.Press(sent, "verify", "code", "000000"), b.Press(sent, "resend"), b.Press(sent, "sign_up"), b.Press(p, "sign_up", "email", email, "password", "short"),
				b.Press(p, "sign_up", "email", email, "password", "a-long-enough-one"), b.Press(p, "sign_up", "email", email, "password", "a-long-enough-one"),
			}
		},
		"hints": func(b *servertest.Browser, email string) []*servertest.Page {
			return []*servertest.Page{b.Authorize(demo.SPA, "login_hint", email), b.Authorize(demo.SPA, "login_hint", email, "prompt", "none"), b.Authorize(demo.SPA, "login_hint", email, "screen_hint", "signup")}
		},
	} {
		same(t, name, somebodyBlocked(t, o), way) // each in a house of its own, with its own limits
	}
}

// An address that has an account gets a letter that says so, and a page like any other.
func TestThreat_PW05_TakenAddressGetsALetter(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	b := i.NewBrowser(t)
	p := expect(t, b.Press(b.Get("/u/sign-up"), "sign_up", "email", known, "password", "a-long-enough-one"), http.StatusOK, titleCheckMail)
	letters := i.Mailbox(t, known)
	if len(letters) != 1 || letters[0].Code != "" || strings.Contains(p.Body, "already") {
		t.Errorf("%+v", letters)
	}
	p = expect(t, b.Press(b.Get("/u/sign-up"), "sign_up", "email", nobody, "password", "a-long-enough-one"), http.StatusOK, titleCheckMail)
	b.Press(p, "verify", "code", mailed(t, i, nobody))
	if who(b) != nobody {
		t.Error("the code of the letter does not work")
	}
	b.SignIn(known, i.Password(t, known)) // whose password is as it was
}

// work counts what a request cost: hashes, and rows of every table that it may write to.
func work(t *testing.T, i *servertest.Instance, do func()) map[string]int64 {
	t.Helper()
	count := func() map[string]int64 {
		out := map[string]int64{"hashes": i.House.People.Hasher.Hashes()}
		for _, table := range []string{"mails", "audit_events", "challenges", "failures", "users", "sessions"} {
			var n int64
			if err := i.House.DB.System().QueryRow(context.Background(), "SELECT COUNT(*) FROM "+table).Scan(&n); err != nil {
				t.Fatal(err)
			}
			out[table] = n
		}
		return out
	}
	before := count()
	do()
	after := count()
	for name := range after {
		after[name] -= before[name]
	}
	return after
}

func TestThreat_PW06_EqualWorkForAllNames(t *testing.T) {
	for name, step := range map[string]func(b *servertest.Browser, email string) func(){
		"sign-in": func(b *servertest.Browser, email string) func() {
			p := b.Get("/u/sign-in")
			return func() { b.Enter(p, email, "not-the-password") }
		},
		"sign-in beyond the limit": func(b *servertest.Browser, email string) func() {
			p := b.Get("/u/sign-in")
			for range 5 {
				b.Enter(p, email, "not-the-password")
			}
			return func() { b.Enter(p, email, "not-the-password") }
		},
		"sign-up": func(b *servertest.Browser, email string) func() {
			p := b.Get("/u/sign-up")
			return func() { b.Press(p, "sign_up", "email", email, "password", "a-long-enough-one") }
		},
		"sign-up code": func(b *servertest.Browser, email string) func() {
			p := b.Press(b.Get("/u/sign-up"), "sign_up", "email", email, "password", "a-long-enough-one")
			return func() { b.Press(p, "verify", "code", "000000") }
		},
		"forgot": func(b *servertest.Browser, email string) func() {
			p := b.Get("/u/forgot")
			return func() { b.Press(p, "forgot", "email", email) }
		},
		"forgot code": func(b *servertest.Browser, email string) func() {
			p := b.Press(b.Get("/u/forgot"), "forgot", "email", email)
			return func() { b.Press(p, "set_password", "code", "000000", "password", "a-long-enough-one") }
		},
		"forgot again": func(b *servertest.Browser, email string) func() {
			p := b.Press(b.Get("/u/forgot"), "forgot", "email", email)
			return func() { b.Press(p, "resend") }
		},
	} {
		i := somebodyBlocked(t, servertest.Options{Configure: behindProxy})
		step(from(i.NewBrowser(t), "198.51.100.99"), "first@example.com")() // what the first of a day costs
		var want map[string]int64
		for n, email := range []string{known, nobody, blocked} {
			b := from(i.NewBrowser(t), fmt.Sprintf("198.51.100.%d", n+1))
			got := work(t, i, step(b, email))
			if want == nil {
				want = got
			}
			if !maps.Equal(got, want) {
				t.Errorf("%s: %s costs %v, %s costs %v", name, email, got, known, want)
			}
		}
		if (name == "sign-in" || name == "sign-up") && want["hashes"] != 1 {
			t.Errorf("%s: %d hashes", name, want["hashes"])
		}
	}
}

// Equal work is what every run asks for. That nobody can tell by a watch either is proven with the
// hashes of production, on a quiet machine.
func TestThreat_PW06_NoWatchTellsNames(t *testing.T) {
	o := servertest.Options{Configure: behindProxy}
	if proof.Wanted() {
		o.Hash = &people.HasherOptions{}
	}
	i := servertest.New(t, o)
	const tries = 50 // of one name: with a hundred in a row it would be held up, whatever the network
	pairs := proof.Times(5, 2000)
	for n := range (pairs + tries - 1) / tries {
		for _, who := range []string{"somebody", "blocked"} { // whose hashes are as dear as all here
			i.AddUser(t, fmt.Sprintf("%s-%d@example.com", who, n), "a-password-of-theirs")
		}
		i.Block(t, fmt.Sprintf("blocked-%d@example.com", n))
	}
	guess := func(who string, network byte) func(n int) {
		return func(n int) { // from a network of its own each time, so that no other limit is met
			b := from(i.NewBrowser(t), fmt.Sprintf("%d.%d.%d.1", network, n>>8, n&255))
			email := fmt.Sprintf("%s-%d@example.com", who, n/tries)
			if p := b.Enter(b.Get("/u/sign-in"), email, "not-the-password"); p.StatusCode != http.StatusUnprocessableEntity {
				t.Fatalf("%s, try %d: status %d", email, n, p.StatusCode)
			}
		}
	}
	for n, who := range []string{"somebody", "blocked"} {
		nobody := fmt.Sprintf("nobody-like-%s", who)
		timing := proof.Compare(pairs, guess(who, byte(11+n)), guess(nobody, byte(21+n)))
		t.Logf("%s and nobody: %v", who, timing)
		if proof.Wanted() && !timing.Same() {
			t.Errorf("a watch tells %s from nobody: %v", who, timing)
		}
	}
}

func TestThreat_PW09_PolicyAtTheForms(t *testing.T) {
	i := servertest.New(t, servertest.Options{Configure: behindProxy})
	n := 0
	accepted := func(email, password string) bool {
		n++
		b := from(i.NewBrowser(t), fmt.Sprintf("198.51.%d.1", n))
		p := b.Get("/u/sign-up")
		if !strings.Contains(p.Body, "At least 12 characters") {
			t.Error("the rule is not said beforehand")
		}
		got := b.Press(p, "sign_up", "email", email, "password", password)
		if got.StatusCode == http.StatusUnprocessableEntity && got.Title() == titleSignUp && !strings.Contains(got.Body, `role="alert"`) {
			t.Error("a refusal without a reason")
		}
		return got.StatusCode == http.StatusOK && got.Title() == titleCheckMail
	}
	for password, want := range map[string]bool{
		"": false, "short": false, "elevenchars": false, "twelve-chars": true, strings.Repeat("long pass phrase ", 4): true, strings.Repeat("x1-y2_", 170): true, strings.Repeat("x1-y2_", 171): false,
		"aaaaaaaaaaaaaaaa": false, "123456789012": false, "password1234": false, "gatehouse1234": false,
		"only small letters": true, "ÄÖÜäöüßéèêëç": true, "пароль-длинный": true, "密码密码密码密码密码密码": false, "            ": false,
	} {
		email := fmt.Sprintf("p%d@example.com", n)
		if got := accepted(email, password); got != want {
			t.Errorf("%.30q accepted: %v", password, got)
		}
	}
	if accepted("robert.tables@example.com", "robert.tables") || accepted("robert.tables@example.com", "robert.tables@example.com") {
		t.Error("the address is a password")
	}
}

// Beyond the queue of hashes there is a quick, honest no, and it comes for all names alike.
func TestThreat_PW08_FloodIsTurnedAway(t *testing.T) {
	i := servertest.New(t, servertest.Options{Configure: behindProxy, Hash: &people.HasherOptions{Params: people.Params{Memory: 32 << 10, Time: 6, Threads: 1}, Width: 1, Queue: 1}})
	var mu sync.Mutex
	seen := map[int]int{}
	var all sync.WaitGroup
	for n := range 24 {
		b := from(i.NewBrowser(t), fmt.Sprintf("198.51.100.%d", n+1))
		form := fields(b.Get("/u/sign-in").Hidden(), "action", "sign_in", "email", fmt.Sprintf("p%d@example.com", n), "password", "not-the-password")
		all.Go(func() {
			p := b.Post("/u/sign-in", form)
			mu.Lock()
			defer mu.Unlock()
			seen[p.StatusCode]++
			if p.StatusCode == http.StatusServiceUnavailable && (p.Header.Get("Retry-After") == "" || p.Header.Get("Cache-Control") != "no-store") {
				t.Errorf("%v", p.Header)
			}
		})
	}
	all.Wait()
	if seen[http.StatusServiceUnavailable] == 0 || seen[http.StatusUnprocessableEntity] == 0 || len(seen) != 2 {
		t.Errorf("%v, want some served and the rest turned away", seen)
	}
}
