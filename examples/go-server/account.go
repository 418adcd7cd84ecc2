package main

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/session"
)

// account lists where the person is signed in.
func (a *app) account(w http.ResponseWriter, r *http.Request) error {
	s, _ := session.FromContext(r.Context())
	list, err := s.List(r.Context())
	if err != nil {
		return err
	}
	return a.show(w, r, http.StatusOK, "account.html", list)
}

func (a *app) endSession(w http.ResponseWriter, r *http.Request) error {
	s, _ := session.FromContext(r.Context())
	if err := s.End(r.Context(), r.PostFormValue("id")); err != nil { // of this person, or nothing happens
		return err
	}
	a.flash(r, "That browser is signed out.")
	http.Redirect(w, r, "/account", http.StatusSeeOther)
	return nil
}

func (a *app) endOthers(w http.ResponseWriter, r *http.Request) error {
	s, _ := session.FromContext(r.Context())
	n, err := s.EndOthers(r.Context())
	if err != nil {
		return err
	}
	a.flash(r, others(n)+" signed out.")
	http.Redirect(w, r, "/account", http.StatusSeeOther)
	return nil
}

func (a *app) passwordForm(w http.ResponseWriter, r *http.Request) error {
	return a.show(w, r, http.StatusOK, "password.html", credentials{})
}

// changePassword ends every other session: whoever knew the old password is out.
func (a *app) changePassword(w http.ResponseWriter, r *http.Request) error {
	s, _ := session.FromContext(r.Context())
	err := a.people.setPassword(r.Context(), s.Principal().Subject, r.PostFormValue("password"))
	if errors.Is(err, errPassword) {
		return a.show(w, r, http.StatusUnprocessableEntity, "password.html", credentials{Problem: "A password has 10 to 72 characters."})
	}
	if err != nil {
		return err
	}
	if err := s.Reauthenticate(r.Context(), "", "pwd"); err != nil {
		return err
	}
	n, err := s.EndOthers(r.Context())
	if err != nil {
		return err
	}
	a.flash(r, "Your password is changed. "+others(n)+" signed out.")
	http.Redirect(w, r, "/account", http.StatusSeeOther)
	return nil
}

func (a *app) deleteForm(w http.ResponseWriter, r *http.Request) error {
	return a.show(w, r, http.StatusOK, "delete.html", nil)
}

// deleteAccount takes the row away first: from then on load ends every session of it, and what
// follows only tidies up.
func (a *app) deleteAccount(w http.ResponseWriter, r *http.Request) error {
	who, _ := guard.From(r.Context())
	if err := a.people.delete(r.Context(), who.Subject); err != nil {
		return err
	}
	if err := a.signOutEverywhere(r, who.Subject); err != nil {
		return err
	}
	s, _ := session.FromContext(r.Context())
	if err := s.SignOut(r.Context()); err != nil {
		return err
	}
	a.flash(r, "Your account is deleted, with everything that was in it.")
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return nil
}

// signOutEverywhere ends all that somebody can get in with.
func (a *app) signOutEverywhere(r *http.Request, id string) error {
	_, err := a.sessions.EndAll(r.Context(), id)
	return errors.Join(err, a.issued.RevokeAll(r.Context(), id))
}

func others(n int) string {
	switch n {
	case 0:
		return "No other browser was"
	case 1:
		return "One other browser is"
	}
	return fmt.Sprintf("%d other browsers are", n)
}
