// Package leaks takes reports of API keys that were found where they do not belong: from secret
// scanners, and from whoever else finds one. It needs no account, because whoever can send a key here
// could do worse with it.
package leaks

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/clock"
	"github.com/gatehouse-dev/gatehouse/internal/base/httpx"
	"github.com/gatehouse-dev/gatehouse/internal/base/limit"
	"github.com/gatehouse-dev/gatehouse/internal/core/access"
	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/protocol/apikey"
)

// Path is where reports are sent, by POST.
const Path = "/api-keys/leaks"

// Limits of one report.
const (
	maxBody = 64 << 10
	maxKeys = 100
)

// NewCounter returns the limit on reports: so many of one network in a minute.
func NewCounter() *limit.Counter { return limit.NewCounter(30, time.Minute, 100_000) }

// Handler takes reports. All fields are required. It is safe for concurrent use.
type Handler struct {
	Clock   clock.Clock
	APIKeys *access.APIKeys
	Reports *limit.Counter
	Log     *slog.Logger
}

// report is one finding as secret scanners send it: the key, and where it was.
type report struct {
	Token string `json:"token"`
	URL   string `json:"url"`
}

// ServeHTTP takes one report or a list of them:
//
//	[{"token": "sk_live_…", "url": "https://git.example/x"}]
//
// What comes back, 204, is the same whether the keys lived, had ended, were never issued or are no
// keys at all, and no answer holds a word of what was sent.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	now, network := h.Clock.Now(), limit.Network(httpx.ClientAddr(r))
	if over, wait := h.Reports.Exceeded(network, now); over {
		w.Header().Set("Retry-After", strconv.Itoa(int((wait+time.Second-1)/time.Second)))
		refuse(w, http.StatusTooManyRequests, "too_many_requests", "Too many reports. Try again later.")
		return
	}
	h.Reports.Add(network, now)
	if apikey.Contains(r.URL.RawQuery) {
		refuse(w, http.StatusBadRequest, "invalid_request", "A key belongs in the body, not in the address.")
		return
	}
	found, status, complaint := read(w, r)
	if complaint != "" {
		refuse(w, status, "invalid_request", complaint)
		return
	}
	by := audit.Origin{Address: httpx.ClientAddr(r).String(), UserAgent: r.UserAgent()}
	for _, f := range found { // whoever reports a key and hangs up has reported it
		if err := h.APIKeys.ReportLeak(context.WithoutCancel(r.Context()), tenant.From(r.Context()), f.Token, place(f.URL), by); err != nil {
			h.Log.ErrorContext(r.Context(), "a leaked API key could not be ended", "error", err)
			refuse(w, http.StatusServiceUnavailable, "temporarily_unavailable", "Something went wrong on our side. Send the report again.")
			return
		}
	}
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusNoContent)
}

func read(w http.ResponseWriter, r *http.Request) (found []report, status int, complaint string) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return nil, http.StatusUnsupportedMediaType, "The body must be application/json."
	}
	body, err := httpx.ReadBody(w, r, maxBody)
	if errors.Is(err, httpx.ErrTooLarge) {
		return nil, http.StatusRequestEntityTooLarge, "The report is too large."
	}
	if err != nil {
		return nil, http.StatusBadRequest, "The report could not be read."
	}
	var one report
	if json.Unmarshal(body, &found) != nil {
		if json.Unmarshal(body, &one) != nil {
			return nil, http.StatusBadRequest, "The report must be an object with a token, or a list of them."
		}
		found = []report{one}
	}
	if len(found) > maxKeys {
		return nil, http.StatusRequestEntityTooLarge, "The report has too many keys: send at most 100 at a time."
	}
	return found, 0, ""
}

// place is what is kept of where a key was found: an address without its query, which may hold
// secrets of somebody else.
func place(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" {
		return ""
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return u.String()
}

func refuse(w http.ResponseWriter, status int, code, description string) {
	httpx.WriteJSON(w, status, map[string]string{"error": code, "error_description": description})
}
