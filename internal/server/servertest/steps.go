package servertest

import (
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Cookie returns the value of a cookie the browser would send to the house, empty without one.
func (b *Browser) Cookie(name string) string {
	for _, c := range b.HTTP.Jar.Cookies(b.origin()) {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

// SetCookie plants a cookie, or with an empty value takes one away.
func (b *Browser) SetCookie(name, value string) {
	c := &http.Cookie{Name: name, Value: value, Path: "/", Secure: b.origin().Scheme == "https"}
	if value == "" {
		c.Expires = time.Unix(1, 0)
	}
	b.HTTP.Jar.SetCookies(b.origin(), []*http.Cookie{c})
}

// CookieHeader returns all the browser would send to the house, as one header.
func (b *Browser) CookieHeader() string {
	var parts []string
	for _, c := range b.HTTP.Jar.Cookies(b.origin()) {
		parts = append(parts, c.Name+"="+c.Value)
	}
	return strings.Join(parts, "; ")
}

func (b *Browser) origin() *url.URL {
	u, err := url.Parse(b.node.URL)
	if err != nil {
		b.t.Fatal(err)
	}
	return u
}

// Request returns a request to a path of the house without anything a browser adds but Accept:
// headers are pairs.
func (b *Browser) Request(method, path, body string, headers ...string) *http.Request {
	b.t.Helper()
	r, err := http.NewRequest(method, b.node.URL+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Accept", "text/html")
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for n := 0; n+1 < len(headers); n += 2 {
		r.Header.Set(headers[n], headers[n+1])
	}
	return r
}

// Press sends a page's form by one of its buttons.
func (b *Browser) Press(p *Page, action string, pairs ...string) *Page {
	b.t.Helper()
	return b.Submit(p, append([]string{"action", action}, pairs...)...)
}

// Enter fills in a sign-in page.
func (b *Browser) Enter(p *Page, email, password string) *Page {
	b.t.Helper()
	return b.Press(p, "sign_in", "email", email, "password", password)
}

// As fills in a sign-in page for one of the demo's people.
func (b *Browser) As(p *Page, email string) *Page {
	b.t.Helper()
	return b.Enter(p, email, b.node.Password(b.t, email))
}

// Title returns what a page is called, which tells the pages apart.
func (p *Page) Title() string {
	_, rest, _ := strings.Cut(p.Body, "<h1>")
	title, _, _ := strings.Cut(rest, "</h1>")
	return strings.TrimSpace(title)
}
