package oidclogin_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard/oidclogin"
)

// wire loses what comes from the provider's token endpoint: whether the provider did what it was asked is
// not known on this side.
type wire struct{ lose int }

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.HasSuffix(r.URL.Path, "/token") || w.lose == 0 {
		return http.DefaultTransport.RoundTrip(r)
	}
	w.lose--
	if w.lose%2 == 0 {
		return nil, errors.New("connection reset")
	}
	cut := io.MultiReader(strings.NewReader(`{"access_token":"ey`), iotest.ErrReader(io.ErrUnexpectedEOF))
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(cut), Request: r}, nil
}

// An answer that is lost is asked for again at once, and once: a provider that is away is not there for
// the third time either, and the session stands.
func TestLostAnswer(t *testing.T) {
	stores(t, func(t *testing.T, change func(*oidclogin.Options)) {
		w := &wire{}
		a := newApp(t, false, func(o *oidclogin.Options) { offline(o); o.HTTPClient = &http.Client{Transport: w}; change(o) })
		b := a.browser(t)
		b.signIn()
		held, _ := b.ask("")
		a.clock.Advance(11 * time.Minute)
		w.lose = 2
		if _, problem := b.ask(""); problem != "unavailable\n" {
			t.Errorf("lost twice: %q", problem)
		}
		w.lose = 1
		renewed, problem := b.ask("")
		if problem != "" || renewed.AccessToken == held.AccessToken || w.lose != 0 {
			t.Errorf("lost once: %q", problem)
		}
		if n := a.renewals(); n != 1 {
			t.Errorf("the provider renewed %d times", n)
		}
	})
}
