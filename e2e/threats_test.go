package e2e

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/gatehouse-dev/gatehouse/e2e/drive"
)

// hostile serves somebody else's page. It has two addresses: one of the house's own site (another port
// of localhost, where its cookies go, too) and one of another site.
func hostile(t *testing.T, html string) (sameSite, crossSite string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write([]byte("<!doctype html><title>Somebody else</title><body>" + html))
	}))
	t.Cleanup(server.Close)
	return strings.Replace(server.URL, "127.0.0.1", "localhost", 1), server.URL
}

// signedInAs reports at the house who is signed in, "" for nobody.
func signedInAs(p *drive.Profile, h *drive.House) string {
	p.T.Helper()
	b := p.Tab()
	b.Open(h.Issuer + "u/sign-in")
	return drive.Script[string](b, `document.querySelector(".signedin .lead bdi, .signedin .lead strong")?.innerText ?? ""`)
}

// enter signs a person in at the house itself.
func enter(p *drive.Profile, h *drive.House, who drive.Person) {
	p.T.Helper()
	b := p.Tab()
	b.Open(h.Issuer + "u/sign-in")
	p.SignIn(b, who)
	b.See("You are signed in", who.Email)
	if got := signedInAs(p, h); got != who.Email {
		p.T.Fatalf("signed in as %q", got)
	}
}

// sealOf takes the sealed flow out of a page.
func sealOf(b *drive.Tab) string {
	b.T.Helper()
	return drive.Script[string](b, `document.querySelector("input[name=flow]").value`)
}

// A page that one browser was given is worth nothing in another: neither to sign somebody in, nor to
// have them allow something, nor to use a code.
func TestThreat_AZ16_APageOfAnotherBrowser(t *testing.T) {
	t.Parallel()
	h := drive.OpenHouse(t)
	app := application(h)
	planner := h.Client(drive.NobodyKnows)
	attacker, victim := drive.NewProfile(t), drive.NewProfile(t)
	theirs := attacker.Tab()

	fixed := func(b *drive.Tab, seal string) {
		t.Helper()
		drive.Script[chromedp.Void](b, `document.querySelector("input[name=flow]").value = `+drive.Quoted(seal)+"; undefined")
	}
	refused := func(b *drive.Tab) {
		t.Helper()
		b.See("This request can’t be served", "another browser")
		if strings.HasPrefix(b.Address(), app) {
			t.Error("the flow went on")
		}
	}

	theirs.Open(request(h, planner, app+"/callback"))
	b := victim.Tab()
	b.Open(request(h, planner, app+"/callback"))
	fixed(b, sealOf(theirs))
	victim.SignIn(b, h.User(drive.Alice))
	refused(b)
	if who := signedInAs(victim, h); who != "" {
		t.Errorf("the victim is signed in as %s", who)
	}

	theirs.Open(request(h, planner, app+"/callback", "screen_hint", "signup"))
	theirs.Fill("E-mail address", drive.Newcomer.Email)
	theirs.Fill("New password", drive.Newcomer.Password)
	theirs.Press("Create account")
	theirs.See("Check your mail")
	b.Open(request(h, planner, app+"/callback", "screen_hint", "signup"))
	b.Fill("E-mail address", "somebody.else@example.com")
	b.Fill("New password", drive.Newcomer.Password)
	b.Press("Create account")
	b.See("Check your mail")
	fixed(b, sealOf(theirs))
	b.Fill("Six-digit code", victim.MailedCode(h, drive.Newcomer))
	b.Press("Continue")
	refused(b)
	if who := signedInAs(victim, h); who != "" {
		t.Errorf("the victim is signed in as %s", who)
	}

	theirs.Open(request(h, planner, app+"/callback"))
	attacker.SignIn(theirs, h.User(drive.Bob))
	theirs.See("Allow Popcorn Planner?")
	enter(victim, h, h.User(drive.Alice))
	b.Open(request(h, planner, app+"/callback"))
	b.See("Allow Popcorn Planner?")
	fixed(b, sealOf(theirs))
	b.Press("Allow")
	refused(b)
	b.Open(request(h, planner, app+"/callback"))
	b.See("Allow Popcorn Planner?") // nothing was allowed by that
}

// Where people have been, and the code above all, is told to nobody: no page of the house asks another
// origin for anything, and the application learns no address of the house.
func TestThreat_AZ20_NothingLeaksByReferrer(t *testing.T) {
	t.Parallel()
	h := drive.OpenHouse(t)
	var mu sync.Mutex
	var referrers []string
	app := h.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if r.Referer() != "" && r.URL.Path != "/favicon.ico" {
			referrers = append(referrers, r.URL.Path+" from "+r.Referer())
		}
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte("<!doctype html><title>App</title>the application was reached"))
	}))
	planner := h.Client(drive.NobodyKnows)
	me := drive.NewProfile(t)
	b := me.Tab()
	strangers := func(page string) {
		t.Helper()
		for _, address := range b.Requested() {
			if !strings.HasPrefix(address, h.Issuer) && !strings.HasPrefix(address, app) && !strings.HasPrefix(address, "data:") {
				t.Errorf("%s asked for %s", page, address)
			}
		}
	}

	b.Open(h.Issuer)
	strangers("the start page")
	b.Open(request(h, planner, app+"/callback"))
	b.Press("Create an account")
	b.See("Create your account")
	b.Press("Sign in")
	b.Press("Forgot your password?")
	b.See("Reset your password")
	b.Press("Back to sign-in")
	me.SignIn(b, h.User(drive.Alice))
	b.See("Allow Popcorn Planner?")
	b.Press("Allow")
	b.See("the application was reached")
	if b.Query("code") == "" {
		t.Errorf("no code at %s", b.Address())
	}
	if from := drive.Script[string](b, "document.referrer"); from != "" {
		t.Errorf("the application is told that the person came from %s", from)
	}
	strangers("a page on the way")
	b.Open(request(h, h.Client(drive.WebClient), app+"/callback", "response_mode", "form_post"))
	b.See("the application was reached")
	b.Open(request(h, planner, app+"/elsewhere"))
	b.See("can’t be served")
	b.Open(h.Inbox)
	b.Open(h.Issuer + "oidc/logout")
	b.Press("Sign out")
	b.See("You are signed out")
	strangers("the rest")

	mu.Lock()
	defer mu.Unlock()
	if len(referrers) > 0 {
		t.Errorf("referrers reached the application: %q", referrers)
	}
}
