package e2e

import (
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/preload"
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
	app := application(t)
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
	app := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
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

// Forms on other origins change nothing: nobody is signed in, signed out, signed up or made to allow.
func TestThreat_BR04_FormsOfOtherOrigins(t *testing.T) {
	t.Parallel()
	h := openHouse(t)
	app := application(t)
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
				b.see("This request can’t be served")
				b.lacks("Check your mail", "Allow Popcorn Planner?")
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
	if len(tree.FrameTree.ChildFrames) != 1 {
		return false // shown by another process, or refused by it
	}
	frame := tree.FrameTree.ChildFrames[0].Frame
	return frame.UnreachableURL == "" && strings.HasPrefix(frame.URL, "http")
}

// No page with something to press can be put into a frame.
func TestThreat_BR05_NoPageCanBeFramed(t *testing.T) {
	t.Parallel()
	h := openHouse(t)
	app := application(t)
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
	if !b.framed(app, silent) {
		t.Error("the application itself cannot have its answer in a frame, so this test sees nothing")
	}
}

// Scripts in what other people have named, sent or registered never run, nor does a policy have to
// stop one: they are text.
func TestThreat_BR06_ScriptsInNamesAreText(t *testing.T) {
	t.Parallel()
	h := openHouse(t)
	app := application(t)
	me := newProfile(t)
	b := me.tab()
	for i, payload := range payloads() {
		name := payload
		if len(name) > 100 {
			t.Fatalf("a payload longer than a name: %q", name)
		}
		identifier := fmt.Sprintf("https://api.example/%d", i)
		_, err := h.manage(http.MethodPost, "resource-servers", object{
			"identifier": identifier, "name": name,
			"scopes": []object{{"value": "read:things", "description": payload}}, "default_permissions": []string{"read:things"},
		})
		if err != nil {
			t.Fatal(err)
		}
		registered := must[object](t)(h.manage(http.MethodPost, "clients", object{
			"name": name, "app_type": "regular_web", "is_first_party": false, "callbacks": []string{app + "/callback"}, "default_audience": identifier,
		}))
		mallory := client{ClientID: registered["client_id"].(string)}
		email := fmt.Sprintf("mallory%d@example.com", i)
		user := must[object](t)(h.manage(http.MethodPost, "users", object{
			"connection": "Username-Password-Authentication", "email": email, "email_verified": true, "name": payload, "given_name": payload, "nickname": payload,
		}))
		b.open(must[string](t)(h.passwordLink(user["user_id"].(string))))
		b.fill("New password", newcomer.Password)
		b.press("Save password")
		b.see("Your password is changed")

		b.open(h.request(mallory, app+"/callback", "audience", identifier, "scope", "openid profile read:things", "state", payload, "login_hint", payload, "ui_locales", payload))
		b.see("to continue to " + payload)
		b.unharmed()
		b.press("Create an account")
		b.see("Create your account")
		b.unharmed()
		b.press("Sign in")
		me.signIn(b, person{email, newcomer.Password})
		b.see("Allow " + payload + "?")
		b.unharmed()
		b.press("Don’t allow")
		b.at(app)
		if state := b.query("state"); state != payload {
			t.Errorf("state %q came back as %q", payload, state)
		}

		spa, at := h.client(spaClient), url.QueryEscape(payload)
		for _, address := range []string{
			h.request(spa, payload), h.request(client{ClientID: payload}, app), h.request(spa, app, "response_type", payload), h.request(spa, app, "response_mode", payload),
			h.request(spa, app, "code_challenge", payload), h.request(spa, app, "prompt", payload), h.request(spa, app, "audience", payload, "nonce", payload),
			h.Issuer + "authorize?" + at, h.Issuer + "nowhere?" + at, h.Issuer + "nowhere/" + url.PathEscape(payload), h.Issuer + "u/password?ticket=" + at, h.Issuer + "dev/inbox?to=" + at,
			h.Issuer + "dev/inbox/" + url.PathEscape(payload), h.Issuer + "v2/logout?returnTo=" + at, h.Issuer + "v2/logout?client_id=" + at,
			h.Issuer + "oidc/logout?client_id=" + mallory.ClientID + "&state=" + at, h.Issuer + "oidc/logout?post_logout_redirect_uri=" + at, h.Issuer + "oidc/logout?id_token_hint=" + at,
		} {
			b.open(address)
			b.unharmed()
		}
		b.open(h.Issuer + "oidc/logout")
		b.press("Sign out")
		b.see("You are signed out")
	}
}

// The same for every text of every view, whether or not somebody else can set it today.
func TestThreat_BR06_ScriptsInAnyTextOfAnyView(t *testing.T) {
	t.Parallel()
	for i, payload := range payloads() {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			origin, names := serveGallery(t, func(sample any) { fillStrings(sample, payload) })
			b := newProfile(t).tab()
			for _, name := range names {
				b.open(origin + "/sample/" + name)
				b.unharmed()
			}
		})
	}
}

