package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/oidclogin"
)

// show is one of the API's.
type show struct {
	Title   string `json:"title"`
	Genre   string `json:"genre"`
	Year    int    `json:"year"`
	Seasons int    `json:"seasons"`
	Watched bool   `json:"-"` // on the list of who is looking
}

// Hue is the colour of a show's poster, one of twelve.
func (s show) Hue() int {
	sum := 0
	for _, c := range []byte(s.Title) {
		sum = (sum*37 + int(c)) % 1201
	}
	return sum % 12
}

func (a *app) showShows(w http.ResponseWriter, r *http.Request) error {
	var answer struct {
		Shows  []show
		Caller struct{ Scopes []string }
	}
	if err := a.call(r.Context(), http.MethodGet, "/shows", nil, &answer); err != nil {
		return a.callFailed(w, r, err)
	}
	who, _ := guard.From(r.Context())
	mine, err := a.lists.of(r.Context(), who.Subject)
	if err != nil {
		return err
	}
	for i, s := range answer.Shows {
		answer.Shows[i].Watched = slices.ContainsFunc(mine, func(m show) bool { return m.Title == s.Title })
	}
	return a.show(w, r, http.StatusOK, "shows.html", answer)
}

func (a *app) addShow(w http.ResponseWriter, r *http.Request) error {
	year, _ := strconv.Atoi(r.PostFormValue("year")) // the API knows what a show may look like
	added := show{Title: r.PostFormValue("title"), Genre: r.PostFormValue("genre"), Year: year, Seasons: 1}
	if err := a.call(r.Context(), http.MethodPost, "/shows", added, &added); err != nil {
		return a.callFailed(w, r, err)
	}
	return a.back(w, r, "/shows", "“"+added.Title+"” is in the library.")
}

// status is what the API answered, if it was no success.
type status int

func (s status) Error() string { return "the API answered " + strconv.Itoa(int(s)) }

// call asks the API on behalf of who is signed in. However many of their requests need a new access
// token at once, the house is asked for it once.
func (a *app) call(ctx context.Context, method, path string, body, answer any) error {
	token, err := oidclogin.AccessToken(ctx, a.Audience, readShows)
	if err != nil {
		return err
	}
	var content bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&content).Encode(body); err != nil {
			return err
		}
	}
	r, err := http.NewRequestWithContext(ctx, method, a.APIURL+path, &content)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", token.Type+" "+token.AccessToken)
	r.Header.Set("Content-Type", "application/json")
	res, err := (&http.Client{Timeout: 10 * time.Second}).Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode/100 != 2 {
		return status(res.StatusCode)
	}
	return json.NewDecoder(io.LimitReader(res.Body, 1<<20)).Decode(answer)
}

// callFailed says what came of a call that failed.
func (a *app) callFailed(w http.ResponseWriter, r *http.Request, err error) error {
	var answered status
	switch {
	case errors.Is(err, oidclogin.ErrSignInAgain):
		http.Redirect(w, r, a.login.LoginURL(r), http.StatusSeeOther)
		return nil
	case errors.As(err, &answered) && answered == http.StatusForbidden:
		return a.say(w, r, http.StatusForbidden, "The library is closed to you", "The API wants the scope read:shows, which your account does not have.")
	case errors.As(err, &answered) && answered/100 == 4:
		return a.say(w, r, http.StatusUnprocessableEntity, "The library did not take it", "A show has a title of 1 to 60 characters and a year.")
	}
	a.Logger.WarnContext(r.Context(), "api", "error", err)
	return a.say(w, r, http.StatusBadGateway, "The library does not answer", "Your list is still here. Try again in a moment.")
}

// lists are what people mean to watch. Every statement names whose.
type lists struct{ db *sql.DB }

func (l *lists) of(ctx context.Context, subject string) (list []show, err error) {
	rows, err := l.db.QueryContext(ctx, `SELECT title, genre, year FROM watchlist WHERE subject = $1 ORDER BY rowid DESC`, subject)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		s := show{Watched: true}
		if err := rows.Scan(&s.Title, &s.Genre, &s.Year); err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, rows.Err()
}

func (l *lists) add(ctx context.Context, subject string, s show) error {
	_, err := l.db.ExecContext(ctx, `INSERT INTO watchlist (subject, title, genre, year) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`, subject, s.Title, s.Genre, s.Year)
	return err
}

func (l *lists) remove(ctx context.Context, subject, title string) error {
	_, err := l.db.ExecContext(ctx, `DELETE FROM watchlist WHERE subject = $1 AND title = $2`, subject, title)
	return err
}

func (a *app) home(w http.ResponseWriter, r *http.Request) error {
	who, ok := guard.From(r.Context())
	if !ok {
		return a.show(w, r, http.StatusOK, "welcome.html", nil)
	}
	list, err := a.lists.of(r.Context(), who.Subject)
	if err != nil {
		return err
	}
	return a.show(w, r, http.StatusOK, "watchlist.html", list)
}

func (a *app) watch(w http.ResponseWriter, r *http.Request) error {
	who, _ := guard.From(r.Context())
	year, _ := strconv.Atoi(r.PostFormValue("year"))
	s := show{Title: strings.TrimSpace(r.PostFormValue("title")), Genre: r.PostFormValue("genre"), Year: year}
	if s.Title == "" || len(s.Title)+len(s.Genre) > 200 {
		return a.say(w, r, http.StatusUnprocessableEntity, "Which show?", "It has no title.")
	}
	if err := a.lists.add(r.Context(), who.Subject, s); err != nil {
		return err
	}
	return a.back(w, r, "/shows", fmt.Sprintf("“%s” is on your list.", s.Title))
}

func (a *app) unwatch(w http.ResponseWriter, r *http.Request) error {
	who, _ := guard.From(r.Context())
	if err := a.lists.remove(r.Context(), who.Subject, r.PostFormValue("title")); err != nil {
		return err
	}
	return a.back(w, r, "/", "It is off your list.")
}

// origin returns scheme, host and port of an address.
func origin(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "'none'"
	}
	return u.Scheme + "://" + u.Host
}
