package page

import (
	"strings"
	"time"
)

// DevStart is the front page of a development server: what runs where, who to
// sign in as, what to do next.
type DevStart struct {
	Frame
	Issuer   string
	InboxURL string
	Demos    []Demo
	Users    []DevUser
	Clients  []DevClient
	APIs     []DevAPI
	// AppCommand is the command that makes a client for one's own application.
	AppCommand string
	DataFile   string // where the same is written for programs, say .gatehouse/dev.json
}

// Demo is one running form of the demo application. Kind picks the sentence
// that explains it: "static", "rendered" or "server"; another has none.
type Demo struct{ Name, Kind, URL string }

// DevClient is a registered client to try one's own application with.
type DevClient struct {
	Name         string
	Type         string // spa, regular_web, machine, native
	ThirdParty   bool
	ClientID     string
	ClientSecret string // "" for public clients
	RedirectURIs []string
}

// DevAPI is a registered API.
type DevAPI struct {
	Audience    string
	Permissions []string
}

func (p DevStart) sheet() sheet {
	return sheet{name: "devstart", args: args("issuer", p.Issuer, "file", p.DataFile), wide: true}
}

// Inbox lists the mails a development server did not send, newest first.
type Inbox struct {
	Frame
	Mails []MailSummary
}

// MailSummary is one line of the inbox.
type MailSummary struct {
	URL     string // the page of this mail
	To      string
	Subject string
	Preview string // the first words, "" for none
	When    time.Time
}

func (p Inbox) sheet() sheet { return sheet{name: "inbox", wide: true} }

// InboxMail shows one mail. Links in Text become links.
type InboxMail struct {
	Frame
	InboxURL string // the way back
	From, To string
	Subject  string
	When     time.Time
	Code     string // the code in it, to be copied at a glance; "" for none
	Text     string // the plain text
}

func (p InboxMail) sheet() sheet { return sheet{name: "inboxmail", wide: true} }

// Run is a piece of a mail's text, a link when URL is set.
type Run struct{ Text, URL string }

// Runs splits the text at its http and https links.
func (p InboxMail) Runs() []Run {
	var runs []Run
	rest := p.Text
	for rest != "" {
		at := nextLink(rest)
		if at < 0 {
			return append(runs, Run{Text: rest})
		}
		if at > 0 {
			runs = append(runs, Run{Text: rest[:at]})
		}
		link := rest[at:]
		if end := strings.IndexAny(link, " \t\r\n<>\"'"); end >= 0 {
			link = link[:end]
		}
		link = strings.TrimRight(link, ".,;:!?)")
		runs = append(runs, Run{Text: link, URL: link})
		rest = rest[at+len(link):]
	}
	return runs
}

func nextLink(s string) int {
	a, b := strings.Index(s, "http://"), strings.Index(s, "https://")
	if a < 0 || (b >= 0 && b < a) {
		return b
	}
	return a
}
