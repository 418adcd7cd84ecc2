// Package httpx holds the few things every HTTP face of the house does the same way.
package httpx

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
)

// WriteJSON answers with a JSON body that nobody may keep.
func WriteJSON(w http.ResponseWriter, status int, body any) {
	raw, err := json.Marshal(body)
	if err != nil {
		panic(err) // our own types: a bug
	}
	WriteJSONBytes(w, status, raw)
}

// WriteJSONBytes answers with a prepared JSON body that nobody may keep, unless the handler has
// said otherwise.
func WriteJSONBytes(w http.ResponseWriter, status int, raw []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	if h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", "no-store")
	}
	w.WriteHeader(status)
	w.Write(raw) // a reader that left needs no answer
}

// ErrTooLarge is returned by ReadBody for a body beyond its limit.
var ErrTooLarge = errors.New("httpx: body too large")

// ReadBody reads a body of at most limit bytes.
func ReadBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	var body bytes.Buffer
	if announced := min(r.ContentLength, expectedBody); announced > 0 {
		body.Grow(int(announced) + bytes.MinRead)
	}
	_, err := body.ReadFrom(http.MaxBytesReader(w, r.Body, limit))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return nil, ErrTooLarge
	}
	return body.Bytes(), err
}

// expectedBody is how much room is made on the word of a Content-Length alone.
const expectedBody = 4 << 10

// ClientAddr returns the address of whoever sent the request, as the edge determined it: the TCP
// peer, or whom a configured proxy names.
func ClientAddr(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return peer.Addr().Unmap().WithZone("")
}
