package main

import (
	"errors"
	"net/http"
	"strings"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/apikey"
)

// maxKeys is how many live keys somebody may have.
const maxKeys = 20

// keyNew is what the form for a new key shows: first the form, then, once, the key.
type keyNew struct{ Name, Problem, Key, URL string }

func (a *app) keyList(w http.ResponseWriter, r *http.Request) error {
	live, err := a.liveKeys(r)
	if err != nil {
		return err
	}
	return a.show(w, r, http.StatusOK, "keys.html", live)
}

func (a *app) liveKeys(r *http.Request) (live []apikey.Record, err error) {
	who, _ := guard.From(r.Context())
	all, err := a.keyStore.List(r.Context(), who.Subject)
	for _, k := range all {
		if !k.Ended(a.now()) {
			live = append(live, k)
		}
	}
	return live, err
}

func (a *app) keyForm(w http.ResponseWriter, r *http.Request) error {
	return a.show(w, r, http.StatusOK, "key.html", keyNew{})
}

// issueKey asks for a fresh password, because a key outlives the session it was made in. It shows the
// key in its own answer rather than after a redirect: so it is written down nowhere.
func (a *app) issueKey(w http.ResponseWriter, r *http.Request) error {
	who, _ := guard.From(r.Context())
	name := strings.TrimSpace(r.PostFormValue("name"))
	live, err := a.liveKeys(r)
	switch {
	case err != nil:
		return err
	case name == "" || len(name) > 60:
		return a.show(w, r, http.StatusUnprocessableEntity, "key.html", keyNew{Name: name, Problem: "Say what the key is for, in 60 characters at most."})
	case len(live) >= maxKeys:
		return a.show(w, r, http.StatusUnprocessableEntity, "key.html", keyNew{Name: name, Problem: "You have 20 keys. Revoke one first."})
	}
	_, key, err := a.issued.Issue(r.Context(), apikey.Spec{
		Name: name, Subject: who.Subject, Scopes: []string{readNotes},
		ExpiresAt: a.now().AddDate(1, 0, 0), Rate: 60,
	})
	if err != nil {
		return err
	}
	return a.show(w, r, http.StatusOK, "key.html", keyNew{Name: name, Key: key.Reveal(), URL: a.url + "/api/notes"})
}

func (a *app) revokeKey(w http.ResponseWriter, r *http.Request) error {
	who, _ := guard.From(r.Context())
	err := a.issued.RevokeOf(r.Context(), who.Subject, r.PostFormValue("id"))
	if errors.Is(err, apikey.ErrNotFound) {
		return a.notFound(w, r) // somebody else's key is no key
	}
	if err != nil {
		return err
	}
	a.flash(r, "The key works no more.")
	http.Redirect(w, r, "/keys", http.StatusSeeOther)
	return nil
}
