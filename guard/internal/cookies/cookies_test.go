package cookies_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard/internal/cookies"
)

var cookie = cookies.Cookie{Name: "__Host-session", Secure: true}

// send puts the cookies of a response into a new request.
func send(h http.Header) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	for _, c := range (&http.Response{Header: h}).Cookies() {
		if c.MaxAge >= 0 {
			r.AddCookie(&http.Cookie{Name: c.Name, Value: c.Value})
		}
	}
	return r
}

func empty() *http.Request { return httptest.NewRequest(http.MethodGet, "/", nil) }

func TestThreat_BR09_SizeIsWatched(t *testing.T) {
	for _, size := range []int{0, 1, 3498, 3499, 3500, 3501, cookies.MaxValue} {
		h := http.Header{}
		value := strings.Repeat("x", size)
		if err := cookie.Set(h, empty(), value, time.Hour); err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		for _, line := range h["Set-Cookie"] {
			if len(line) > 4096 {
				t.Errorf("%d bytes: a cookie of %d", size, len(line))
			}
		}
		if got, present := cookie.Get(send(h)); got != value || !present {
			t.Errorf("%d bytes come back as %d", size, len(got))
		}
	}
	h := http.Header{}
	var tooLong *cookies.TooLongError
	if err := cookie.Set(h, empty(), strings.Repeat("x", cookies.MaxValue+1), time.Hour); !errors.As(err, &tooLong) || len(h) != 0 {
		t.Errorf("too long a value: %v, header %v", err, h)
	}
}

func TestDamagedCookies(t *testing.T) {
	long := http.Header{}
	if err := cookie.Set(long, empty(), strings.Repeat("x", 5000), time.Hour); err != nil {
		t.Fatal(err)
	}
	parts := send(long).Cookies()
	request := func(list ...*http.Cookie) *http.Request {
		r := empty()
		for _, c := range list {
			r.AddCookie(c)
		}
		return r
	}
	tests := map[string]*http.Request{
		"second part missing": request(parts[0]),
		"second part twice":   request(parts[0], parts[1], parts[1]),
		"first part twice":    request(parts[0], parts[0], parts[1]),
		"empty":               request(&http.Cookie{Name: cookie.Name}),
		"no number":           request(&http.Cookie{Name: cookie.Name, Value: "xyz"}),
		"zero parts":          request(&http.Cookie{Name: cookie.Name, Value: "0xyz"}),
		"too many parts":      request(&http.Cookie{Name: cookie.Name, Value: "9xyz"}),
	}
	for name, r := range tests {
		if value, present := cookie.Get(r); value != "" || !present {
			t.Errorf("%s: %q, %v", name, value, present)
		}
		h := http.Header{}
		cookie.Clear(h, r)
		if len(h["Set-Cookie"]) == 0 || !strings.Contains(h["Set-Cookie"][0], "Max-Age=0") {
			t.Errorf("%s: not cleared: %v", name, h)
		}
	}
	if _, present := cookie.Get(request(parts[1])); present {
		t.Error("a second part alone is not this cookie")
	}
	for _, name := range []string{"\u2000__Host-session", "__host-session", "__Host-session ", "session", "__Host-sessio"} {
		r := empty()
		r.Header.Set("Cookie", name+"=1abc")
		if value, _ := cookie.Get(r); value != "" && name != "__Host-session " {
			t.Errorf("%q passes for %s", name, cookie.Name)
		}
	}
}

func TestThreat_RP13_AttributesAndCaching(t *testing.T) {
	h := http.Header{"Cache-Control": {"public, max-age=600"}, "Vary": {"Accept"}}
	if err := cookie.Set(h, empty(), "v", time.Hour); err != nil {
		t.Fatal(err)
	}
	if got, want := h.Get("Set-Cookie"), "__Host-session=1v; Path=/; Max-Age=3600; HttpOnly; Secure; SameSite=Lax"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if h.Get("Cache-Control") != "no-store" || strings.Join(h["Vary"], ", ") != "Accept, Cookie" {
		t.Errorf("a response with a cookie may be cached: %v", h)
	}
	plain := http.Header{}
	if err := (cookies.Cookie{Name: cookies.Name("session", false)}).Set(plain, empty(), "v", time.Hour); err != nil {
		t.Fatal(err)
	}
	if got, want := plain.Get("Set-Cookie"), "session=1v; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

func TestUntilTheBrowserCloses(t *testing.T) {
	h := http.Header{}
	strict := cookies.Cookie{Name: "__Host-session", Secure: true, SameSite: http.SameSiteStrictMode}
	if err := strict.Set(h, empty(), "v", 0); err != nil {
		t.Fatal(err)
	}
	if got, want := h.Get("Set-Cookie"), "__Host-session=1v; Path=/; HttpOnly; Secure; SameSite=Strict"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

func TestSetTwiceLeavesOne(t *testing.T) {
	h := http.Header{}
	h.Add("Set-Cookie", "other=1")
	_ = cookie.Set(h, empty(), strings.Repeat("x", 5000), time.Hour)
	r := send(h)
	_ = cookie.Set(h, r, "short", time.Hour)
	if len(h["Set-Cookie"]) != 3 {
		t.Fatalf("%q", h["Set-Cookie"])
	}
	if got, _ := cookie.Get(send(h)); got != "short" {
		t.Errorf("%q", got)
	}
	if last := h["Set-Cookie"][2]; !strings.HasPrefix(last, "__Host-session_1=;") {
		t.Errorf("the second part of the longer value stays: %q", last)
	}
}
