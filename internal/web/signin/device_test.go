package signin_test

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/config"
	"github.com/gatehouse-dev/gatehouse/internal/server/demo"
	"github.com/gatehouse-dev/gatehouse/internal/server/servertest"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

const (
	titleDeviceCode    = "Connect a device"
	titleDeviceConfirm = "Let this device in?"
	titleDeviceDone    = "Your device is connected"
)

// waiting is a device that waits to be let in.
type waiting struct {
	DeviceCode string `json:"device_code"`
	UserCode   string `json:"user_code"`
	ByLink     string `json:"verification_uri_complete"`
}

func device(t testing.TB, i *servertest.Instance) (w waiting) {
	t.Helper()
	got := i.PostForm(t, "/oauth/device/code", demo.Native, "scope", "openid read:shows")
	if err := json.Unmarshal([]byte(got.Raw), &w); err != nil || w.UserCode == "" {
		t.Fatal(got.Raw)
	}
	return w
}

// told is what the device is told; empty for tokens.
func told(t testing.TB, i *servertest.Instance, d waiting) string {
	t.Helper()
	return i.PostForm(t, "/oauth/token", demo.Native, "grant_type", oauth.GrantDeviceCode, "device_code", d.DeviceCode).Error
}

func TestDeviceAfterSigningIn(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	b, d := i.NewBrowser(t), device(t, i)
	p := expect(t, b.Get(d.ByLink), http.StatusOK, titleSignIn)
	p = b.As(p, demo.Reader)
	if at := p.Header.Get("Location"); p.StatusCode != http.StatusSeeOther || at != "/device?user_code="+d.UserCode {
		t.Fatalf("%s, Location %q", p.Status, at)
	}
	p = expect(t, b.Get(p.Header.Get("Location")), http.StatusOK, titleDeviceCode)
	if !strings.Contains(p.Body, `value="`+d.UserCode+`"`) || !strings.Contains(p.Body, demo.Reader) {
		t.Errorf("the code or the person is not on the page:\n%s", p.Body)
	}
	p = expect(t, b.Press(p, "look_up", "user_code", strings.ToLower(d.UserCode)), http.StatusOK, titleDeviceConfirm)
	expect(t, b.Press(p, "let_in", "started", "yes"), http.StatusOK, titleDeviceDone)
	if got := told(t, i, d); got != "" {
		t.Errorf("the device is told %s", got)
	}
	used := expect(t, b.Press(p, "let_in", "started", "yes"), http.StatusUnprocessableEntity, titleDeviceCode)
	if !strings.Contains(used.Body, "was used already") {
		t.Error("a second time is not told so")
	}
}

func TestDeviceAfterSigningUp(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	b, d := i.NewBrowser(t), device(t, i)
	p := b.Press(b.Get("/device"), "sign_up")
	p = b.Press(p, "sign_up", "email", newcomer, "password", newPassword)
	p = b.Press(p, "verify", "code", mailed(t, i, newcomer))
	if at := p.Header.Get("Location"); at != "/device" {
		t.Fatalf("%s, Location %q", p.Status, at)
	}
	p = b.Press(b.Get("/device"), "look_up", "user_code", d.UserCode)
	expect(t, b.Press(p, "let_in", "started", "yes"), http.StatusOK, titleDeviceDone)
}

