package oauth_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
	"github.com/gatehouse-dev/gatehouse/internal/core/checkup"
	"github.com/gatehouse-dev/gatehouse/internal/server/demo"
	"github.com/gatehouse-dev/gatehouse/internal/server/servertest"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// check is what the developer of a client is told.
func check(t *testing.T, node *servertest.Instance, clientName string) checkup.Report {
	t.Helper()
	_, report, err := node.House.Admin().CheckClient(context.Background(), node.House.Tenant, node.Content.Client(clientName).ClientID)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// said finds what is told of one kind.
func said(r checkup.Report, kind checkup.Kind) *checkup.Finding {
	for i := range r.Findings {
		if r.Findings[i].Kind == kind && r.Findings[i].Count > 0 {
			return &r.Findings[i]
		}
	}
	return nil
}

// strict makes the demo's server a client that must do everything right.
func strict(t *testing.T, node *servertest.Instance, clientName string) {
	t.Helper()
	_, err := node.House.Admin().UpdateClient(context.Background(), node.House.Tenant, node.Content.Client(clientName).ClientID, func(c *apps.Client) error {
		c.Profile, c.InsecureUserinfoQueryToken = apps.OAuth21, false
		return nil
	}, audit.System())
	if err != nil {
		t.Fatal(err)
	}
}

// Each mistake is made over HTTP, as an application makes it, and told for what it is.
func TestMistakesAreToldToTheDeveloper(t *testing.T) {
	node := servertest.New(t, servertest.Options{})
	strict(t, node, demo.RegularWeb)
	spa, web, worker := node.Content.Client(demo.SPA), node.Content.Client(demo.RegularWeb), node.Content.Client(demo.Machine)
	get := func(path string, header http.Header, pairs ...string) {
		r, err := http.NewRequest("GET", node.URL+path+"?"+values(pairs...).Encode(), nil)
		if err != nil {
			t.Fatal(err)
		}
		send(t, node, r, header)
	}
	postTo := func(path string, header http.Header, pairs ...string) {
		r, err := http.NewRequest("POST", node.URL+path, strings.NewReader(values(pairs...).Encode()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		send(t, node, r, header)
	}
	post := func(header http.Header, pairs ...string) { postTo("/oauth/token", header, pairs...) }
	none := http.Header{}
	request := func(more ...string) []string {
		return append([]string{
			"client_id", spa.ClientID, "response_type", "code", "redirect_uri", spa.RedirectURIs[0], "scope", "openid",
			"code_challenge", servertest.Challenge(strings.Repeat("v", 43)), "code_challenge_method", "S256",
		}, more...)
	}
	for _, c := range []struct {
		kind checkup.Kind
		of   string
		sent string
		make func()
	}{
		{checkup.RedirectURI, demo.SPA, spa.RedirectURIs[0] + "/x", func() { get("/authorize", none, request("redirect_uri", spa.RedirectURIs[0]+"/x")...) }},
		{checkup.MessageOrigin, demo.RegularWeb, "http://localhost:3000", func() {
			get("/authorize", none, "client_id", web.ClientID, "response_type", "code", "redirect_uri", "http://localhost:3000", "response_mode", "web_message")
		}},
		{checkup.ResponseType, demo.RegularWeb, "id_token", func() {
			get("/authorize", none, "client_id", web.ClientID, "response_type", "id_token", "response_mode", "form_post", "nonce", "n", "scope", "openid", "redirect_uri", web.RedirectURIs[0])
		}},
		{checkup.ResponseType, demo.SPA, "", func() { get("/authorize", none, request("response_type", "token")...) }},
		{checkup.PKCE, demo.SPA, "plain", func() { get("/authorize", none, request("code_challenge_method", "plain")...) }},
		{checkup.ScopeDropped, demo.Machine, "fly:planes", func() {
			post(none, "grant_type", "client_credentials", "audience", worker.Audience, "scope", "fly:planes", "client_id", worker.ClientID, "client_secret", worker.ClientSecret)
		}},
		{checkup.PKCE, demo.RegularWeb, "", func() {
			get("/authorize", none, "client_id", web.ClientID, "response_type", "code", "scope", "openid", "redirect_uri", web.RedirectURIs[0])
		}},
		{checkup.Audience, demo.SPA, "https://api/tv", func() { get("/authorize", none, request("audience", "https://api/tv")...) }},
		{checkup.ScopeDropped, demo.SPA, "fly:planes", func() { get("/authorize", none, request("scope", "openid fly:planes")...) }},
		{checkup.LoginRequired, demo.SPA, "", func() { get("/authorize", none, request("prompt", "none")...) }},
		{checkup.LogoutURL, demo.SPA, "http://localhost:3000/bye", func() { get("/v2/logout", none, "client_id", spa.ClientID, "returnTo", "http://localhost:3000/bye") }},
		{checkup.ClientSecret, demo.RegularWeb, "", func() {
			post(none, "grant_type", "authorization_code", "code", "x", "client_id", web.ClientID, "client_secret", "wrong")
		}},
		{checkup.AuthMethod, demo.SPA, "client_secret_post", func() {
			post(none, "grant_type", "authorization_code", "code", "x", "client_id", spa.ClientID, "client_secret", "wrong")
		}},
		{checkup.GrantType, demo.Machine, "authorization_code", func() {
			post(none, "grant_type", "authorization_code", "code", "x", "client_id", worker.ClientID, "client_secret", worker.ClientSecret)
		}},
		{checkup.GrantType, demo.SPA, "password", func() { post(none, "grant_type", "password", "client_id", spa.ClientID) }},
		{checkup.GrantType, demo.RegularWeb, oauth.GrantDeviceCode, func() {
			postTo("/oauth/device/code", none, "client_id", web.ClientID, "client_secret", web.ClientSecret)
		}},
		{checkup.WebOrigin, demo.SPA, "http://localhost:4000", func() {
			post(http.Header{"Origin": {"http://localhost:4000"}}, "grant_type", "authorization_code", "code", "x", "client_id", spa.ClientID)
		}},
		{checkup.Code, demo.RegularWeb, "", func() {
			post(none, "grant_type", "authorization_code", "code", "x", "client_id", web.ClientID, "client_secret", web.ClientSecret)
		}},
		{checkup.RefreshToken, demo.RegularWeb, "", func() {
			post(none, "grant_type", "refresh_token", "refresh_token", "x", "client_id", web.ClientID, "client_secret", web.ClientSecret)
		}},
		{checkup.APIGrant, demo.Machine, "https://api/other", func() {
			post(none, "grant_type", "client_credentials", "audience", "https://api/other", "client_id", worker.ClientID, "client_secret", worker.ClientSecret)
		}},
	} {
		c.make()
		if f := said(check(t, node, c.of), c.kind); f == nil || f.Sent != c.sent {
			t.Errorf("%s of %s: told %+v, want %q", c.kind, c.of, f, c.sent)
		}
	}
	// A client that is not there is nobody's.
	get("/authorize", none, "client_id", "made-up", "response_type", "code")
	strays, err := node.House.Checkup.Of(context.Background(), node.House.Tenant, "")
	if err != nil || len(strays) != 0 {
		t.Errorf("written before somebody looked: %v, %v", strays, err)
	}
	check(t, node, demo.SPA)
	if strays, err = node.House.Checkup.Of(context.Background(), node.House.Tenant, ""); err != nil || len(strays) != 1 || strays[0].Sent != "" {
		t.Errorf("%+v, %v", strays, err)
	}
}

// What goes well settles what was wrong, and reuse of a refresh token is told for what it is.
func TestWhatGoesWellIsRemembered(t *testing.T) {
	node := servertest.New(t, servertest.Options{})
	tokens, _ := node.TokensFor(t, demo.Reader, demo.SPA, "scope", "openid offline_access")
	node.Clock.Advance(time.Second)
	first := node.Refresh(t, demo.SPA, tokens.RefreshToken)
	report := check(t, node, demo.SPA)
	var kinds []checkup.Kind
	for _, l := range report.Lasts {
		kinds = append(kinds, l.Kind)
	}
	if len(kinds) != 3 || kinds[0] != checkup.Authorized || kinds[1] != checkup.CodeRedeemed || kinds[2] != checkup.Refreshed || len(report.Findings) != 0 {
		t.Errorf("%v, %+v", kinds, report.Findings)
	}
	node.Clock.Advance(time.Minute)
	node.Refresh(t, demo.SPA, first.RefreshToken)
	node.Clock.Advance(2 * time.Minute)
	if again := node.Refresh(t, demo.SPA, first.RefreshToken); again.Error != "invalid_grant" || strings.Contains(again.Description, "before") {
		t.Errorf("a used token: %+v", again)
	}
	if f := said(check(t, node, demo.SPA), checkup.RefreshReused); f == nil || f.Level != checkup.Wrong {
		t.Errorf("reuse is not told: %+v", f)
	}
}

// An application that did not take a logout token is told so, until it takes one.
func TestWhoCouldNotBeToldIsTold(t *testing.T) {
	var status atomic.Int64
	status.Store(http.StatusInternalServerError)
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(int(status.Load())) }))
	t.Cleanup(app.Close)
	node := servertest.New(t, servertest.Options{Extras: []demo.Extra{{
		Name: "Told", Type: apps.RegularWeb, RedirectURIs: []string{"http://localhost:3000/cb"}, BackchannelLogoutURI: app.URL,
	}}})
	person := node.AddUser(t, "untold@example.com", "trombone-window-lamp")
	leave := func() {
		t.Helper()
		b := node.NewBrowser(t)
		b.SignIn("untold@example.com", "trombone-window-lamp")
		node.TokensIn(t, b, "Told", "scope", "openid")
		if err := node.House.SignIn.EndSessions(t.Context(), node.House.Tenant, person, audit.System()); err != nil {
			t.Fatal(err)
		}
		if _, err := node.House.Logouts.Deliver(t.Context()); err != nil {
			t.Fatal(err)
		}
		node.Clock.Advance(time.Second)
	}
	leave()
	if f := said(check(t, node, "Told"), checkup.BackchannelLogout); f == nil || f.Level != checkup.Wrong || !strings.Contains(f.Fix, "500") || f.Registered != app.URL {
		t.Errorf("told %+v", f)
	}
	status.Store(http.StatusOK)
	leave()
	if f := said(check(t, node, "Told"), checkup.BackchannelLogout); f != nil {
		t.Errorf("told still: %+v", f)
	}
}

func values(pairs ...string) url.Values {
	v := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1]) // the last one counts
	}
	return v
}

func send(t *testing.T, node *servertest.Instance, r *http.Request, header http.Header) {
	t.Helper()
	for name, v := range header {
		r.Header[name] = v
	}
	client := node.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
}
