package e2e

import (
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/preload"
	cdptarget "github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
)

// Forms on other origins change nothing: nobody is signed in, signed out, signed up or made to allow.
func TestThreat_BR04_FormsOfOtherOrigins(t *testing.T) {
	t.Parallel()
	h := openHouse(t)
	app := h.application()
	planner := h.client(nobodyKnows)

	// The attacker fills the forms with seals of a browser of their own.
	attacker := newProfile(t)
	theirs := attacker.tab()
	theirs.open(h.request(planner, app+"/callback"))
	signIn := sealOf(theirs)
	attacker.signIn(theirs, h.user(bob))
	theirs.see("Allow Popcorn Planner?")
	consent := sealOf(theirs)
	theirs.open(h.Issuer + "oidc/logout")
	signOut := sealOf(theirs)

	form := func(id, path string, fields ...string) string {
		var html strings.Builder
		fmt.Fprintf(&html, `<form method="post" action="%s%s">`, h.Issuer, path)
		for i := 0; i+1 < len(fields); i += 2 {
			fmt.Fprintf(&html, `<input type="hidden" name="%s" value="%s">`, fields[i], fields[i+1])
		}
		return html.String() + "<button>" + id + "</button></form>"
	}
	mallory := h.user(bob)
	forms := form("sign in", "u/sign-in", "flow", signIn, "email", mallory.Email, "password", mallory.Password, "action", "sign_in") +
		form("sign up", "u/sign-up", "flow", signIn, "email", newcomer.Email, "password", newcomer.Password, "action", "sign_up") +
		form("allow", "u/consent", "flow", consent, "action", "allow") +
		form("sign out", "u/sign-out", "flow", signOut, "action", "sign_out") +
		form("sign out by itself", "u/sign-in", "action", "sign_out") +
		strings.Replace(form("as text", "u/sign-out", "flow", signOut, "action", "sign_out"), `method="post"`, `method="post" enctype="text/plain"`, 1)
	sameSite, crossSite := hostile(t, forms)

	for _, from := range []string{sameSite, crossSite} {
		for _, who := range []string{"", alice} {
			victim := newProfile(t)
			email := ""
			if who != "" {
				victim.enter(h, h.user(who))
				email = h.user(who).Email
			}
			b := victim.tab()
			for _, id := range []string{"sign in", "sign up", "allow", "sign out", "sign out by itself", "as text"} {
				b.open(from)
				b.press(id)
				b.at(h.Issuer)
				b.see("This request can’t be served", "sent from another site")
			}
			if now := victim.signedInAs(h); now != email {
				t.Errorf("from %s: it was %q who was signed in, now it is %q", from, email, now)
			}
		}
	}
	inbox := attacker.tab()
	inbox.open(h.Inbox)
	inbox.see("No mail yet")
}

// framed opens a page with one frame and reports whether the frame shows what it was pointed at.
func (b *tab) framed(holder, target string) bool {
	b.t.Helper()
	b.open(holder)
	// The event comes for a page that was refused, as well.
	script[chromedp.Void](b, `new Promise((done) => {
		const frame = document.createElement("iframe");
		frame.onload = () => done();
		frame.src = `+quoted(target)+`;
		document.body.append(frame);
	})`)
	tree := must[page.GetFrameTreeResult](b.t)(chromedp.Call(b.ctx, page.GetFrameTree, cdp.Empty{}))
	for _, child := range tree.FrameTree.ChildFrames {
		if child.Frame.UnreachableURL == "" && strings.HasPrefix(child.Frame.URL, "http") {
			return true
		}
	}
	// A frame of another site lives in another process, and is a target of its own. What it is told to
	// show is its address; what it shows says its document.
	for _, other := range must[[]*cdptarget.Info](b.t)(chromedp.Targets(b.ctx)) {
		if other.Type == "iframe" && other.BrowserContextID == chromedp.FromContext(b.ctx).BrowserContextID {
			ctx, leave := chromedp.NewContext(b.ctx, chromedp.WithTargetID(other.TargetID), chromedp.WithDetachOnCancel())
			at, err := chromedp.Run(ctx, chromedp.Evaluate[string]("location.protocol"))
			leave()
			if err == nil && strings.HasPrefix(at, "http") {
				return true
			}
		}
	}
	return false
}

