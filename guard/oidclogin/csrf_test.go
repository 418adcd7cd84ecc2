package oidclogin_test

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/csrf"
	"github.com/gatehouse-dev/gatehouse/guard/oidclogin"
)

// A token of package csrf belongs to one session: not to another of the same person,
// nor to the next. It outlives a renewal.
func TestThreat_RP09_TokenOfOneSignIn(t *testing.T) {
	stores(t, func(t *testing.T, change func(*oidclogin.Options)) {
		a := newApp(t, false, func(o *oidclogin.Options) { offline(o); change(o) })
		forms, err := csrf.New(csrf.Options{BaseURL: a.server.URL, Secrets: []string{secret}, RequireToken: true})
		if err != nil {
			t.Fatal(err)
		}
		a.mux.Handle("/form", guard.Require(a.login)(forms.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, csrf.Token(r.Context()))
		}))))
		form := func(b *browser) string { return b.fetch("/form").body }
		send := func(b *browser, token string) int {
			return b.send(http.MethodPost, "/form", nil, "Sec-Fetch-Site", "same-origin", csrf.HeaderName, token).StatusCode
		}
		desk, phone := a.browser(t), a.browser(t)
		desk.signIn()
		phone.signIn()
		token := form(desk)
		if code := send(desk, token); code != http.StatusOK {
			t.Fatalf("its own: %d", code)
		}
		if code := send(phone, token); code != http.StatusForbidden {
			t.Errorf("that of alice's other session: %d", code)
		}
		a.clock.Advance(12 * time.Hour) // the cookie is renewed
		if code := send(desk, token); code != http.StatusOK {
			t.Errorf("half a day later: %d", code)
		}
		if desk.token(); a.renewals() != 1 {
			t.Errorf("%d renewals", a.renewals())
		}
		if code := send(desk, token); code != http.StatusOK {
			t.Errorf("after the tokens were renewed: %d", code)
		}
		desk.signIn()
		if code := send(desk, token); code != http.StatusForbidden {
			t.Errorf("after signing in again: %d", code)
		}
		if s := a.session(t, desk); s.Binding() == "" || s.Binding() != a.session(t, desk).Binding() || s.Binding() == a.session(t, phone).Binding() {
			t.Error("sessions and their names do not go together")
		}
	})
}
