package page

import (
	"bytes"
	"crypto/rand"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
)

//go:embed templates messages scripts assets
var embedded embed.FS

// Options of a renderer.
type Options struct {
	// Dev shows what a development server shows: demo accounts, the inbox,
	// and in error pages what was expected, what came and the fix. Without it
	// those fields are not rendered even when a handler fills them.
	Dev      bool
	InboxURL string // Dev: where the built-in inbox is
	StartURL string // Dev: where the start page is
}

// Renderer writes pages. It is immutable and safe for concurrent use.
type Renderer struct {
	options    Options
	templates  map[string]*template.Template
	catalogues map[string]catalogue
	scripts    map[string]template.JS
	assets     assets
	nonce      func() string
}

// New reads the embedded templates, messages and assets once. An error means
// that the program was built wrong.
func New(o Options) (*Renderer, error) {
	r := &Renderer{options: o, templates: map[string]*template.Template{}, scripts: map[string]template.JS{}, nonce: newNonce}
	var err error
	if r.catalogues, err = readCatalogues(embedded); err != nil {
		return nil, err
	}
	if r.assets, err = readAssets(embedded); err != nil {
		return nil, err
	}
	scripts, err := fs.Glob(embedded, "scripts/*.js")
	if err != nil {
		return nil, err
	}
	for _, name := range scripts {
		code, err := embedded.ReadFile(name)
		if err != nil {
			return nil, err
		}
		r.scripts[strings.TrimSuffix(path.Base(name), ".js")] = template.JS(bytes.TrimSpace(code)) //nolint:gosec // our own file
	}
	base, err := template.ParseFS(embedded, "templates/base/*.html")
	if err != nil {
		return nil, fmt.Errorf("page: %w", err)
	}
	pages, err := fs.Glob(embedded, "templates/*.html")
	if err != nil {
		return nil, err
	}
	for _, name := range pages {
		t, err := base.Clone()
		if err != nil {
			return nil, fmt.Errorf("page: %w", err)
		}
		if t, err = t.ParseFS(embedded, name); err != nil {
			return nil, fmt.Errorf("page: %w", err)
		}
		r.templates[strings.TrimSuffix(path.Base(name), ".html")] = t
	}
	return r, nil
}

// Render writes p with the status and the headers of every page. A page that
// must not be shown (see [FormPost], [WebMessage]) becomes the error page
// server_error with status 500. A prefetch gets 503 and nothing else: a success would be kept, and
// shown in place of the page once the person really goes there.
func (r *Renderer) Render(w http.ResponseWriter, req *http.Request, status int, p Page) {
	if Speculative(req) {
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	s := p.sheet()
	if s.refused != nil {
		f := p.frame()
		p = ErrorPage{
			Frame: Frame{TenantName: f.TenantName, Logo: f.Logo, Accent: f.Accent, Lang: f.Lang},
			Code:  "server_error", Description: s.refused.Error(),
		}
		s, status = p.sheet(), http.StatusInternalServerError
	}
	if s.script == "" && p.frame().Post != "" {
		s.script = "form"
	}
	d := r.document(p, s)
	var body bytes.Buffer
	if err := r.templates[s.name].ExecuteTemplate(&body, "document", d); err != nil {
		// Templates are ours and every one is rendered in the tests.
		w.Header().Set("Cache-Control", "no-store")
		http.Error(w, "server_error", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	setHeaders(h, s, d.Frame, d.Nonce, req.Method == http.MethodPost)
	if limit, ok := p.(LimitReached); ok {
		h.Set("Retry-After", strconv.Itoa(60*max(limit.Minutes, 1)))
	}
	h.Set("Content-Length", strconv.Itoa(body.Len()))
	w.WriteHeader(status)
	if req.Method != http.MethodHead {
		_, _ = w.Write(body.Bytes()) // a reader that left needs no answer
	}
}

// document is what the templates see.
type document struct {
	Frame
	P       Page // the view itself
	Nonce   string
	Name    string
	Wide    bool
	Dir     string
	Dev     bool
	Inbox   string
	Start   string
	Style   string
	Theme   string
	Icon    string
	Script  template.JS
	sheet   sheet
	phrases catalogue
}

func (r *Renderer) document(p Page, s sheet) document {
	d := document{Frame: p.frame(), P: p, Name: s.name, Wide: s.wide, Dev: r.options.Dev, sheet: s}
	if d.TenantName == "" {
		d.TenantName = "Gatehouse"
	}
	if d.Lang == "" {
		d.Lang = "en"
	}
	d.Dir = direction(d.Lang)
	d.phrases = r.phrases(d.Lang)
	if !ownPath(d.Logo) {
		d.Logo = ""
	}
	if d.Dev {
		d.Inbox, d.Start = r.options.InboxURL, r.options.StartURL
	}
	d.Style, d.Icon = r.assets.path("gatehouse.css"), r.assets.path("mark.svg")
	if c, ok := parseColour(d.Accent); ok {
		d.Theme = accentPath(c)
	}
	if s.script != "" {
		d.Nonce, d.Script = r.nonce(), r.scripts[s.script]
	}
	return d
}

// phrases finds the catalogue of a language tag, cutting it from the right
// until one fits (RFC 4647 lookup), English at last.
func (r *Renderer) phrases(lang string) catalogue {
	for tag := lang; tag != ""; {
		if c, ok := r.catalogues[tag]; ok {
			return c
		}
		i := strings.LastIndexByte(tag, '-')
		if i < 0 {
			break
		}
		tag = tag[:i]
	}
	return r.catalogues["en"]
}

// T is a sentence as HTML.
func (d document) T(id Message) template.HTML { return d.phrases.html(id, d.args()) }

// Text is a sentence for titles and attributes.
func (d document) Text(id Message) string { return d.phrases.text(id, d.args()) }

// Has reports whether the catalogue knows an id.
func (d document) Has(id Message) bool { _, ok := d.phrases[id]; return ok }

// ID joins the parts of a message id.
func (d document) ID(parts ...string) Message { return Message(strings.Join(parts, ".")) }

// Title is the id of the page's title.
func (d document) Title() Message { return Message(d.Name + ".title") }

func (d document) args() map[string]string {
	a := map[string]string{"tenant": d.TenantName}
	for k, v := range d.sheet.args {
		a[k] = v
	}
	return a
}

// Focused reports whether the field should have the focus: never when there is
// an error to read first.
func (d document) Focused(field string) bool { return len(d.Errors) == 0 && d.sheet.focus == field }

// Wrong lists what is wrong with a field.
func (d document) Wrong(field string) []Message {
	var list []Message
	for _, m := range d.Errors {
		if fieldOf(m) == field {
			list = append(list, m)
		}
	}
	return list
}

// FieldOf is the id of the field a message is about.
func (d document) FieldOf(m Message) string { return fieldOf(m) }

// ownPath reports whether s is a path on this origin.
func ownPath(s string) bool {
	return strings.HasPrefix(s, "/") && !strings.HasPrefix(s, "//") && !strings.ContainsAny(s, "\\\t\r\n")
}

func newNonce() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}
