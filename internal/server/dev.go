package server

import (
	"cmp"
	"net/http"
	"strings"

	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/core/mail"
	"github.com/gatehouse-dev/gatehouse/internal/core/people"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/internal/web/page"
	"github.com/gatehouse-dev/gatehouse/internal/web/signin"
)

// Pages of a house of development.
const (
	PathStart = "/"
	PathInbox = "/dev/inbox"
)

// DevStart is what the start page shows; see [page.DevStart].
type DevStart = page.DevStart

// devRoutes are there in a house of development alone.
func (h *House) devRoutes(forms *signin.Handler, render *page.Renderer) []route {
	forms.DevUsers = func() []page.DevUser { return h.Dev.Start.Users }
	forms.CheckCommand = func() string { return cmp.Or(h.Dev.CheckCommand, "gatehouse app check") }
	get := func(handler http.HandlerFunc) map[string]http.Handler {
		return map[string]http.Handler{http.MethodGet: handler, http.MethodHead: handler}
	}
	inbox := h.Outbox.Inbox()
	return []route{
		{path: PathStart, methods: get(func(w http.ResponseWriter, r *http.Request) {
			render.Render(w, r, http.StatusOK, h.Dev.Start)
		})},
		{path: PathInbox, methods: get(func(w http.ResponseWriter, r *http.Request) {
			entries, err := inbox.List(r.Context(), tenant.From(r.Context()), r.URL.Query().Get("to"))
			if err != nil {
				h.devError(w, r, forms, err)
				return
			}
			p := page.Inbox{Frame: page.Frame{TenantName: h.Tenant.Settings.Name}}
			for _, e := range entries {
				p.Mails = append(p.Mails, page.MailSummary{URL: PathInbox + "/" + e.ID, To: e.To, Subject: e.Subject, Preview: preview(e), When: e.At.Local()})
			}
			render.Render(w, r, http.StatusOK, p)
		})},
		{path: PathInbox + "/", prefix: true, methods: get(func(w http.ResponseWriter, r *http.Request) {
			e, err := inbox.Get(r.Context(), tenant.From(r.Context()), strings.TrimPrefix(r.URL.Path, PathInbox+"/"))
			if err != nil {
				h.devError(w, r, forms, err)
				return
			}
			render.Render(w, r, http.StatusOK, page.InboxMail{
				Frame: page.Frame{TenantName: h.Tenant.Settings.Name}, InboxURL: PathInbox,
				From: h.Tenant.Settings.Name, To: e.To, Subject: e.Subject, When: e.At.Local(), Code: CodeIn(e.Text), Text: e.Text,
			})
		})},
	}
}

func (h *House) devError(w http.ResponseWriter, r *http.Request, forms *signin.Handler, err error) {
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Invalid) { // bytes that are no text are nobody's address
		forms.NotFound(w, r)
		return
	}
	panic(err)
}

// preview is the first line of a letter that says something.
func preview(e mail.Entry) string {
	for line := range strings.Lines(e.Text) {
		if line = strings.TrimSpace(line); line != "" {
			return line
		}
	}
	return ""
}

// CodeIn returns the code that a letter's text carries on a line of its own, or nothing.
func CodeIn(text string) string {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if len(line) == people.CodeDigits && strings.Trim(line, "0123456789") == "" {
			return line
		}
	}
	return ""
}
