// Package cookies reads and writes the cookies of the guard: host-only,
// invisible to scripts, withheld from cross-site posts, split when long.
package cookies

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// chunkSize leaves room for name and attributes in the 4,096 bytes that
	// browsers grant a cookie.
	chunkSize = 3500
	// maxChunks keeps the whole Cookie header line within the 8 KB that common
	// proxies take, with room for the application's own cookies.
	maxChunks = 2
)

// MaxValue is the longest value that Set takes, in bytes.
const MaxValue = maxChunks*chunkSize - 1

// TooLongError says that a value does not fit into cookies.
type TooLongError struct {
	Name string
	Size int
}

func (e *TooLongError) Error() string {
	return fmt.Sprintf("cookie %s would hold %d bytes, %d at most", e.Name, e.Size, MaxValue)
}

// Name returns the full name of a cookie: with the __Host- prefix, by which a
// browser refuses the cookie from any other host or over http, if and only if
// the site is https.
func Name(base string, secure bool) string {
	if secure {
		return "__Host-" + base
	}
	return base
}

// Cookie is one logical cookie. A long value is spread over several real ones,
// Name, Name_1, …; the first starts with their number.
type Cookie struct {
	Name   string
	Secure bool
	// SameSite is Lax unless set.
	SameSite http.SameSite
}

// Get returns the value r carries. present tells whether there was anything
// under the name; a value that is present but empty is damaged: a part is
// missing, or a name came twice, which happens when a neighbouring host plants
// a cookie of the same name.
func (c Cookie) Get(r *http.Request) (value string, present bool) {
	first := r.CookiesNamed(c.Name)
	if len(first) == 0 {
		return "", false
	}
	v := first[0].Value
	if len(first) > 1 || v == "" || v[0] < '1' || v[0] > '0'+maxChunks {
		return "", true
	}
	parts := int(v[0] - '0')
	if parts == 1 {
		return v[1:], true
	}
	var b strings.Builder
	b.WriteString(v[1:])
	for i := 1; i < parts; i++ {
		next := r.CookiesNamed(c.part(i))
		if len(next) != 1 || next[0].Value == "" {
			return "", true
		}
		b.WriteString(next[0].Value)
	}
	return b.String(), true
}

// Set puts value into the header for maxAge, or until the browser closes if that
// is zero, and removes parts that an earlier, longer value left with the browser
// of r. A value that is too long is a
// *TooLongError, and nothing is written.
func (c Cookie) Set(h http.Header, r *http.Request, value string, maxAge time.Duration) error {
	if len(value) > MaxValue {
		return &TooLongError{Name: c.Name, Size: len(value)}
	}
	parts := (len(value) + 1 + chunkSize - 1) / chunkSize
	value = strconv.Itoa(parts) + value
	seconds := 0
	if maxAge != 0 {
		seconds = max(1, int(maxAge/time.Second))
	}
	for i := range parts {
		chunk := value[i*chunkSize : min((i+1)*chunkSize, len(value))]
		c.put(h, c.part(i), chunk, seconds)
	}
	c.drop(h, r, parts)
	noStore(h)
	return nil
}

// Clear removes the cookie from the browser of r, if it sent it.
func (c Cookie) Clear(h http.Header, r *http.Request) {
	if c.drop(h, r, 0) {
		noStore(h)
	}
}

func (c Cookie) drop(h http.Header, r *http.Request, from int) (any bool) {
	for i := from; i < maxChunks; i++ {
		if len(r.CookiesNamed(c.part(i))) > 0 {
			c.put(h, c.part(i), "", -1)
			any = true
		}
	}
	return any
}

func (c Cookie) part(i int) string {
	if i == 0 {
		return c.Name
	}
	return c.Name + "_" + strconv.Itoa(i)
}

// put adds a Set-Cookie, in place of one for the same name.
func (c Cookie) put(h http.Header, name, value string, maxAge int) {
	kept := h["Set-Cookie"][:0:0]
	for _, line := range h["Set-Cookie"] {
		if !strings.HasPrefix(line, name+"=") {
			kept = append(kept, line)
		}
	}
	cookie := http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: maxAge,
		Secure: c.Secure, HttpOnly: true, SameSite: c.SameSite,
	}
	if cookie.SameSite == 0 {
		cookie.SameSite = http.SameSiteLaxMode
	}
	h["Set-Cookie"] = append(kept, cookie.String())
}

// noStore keeps a response that sets a cookie out of every cache, whatever the
// handler asked for: a cached session would be handed to strangers.
func noStore(h http.Header) {
	h.Set("Cache-Control", "no-store")
	VaryOnCookie(h)
}

// VaryOnCookie adds Cookie to Vary, once.
func VaryOnCookie(h http.Header) {
	for _, line := range h["Vary"] {
		for name := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(name), "Cookie") {
				return
			}
		}
	}
	h.Add("Vary", "Cookie")
}
