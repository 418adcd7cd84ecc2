package express

import (
	"net/http"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/gatehouse-dev/gatehouse/e2e/drive"
)

const watchlistClient = "go-oidc-server"

func startWatchlist(t *testing.T, h *drive.House) site {
	t.Helper()
	s := place(t, h, watchlistClient, "/auth/callback")
	change(t, h, watchlistClient, drive.Object{"oidc_logout": drive.Object{"backchannel_logout_urls": []string{s.origin + "/auth/backchannel-logout"}}})
	drive.Start(t, s.origin, exec.Command(drive.Build(t, "./examples/go-oidc-server"),
		"-addr", s.address, "-url", s.origin, "-data", filepath.Join(t.TempDir(), "data"), "-dev", s.dev))
	return s
}

// The example in Go, with all that a person can do in it.
func TestWatchlist(t *testing.T) {
	t.Parallel()
	h := drive.OpenHouse(t)
	s := startWatchlist(t, h)
	h.ChangeAPI(h.Client(watchlistClient).Audience, drive.Object{"token_lifetime": 20}) // seconds: it is renewed before each call
	me := drive.NewProfile(t)
	b := me.Tab()

	b.Open(s.origin)
	b.Accessible("watchlist welcome")
	b.Press("Sign up")
	me.SignUp(b, h, drive.Newcomer)
	b.At(s.origin)
	b.See("My list", "Nothing to watch yet.", drive.Newcomer.Email)
	b.Press("To the library")
	b.See(aShow, "on your behalf")
	b.Click("a show's button", `document.querySelector("[aria-label='Watch `+aShow+`']")`)
	b.See("is on your list", "on your list")
	b.Accessible("watchlist library")
	b.Press("My list")
	b.See(aShow, "1 show to watch")
	b.Accessible("watchlist list")
	b.Press("Account")
	b.See("this browser")
	b.Accessible("watchlist account")
	b.Press("Members") // the first to come is the administrator
	b.See(drive.Newcomer.Email, "admin")
	b.Accessible("watchlist members")

	// What takes a permission of the house: the form is there for all to try.
	b.Press("Library")
	b.Fill("Title", "Soup")
	b.Press("Add it")
	b.See("This is for editors", "write:shows")
	b.Accessible("watchlist forbidden")

	// Scripts of this site reach the API without a token, and strangers' do not.
	if got := drive.Script[string](b, `fetch("/api/shows").then(async (r) => r.status + " " + (await r.text()).includes("`+aShow+`"))`); got != "200 true" {
		t.Errorf("the proxy answered %s", got)
	}
	if !renewed(t, h) {
		t.Error("no access token was renewed")
	}

	second := me.Tab()
	second.Open(s.origin + "/account")
	second.See("this browser")

	b.Press("Go back")
	b.See("on your behalf")
	b.Press("Sign out")
	b.At(s.origin)
	b.See("Everything you mean to watch")
	b.Back()
	b.At(h.Issuer) // the library asks who is there, and nobody is
	b.See("E-mail address", "Password")
	second.Reload()
	second.At(h.Issuer) // to sign in, and asked
	me.SignIn(second, drive.Newcomer)
	second.At(s.origin + "/account")
	second.See("this browser")
	second.Press("My list")
	second.See(aShow, "1 show to watch")
	b.Harmless()
}

// renewed reports whether the house says that the application has renewed its tokens.
func renewed(t *testing.T, h *drive.House) bool {
	t.Helper()
	record := drive.Must[drive.Object](t)(h.Manage(http.MethodGet, "apps/"+h.Client(watchlistClient).ClientID+"/check", nil))
	lasts, _ := record["lasts"].([]any)
	for _, last := range lasts {
		if of, _ := last.(map[string]any); of["kind"] == "ok_refresh" {
			return true
		}
	}
	return false
}

// A deep link leads there by way of the house. Who is no administrator stays out, another browser is
// ended from the first, and leaving takes everything along.
func TestWatchlistMembers(t *testing.T) {
	t.Parallel()
	h := drive.OpenHouse(t)
	s := startWatchlist(t, h)

	keeper := drive.NewProfile(t)
	k := keeper.Tab()
	k.Open(s.origin + "/shows")
	k.At(h.Issuer)
	keeper.SignIn(k, h.User("admin"))
	k.At(s.origin + "/shows")
	k.Fill("Title", "The Last Ferry <b>")
	k.Fill("Genre", "Drama")
	k.Fill("Year", "2026")
	k.Press("Add it")
	k.See("“The Last Ferry <b>” is in the library.")

	bob := drive.NewProfile(t)
	b := bob.Tab()
	b.Open(s.origin + "/members")
	bob.SignIn(b, h.User(drive.Bob))
	b.At(s.origin + "/members")
	b.See("This page is not for you", "Bob Baker")
	b.Press("Library")
	b.See("The library is closed to you", "read:shows")

	other := drive.NewProfile(t)
	o := other.Tab()
	o.Open(s.origin + "/account")
	other.SignIn(o, h.User(drive.Bob))
	o.See("this browser")
	b.Press("Account")
	b.Press("Sign out everywhere else")
	b.See("One other browser is signed out.")
	o.Reload()
	o.At(s.origin + "/account") // the house knows this browser still, and it is a new session
	o.See("this browser")

	b.Press("Leave Watchlist")
	b.See("Leave Watchlist?")
	b.Accessible("watchlist leave")
	b.Press("Delete everything")
	b.See("Everything you mean to watch")
	o.Reload()
	o.See("this browser")
	k.Press("Members")
	k.See("Ada Keeper", "Bob Baker") // who came back as a new member
	b.Harmless()
}

// Signing out of another application ends the session here, too, before the next click.
func TestWatchlistHearsOfSignOuts(t *testing.T) {
	t.Parallel()
	h := drive.OpenHouse(t)
	s := startWatchlist(t, h)
	me := drive.NewProfile(t)
	b := me.Tab()
	b.Open(s.origin + "/shows")
	me.SignIn(b, h.User(drive.Alice))
	b.See(aShow)

	elsewhere := me.Tab()
	elsewhere.Open(h.Demo("Server-rendered"))
	elsewhere.Press("Sign in")
	elsewhere.See("Alice Archer")
	elsewhere.Press("Sign out")
	elsewhere.See("You are signed out here.")
	b.Wait("the house has told the watchlist", func() bool {
		receipts, err := h.Manage(http.MethodGet, "logout-receipts?include_totals=true&client_id="+h.Client(watchlistClient).ClientID, nil)
		list, _ := receipts["logout_receipts"].([]any)
		if err != nil || len(list) != 1 {
			return false
		}
		receipt, _ := list[0].(map[string]any)
		return receipt["http_status"] == float64(http.StatusOK)
	})
	b.Wait("the watchlist has heard of it", func() bool {
		b.Open(s.origin)
		return drive.Script[bool](b, `document.body.innerText.includes("Everything you mean to watch")`)
	})
}
