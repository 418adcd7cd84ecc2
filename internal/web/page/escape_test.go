package page_test

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-dev/gatehouse/internal/web/page"
	"github.com/gatehouse-dev/gatehouse/internal/web/page/gallery"
)

var (
	eventHandler = regexp.MustCompile(`(?i)<[^>]*\son[a-z]+\s*=`)
	loads        = regexp.MustCompile(`<(?:link|img|script|iframe|object|embed|source)[^>]*\s(?:href|src|data)="([^"]*)"`)
	scheme       = regexp.MustCompile(`(?i)(?:href|src|action|formaction|content)\s*=\s*["']?\s*(?:javascript|vbscript|data):`)
)

// payloads try to leave every context a value may stand in.
var payloads = []string{
	`"><xss onload=xss()>`,
	`'><xss onload=xss()>`,
	`</title><xss onload=xss()>`,
	`</script><xss onload=xss()>`,
	`" autofocus onfocus=xss() x="`,
	`javascript:xss()`,
	` data:text/html,<xss>`,
	`<!--<xss>`,
	`{{.}}${xss()}` + "`" + `{client}`,
	"\u2028xss()\u2029//",
	"\x00<xss>",
}

// TestThreat_BR06_NothingUnescaped puts each payload into each text field of
// each page, one at a time. The page must keep the elements and attributes it
// has with a harmless value there.
func TestThreat_BR06_NothingUnescaped(t *testing.T) {
	r := renderer(t, gallery.Options())
	fields, seen := 0, map[string]bool{}
	for _, s := range gallery.Samples() {
		for path := range texts(s.Page) {
			if field := reflect.TypeOf(s.Page).Name() + path; seen[field] {
				continue
			} else {
				seen[field] = true
			}
			prefixes := []string{""}
			if address.MatchString(path) {
				prefixes = append(prefixes, "/", "https://a.example/")
			}
			for _, prefix := range prefixes {
				fields++
				plain := render(r, gallery.Sample{Status: 200, Page: with(s.Page, path, prefix+"harmless")})
				want := skeleton(t, plain.Body.String())
				for _, payload := range payloads {
					w := render(r, gallery.Sample{Status: 200, Page: with(s.Page, path, prefix+payload)})
					body := w.Body.String()
					if strings.Contains(body, "<xss") || scheme.MatchString(body) {
						t.Fatalf("%s%s: %q got through:\n%s", s.Name, path, payload, body)
					}
					checkPolicy(t, w.Header().Get("Content-Security-Policy"))
					if w.Code != plain.Code {
						continue // refused as a whole, which is as good
					}
					if diff := cmp.Diff(want, skeleton(t, body)); diff != "" && !droppable[path] {
						t.Fatalf("%s%s: %q changed the page:\n%s", s.Name, path, payload, diff)
					}
				}
			}
		}
	}
	if fields < 250 {
		t.Errorf("only %d fields tried: the walk is broken", fields)
	}
}

// address fits the fields that hold an address of some kind: payloads follow
// an honest beginning there, too.
var address = regexp.MustCompile(`(URL|URI|Logo|Action|Origin|Issuer|Post)s?$`)

// droppable fields are ignored when they hold nonsense, or become links where
// they hold one: the page may differ, with nothing of the payload in force.
var droppable = map[string]bool{".Frame.Logo": true, ".Frame.Accent": true, ".Text": true}

// checkPolicy fails when a value reached the policy.
func checkPolicy(t *testing.T, policy string) {
	t.Helper()
	policy = policyNonce.ReplaceAllString(policy, "") // may hold any letters by chance
	if strings.ContainsAny(policy, "<>\"\x00\r\n") || strings.Contains(policy, "unsafe") || strings.Contains(policy, "xss") {
		t.Fatalf("policy %q", policy)
	}
}

var policyNonce = regexp.MustCompile(`'nonce-[A-Za-z0-9_-]{22}'`)

