// Package revocations is the feed of rules that take tokens back, for whoever checks access tokens
// without asking the house about each: package guard/revocation, above all. The format is that of
// package protocol/revocation; the rules come from package grants.
//
// There is one address. By itself it answers with a snapshot; with a number (?after=118) with the
// rules since; and who accepts text/event-stream stays, and hears of each rule as it comes into
// force. A reader shows an access token that a client got in its own name, with the scope
// read:revocations.
package revocations

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/gatehouse-dev/gatehouse/internal/base/httpx"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/grants"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
	"github.com/gatehouse-dev/gatehouse/protocol/revocation"
)

// Path is where the feed answers.
const Path = "/revocations"

// MaxListeners is how many streams a node keeps open at a time.
const MaxListeners = 2048

// Server serves the feed. All exported fields are required; none changes once it serves. It is safe
// for concurrent use.
type Server struct {
	Apps   *apps.Apps
	Grants *grants.Grants
	Tokens grants.AccessTokens
	Log    *slog.Logger
	// Leaving is closed when the house is about to stop: every stream ends at once, and its reader
	// goes to another node.
	Leaving <-chan struct{}
	// Listeners bounds the streams; [MaxListeners] when zero.
	Listeners int

	listening atomic.Int64
}

// refusal is an answer that is no success.
type refusal struct {
	status     int
	err        error // decides the challenge of a 401 and a 403; nil for other statuses
	Code       string
	Message    string
	retryAfter int // seconds
}

// Error implements error.
func (e *refusal) Error() string { return "revocations: " + e.Message }

func badRequest(message string) error {
	return &refusal{status: http.StatusBadRequest, Code: oauth.InvalidRequest, Message: message}
}

func busy(message string) error {
	return &refusal{status: http.StatusServiceUnavailable, Code: oauth.TemporarilyUnavailable, Message: message, retryAfter: 1}
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := s.serve(w, r); err != nil {
		s.refuse(w, r, err)
	}
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) error {
	tn := tenant.From(r.Context())
	if err := s.authorize(r, tn); err != nil {
		return err
	}
	after, known, err := position(r)
	if err != nil {
		return err
	}
	switch {
	case wantsStream(r) && !known:
		return badRequest("A stream begins at a number: read the snapshot, then come with Last-Event-ID.")
	case wantsStream(r):
		return s.stream(w, r, tn, after)
	case known:
		return s.poll(w, r, tn, after)
	}
	page, err := s.Grants.Snapshot(r.Context(), tn)
	if err != nil {
		return err
	}
	writeSnapshot(w, page)
	return nil
}

// authorize finds out whether whoever asks may read the feed now: what the token says is held
// against what the client may do at this moment.
func (s *Server) authorize(r *http.Request, tn *tenant.Tenant) error {
	ctx := r.Context()
	token, err := oauth.BearerToken(r.Header, nil, nil, oauth.BearerOptions{})
	if err != nil {
		return err
	}
	audience := grants.RevocationsAudience(tn)
	claims, err := s.Tokens.Check(ctx, tn, token, audience)
	if err != nil {
		return err
	}
	asked, err := oauth.ParseScope(claims.Scope)
	if err != nil || !claims.IsClient() {
		asked = nil
	}
	client, err := s.Apps.Client(ctx, tn, claims.Client())
	if err != nil {
		return err
	}
	if !asked.Intersect(client.Grants[audience]).Contains(grants.ReadRevocations) {
		return oauth.NewError(oauth.InsufficientScope, "The feed is for clients in their own name, with the scope "+grants.ReadRevocations+".")
	}
	return nil
}

// position returns the number after which the reader wants to go on.
func position(r *http.Request) (after int64, known bool, err error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return 0, false, badRequest("The query is not well-formed.")
	}
	var given []string
	for name, values := range query {
		if name != "after" {
			return 0, false, badRequest("The only parameter is after.")
		}
		given = append(given, values...)
	}
	given = append(given, r.Header.Values("Last-Event-ID")...)
	if len(given) == 0 {
		return 0, false, nil
	}
	after, err = revocation.ParseNumber(given[0])
	if err != nil || len(given) > 1 {
		return 0, false, badRequest("One number of a rule is expected, in after or in Last-Event-ID.")
	}
	return after, true, nil
}

func wantsStream(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Accept"), "text/event-stream")
}

// poll answers with the rules after a number.
func (s *Server) poll(w http.ResponseWriter, r *http.Request, tn *tenant.Tenant, after int64) error {
	page, err := s.Grants.RulesAfter(r.Context(), tn, after, revocation.MaxAnswerRules)
	if err != nil {
		return err
	}
	if page.Snapshot != nil {
		writeSnapshot(w, page)
		return nil
	}
	httpx.WriteJSONBytes(w, http.StatusOK, revocation.Answer{N: page.N, Rules: page.Rules}.Encode())
	return nil
}

func writeSnapshot(w http.ResponseWriter, page grants.Page) {
	h := w.Header()
	h.Set("Content-Type", revocation.MediaTypeSnapshot)
	h.Set("Content-Length", strconv.Itoa(len(page.Snapshot)))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.Write(page.Snapshot) // a reader that left needs no answer
}

func (s *Server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	e := &refusal{status: http.StatusServiceUnavailable, Code: oauth.TemporarilyUnavailable, Message: "The rules can not be read at the moment.", retryAfter: 1}
	var bad *oauth.Error
	switch {
	case errors.As(err, &e):
	case errors.Is(err, oauth.ErrNoToken):
		e = &refusal{status: http.StatusUnauthorized, err: err, Code: oauth.InvalidToken, Message: "An access token is required."}
	case errors.As(err, &bad):
		e = &refusal{status: bad.Status(), err: err, Code: bad.Code, Message: bad.Description}
	case !errors.Is(err, context.Canceled):
		s.Log.WarnContext(r.Context(), "the feed of revocations can not be served", "error", err)
	}
	if e.err != nil {
		w.Header().Set("WWW-Authenticate", oauth.BearerChallenge("gatehouse", e.err, oauth.Scope{grants.ReadRevocations}))
	}
	if e.retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(e.retryAfter))
	}
	httpx.WriteJSON(w, e.status, map[string]string{"error": e.Code, "error_description": e.Message})
}