func TestThreat_DV02_NothingApprovesByItself(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	b := signedIn(t, i, demo.Reader)
	d := device(t, i)
	still := func(what string) {
		t.Helper()
		i.Clock.Advance(time.Minute)
		if got := told(t, i, d); got != "authorization_pending" {
			t.Fatalf("%s: the device is told %q", what, got)
		}
	}
	code := expect(t, b.Get(d.ByLink), http.StatusOK, titleDeviceCode)
	still("opening the link while signed in")
	expect(t, b.Press(code, "let_in", "started", "yes"), http.StatusSeeOther, "")
	still("letting in without looking")
	confirm := expect(t, b.Press(code, "look_up", "user_code", d.UserCode), http.StatusOK, titleDeviceConfirm)
	still("typing the code")
	for _, want := range []string{demo.Native, d.UserCode, "See the list of TV shows", "127.0.0.1", "where you are, too", "min ago", demo.Reader, "I started this"} {
		if !strings.Contains(confirm.Body, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	again := expect(t, b.Press(confirm, "let_in"), http.StatusUnprocessableEntity, titleDeviceConfirm)
	still("letting in without saying who started it")
	expect(t, b.Press(again, "", "started", "yes"), http.StatusSeeOther, "")
	still("a form without its button")

	// What a page says of one person holds for no other.
	b.SignIn(demo.Administrator, i.Password(t, demo.Administrator))
	expect(t, b.Press(confirm, "let_in", "started", "yes"), http.StatusSeeOther, "")
	still("a page drawn for somebody else")
	// Nor can another site or another browser send it.
	expect(t, signedIn(t, i, demo.Reader).Post("/device", confirm.Hidden()), http.StatusBadRequest, titleError)
	b.Header.Set("Sec-Fetch-Site", "cross-site")
	expect(t, b.Press(confirm, "let_in", "started", "yes"), http.StatusForbidden, titleError)
	b.Header.Del("Sec-Fetch-Site")
	still("a form from another site")
	for _, directive := range []string{"frame-ancestors 'none'", "form-action 'self'"} {
		if !strings.Contains(confirm.Header.Get("Content-Security-Policy"), directive) {
			t.Errorf("the page is sent without %s", directive)
		}
	}
}

// A client that was not registered for it has no devices, whatever its type.
func TestThreat_DV02_ClientsAreBarredUnlessRegistered(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	for _, client := range []string{demo.SPA, demo.RegularWeb, demo.Machine, demo.ThirdParty} {
		if got := i.PostForm(t, "/oauth/device/code", client, "scope", "openid"); got.Error != "unauthorized_client" {
			t.Errorf("%s: %d %s", client, got.Status, got.Raw)
		}
	}
}

func TestThreat_DV02_TheNetworkIsShown(t *testing.T) {
	i := servertest.New(t, servertest.Options{Configure: func(c *config.Config) { c.Proxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} }})
	b := signedIn(t, i, demo.Reader)
	d := device(t, i)
	const here, elsewhere = "where you are, too", "which is not your network"
	for from, want := range map[string]string{"203.0.113.9": elsewhere, "2001:db8::1": "", "127.0.0.1": here, "::1": here} {
		b.Header.Set("X-Forwarded-For", from)
		p := expect(t, b.Press(b.Get("/device"), "look_up", "user_code", d.UserCode), http.StatusOK, titleDeviceConfirm)
		if strings.Contains(p.Body, here) != (want == here) || strings.Contains(p.Body, elsewhere) != (want == elsewhere) || !strings.Contains(p.Body, "127.0.0.1") {
			t.Errorf("from %s the page does not say %q", from, want)
		}
	}
}

func TestThreat_DV01_GuessingUserCodesIsLimited(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	guess := func(b *servertest.Browser, code string) *servertest.Page {
		return b.Press(b.Get("/device"), "look_up", "user_code", code)
	}
	// A stranger is asked to sign in, and learns nothing.
	stranger := i.NewBrowser(t)
	form := stranger.Get("/device").Hidden()
	form.Set("action", "look_up")
	form.Set("user_code", device(t, i).UserCode)
	expect(t, stranger.Post("/device", form), http.StatusOK, titleSignIn)

	b := signedIn(t, i, demo.Reader)
	expect(t, guess(b, "not a code"), http.StatusUnprocessableEntity, titleDeviceCode)
	for range 10 { // right ones do not count
		expect(t, guess(b, device(t, i).UserCode), http.StatusOK, titleDeviceConfirm)
	}
	for range 5 {
		expect(t, guess(b, "BBBB-BBBB"), http.StatusUnprocessableEntity, titleDeviceCode)
	}
	d := device(t, i)
	for _, code := range []string{"BBBB-BBBB", d.UserCode} {
		p := expect(t, guess(b, code), http.StatusTooManyRequests, titleLimit)
		if p.Header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	}
	// Another session goes on, until its network has had enough.
	for n := range 3 {
		other := signedIn(t, i, demo.Reader)
		expect(t, guess(other, d.UserCode), http.StatusOK, titleDeviceConfirm)
		for range 5 {
			expect(t, guess(other, "BBBB-BBBB"), http.StatusUnprocessableEntity, titleDeviceCode)
		}
		if n == 2 {
			expect(t, guess(other, d.UserCode), http.StatusTooManyRequests, titleLimit)
		}
	}
	expect(t, guess(signedIn(t, i, demo.Administrator), d.UserCode), http.StatusTooManyRequests, titleLimit)
	i.Clock.Advance(time.Hour)
	expect(t, guess(signedIn(t, i, demo.Reader), device(t, i).UserCode), http.StatusOK, titleDeviceConfirm)
}

// However many come at once, five are wrong.
func TestThreat_DV01_ParallelGuesses(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	b := signedIn(t, i, demo.Reader)
	form := b.Get("/device")
	statuses := make(chan int, 64)
	for range cap(statuses) {
		go func() { statuses <- b.Press(form, "look_up", "user_code", "BBBB-BBBB").StatusCode }()
	}
	wrong := 0
	for range cap(statuses) {
		if <-statuses == http.StatusUnprocessableEntity {
			wrong++
		}
	}
	if wrong != 5 {
		t.Errorf("%d of %d guesses were answered, want 5", wrong, cap(statuses))
	}
}
