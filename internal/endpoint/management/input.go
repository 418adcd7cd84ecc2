package management

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/gatehouse-dev/gatehouse/internal/base/httpx"
	"github.com/gatehouse-dev/gatehouse/protocol/jose"
)

// Limits of what comes in.
const (
	maxBody    = 1 << 20
	maxPerPage = 100
	maxPage    = 10_000
)

// readBody reads the JSON of a route that takes some. A route that takes none ignores what comes.
func readBody(w http.ResponseWriter, r *http.Request, wanted bool) ([]byte, error) {
	if !wanted {
		return nil, nil
	}
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	charset, named := params["charset"]
	if err != nil || kind != "application/json" || named && !strings.EqualFold(charset, "utf-8") || len(params) > 1 || len(params) == 1 && !named || len(r.Header["Content-Type"]) != 1 {
		return nil, &refusal{status: http.StatusUnsupportedMediaType, code: "unsupported_media_type", message: "The body must be application/json.", cause: err}
	}
	body, err := httpx.ReadBody(w, r, maxBody)
	if errors.Is(err, httpx.ErrTooLarge) {
		return nil, &refusal{status: http.StatusRequestEntityTooLarge, code: "payload_too_large", message: "The body is larger than 1 MiB.", cause: err}
	}
	if err != nil {
		return nil, badBody("The body could not be read.", err)
	}
	return body, nil
}

// decode reads the body into v, a pointer to a struct of exactly what may be set: any other member,
// one that stands twice, and one in other letters are refused.
func (c *call) decode(v any) error {
	if err := jose.Decode(c.body, v); err != nil {
		return badBody("Payload validation error: "+readable(err), err)
	}
	d := json.NewDecoder(bytes.NewReader(c.body))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return badBody("Payload validation error: "+readable(err), err)
	}
	if len(bytes.TrimSpace(c.body)) == 0 || bytes.TrimSpace(c.body)[0] != '{' {
		return badBody("Payload validation error: the body must be a JSON object.", nil)
	}
	return nil
}

// readable is what the reader said, without the name of its package.
func readable(err error) string {
	text := err.Error()
	for _, prefix := range []string{"jose: ", "invalid JSON: ", "json: "} {
		text = strings.TrimPrefix(text, prefix)
	}
	return text
}

// query is the parameters of a request, those its route knows, each at most once.
type query url.Values

func readQuery(raw string, known []string) (query, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, badQuery("The query string is not well-formed.")
	}
	for name, all := range values {
		if !slices.Contains(known, name) {
			return nil, badQuery("Query validation error: " + strconv.Quote(clip(name)) + " is not a parameter of this call.")
		}
		if len(all) > 1 {
			return nil, badQuery("Query validation error: " + strconv.Quote(name) + " stands twice.")
		}
	}
	return query(values), nil
}

func (q query) get(name string) string { return url.Values(q).Get(name) }

func (q query) has(name string) bool { return url.Values(q).Has(name) }

// without returns the query less one parameter.
func (q query) without(name string) query {
	rest := maps.Clone(q)
	delete(rest, name)
	return rest
}

// number reads a parameter between two bounds.
func (q query) number(name string, least, most, otherwise int) (int, error) {
	text := q.get(name)
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		return 0, badQuery("Query validation error: " + name + " must be " + strconv.Itoa(least) + " to " + strconv.Itoa(most) + ".")
	}
	return n, nil
}

// paging is which part of a list is asked for: by the number of a page, or by where the part before
// ended.
type paging struct {
	offset, limit int
	totals        bool
	next          bool // tell where the part ends
}

func (q query) paging() (p paging, err error) {
	page, err := q.number("page", 0, maxPage, 0)
	if err != nil {
		return p, err
	}
	if p.limit, err = q.number("per_page", 1, maxPerPage, 50); err != nil {
		return p, err
	}
	p.offset = page * p.limit
	if q.has("from") || q.has("take") {
		if q.has("page") || q.has("per_page") {
			return p, badQuery("Query validation error: page and per_page exclude from and take.")
		}
		if p.offset, err = q.number("from", 0, maxPage*maxPerPage, 0); err != nil {
			return p, err
		}
		if p.limit, err = q.number("take", 1, maxPerPage, 50); err != nil {
			return p, err
		}
		p.next = true
	}
	switch q.get("include_totals") {
	case "", "false":
	case "true":
		p.totals = true
	default:
		return p, badQuery("Query validation error: include_totals must be true or false.")
	}
	return p, nil
}

// listing is a list with something around it.
type listing map[string]any

// list answers with the items of a page, or, when more is wanted, with an object around them.
func list[T any](p paging, name string, items []T, total int64) (answer, error) {
	if items == nil {
		items = []T{}
	}
	around := listing{name: items}
	if p.totals {
		around["start"], around["limit"], around["length"], around["total"] = p.offset, p.limit, len(items), total
	}
	if end := p.offset + len(items); p.next && int64(end) < total {
		around["next"] = strconv.Itoa(end)
	}
	if !p.totals && !p.next {
		return ok(items)
	}
	return ok(around)
}

// clip keeps what a stranger sent short enough for a message.
func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "…"
	}
	return s
}

// set copies src, when it is there, to dst.
func set[T any](dst *T, src *T) {
	if src != nil {
		*dst = *src
	}
}
