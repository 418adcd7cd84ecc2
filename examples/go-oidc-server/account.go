package main

import (
	"fmt"
	"net/http"

	"github.com/gatehouse-dev/gatehouse/guard/oidclogin"
)

// account lists where the person is signed in here.
func (a *app) account(w http.ResponseWriter, r *http.Request) error {
	s, _ := oidclogin.FromContext(r.Context())
	list, err := s.List(r.Context())
	if err != nil {
		return err
	}
	return a.show(w, r, http.StatusOK, "account.html", list)
}

func (a *app) endSession(w http.ResponseWriter, r *http.Request) error {
	s, _ := oidclogin.FromContext(r.Context())
	if err := s.End(r.Context(), r.PostFormValue("id")); err != nil { // of this person, or nothing happens
		return err
	}
	return a.back(w, r, "/account", "That browser is signed out.")
}

func (a *app) endOthers(w http.ResponseWriter, r *http.Request) error {
	s, _ := oidclogin.FromContext(r.Context())
	n, err := s.EndOthers(r.Context())
	if err != nil {
		return err
	}
	said := fmt.Sprintf("%d other browsers are signed out.", n)
	if n == 1 {
		said = "One other browser is signed out."
	}
	return a.back(w, r, "/account", said)
}

func (a *app) leaveForm(w http.ResponseWriter, r *http.Request) error {
	return a.show(w, r, http.StatusOK, "leave.html", nil)
}

// leave takes back everything the person has here. What they have at the house stays.
func (a *app) leave(w http.ResponseWriter, r *http.Request) error {
	s, _ := oidclogin.FromContext(r.Context())
	subject := s.Principal().Subject
	if err := a.members.remove(r.Context(), subject); err != nil {
		return err
	}
	if _, err := a.login.EndSessions(r.Context(), subject); err != nil {
		return err
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return nil
}
