package page

import (
	"errors"
	"html/template"
	"strings"
)

// FormPost hands an authorization response to an application by
// response_mode=form_post: a form with hidden fields that submits itself, or
// by its button where no script runs. The page refuses to exist when Action is
// not an absolute http or https URL (BR07).
type FormPost struct {
	Frame
	ClientName string
	Action     string // the redirect URI
	Fields     []Field
}

var errFormPostTarget = errors.New("page: form_post to something that is not an http or https URL")

func (p FormPost) sheet() sheet {
	s := sheet{name: "formpost", args: args("client", p.ClientName), script: "submit"}
	if o, ok := origin(p.Action); ok {
		s.formAction = []string{source(o)}
	} else {
		s.refused = errFormPostTarget
	}
	return s
}

// WebMessage hands an authorization response to the window that opened or
// framed the page (response_mode=web_message). It holds no control and is the
// one page that may be framed, by TargetOrigin alone. The page refuses to
// exist when TargetOrigin is not exactly an http or https origin.
type WebMessage struct {
	Frame
	TargetOrigin string            // "https://app.example.com", never "*"
	Response     map[string]string // code and state, or error, error_description and state
}

var errWebMessageTarget = errors.New("page: web_message to something that is not an http or https origin")

func (p WebMessage) sheet() sheet {
	s := sheet{name: "webmessage", script: "message"}
	o, ok := origin(p.TargetOrigin)
	switch {
	case !ok || o != p.TargetOrigin:
		s.refused = errWebMessageTarget
	case source(o) == o:
		s.frameAncestors = o // else it cannot be named: the answer reaches a popup's opener, but no frame
	}
	return s
}

// Continue leads on to URL at once, by a Refresh header, or by a link. It
// answers a post where a redirect would be wrong: Chromium applies the
// form-action of the page that posted to every redirect that follows, so a
// redirect to an application whose callback redirects to yet another origin
// ends in a page that does nothing. A refresh is a navigation of its own, and
// leaves no trace in the history. (A private-use scheme is better redirected
// to, with its entry in FormAction: browsers start another program only right
// after a click.) The page refuses to exist when URL is
// neither an http or https URL nor one of a private-use scheme with a dot.
type Continue struct {
	Frame
	ClientName string
	URL        string // the redirect URI with its response
}

var errContinueTarget = errors.New("page: continue to something that is no redirect URI")

func (p Continue) sheet() sheet {
	s := sheet{name: "continue", args: args("client", p.ClientName), refresh: p.URL}
	_, ok := redirectSource(p.URL)
	if !ok || strings.ContainsFunc(p.URL, func(c rune) bool { return c <= ' ' || c == 0x7f || c == '"' || c == '\'' }) {
		s.refused, s.refresh = errContinueTarget, ""
	}
	return s
}

// Link is URL for the template, which knows no private-use schemes. It has
// been checked by then.
func (p Continue) Link() template.URL { return template.URL(p.URL) } //nolint:gosec // see sheet
