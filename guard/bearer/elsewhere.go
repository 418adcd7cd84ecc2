package bearer

import (
	"bytes"
	"io"
	"mime"
	"net/http"
	"net/url"

	"github.com/gatehouse-dev/gatehouse/guard"
)

// maxForm is the longest form looked into for a token. A longer body passes
// unread: no token is ever accepted from it.
const maxForm = 16 << 10

// elsewhere returns the parameters of query and form when there are any that a
// token could hide in. Both are nil for nearly every request of an API.
func elsewhere(r *http.Request) (query, form url.Values, err error) {
	if r.URL.RawQuery != "" {
		// What cannot be parsed is left out by ParseQuery and by the handler's
		// own parsing alike.
		query, _ = url.ParseQuery(r.URL.RawQuery)
	}
	if form, err = formOf(r); err != nil {
		return nil, nil, err
	}
	if !form.Has("access_token") {
		form = nil
	}
	return query, form, nil
}

// formOf reads a short form and puts it back for the handler.
func formOf(r *http.Request) (url.Values, error) {
	if r.PostForm != nil {
		return r.PostForm, nil
	}
	if r.Body == nil || r.ContentLength <= 0 || r.ContentLength > maxForm {
		return nil, nil
	}
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/x-www-form-urlencoded" {
		return nil, nil
	}
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, &guard.Error{Code: guard.InvalidRequest, Description: "The body could not be read", Err: err}
	}
	r.Body = struct {
		io.Reader
		io.Closer
	}{bytes.NewReader(data), r.Body}
	form, _ := url.ParseQuery(string(data))
	return form, nil
}
