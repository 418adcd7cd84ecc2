package browser_test

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/seal"
	"github.com/gatehouse-dev/gatehouse/internal/core/browser"
	"github.com/gatehouse-dev/gatehouse/internal/core/signin"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

func keyring(t testing.TB, first byte) *seal.Keyring {
	t.Helper()
	k, err := seal.New([]seal.MasterKey{seal.NewMasterKey([32]byte{first})})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func plain() *tenant.Tenant { return &tenant.Tenant{ID: "a", Issuer: "http://localhost:8080/"} }

func secure() *tenant.Tenant { return &tenant.Tenant{ID: "a", Issuer: "https://id.example/"} }

// What somebody else chose is in a seal, too (a state, an address). It is worth something only
// for this purpose, this tenant, this browser, and for an hour.
func TestThreat_BR11_ASealIsGoodForOneThing(t *testing.T) {
	k, tn := keyring(t, 1), plain()
	f := browser.Flow{StartedAt: noon, Request: &oauth.AuthorizationRequest{ClientID: "c", State: `{"u":[{"s":"admin"}]}`}, SID: "s"}
	sealed, err := browser.SealFlow(k, tn, "mine", f)
	if err != nil {
		t.Fatal(err)
	}
	back, err := browser.OpenFlow(k, tn, "mine", sealed, noon.Add(browser.FlowLifetime))
	if err != nil || back.Request.State != f.Request.State || back.SID != "s" || !back.StartedAt.Equal(noon) {
		t.Fatalf("%+v, %v", back, err)
	}
	raw, err := base64.RawURLEncoding.DecodeString(sealed)
	if err != nil {
		t.Fatal(err)
	}
	for _, purpose := range []string{"known device", "challenge", "mail", "signing key", "refresh token", ""} {
		if _, err := k.Open(purpose, []byte(tn.ID), raw); err == nil {
			t.Errorf("opens as %q", purpose)
		}
	}
	other := plain()
	other.ID = "b"
	for name, open := range map[string]func() (browser.Flow, error){
		"another browser":  func() (browser.Flow, error) { return browser.OpenFlow(k, tn, "theirs", sealed, noon) },
		"no browser":       func() (browser.Flow, error) { return browser.OpenFlow(k, tn, "", sealed, noon) },
		"another tenant":   func() (browser.Flow, error) { return browser.OpenFlow(k, other, "mine", sealed, noon) },
		"another house":    func() (browser.Flow, error) { return browser.OpenFlow(keyring(t, 2), tn, "mine", sealed, noon) },
		"empty":            func() (browser.Flow, error) { return browser.OpenFlow(k, tn, "mine", "", noon) },
		"shorter":          func() (browser.Flow, error) { return browser.OpenFlow(k, tn, "mine", sealed[:len(sealed)-4], noon) },
		"longer":           func() (browser.Flow, error) { return browser.OpenFlow(k, tn, "mine", sealed+"AAAA", noon) },
		"in other letters": func() (browser.Flow, error) { return browser.OpenFlow(k, tn, "mine", sealed+"=", noon) },
		"huge":             func() (browser.Flow, error) { return browser.OpenFlow(k, tn, "mine", strings.Repeat("A", 1<<20), noon) },
		"only sealed": func() (browser.Flow, error) {
			raw := k.Seal("authorization flow", []byte(tn.ID), []byte(`{"t":"2026-01-02T12:00:00Z"}`))
			return browser.OpenFlow(k, tn, "mine", base64.RawURLEncoding.EncodeToString(raw), noon)
		},
	} {
		if f, err := open(); !errors.Is(err, browser.ErrForeignFlow) || f.Request != nil {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
	for at := range len(raw) {
		changed := []byte(string(raw))
		changed[at] ^= 1
		if _, err := browser.OpenFlow(k, tn, "mine", base64.RawURLEncoding.EncodeToString(changed), noon); err == nil {
			t.Fatalf("byte %d can be changed", at)
		}
	}
	if back, err := browser.OpenFlow(k, tn, "mine", sealed, noon.Add(browser.FlowLifetime+1)); !errors.Is(err, browser.ErrExpiredFlow) || back.Request == nil {
		t.Errorf("after an hour: %+v, %v", back, err)
	}
}

func TestThreat_BR02_AttributesOfCookies(t *testing.T) {
	result := &signin.Result{Cookie: "session-id", Silent: "silent-id", Device: "device"}
	quiet := secure()
	quiet.Settings.NoSilentCookie = true
	for _, c := range []struct {
		tenant *tenant.Tenant
		names  string
	}{
		{plain(), "gatehouse_sso gatehouse_device gatehouse_browser"},
		{secure(), "__Host-gatehouse_sso __Host-gatehouse_silent __Host-gatehouse_device __Host-gatehouse_browser"},
		{quiet, "__Host-gatehouse_sso __Host-gatehouse_device __Host-gatehouse_browser"},
	} {
		c.tenant.Settings.SessionAbsolute = 24 * time.Hour
		w := httptest.NewRecorder()
		cookies := browser.CookiesOf(c.tenant, noon)
		cookies.SignedIn(w, result)
		cookies.EnsureIdentity(w, httptest.NewRequest(http.MethodGet, "/", nil))
		var names []string
		for _, k := range w.Result().Cookies() {
			names = append(names, k.Name)
			silent := strings.HasSuffix(k.Name, "_silent")
			site := http.SameSiteLaxMode
			if silent {
				site = http.SameSiteNoneMode
			}
			if k.Path != "/" || k.Domain != "" || !k.HttpOnly || k.Secure != c.tenant.Secure() || k.SameSite != site || k.MaxAge <= 0 {
				t.Errorf("%s", k.Raw)
			}
			if silent != (k.Value == "silent-id") {
				t.Errorf("%s holds the id of the other", k.Name)
			}
		}
		if got := strings.Join(names, " "); got != c.names {
			t.Errorf("%s: cookies %s, want %s", c.tenant.Issuer, got, c.names)
		}
	}
}

// A request that brings a cookie of ours twice brings none, and loses those that are ours.
func TestThreat_BR02_TwoOfOneName(t *testing.T) {
	cookies := browser.CookiesOf(plain(), noon)
	for _, name := range []string{"gatehouse_sso", "gatehouse_browser", "gatehouse_device", "gatehouse_silent"} {
		for _, headers := range [][]string{{name + "=a; " + name + "=b"}, {name + "=a", name + "=b"}, {name + "=a; x=y; " + name + "=a"}} {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Header["Cookie"] = append([]string{"gatehouse_sso=s; gatehouse_browser=b; gatehouse_device=d"}, headers...)
			if !cookies.Tampered(r) || browser.Read(r, name) != "" {
				t.Errorf("%v: tampered %v, read %q", headers, cookies.Tampered(r), browser.Read(r, name))
			}
			if f := cookies.From(r, ""); f.Session != "" || f.Browser != "" || f.Device != "" {
				t.Errorf("%v: %+v", headers, f)
			}
		}
	}
	w := httptest.NewRecorder()
	browser.CookiesOf(secure(), noon).Clear(w)
	if got := len(w.Result().Cookies()); got != 4 {
		t.Errorf("%d cookies are taken back", got)
	}
	for _, c := range w.Result().Cookies() {
		if c.MaxAge >= 0 || c.Value != "" || c.Path != "/" || !c.Secure {
			t.Errorf("%s", c.Raw)
		}
	}
}

// names that look like ours to a reader that trims, unquotes or knows attributes.
func lookalikes(name, value string) []string {
	return []string{
		"\u2000" + name + "=" + value, "\u00a0" + name + "=" + value, "\u3000" + name + "=" + value, "\t" + name + "=" + value, "  " + name + "=" + value, "\v" + name + "=" + value,
		name + " =" + value, name + "\t=" + value, "=" + name + "=" + value, `"` + name + `"=` + value, "$Version=1; $" + name + "=" + value, "$Version=1; x=\"; " + "y" + name + "=" + value + "\"",
		strings.ToUpper(name) + "=" + value, name + "\x00=" + value, strings.Replace(name, "_", "%5f", 1) + "=" + value, name, "x=y, " + name + "=" + value, name + "[]=" + value, "__Host-" + name + "=" + value, "__Secure-" + name + "=" + value,
	}
}

func TestThreat_BR03_LookalikesAreOtherCookies(t *testing.T) {
	for _, name := range []string{"gatehouse_sso", "__Host-gatehouse_sso"} {
		for _, header := range lookalikes(name, "planted") {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Header["Cookie"] = []string{header}
			if got := browser.Read(r, name); got != "" {
				t.Errorf("%q is read as %s=%s", header, name, got)
			}
			// Nor does one of them keep the real one from being read.
			r.Header["Cookie"] = []string{header + "; " + name + "=real"}
			if got := browser.Read(r, name); got != "real" {
				t.Errorf("beside %q the real one reads %q", header, got)
			}
		}
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header["Cookie"] = []string{name + `="quoted"`}
		if got := browser.Read(r, name); got != `"quoted"` {
			t.Errorf("quotes are not part of the value: %q", got)
		}
	}
}

func FuzzThreat_BR03_Read(f *testing.F) {
	for _, header := range lookalikes("gatehouse_sso", "v") {
		f.Add(header)
	}
	f.Add("gatehouse_sso=v; gatehouse_sso=w")
	f.Add("a=b;gatehouse_sso=v;c")
	f.Fuzz(func(t *testing.T, header string) {
		r := &http.Request{Header: http.Header{"Cookie": {header}}}
		got := browser.Read(r, "gatehouse_sso")
		if got == "" {
			return
		}
		// Whatever is read stands there byte for byte, after the start or a semicolon.
		if !strings.Contains(";"+header+";", ";gatehouse_sso="+got+";") && !strings.Contains(";"+header+";", "; gatehouse_sso="+got+";") {
			t.Fatalf("%q reads %q", header, got)
		}
	})
}

func FuzzThreat_BR11_OpenFlow(f *testing.F) {
	var key [32]byte
	rand.Read(key[:]) // the workers of a fuzzer are processes, each with a seal of its own
	k, err := seal.New([]seal.MasterKey{seal.NewMasterKey(key)})
	if err != nil {
		f.Fatal(err)
	}
	tn := plain()
	good, err := browser.SealFlow(k, tn, "mine", browser.Flow{StartedAt: noon})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add("")
	f.Add(strings.Repeat("A", 100))
	f.Fuzz(func(t *testing.T, sealed string) {
		_, err := browser.OpenFlow(k, tn, "mine", sealed, noon)
		if err == nil && sealed != good {
			t.Fatalf("%q opens", sealed)
		}
	})
}