// No page with something to press can be put into a frame.
func TestThreat_BR05_NoPageCanBeFramed(t *testing.T) {
	t.Parallel()
	h := openHouse(t)
	app := h.application()
	spa, planner := h.client(spaClient), h.client(nobodyKnows)
	me := newProfile(t)
	me.enter(h, h.user(alice))
	b := me.tab()
	sameSite, crossSite := hostile(t, "")

	silent := h.request(spa, app, "prompt", "none", "response_mode", "web_message")
	for _, holder := range []string{sameSite, crossSite, app} {
		for _, target := range []string{
			h.Issuer, h.Inbox, h.Issuer + "u/sign-in", h.Issuer + "u/sign-up", h.Issuer + "u/forgot", h.Issuer + "oidc/logout", h.Issuer + "nowhere",
			h.request(planner, app+"/callback"), h.request(spa, app, "prompt", "login"), h.request(spa, "https://elsewhere.example/"),
		} {
			if b.framed(holder, target) {
				t.Errorf("%s put %s into a frame", holder, target)
			}
		}
		if holder != app && b.framed(holder, silent) {
			t.Errorf("%s put the answer for %s into a frame", holder, app)
		}
	}
	for _, framed := range []bool{b.framed(app, silent), b.framed(sameSite, app), b.framed(crossSite, app)} {
		if !framed {
			t.Error("what may be framed is not seen to be, so this test sees nothing")
		}
	}
}

// Nothing happens on the chance that somebody may want it. (A browser that is driven by a program does
// not prerender; a prerendering begins with the same request, though.)
func TestThreat_BR15_FetchingAheadDoesNothing(t *testing.T) {
	t.Parallel()
	h := openHouse(t)
	spa := h.client(spaClient)
	var html string
	var mu sync.Mutex
	app := h.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		w.Header().Set("Content-Type", "text/html")
		if r.URL.Path == "/left" {
			_, _ = w.Write([]byte("the application was left"))
			return
		}
		_, _ = w.Write([]byte(html))
	}))
	me := newProfile(t)
	me.enter(h, h.user(alice))
	user := must[object](t)(h.manage(http.MethodPost, "users", object{"connection": "Username-Password-Authentication", "email": newcomer.Email, "email_verified": true}))
	link := must[string](t)(h.passwordLink(user["user_id"].(string)))
	logout := h.Issuer + "v2/logout?" + url.Values{"client_id": {spa.ClientID}, "returnTo": {app + "/left"}}.Encode()
	ahead := []string{logout, link, h.request(spa, app, "prompt", "none"), h.request(spa, app)}
	rules := must[[]byte](t)(json.Marshal(object{"prefetch": []object{{"source": "list", "urls": ahead}}}))
	mu.Lock()
	html = "<!doctype html><title>App</title>"
	for _, address := range ahead {
		html += fmt.Sprintf(`<link rel="prefetch" href="%s">`, template.HTMLEscapeString(address))
	}
	html += fmt.Sprintf(`<script type="speculationrules">%s</script><a href="%s">leave</a>`, rules, template.HTMLEscapeString(logout))
	mu.Unlock()

	b := me.tab()
	if err := send(b, preload.Enable, cdp.Empty{}); err != nil {
		t.Fatal(err)
	}
	fetched := func() {
		t.Helper()
		b.wait("Chromium has fetched all ahead", func() bool {
			b.mu.Lock()
			defer b.mu.Unlock()
			return !slices.ContainsFunc(ahead, func(address string) bool {
				return b.ahead[address] != preload.IngStatusReady && b.ahead[address] != preload.IngStatusFailure
			})
		})
	}
	b.open(app)
	fetched()
	if who := me.signedInAs(h); who != h.user(alice).Email {
		t.Errorf("fetching ahead signed Alice out: now it is %q", who)
	}
	b.open(link)
	b.fill("New password", newcomer.Password)
	b.press("Save password")
	b.see("Your password is changed")

	// Somebody who then goes there gets the real thing, and not the nothing that was fetched ahead.
	me.enter(h, h.user(alice))
	b.ahead = nil
	b.open(app)
	fetched()
	b.press("leave")
	b.see("the application was left")
	if who := me.signedInAs(h); who != "" {
		t.Errorf("%s is still signed in", who)
	}
}

