// Package browser is what the house hands to a browser and gets back: its cookies, and the
// authorization request that travels sealed in a form field, so that nothing is written for a
// stranger.
package browser

import (
	"net/http"
	"strings"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/httpx"
	"github.com/gatehouse-dev/gatehouse/internal/base/id"
	"github.com/gatehouse-dev/gatehouse/internal/core/signin"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
)

// Cookies reads and writes the cookies of one tenant. All are HttpOnly, bound to the host, and,
// on https, Secure and of the prefix __Host-.
type Cookies struct {
	tenant *tenant.Tenant
	now    time.Time
}

// CookiesOf returns the cookies of a tenant. now decides expiry dates.
func CookiesOf(tn *tenant.Tenant, now time.Time) Cookies { return Cookies{tn, now} }

// The cookies there are.
const (
	session  = "gatehouse_sso"     // names the session
	silent   = "gatehouse_silent"  // names the same session, for silent authentication alone
	identity = "gatehouse_browser" // names the browser, so that a flow can not go on in another
	device   = "gatehouse_device"  // sealed: who has signed in here before
)

const (
	identityLifetime = 365 * 24 * time.Hour
	deviceLifetime   = 365 * 24 * time.Hour
)

// Session returns the value of the session cookie, empty without one.
func (c Cookies) Session(r *http.Request) string { return Read(r, c.name(session)) }

// Silent returns the value of the silent cookie, empty without one.
func (c Cookies) Silent(r *http.Request) string {
	if !c.silentAllowed() {
		return ""
	}
	return Read(r, c.name(silent))
}

// Device returns the value of the device cookie, empty without one.
func (c Cookies) Device(r *http.Request) string { return Read(r, c.name(device)) }

// Identity returns the id of the browser, empty if it has none yet.
func (c Cookies) Identity(r *http.Request) string { return Read(r, c.name(identity)) }

// EnsureIdentity returns the id of the browser, giving it one if it has none.
func (c Cookies) EnsureIdentity(w http.ResponseWriter, r *http.Request) string {
	if known := c.Identity(r); known != "" {
		return known
	}
	fresh := id.Secret()
	c.set(w, identity, fresh, identityLifetime, http.SameSiteLaxMode)
	return fresh
}

// From returns where a request comes from, for the verbs of package signin. A request that carries
// a cookie of ours twice comes from a browser without any.
func (c Cookies) From(r *http.Request, clientID string) signin.From {
	f := signin.From{Address: httpx.ClientAddr(r), UserAgent: r.UserAgent(), ClientID: clientID}
	if !c.Tampered(r) {
		f.Browser, f.Session, f.Device = c.Identity(r), c.Session(r), c.Device(r)
	}
	return f
}

// SignedIn hands out what a sign-in gives the browser: the two ids of the session, and the note of
// who has signed in here.
func (c Cookies) SignedIn(w http.ResponseWriter, result *signin.Result) {
	lifetime := c.tenant.Settings.SessionAbsolute
	c.set(w, session, result.Cookie, lifetime, http.SameSiteLaxMode)
	if c.silentAllowed() {
		c.set(w, silent, result.Silent, lifetime, http.SameSiteNoneMode)
	}
	c.SetDevice(w, result.Device)
}

// SetDevice hands out the note of who has proven to own an account here.
func (c Cookies) SetDevice(w http.ResponseWriter, value string) {
	c.set(w, device, value, deviceLifetime, http.SameSiteLaxMode)
}

// ClearSession takes both ids of a session back.
func (c Cookies) ClearSession(w http.ResponseWriter) {
	c.set(w, session, "", -1, http.SameSiteLaxMode)
	if c.tenant.Secure() {
		c.set(w, silent, "", -1, http.SameSiteNoneMode)
	}
}

// Clear takes back every cookie of the house.
func (c Cookies) Clear(w http.ResponseWriter) {
	c.ClearSession(w)
	c.set(w, identity, "", -1, http.SameSiteLaxMode)
	c.set(w, device, "", -1, http.SameSiteLaxMode)
}

// Tampered reports whether a request carries a cookie of the house more than once: somebody
// (another subdomain, another port) has planted one beside ours. Such a request counts as having
// none of them, and its answer takes ours back: what is left then is at least one alone.
func (c Cookies) Tampered(r *http.Request) bool {
	for _, name := range []string{session, silent, identity, device} {
		if len(values(r, c.name(name))) > 1 {
			return true
		}
	}
	return false
}

// silentAllowed: SameSite=None is for https alone; browsers drop it elsewhere.
func (c Cookies) silentAllowed() bool {
	return c.tenant.Secure() && !c.tenant.Settings.NoSilentCookie
}

func (c Cookies) name(base string) string {
	if c.tenant.Secure() {
		return "__Host-" + base
	}
	return base
}

func (c Cookies) set(w http.ResponseWriter, base, value string, lifetime time.Duration, site http.SameSite) {
	cookie := &http.Cookie{
		Name: c.name(base), Value: value, Path: "/", HttpOnly: true, Secure: c.tenant.Secure(), SameSite: site,
		MaxAge: int(lifetime.Seconds()), Expires: c.now.Add(lifetime),
	}
	if lifetime < 0 {
		cookie.MaxAge, cookie.Expires = -1, time.Unix(1, 0)
	}
	http.SetCookie(w, cookie)
}

// Read returns the value of the one cookie with exactly this name, byte for byte: no trimming of
// what looks like white space, no quotes, no $-attributes, so that a cookie that only resembles
// ours is another cookie. Without one, or with several, it returns the empty string.
func Read(r *http.Request, name string) string {
	if found := values(r, name); len(found) == 1 {
		return found[0]
	}
	return ""
}

func values(r *http.Request, name string) []string {
	var found []string
	for _, header := range r.Header["Cookie"] {
		for part := range strings.SplitSeq(header, ";") {
			part = strings.TrimPrefix(part, " ")
			key, value, ok := strings.Cut(part, "=")
			if ok && key == name && value != "" {
				found = append(found, value)
			}
		}
	}
	return found
}
