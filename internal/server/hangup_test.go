package server_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/gatehouse-dev/gatehouse/internal/server/demo"
	"github.com/gatehouse-dev/gatehouse/internal/server/servertest"
)

// lines is what a house logs.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write implements io.Writer.
func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.text.Reset()
	return l.text.String()
}

// Whoever hangs up has not made the house fail: nobody is woken for it, however many do.
func TestThreat_OV08_WhoHangsUpIsNoFailure(t *testing.T) {
	log := &lines{}
	i := servertest.New(t, servertest.Options{Log: log})
	handler, err := i.House.Handler()
	must(t, err)
	b := i.NewBrowser(t)
	form := b.Get("/u/sign-in").Hidden()
	form.Set("action", "sign_in")
	form.Set("email", demo.Reader)
	form.Set("password", "wrong-password")
	gone, leave := context.WithCancel(t.Context())
	leave()
	token := i.PostForm(t, "/oauth/token", demo.Management, "grant_type", "client_credentials", "audience", i.House.Tenant.ManagementAudience()).AccessToken
	log.take()
	for name, r := range map[string]*http.Request{
		"a form":            b.Request(http.MethodPost, "/u/sign-in", form.Encode()),
		"authorize":         b.Request(http.MethodGet, "/authorize?client_id=nobody", ""),
		"token":             b.Request(http.MethodPost, "/oauth/token", "grant_type=client_credentials&client_id=nobody&client_secret=x", "Content-Type", "application/x-www-form-urlencoded"),
		"management":        b.Request(http.MethodGet, "/api/v2/users", "", "Authorization", "Bearer "+token),
		"a report of a key": b.Request(http.MethodPost, "/api-keys/leaks", `{"token":"x"}`, "Content-Type", "application/json"),
	} {
		r.RemoteAddr = "192.0.2.1:1234"
		r.Header.Set("Cookie", b.CookieHeader())
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, r.WithContext(gone))
		if text := log.take(); strings.Contains(text, `"level":"ERROR"`) || strings.Contains(text, `"level":"WARN"`) {
			t.Errorf("%s: %s", name, text)
		}
		if answer.Code == http.StatusOK {
			t.Errorf("%s: the house did not notice, so the test shows nothing", name)
		}
	}
}

// Nor has who asks for what there is not: a line that anybody can have written again and again drowns those
// that matter.
func TestThreat_AD07_StrangersWriteNoLog(t *testing.T) {
	log := &lines{}
	i := servertest.New(t, servertest.Options{Log: log, Production: true})
	client := i.Content.Client(demo.SPA).ClientID
	b := i.NewBrowser(t)
	log.take()
	for _, path := range []string{
		"/v2/logout?returnTo=https://evil.example/", "/v2/logout?client_id=" + client + "&returnTo=https://evil.example/", "/v2/logout?client_id=nobody",
		"/oidc/logout?client_id=" + client + "&post_logout_redirect_uri=https://evil.example/", "/oidc/logout?id_token_hint=x",
		"/authorize?client_id=" + client + "&redirect_uri=https://evil.example/", "/authorize?client_id=nobody", "/nowhere", "/u/password?ticket=x", "/userinfo", "/api/v2/users",
	} {
		b.Get(path)
	}
	for _, body := range []string{"grant_type=client_credentials", "grant_type=authorization_code&code=x&client_id=" + client, "grant_type=refresh_token&refresh_token=x&client_id=" + client} {
		r, err := http.NewRequest(http.MethodPost, i.URL+"/oauth/token", strings.NewReader(body))
		must(t, err)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		res, err := i.Client().Do(r)
		must(t, err)
		res.Body.Close()
	}
	b.Enter(b.Get("/u/sign-in"), "nobody@example.com", "wrong-password")
	if text := log.take(); text != "" {
		t.Error(text)
	}
}
