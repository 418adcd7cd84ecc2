package e2e

import (
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/preload"
	cdptarget "github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"

	"github.com/gatehouse-dev/gatehouse/e2e/drive"
)

// Forms on other origins change nothing: nobody is signed in, signed out, signed up or made to allow.
func TestThreat_BR04_FormsOfOtherOrigins(t *testing.T) {
	t.Parallel()
	h := drive.OpenHouse(t)
	app := application(h)
	planner := h.Client(drive.NobodyKnows)

	// The attacker fills the forms with seals of a browser of their own.
	attacker := drive.NewProfile(t)
	theirs := attacker.Tab()
	theirs.Open(request(h, planner, app+"/callback"))
	signIn := sealOf(theirs)
	attacker.SignIn(theirs, h.User(drive.Bob))
	theirs.See("Allow Popcorn Planner?")
	consent := sealOf(theirs)
	theirs.Open(h.Issuer + "oidc/logout")
	signOut := sealOf(theirs)

	form := func(id, path string, fields ...string) string {
		var html strings.Builder
		fmt.Fprintf(&html, `<form method="post" action="%s%s">`, h.Issuer, path)
		for i := 0; i+1 < len(fields); i += 2 {
			fmt.Fprintf(&html, `<input type="hidden" name="%s" value="%s">`, fields[i], fields[i+1])
		}
		return html.String() + "<button>" + id + "</button></form>"
	}
	mallory := h.User(drive.Bob)
	forms := form("sign in", "u/sign-in", "flow", signIn, "email", mallory.Email, "password", mallory.Password, "action", "sign_in") +
		form("sign up", "u/sign-up", "flow", signIn, "email", drive.Newcomer.Email, "password", drive.Newcomer.Password, "action", "sign_up") +
		form("allow", "u/consent", "flow", consent, "action", "allow") +
		form("sign out", "u/sign-out", "flow", signOut, "action", "sign_out") +
		form("sign out by itself", "u/sign-in", "action", "sign_out") +
		strings.Replace(form("as text", "u/sign-out", "flow", signOut, "action", "sign_out"), `method="post"`, `method="post" enctype="text/plain"`, 1)
	sameSite, crossSite := hostile(t, forms)

	for _, from := range []string{sameSite, crossSite} {
		for _, who := range []string{"", drive.Alice} {
			victim := drive.NewProfile(t)
			email := ""
			if who != "" {
				enter(victim, h, h.User(who))
				email = h.User(who).Email
			}
			b := victim.Tab()
			for _, id := range []string{"sign in", "sign up", "allow", "sign out", "sign out by itself", "as text"} {
				b.Open(from)
				b.Press(id)
				b.At(h.Issuer)
				b.See("This request can’t be served", "sent from another site")
			}
			if now := signedInAs(victim, h); now != email {
				t.Errorf("from %s: it was %q who was signed in, now it is %q", from, email, now)
			}
		}
	}
	inbox := attacker.Tab()
	inbox.Open(h.Inbox)
	inbox.See("No mail yet")
}