// payloads break out of the places where a text may stand in a page. Each calls pwned when it runs.
func payloads() []string {
	return []string{
		`"><script>pwned("tag")</script>`,
		`'><img src=x onerror=pwned("image")>`,
		`</title></style></textarea><svg onload=pwned("svg")>`,
		`</script><script>pwned("script")</script>`,
		`" autofocus onfocus=pwned("attribute") x="`,
		`javascript:pwned("address")//`,
		`<iframe srcdoc="<script>parent.pwned('frame')</script>">`,
		`*/;}</style><style>@import "//evil.example/x.css";`,
		"`;pwned(\"template\");`${pwned(\"value\")}",
		`<base href=//evil.example/><meta http-equiv=refresh content="0;url=//evil.example/">`,
	}
}

// unharmed demands that the page runs nothing foreign, holds no foreign element, and asks for nothing
// elsewhere.
func (b *tab) unharmed() {
	b.t.Helper()
	foreign := script[[]string](b, `[...document.querySelectorAll("script:not([nonce]), iframe, object, embed, base, meta[http-equiv], style, img[src=x], svg[onload], [onerror], [onfocus], [onload]"),
		...[...document.querySelectorAll("a[href], form[action], button[formaction]")].filter((e) => /^\s*(javascript|data|vbscript):/i.test(e.getAttribute("href") ?? e.getAttribute("action") ?? e.getAttribute("formaction")))
	].map((e) => e.outerHTML)`)
	if len(foreign) > 0 {
		b.t.Errorf("%s: foreign elements: %q", b.address(), foreign)
	}
	for _, address := range b.requested() {
		if strings.Contains(address, "//evil.example") && !strings.HasPrefix(address, "http://localhost") {
			b.t.Errorf("%s asked for %s", b.address(), address)
		}
	}
	b.harmless()
}

// The page that posts the answer to the application can post nowhere else, and what it posts is text.
func TestThreat_BR07_FormPost(t *testing.T) {
	t.Parallel()
	h := openHouse(t)
	var mu sync.Mutex
	var posted []url.Values
	app := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && r.ParseForm() == nil {
			mu.Lock()
			posted = append(posted, r.PostForm)
			mu.Unlock()
		}
		_, _ = w.Write([]byte("the application was reached"))
	}))
	web := h.client(webClient)
	me := newProfile(t)
	me.enter(h, h.user(alice))
	b := me.tab()
	for _, payload := range payloads() {
		b.open(h.request(web, app+"/callback", "response_mode", "form_post", "state", payload))
		b.see("the application was reached")
		b.harmless()
		mu.Lock()
		if last := posted[len(posted)-1]; last.Get("state") != payload || last.Get("code") == "" {
			t.Errorf("state %q arrived as %q", payload, last)
		}
		mu.Unlock()
	}

	still := me.tab(withoutJavaScript)
	_, evil := hostile(t, "the thief was reached")
	still.open(h.request(web, app+"/callback", "response_mode", "form_post"))
	still.see("Taking you back")
	script[chromedp.Void](still, `document.forms[0].action = `+quoted(evil)+"; undefined")
	still.press("Continue")
	still.wait("the policy stops the form", func() bool {
		still.mu.Lock()
		defer still.mu.Unlock()
		return slices.ContainsFunc(still.violations, func(v string) bool { return strings.HasPrefix(v, "form-action") })
	})
	still.lacks("the thief was reached")

	for _, uri := range []string{"javascript:alert(1)", "data:text/html,x", "vbscript:x", "http://evil.example/callback"} {
		if _, err := h.manage(http.MethodPost, "clients", object{"name": "Evil", "app_type": "regular_web", "callbacks": []string{uri}}); err == nil {
			t.Errorf("%s was registered as a callback", uri)
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
	app := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
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
	if _, err := h.manage(http.MethodPatch, "clients/"+spa.ClientID, object{"allowed_logout_urls": []string{app + "/left"}}); err != nil {
		t.Fatal(err)
	}
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
	app := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
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
	app := application(t)
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
