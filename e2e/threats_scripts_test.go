package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"
)

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

// Scripts in what other people have named, sent or registered never run, nor does a policy have to
// stop one: they are text.
func TestThreat_BR06_ScriptsInNamesAreText(t *testing.T) {
	t.Parallel()
	h := openHouse(t)
	app := h.application()
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

// The page that posts the answer to the application can post nowhere else, and what it posts is text.
func TestThreat_BR07_FormPost(t *testing.T) {
	t.Parallel()
	h := openHouse(t)
	var mu sync.Mutex
	var posted []url.Values
	app := h.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
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