// framed opens a page with one frame and reports whether the frame shows what it was pointed at.
func framed(b *drive.Tab, holder, target string) bool {
	b.T.Helper()
	b.Open(holder)
	// The event comes for a page that was refused, as well.
	drive.Script[chromedp.Void](b, `new Promise((done) => {
		const frame = document.createElement("iframe");
		frame.onload = () => done();
		frame.src = `+drive.Quoted(target)+`;
		document.body.append(frame);
	})`)
	tree := drive.Must[page.GetFrameTreeResult](b.T)(chromedp.Call(b.Ctx, page.GetFrameTree, cdp.Empty{}))
	for _, child := range tree.FrameTree.ChildFrames {
		if child.Frame.UnreachableURL == "" && strings.HasPrefix(child.Frame.URL, "http") {
			return true
		}
	}
	// A frame of another site lives in another process, and is a target of its own. What it is told to
	// show is its address; what it shows says its document.
	for _, other := range drive.Must[[]*cdptarget.Info](b.T)(chromedp.Targets(b.Ctx)) {
		if other.Type == "iframe" && other.BrowserContextID == chromedp.FromContext(b.Ctx).BrowserContextID {
			ctx, leave := chromedp.NewContext(b.Ctx, chromedp.WithTargetID(other.TargetID), chromedp.WithDetachOnCancel())
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
	h := drive.OpenHouse(t)
	app := application(h)
	spa, planner := h.Client(drive.SPAClient), h.Client(drive.NobodyKnows)
	me := drive.NewProfile(t)
	enter(me, h, h.User(drive.Alice))
	b := me.Tab()
	sameSite, crossSite := hostile(t, "")

	silent := request(h, spa, app, "prompt", "none", "response_mode", "web_message")
	for _, holder := range []string{sameSite, crossSite, app} {
		for _, target := range []string{
			h.Issuer, h.Inbox, h.Issuer + "u/sign-in", h.Issuer + "u/sign-up", h.Issuer + "u/forgot", h.Issuer + "oidc/logout", h.Issuer + "nowhere",
			request(h, planner, app+"/callback"), request(h, spa, app, "prompt", "login"), request(h, spa, "https://elsewhere.example/"),
		} {
			if framed(b, holder, target) {
				t.Errorf("%s put %s into a frame", holder, target)
			}
		}
		if holder != app && framed(b, holder, silent) {
			t.Errorf("%s put the answer for %s into a frame", holder, app)
		}
	}
	for _, framed := range []bool{framed(b, app, silent), framed(b, sameSite, app), framed(b, crossSite, app)} {
		if !framed {
			t.Error("what may be framed is not seen to be, so this test sees nothing")
		}
	}
}

// Nothing happens on the chance that somebody may want it. (A browser that is driven by a program does
// not prerender; a prerendering begins with the same request, though.)
func TestThreat_BR15_FetchingAheadDoesNothing(t *testing.T) {
	t.Parallel()
	h := drive.OpenHouse(t)
	spa := h.Client(drive.SPAClient)
	var html string
	var mu sync.Mutex
	app := h.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		w.Header().Set("Content-Type", "text/html")
		if r.URL.Path == "/left" {
			_, _ = w.Write([]byte("the application was left"))
			return
		}
		_, _ = w.Write([]byte(html))
	}))
	me := drive.NewProfile(t)
	enter(me, h, h.User(drive.Alice))
	user := drive.Must[drive.Object](t)(h.Manage(http.MethodPost, "users", drive.Object{"connection": "Username-Password-Authentication", "email": drive.Newcomer.Email, "email_verified": true}))
	link := drive.Must[string](t)(h.PasswordLink(user["user_id"].(string)))
	logout := h.Issuer + "v2/logout?" + url.Values{"client_id": {spa.ClientID}, "returnTo": {app + "/left"}}.Encode()
	ahead := []string{logout, link, request(h, spa, app, "prompt", "none"), request(h, spa, app)}
	rules := drive.Must[[]byte](t)(json.Marshal(drive.Object{"prefetch": []drive.Object{{"source": "list", "urls": ahead}}}))
	mu.Lock()
	html = "<!doctype html><title>App</title>"
	for _, address := range ahead {
		html += fmt.Sprintf(`<link rel="prefetch" href="%s">`, template.HTMLEscapeString(address))
	}
	html += fmt.Sprintf(`<script type="speculationrules">%s</script><a href="%s">leave</a>`, rules, template.HTMLEscapeString(logout))
	mu.Unlock()

	b := me.Tab()
	if err := drive.Send(b, preload.Enable, cdp.Empty{}); err != nil {
		t.Fatal(err)
	}
	fetched := func() {
		t.Helper()
		b.Wait("Chromium has fetched all ahead", func() bool { return b.FetchedAhead(ahead) })
	}
	b.Open(app)
	fetched()
	if who := signedInAs(me, h); who != h.User(drive.Alice).Email {
		t.Errorf("fetching ahead signed Alice out: now it is %q", who)
	}
	b.Open(link)
	b.Fill("New password", drive.Newcomer.Password)
	b.Press("Save password")
	b.See("Your password is changed")

	// Somebody who then goes there gets the real thing, and not the nothing that was fetched ahead.
	enter(me, h, h.User(drive.Alice))
	b.ForgetFetchedAhead()
	b.Open(app)
	fetched()
	b.Press("leave")
	b.See("the application was left")
	if who := signedInAs(me, h); who != "" {
		t.Errorf("%s is still signed in", who)
	}
}

