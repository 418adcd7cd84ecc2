package e2e

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"
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
func (p *profile) signedInAs(h *house) string {
	p.t.Helper()
	b := p.tab()
	b.open(h.Issuer + "u/sign-in")
	return script[string](b, `document.querySelector(".signedin .lead bdi, .signedin .lead strong")?.innerText ?? ""`)
}

// enter signs a person in at the house itself.
func (p *profile) enter(h *house, who person) {
	p.t.Helper()
	b := p.tab()
	b.open(h.Issuer + "u/sign-in")
	p.signIn(b, who)
	b.see("You are signed in", who.Email)
	if got := p.signedInAs(h); got != who.Email {
		p.t.Fatalf("signed in as %q", got)
	}
}

// sealOf takes the sealed flow out of a page.
func sealOf(b *tab) string {
	b.t.Helper()
	return script[string](b, `document.querySelector("input[name=flow]").value`)
}

// A page that one browser was given is worth nothing in another: neither to sign somebody in, nor to
// have them allow something, nor to use a code.
func TestThreat_AZ16_APageOfAnotherBrowser(t *testing.T) {
	t.Parallel()
	h := openHouse(t)
	app := h.application()
	planner := h.client(nobodyKnows)
	attacker, victim := newProfile(t), newProfile(t)
	theirs := attacker.tab()

	fixed := func(b *tab, seal string) {
		t.Helper()
		script[chromedp.Void](b, `document.querySelector("input[name=flow]").value = `+quoted(seal)+"; undefined")
	}
	refused := func(b *tab) {
		t.Helper()
		b.see("This request can’t be served", "another browser")
		if strings.HasPrefix(b.address(), app) {
			t.Error("the flow went on")
		}
	}

	theirs.open(h.request(planner, app+"/callback"))
	b := victim.tab()
	b.open(h.request(planner, app+"/callback"))
	fixed(b, sealOf(theirs))
	victim.signIn(b, h.user(alice))
	refused(b)
	if who := victim.signedInAs(h); who != "" {
		t.Errorf("the victim is signed in as %s", who)
	}

	theirs.open(h.request(planner, app+"/callback", "screen_hint", "signup"))
	theirs.fill("E-mail address", newcomer.Email)
	theirs.fill("New password", newcomer.Password)
	theirs.press("Create account")
	theirs.see("Check your mail")
	b.open(h.request(planner, app+"/callback", "screen_hint", "signup"))
	b.fill("E-mail address", "somebody.else@example.com")
	b.fill("New password", newcomer.Password)
	b.press("Create account")
	b.see("Check your mail")
	fixed(b, sealOf(theirs))
	b.fill("Six-digit code", victim.mailedCode(h, newcomer))
	b.press("Continue")
	refused(b)
	if who := victim.signedInAs(h); who != "" {
		t.Errorf("the victim is signed in as %s", who)
	}

	theirs.open(h.request(planner, app+"/callback"))
	attacker.signIn(theirs, h.user(bob))
	theirs.see("Allow Popcorn Planner?")
	victim.enter(h, h.user(alice))
	b.open(h.request(planner, app+"/callback"))
	b.see("Allow Popcorn Planner?")
	fixed(b, sealOf(theirs))
	b.press("Allow")
	refused(b)
	b.open(h.request(planner, app+"/callback"))
	b.see("Allow Popcorn Planner?") // nothing was allowed by that
}

// Where people have been, and the code above all, is told to nobody: no page of the house asks another
// origin for anything, and the application learns no address of the house.
func TestThreat_AZ20_NothingLeaksByReferrer(t *testing.T) {
	t.Parallel()
	h := openHouse(t)
	var mu sync.Mutex
	var referrers []string
	app := h.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if r.Referer() != "" && r.URL.Path != "/favicon.ico" {
			referrers = append(referrers, r.URL.Path+" from "+r.Referer())
		}
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte("<!doctype html><title>App</title>the application was reached"))
	}))
	planner := h.client(nobodyKnows)
	me := newProfile(t)
	b := me.tab()
	strangers := func(page string) {
		t.Helper()
		for _, address := range b.requested() {
			if !strings.HasPrefix(address, h.Issuer) && !strings.HasPrefix(address, app) && !strings.HasPrefix(address, "data:") {
				t.Errorf("%s asked for %s", page, address)
			}
		}
	}

	b.open(h.Issuer)
	strangers("the start page")
	b.open(h.request(planner, app+"/callback"))
	b.press("Create an account")
	b.see("Create your account")
	b.press("Sign in")
	b.press("Forgot your password?")
	b.see("Reset your password")
	b.press("Back to sign-in")
	me.signIn(b, h.user(alice))
	b.see("Allow Popcorn Planner?")
	b.press("Allow")
	b.see("the application was reached")
	if b.query("code") == "" {
		t.Errorf("no code at %s", b.address())
	}
	if from := script[string](b, "document.referrer"); from != "" {
		t.Errorf("the application is told that the person came from %s", from)
	}
	strangers("a page on the way")
	b.open(h.request(h.client(webClient), app+"/callback", "response_mode", "form_post"))
	b.see("the application was reached")
	b.open(h.request(planner, app+"/elsewhere"))
	b.see("can’t be served")
	b.open(h.Inbox)
	b.open(h.Issuer + "oidc/logout")
	b.press("Sign out")
	b.see("You are signed out")
	strangers("the rest")

	mu.Lock()
	defer mu.Unlock()
	if len(referrers) > 0 {
		t.Errorf("referrers reached the application: %q", referrers)
	}
}