// skeleton lists the elements and attribute names of a page. Our templates are
// tidy enough for the XML reader; browsers have the last word in the tests
// that drive one.
func skeleton(t *testing.T, body string) []string {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(scripts.ReplaceAllString(strings.ReplaceAll(body, "\x00", ""), "<script></script>")))
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	var list []string
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, body)
		}
		if start, ok := token.(xml.StartElement); ok {
			name := start.Name.Local
			for _, a := range start.Attr {
				name += " " + a.Name.Local
			}
			list = append(list, name)
		}
	}
}

var scripts = regexp.MustCompile(`(?s)<script[^>]*>.*?</script>`)

// TestThreat_BR06_WebMessageScript: the response is data in the script, with
// everything escaped that could end it.
func TestThreat_BR06_WebMessageScript(t *testing.T) {
	r := renderer(t, page.Options{})
	for _, payload := range append(payloads, `</script><script>xss()</script>`, `<!--<script>`, `"});xss();//`, `\"});xss();//`, "\u2028", "&lt;") {
		response := map[string]string{"state": payload, "code": "c"}
		w := render(r, gallery.Sample{Status: 200, Page: page.WebMessage{TargetOrigin: "https://app.example", Response: response}})
		found := scripts.FindString(w.Body.String())
		_, code, _ := strings.Cut(found, ">")
		code = strings.TrimSuffix(code, "</script>")
		if strings.ContainsAny(code, "<>&\u2028\u2029") {
			t.Errorf("%q: the script holds a character that could end it:\n%s", payload, code)
		}
		_, rest, _ := strings.Cut(code, "response: ")
		d := json.NewDecoder(strings.NewReader(rest))
		var got map[string]string
		if err := d.Decode(&got); err != nil {
			t.Fatalf("%q: %v in %s", payload, err, code)
		}
		if diff := cmp.Diff(response, got); diff != "" {
			t.Errorf("%q did not arrive whole:\n%s", payload, diff)
		}
		if tail := rest[d.InputOffset():]; strings.TrimSpace(tail) != `}, "https://app.example");` {
			t.Errorf("%q: after the response comes %q", payload, tail)
		}
	}
}

// TestThreat_BR07_ValuesInAttributesOnly: the script of a form_post page is
// the same whatever is posted.
func TestThreat_BR07_ValuesInAttributesOnly(t *testing.T) {
	r := renderer(t, page.Options{})
	script := func(value string) string {
		w := render(r, gallery.Sample{Status: 200, Page: page.FormPost{Action: "https://app.example/cb", Fields: []page.Field{{Name: "state", Value: value}}}})
		return nonce.ReplaceAllString(scripts.FindString(w.Body.String()), "")
	}
	want := script("harmless")
	if want == "" {
		t.Fatal("no script")
	}
	for _, payload := range payloads {
		if got := script(payload); got != want {
			t.Errorf("%q changed the script to %s", payload, got)
		}
	}
}

// texts finds every string field of a page by its path, slices' first element
// standing for all.
func texts(p page.Page) map[string]bool {
	found := map[string]bool{}
	var walk func(path string, v reflect.Value)
	walk = func(path string, v reflect.Value) {
		switch v.Kind() {
		case reflect.String:
			if v.Type() == reflect.TypeFor[string]() {
				found[path] = true
			}
		case reflect.Slice:
			if v.Len() > 0 {
				walk(path, v.Index(0))
			}
		case reflect.Struct:
			for i := range v.NumField() {
				if f := v.Type().Field(i); f.IsExported() {
					walk(path+"."+f.Name, v.Field(i))
				}
			}
		}
	}
	walk("", reflect.ValueOf(p))
	return found
}

// with copies a page with one field changed.
func with(p page.Page, path, value string) page.Page {
	var copied func(v reflect.Value, names []string) reflect.Value
	copied = func(v reflect.Value, names []string) reflect.Value {
		c := reflect.New(v.Type()).Elem()
		c.Set(v)
		switch {
		case v.Kind() == reflect.Slice:
			c.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
			reflect.Copy(c, v)
			c.Index(0).Set(copied(v.Index(0), names))
		case len(names) == 0:
			c.SetString(value)
		default:
			f := c.FieldByName(names[0])
			f.Set(copied(f, names[1:]))
		}
		return c
	}
	names := strings.Split(strings.TrimPrefix(path, "."), ".")
	return copied(reflect.ValueOf(p), names).Interface().(page.Page)
}