// The answer in a message is for the application alone: neither a page that frames the house nor one
// that opened it hears anything.
func TestThreat_BR16_MessagesReachTheApplicationAlone(t *testing.T) {
	t.Parallel()
	h := openHouse(t)
	const listening = `<script>
		const heard = [];
		addEventListener("message", (e) => heard.push(e.data));
		function frame(address) {
			return new Promise((done) => {
				const f = document.createElement("iframe");
				f.onload = () => setTimeout(() => done(heard.length), 0);
				f.src = address;
				document.body.append(f);
			});
		}
	</script>`
	app := h.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte("<!doctype html><title>App</title><body>" + listening))
	}))
	spa := h.client(spaClient)
	me := newProfile(t)
	me.enter(h, h.user(alice))
	b := me.tab()
	ask := func(more ...string) string {
		return h.request(spa, app, append([]string{"response_mode", "web_message"}, more...)...)
	}
	sameSite, crossSite := hostile(t, listening)
	for _, thief := range []string{sameSite, crossSite} {
		b.open(thief)
		for _, address := range []string{ask("prompt", "none"), ask(), ask("prompt", "none", "redirect_uri", thief), ask("prompt", "none", "scope", "")} {
			if n := script[int](b, "frame("+quoted(address)+")"); n != 0 {
				t.Errorf("a frame of %s told it: %s", thief, script[string](b, "JSON.stringify(heard)"))
			}
		}
		popup := b.popup(ask("prompt", "none"))
		popup.see("You can close this window")
		if n := script[int](b, "new Promise((done) => setTimeout(() => done(heard.length), 0))"); n != 0 {
			t.Errorf("a popup of %s told it: %s", thief, script[string](b, "JSON.stringify(heard)"))
		}
	}

	b.open(app)
	script[int](b, "frame("+quoted(ask("prompt", "none"))+")")
	b.wait("the application hears its frame", func() bool { return script[bool](b, "!!heard[0]?.response?.code") })
	b.popup(ask("prompt", "none")).see("You can close this window")
	b.wait("the application hears its popup", func() bool { return script[bool](b, "!!heard[1]?.response?.code") })
}

// What other pages load ends no session: only somebody who goes there signs out.
func TestThreat_LO03_PicturesAndFormsDoNotSignOut(t *testing.T) {
	t.Parallel()
	h := openHouse(t)
	app := h.application()
	spa := h.client(spaClient)
	trusted := h.Issuer + "v2/logout?" + url.Values{"client_id": {spa.ClientID}, "returnTo": {app}}.Encode()
	bare, rp := h.Issuer+"v2/logout", h.Issuer+"oidc/logout"
	var html strings.Builder
	for _, address := range []string{trusted, bare, rp} {
		fmt.Fprintf(&html, `<img src="%[1]s"><script src="%[1]s"></script><link rel="stylesheet" href="%[1]s"><iframe src="%[1]s"></iframe><object data="%[1]s"></object><video src="%[1]s"></video>
			<script>fetch("%[1]s", {mode: "no-cors", credentials: "include"}).catch(() => {}); navigator.sendBeacon("%[1]s", "x"); new Image().src = "%[1]s"</script>`, address)
	}
	fmt.Fprintf(&html, `<a href="%s">leave</a><form method="post" action="%s"><button>post</button></form>`, bare, rp)
	sameSite, crossSite := hostile(t, html.String())
	me := newProfile(t)
	me.enter(h, h.user(alice))
	b := me.tab()
	for _, from := range []string{sameSite, crossSite} {
		b.open(from) // and all that it loads
		if who := me.signedInAs(h); who != h.user(alice).Email {
			t.Fatalf("a page at %s signed Alice out", from)
		}
		b.press("leave")
		b.at(h.Issuer)
		b.see("Sign out?")
		b.open(from)
		b.press("post")
		b.at(h.Issuer)
		if who := me.signedInAs(h); who != h.user(alice).Email {
			t.Fatalf("a form at %s signed Alice out without a question", from)
		}
	}
	b.open(trusted)
	b.at(app)
	if who := me.signedInAs(h); who != "" {
		t.Errorf("%s is still signed in, so this test sees nothing", who)
	}
}
