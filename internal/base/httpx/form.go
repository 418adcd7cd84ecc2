package httpx

import (
	"errors"
	"mime"
	"net/http"
	"net/url"
	"strings"
)

// MaxFields bounds the fields of a form.
const MaxFields = 200

// Why a form can not be read, beside [ErrTooLarge].
var (
	// ErrMediaType: the body is no form, or in an encoding other than UTF-8 (415).
	ErrMediaType = errors.New("httpx: not a form")
	// ErrForm: the form is not well-formed, or has too many fields (400).
	ErrForm = errors.New("httpx: form not well-formed")
)

// ReadForm reads a form of at most limit bytes and MaxFields fields. The body must say that it is
// one: a browser sends text/plain to any site without asking, and no parser guesses here.
func ReadForm(w http.ResponseWriter, r *http.Request, limit int64) (url.Values, error) {
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	charset, named := params["charset"]
	if err != nil || kind != "application/x-www-form-urlencoded" || named && !strings.EqualFold(charset, "utf-8") || len(r.Header["Content-Type"]) != 1 {
		return nil, ErrMediaType
	}
	body, err := ReadBody(w, r, limit)
	if err != nil {
		return nil, err
	}
	if strings.Count(string(body), "&") >= MaxFields {
		return nil, ErrForm
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, ErrForm
	}
	return form, nil
}

// FormStatus is the status that answers an error of [ReadForm].
func FormStatus(err error) int {
	switch {
	case errors.Is(err, ErrMediaType):
		return http.StatusUnsupportedMediaType
	case errors.Is(err, ErrTooLarge):
		return http.StatusRequestEntityTooLarge
	}
	return http.StatusBadRequest
}