// The answer in a message is for the application alone: neither a page that frames the house nor one
// that opened it hears anything.
func TestThreat_BR16_MessagesReachTheApplicationAlone(t *testing.T) {
	t.Parallel()
	h := drive.OpenHouse(t)
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
	app := h.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte("<!doctype html><title>App</title><body>" + listening))
	}))
	spa := h.Client(drive.SPAClient)
	me := drive.NewProfile(t)
	enter(me, h, h.User(drive.Alice))
	b := me.Tab()
	ask := func(more ...string) string {
		return request(h, spa, app, append([]string{"response_mode", "web_message"}, more...)...)
	}
	sameSite, crossSite := hostile(t, listening)
	for _, thief := range []string{sameSite, crossSite} {
		b.Open(thief)
		for _, address := range []string{ask("prompt", "none"), ask(), ask("prompt", "none", "redirect_uri", thief), ask("prompt", "none", "scope", "")} {
			if n := drive.Script[int](b, "frame("+drive.Quoted(address)+")"); n != 0 {
				t.Errorf("a frame of %s told it: %s", thief, drive.Script[string](b, "JSON.stringify(heard)"))
			}
		}
		popup := b.Popup(ask("prompt", "none"))
		popup.See("You can close this window")
		if n := drive.Script[int](b, "new Promise((done) => setTimeout(() => done(heard.length), 0))"); n != 0 {
			t.Errorf("a popup of %s told it: %s", thief, drive.Script[string](b, "JSON.stringify(heard)"))
		}
	}

	b.Open(app)
	drive.Script[int](b, "frame("+drive.Quoted(ask("prompt", "none"))+")")
	b.Wait("the application hears its frame", func() bool { return drive.Script[bool](b, "!!heard[0]?.response?.code") })
	b.Popup(ask("prompt", "none")).See("You can close this window")
	b.Wait("the application hears its popup", func() bool { return drive.Script[bool](b, "!!heard[1]?.response?.code") })
}

// What other pages load ends no session: only somebody who goes there signs out.
func TestThreat_LO03_PicturesAndFormsDoNotSignOut(t *testing.T) {
	t.Parallel()
	h := drive.OpenHouse(t)
	app := application(h)
	spa := h.Client(drive.SPAClient)
	trusted := h.Issuer + "v2/logout?" + url.Values{"client_id": {spa.ClientID}, "returnTo": {app}}.Encode()
	bare, rp := h.Issuer+"v2/logout", h.Issuer+"oidc/logout"
	var html strings.Builder
	for _, address := range []string{trusted, bare, rp} {
		fmt.Fprintf(&html, `<img src="%[1]s"><script src="%[1]s"></script><link rel="stylesheet" href="%[1]s"><iframe src="%[1]s"></iframe><object data="%[1]s"></object><video src="%[1]s"></video>
			<script>fetch("%[1]s", {mode: "no-cors", credentials: "include"}).catch(() => {}); navigator.sendBeacon("%[1]s", "x"); new Image().src = "%[1]s"</script>`, address)
	}
	fmt.Fprintf(&html, `<a href="%s">leave</a><form method="post" action="%s"><button>post</button></form>`, bare, rp)
	sameSite, crossSite := hostile(t, html.String())
	me := drive.NewProfile(t)
	enter(me, h, h.User(drive.Alice))
	b := me.Tab()
	for _, from := range []string{sameSite, crossSite} {
		b.Open(from) // and all that it loads
		if who := signedInAs(me, h); who != h.User(drive.Alice).Email {
			t.Fatalf("a page at %s signed Alice out", from)
		}
		b.Press("leave")
		b.At(h.Issuer)
		b.See("Sign out?")
		b.Open(from)
		b.Press("post")
		b.At(h.Issuer)
		if who := signedInAs(me, h); who != h.User(drive.Alice).Email {
			t.Fatalf("a form at %s signed Alice out without a question", from)
		}
	}
	b.Open(trusted)
	b.At(app)
	if who := signedInAs(me, h); who != "" {
		t.Errorf("%s is still signed in, so this test sees nothing", who)
	}
}
