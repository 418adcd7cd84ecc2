package csrf

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"html/template"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/internal/keyring"
	"github.com/gatehouse-dev/gatehouse/guard/internal/opaque"
	"github.com/gatehouse-dev/gatehouse/guard/session"
)

// FieldName and HeaderName are where the token is looked for: in the header first,
// then in a form. In a multipart form it must be the first field; a body of any
// other type needs the header.
const (
	FieldName  = "csrf_token"
	HeaderName = "X-CSRF-Token"
)

const (
	// tokenLength is how long every token is: a MAC and its mask, in base64url.
	tokenLength = (2*keyring.MACSize*8 + 5) / 6
	// maxPeek is how much of a multipart body is looked at.
	maxPeek = 64 << 10
)

type issuerKey struct{}

// Token returns the token for a form or script of this response; ctx is that of a
// request behind Middleware. It panics without one: that is a mistake in the
// program. For a stranger it sets a cookie, so call it before the response begins.
func Token(ctx context.Context) string {
	i, ok := ctx.Value(issuerKey{}).(*issuer)
	if !ok {
		panic("csrf: no token in this context; put Protection.Middleware around the handler")
	}
	return i.token()
}

// Field returns a hidden input with the token, for templates. In a multipart form
// put it first.
func Field(ctx context.Context) template.HTML {
	// A token is base64url: there is nothing to escape.
	return template.HTML(`<input type="hidden" name="` + FieldName + `" value="` + Token(ctx) + `">`)
}

// issuer makes the tokens of one response. To package guard it is a scheme that
// never knows anybody.
type issuer struct {
	protection *Protection
	request    *http.Request // as the middleware saw it, and will see the next one

	mu       sync.Mutex
	issued   bool
	stranger string // the new value of the cookie, if it needs one
}

// Authenticate implements guard.Authenticator.
func (i *issuer) Authenticate(*http.Request) (guard.Result, error) {
	return guard.Result{BeforeHeader: i.beforeHeader}, nil
}

// Challenge implements guard.Authenticator.
func (*issuer) Challenge(*http.Request, *guard.Error) []string { return nil }

func (i *issuer) token() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.issued = true
	p := i.protection
	bound, _ := p.session(i.request)
	if bound == "" {
		value := i.stranger
		if value == "" {
			value, _ = p.cookie.Get(i.request)
		}
		if value == "" {
			value = opaque.Name()
			i.stranger = value
		}
		bound = strangers(value)
	}
	return mask(p.mac.Sum(bound))
}

func (i *issuer) beforeHeader(h http.Header) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.issued {
		return
	}
	// The token is for one browser's eyes.
	if cached := h.Get("Cache-Control"); !strings.Contains(cached, "private") && !strings.Contains(cached, "no-store") {
		h.Set("Cache-Control", "private, no-cache")
	}
	if i.stranger != "" {
		// A random name is never too long for a cookie.
		_ = i.protection.cookie.Set(h, i.request, i.stranger, 0)
	}
}

// verify reports whether the request has a token of the session it belongs to.
func (p *Protection) verify(r *http.Request) bool {
	mac, ok := unmask(presented(r))
	if !ok {
		return false
	}
	bound, signedIn := p.session(r)
	if bound != "" && p.mac.Verify(bound, mac) {
		return true
	}
	if signedIn {
		return false
	}
	// A stranger may have got a session after the form was made.
	value, _ := p.cookie.Get(r)
	return value != "" && p.mac.Verify(strangers(value), mac)
}

// strangers and the prefixes in session keep the kinds of bindings apart.
func strangers(cookie string) string { return "cookie\n" + cookie }

// session says which session the request belongs to, empty if there is none.
func (p *Protection) session(r *http.Request) (bound string, signedIn bool) {
	if p.options.Binding != nil {
		if b := p.options.Binding(r); b != "" {
			return "own\n" + b, true
		}
		return "", false
	}
	if s, ok := session.FromContext(r.Context()); ok {
		if b := s.Binding(); b != "" {
			return "session\n" + b, s.Principal() != nil
		}
	}
	who, ok := guard.From(r.Context())
	if !ok {
		return "", false
	}
	if s, ok := who.Credential.(interface{ Binding() string }); ok && s.Binding() != "" {
		return "session\n" + s.Binding(), true
	}
	var b strings.Builder
	b.WriteString("principal")
	for _, part := range []string{who.Method, who.Issuer, who.Subject, who.SessionID} {
		b.WriteString("\n" + strconv.Quote(part)) // no two lists read the same
	}
	return b.String(), true
}

// presented returns the token that came with the request, empty if there is none.
func presented(r *http.Request) string {
	if values := r.Header.Values(HeaderName); len(values) > 0 {
		return values[0]
	}
	kind, parameters, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || r.Body == nil {
		return ""
	}
	switch kind {
	case "application/x-www-form-urlencoded":
		if r.ParseForm() != nil {
			return ""
		}
		return r.PostForm.Get(FieldName)
	case "multipart/form-data":
		return firstPart(r, parameters["boundary"])
	}
	return ""
}

// firstPart reads the first field of a multipart body and puts back what it read:
// the rest may be a file that the handler wants to stream.
func firstPart(r *http.Request, boundary string) string {
	if boundary == "" {
		return ""
	}
	var read bytes.Buffer
	body := r.Body
	defer func() {
		r.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(&read, body), body}
	}()
	part, err := multipart.NewReader(io.TeeReader(io.LimitReader(body, maxPeek), &read), boundary).NextPart()
	if err != nil || part.FormName() != FieldName || part.FileName() != "" {
		return ""
	}
	value, err := io.ReadAll(io.LimitReader(part, tokenLength+1))
	if err != nil {
		return ""
	}
	return string(value)
}

// mask hides a MAC behind random bytes of its own: what a page contains differs
// each time, so that the length of its compressed form says nothing (BREACH).
func mask(mac []byte) string {
	masked := make([]byte, 2*keyring.MACSize)
	_, _ = rand.Read(masked[:keyring.MACSize]) // never fails
	subtle.XORBytes(masked[keyring.MACSize:], masked[:keyring.MACSize], mac)
	return base64.RawURLEncoding.EncodeToString(masked)
}

func unmask(token string) ([]byte, bool) {
	if len(token) != tokenLength { // also because encoding/base64 skips line breaks
		return nil, false
	}
	masked, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(masked) != 2*keyring.MACSize {
		return nil, false
	}
	mac := make([]byte, keyring.MACSize)
	subtle.XORBytes(mac, masked[:keyring.MACSize], masked[keyring.MACSize:])
	return mac, true
}
