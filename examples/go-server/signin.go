package main

import (
	"errors"
	"net/http"
	"strings"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/basic"
	"github.com/gatehouse-dev/gatehouse/guard/ratelimit"
	"github.com/gatehouse-dev/gatehouse/guard/session"
)

// credentials is what the sign-in and sign-up forms show: what was typed, and what was wrong with it.
type credentials struct {
	Name, Problem string
	Remember      bool
	Confirm       bool // somebody is signed in and proves it anew
}

func (a *app) signUpForm(w http.ResponseWriter, r *http.Request) error {
	return a.show(w, r, http.StatusOK, "signup.html", credentials{})
}

func (a *app) signUp(w http.ResponseWriter, r *http.Request) error {
	name, ok := canonical(r.PostFormValue("name"))
	again := func(problem string) error {
		return a.show(w, r, http.StatusUnprocessableEntity, "signup.html", credentials{Name: name, Problem: problem})
	}
	if !ok {
		return again("A name has 2 to 32 letters, digits, hyphens and underscores.")
	}
	id, err := a.people.add(r.Context(), name, r.PostFormValue("password"), a.now())
	switch {
	case errors.Is(err, errTaken):
		return again("Somebody has that name already.")
	case errors.Is(err, errPassword):
		return again("A password has 10 to 72 characters.")
	case err != nil:
		return err
	}
	if err := a.signIn(r, id, false); err != nil {
		return err
	}
	a.flash(r, "Welcome to your notebook, "+name+".")
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return nil
}

// loginForm asks for name and password, or, from whoever is signed in, for the password again: that
// is where guard.MaxAge sends people.
func (a *app) loginForm(w http.ResponseWriter, r *http.Request) error {
	who, signedIn := guard.From(r.Context())
	if !signedIn {
		return a.show(w, r, http.StatusOK, "login.html", credentials{})
	}
	if !r.URL.Query().Has("max_age") { // signed in meanwhile, in another tab
		http.Redirect(w, r, a.sessions.ReturnPath(r), http.StatusSeeOther)
		return nil
	}
	return a.show(w, r, http.StatusOK, "login.html", credentials{Name: nameOf(who), Confirm: true})
}

func (a *app) login(w http.ResponseWriter, r *http.Request) error {
	s, _ := session.FromContext(r.Context())
	who := s.Principal()
	form := a.typed(r)

	// Each attempt counts before the password is looked at, and a right one is given back: a thousand
	// at once are a thousand. The address was counted by the middleware around this handler.
	if result := a.accounts.Allow(r.Context(), form.Name); !result.Allowed {
		a.accounts.SetHeader(w.Header(), result)
		a.tooMany(w, r, result)
		return nil
	}
	found, err := a.people.passwords.Verify(r.Context(), form.Name, r.PostFormValue("password"))
	if errors.Is(err, basic.ErrRefused) {
		form.Problem = "Name or password is wrong."
		return a.show(w, r, http.StatusForbidden, "login.html", form)
	}
	if err != nil {
		return err
	}
	a.accounts.Refund(r.Context(), form.Name)
	ratelimit.Succeeded(r.Context())

	if who != nil && who.Subject == found.Subject {
		err = s.Reauthenticate(r.Context(), "", "pwd")
	} else {
		err = a.signIn(r, found.Subject, form.Remember)
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r, a.sessions.ReturnPath(r), http.StatusSeeOther)
	return nil
}

// typed reads the form. Who is signed in confirms as themselves, whatever was sent.
func (a *app) typed(r *http.Request) credentials {
	if who, ok := guard.From(r.Context()); ok {
		return credentials{Name: nameOf(who), Confirm: true}
	}
	name, _ := canonical(r.PostFormValue("name"))
	return credentials{Name: name, Remember: r.PostFormValue("remember") != ""}
}

func (a *app) signIn(r *http.Request, id string, remember bool) error {
	s, _ := session.FromContext(r.Context())
	return s.SignIn(r.Context(), session.Identity{
		Subject:  id,
		Remember: remember,
		Label:    browser(r.UserAgent()),
		AMR:      []string{"pwd"},
		Scopes:   []string{readNotes}, // roles are load's to say
	})
}

func (a *app) logout(w http.ResponseWriter, r *http.Request) error {
	s, _ := session.FromContext(r.Context())
	if err := s.SignOut(r.Context()); err != nil {
		return err
	}
	a.flash(r, "You are signed out.")
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return nil
}

// browser makes a name for the list of sessions. It tells people their own browsers apart, and
// nothing depends on it: anybody can send any User-Agent.
func browser(userAgent string) string {
	first := func(otherwise string, names ...string) string {
		for _, name := range names {
			mark, shown, _ := strings.Cut(name, "=")
			if strings.Contains(userAgent, mark) {
				return shown
			}
		}
		return otherwise
	}
	return first("A program", "Edg/=Edge", "OPR/=Opera", "Firefox/=Firefox", "Chrome/=Chrome", "Safari/=Safari") +
		first("", "iPhone= on iPhone", "iPad= on iPad", "Android= on Android", "Windows= on Windows", "Mac OS X= on macOS", "Linux= on Linux")
}
