package express

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/gatehouse-dev/gatehouse/e2e/drive"
	"github.com/gatehouse-dev/gatehouse/internal/proof"
)

const passportClient = "express-passport"

func passportDir() string { return filepath.Join(drive.Root(), "examples", "express-passport") }

// buildPassport has Next.js compile the pages into a folder of the test's own, and returns its name.
func buildPassport(t *testing.T) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(passportDir(), ".next"), 0o755); err != nil {
		t.Fatal(err)
	}
	dir := drive.Must[string](t)(os.MkdirTemp(filepath.Join(passportDir(), ".next"), "test-"))
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	dist := filepath.Join(".next", filepath.Base(dir))
	cmd := exec.Command("npm", "run", "--silent", "build")
	cmd.Dir, cmd.Env = passportDir(), append(os.Environ(), "NEXT_DIST_DIR="+dist, "NEXT_TELEMETRY_DISABLED=1")
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("next build: %v\n%s", err, said)
	}
	return dist
}

// startRedis runs a Redis of the test's own, which keeps nothing on disk, and returns its address.
func startRedis(t *testing.T) string {
	t.Helper()
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatal("redis-server is not installed; run: scripts/prerequisites (Debian: apt-get install redis-server)")
	}
	address := drive.FreeAddress(t)
	port := address[len("127.0.0.1:"):]
	ctx, stop := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, binary, "--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no", "--dir", t.TempDir())
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(); _ = cmd.Wait() })
	return "redis://" + address
}

// startPassport runs the example; more environment may follow.
func startPassport(t *testing.T, s site, dist, redis string, env ...string) *drive.Process {
	t.Helper()
	return s.node(t, passportDir(), append(env, "REDIS_URL="+redis, "NEXT_DIST_DIR="+dist), "server.js")
}

// Next.js behind Express, with passport-auth0 and sessions in Redis.
func TestPassport(t *testing.T) {
	t.Parallel()
	dist := buildPassport(t)
	t.Run("a person", func(t *testing.T) { t.Parallel(); testPassport(t, dist) })
	t.Run("cookie sizes", func(t *testing.T) { t.Parallel(); measurePassport(t, dist) })
	t.Run("refused", func(t *testing.T) { t.Parallel(); testPassportRefused(t, dist) })
}

func testPassport(t *testing.T, dist string) {
	clock := drive.NewClock(t, 0)
	clock.Run()
	h := drive.OpenHouseBy(t, clock)
	s, redis := place(t, h.House, passportClient, "/callback"), startRedis(t)
	server := startPassport(t, s, dist, redis, clock.Environment()...)
	me := drive.NewProfile(t)
	b, who := me.Tab(), drive.Newcomer

	b.Open(s.origin + "/shows")
	b.At(h.Issuer) // a deep link, while signed out
	before := sessionName(b, s)
	if before == "" {
		t.Fatal("nothing remembers where to go on")
	}
	b.Press("Create an account")
	me.SignUp(b, h.House, who)
	b.At(s.origin + "/shows")
	b.See(aShow, "read:shows", who.Email)
	if now := sessionName(b, s); now == before || now == "" {
		t.Errorf("the session kept its name when somebody signed in: %s, then %s", before, now)
	}
	b.Accessible("express-passport")
	b.Press("Profile")
	b.See("Your profile", who.Email)
	if page := drive.Script[string](b, "document.documentElement.outerHTML"); regexp.MustCompile(`eyJ[\w-]+\.`).MatchString(page) {
		t.Error("a token is on the page")
	}

	// The session is Redis's: another process goes on with it.
	if err := server.Stop(); err != nil {
		t.Logf("the server ended with %v", err)
	}
	startPassport(t, s, dist, redis, clock.Environment()...)
	b.Press("Shows")
	b.See(aShow, who.Email)
	first := tokenID(b)
	b.Press("Renew at the house")
	b.See("Hello, " + who.Email)
	b.Press("Shows")
	b.Wait("there is another token", func() bool { id := tokenID(b); return id != "" && id != first })
	h.RotateKeys(proof.Times(2, 25), func() error {
		called := b.Finds(s.origin+"/shows", aShow, who.Email)  // by way of the house, when the token has expired
		anew := b.Finds(s.origin+"/login", "Hello, "+who.Email) // the house asks nothing
		return errors.Join(called, anew, b.Finds(s.origin+"/shows", aShow))
	})
	leave(t, h.House, me, b, s, who)

	bob := drive.NewProfile(t)
	o := bob.Tab()
	o.Open(s.origin + "/shows")
	bob.SignIn(o, h.User(drive.Bob))
	o.See("403: you may not read shows", "Bob Baker")
}

// A person who says no, and an answer that nobody asked for, end on the first page.
func testPassportRefused(t *testing.T, dist string) {
	h := drive.OpenHouse(t)
	s := place(t, h, passportClient, "/callback")
	startPassport(t, s, dist, startRedis(t))
	b := drive.NewProfile(t).Tab()
	for _, answer := range []string{"error=access_denied", "code=forged&state=forged"} {
		b.Open(s.origin + "/callback?" + answer)
		b.At(s.origin + "/?failed")
		b.See("Signing in did not work", "You are signed out")
	}
}

// sessionName is what the cookie holds.
func sessionName(b *drive.Tab, s site) string {
	b.T.Helper()
	for _, c := range cookiesOf(b, s.origin) {
		if c.Name == "express_passport" {
			return c.Value
		}
	}
	return ""
}
