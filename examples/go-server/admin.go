package main

import (
	"net/http"

	"github.com/gatehouse-dev/gatehouse/guard"
)

func (a *app) adminList(w http.ResponseWriter, r *http.Request) error {
	list, err := a.people.list(r.Context())
	if err != nil {
		return err
	}
	return a.show(w, r, http.StatusOK, "admin.html", list)
}

// adminLock locks somebody out or lets them in again. Locked in the table first: from then on load
// lets nobody through, whatever is signed in while this runs.
func (a *app) adminLock(w http.ResponseWriter, r *http.Request) error {
	who, _ := guard.From(r.Context())
	id, lock := r.PostFormValue("id"), r.PostFormValue("lock") != ""
	if id == who.Subject {
		a.flash(r, "You cannot lock yourself out.")
		http.Redirect(w, r, "/admin", http.StatusSeeOther)
		return nil
	}
	if err := a.people.setLocked(r.Context(), id, lock); err != nil {
		return err
	}
	if lock {
		if err := a.signOutEverywhere(r, id); err != nil {
			return err
		}
	}
	http.Redirect(w, r, "/admin", http.StatusSeeOther)
	return nil
}
