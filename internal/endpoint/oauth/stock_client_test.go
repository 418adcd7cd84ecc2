package oauth_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/gatehouse-dev/gatehouse/internal/base/clock"
	"github.com/gatehouse-dev/gatehouse/internal/server/demo"
	"github.com/gatehouse-dev/gatehouse/internal/server/servertest"
)

// What a Go program does that has never heard of this house: coreos/go-oidc and x/oauth2, as they
// are.
func TestStockClient(t *testing.T) {
	// These libraries look at the machine's clock.
	i := servertest.New(t, servertest.Options{Clock: clock.NewVirtual(time.Now())})
	for _, c := range []struct {
		client string
		style  oauth2.AuthStyle
	}{
		{demo.SPA, oauth2.AuthStyleInParams},
		{demo.Native, oauth2.AuthStyleAutoDetect},
		{demo.RegularWeb, oauth2.AuthStyleInHeader},
		{demo.RegularWeb, oauth2.AuthStyleInParams},
		{demo.RegularWeb, oauth2.AuthStyleAutoDetect},
	} {
		t.Run(c.client, func(t *testing.T) { stockLogin(t, i, c.client, c.style) })
	}
}

func stockLogin(t *testing.T, i *servertest.Instance, client string, style oauth2.AuthStyle) {
	ctx := context.Background()
	provider, err := oidc.NewProvider(ctx, i.URL+"/")
	must(t, err)
	registered := i.Content.Client(client)
	endpoint := provider.Endpoint()
	endpoint.AuthStyle = style
	config := oauth2.Config{
		ClientID: registered.ClientID, ClientSecret: registered.ClientSecret, Endpoint: endpoint, RedirectURL: registered.RedirectURIs[0],
		Scopes: []string{oidc.ScopeOpenID, "profile", "email", oidc.ScopeOfflineAccess, demo.ReadShows},
	}

	// Login, in a browser that is led to the sign-in page first.
	verifier := oauth2.GenerateVerifier()
	b := i.NewBrowser(t)
	p := b.Get(config.AuthCodeURL("state+/=", oauth2.S256ChallengeOption(verifier), oidc.Nonce("nonce+/="), oauth2.SetAuthURLParam("audience", demo.Audience)))
	for hops := 0; !strings.HasPrefix(p.Header.Get("Location"), config.RedirectURL); hops++ {
		if hops == 5 {
			t.Fatalf("never came back: %s %s", p.Status, p.Header.Get("Location"))
		}
		if p.StatusCode == http.StatusOK {
			p = b.As(p, demo.Reader)
			continue
		}
		p = b.Get(p.Header.Get("Location"))
	}
	answer := p.Answer(t)
	if answer.State != "state+/=" || answer.Issuer != i.URL+"/" {
		t.Fatalf("%+v", answer)
	}
	tokens, err := config.Exchange(ctx, answer.Code, oauth2.VerifierOption(verifier))
	must(t, err)
	if !tokens.Valid() || tokens.RefreshToken == "" || tokens.Type() != "Bearer" || time.Until(tokens.Expiry) < 9*time.Minute {
		t.Errorf("tokens: %+v", tokens)
	}

	// The ID token.
	check := provider.Verifier(&oidc.Config{ClientID: registered.ClientID})
	raw, _ := tokens.Extra("id_token").(string)
	idToken, err := check.Verify(ctx, raw)
	must(t, err)
	var person struct {
		Email    string `json:"email"`
		Verified bool   `json:"email_verified"`
		Name     string `json:"name"`
		SID      string `json:"sid"`
		AuthTime int64  `json:"auth_time"`
	}
	must(t, idToken.Claims(&person))
	if idToken.Nonce != "nonce+/=" || idToken.Subject != i.UserID(t, demo.Reader) || person.Email != demo.Reader || !person.Verified || person.Name != "Alice Archer" {
		t.Errorf("ID token: %+v, %+v", idToken, person)
	}
	if idToken.AccessTokenHash != "" {
		must(t, idToken.VerifyAccessToken(tokens.AccessToken))
	}

	// The access token, as an API sees it that checks it by the published keys.
	keys := oidc.NewRemoteKeySet(ctx, i.URL+"/.well-known/jwks.json")
	asAPI := oidc.NewVerifier(i.URL+"/", keys, &oidc.Config{ClientID: demo.Audience, SupportedSigningAlgs: []string{oidc.ES256, oidc.RS256}})
	if at, err := asAPI.Verify(ctx, tokens.AccessToken); err != nil || !slices.Contains(at.Audience, demo.Audience) {
		t.Errorf("access token: %v", err)
	}

	info, err := provider.UserInfo(ctx, config.TokenSource(ctx, tokens))
	must(t, err)
	if info.Subject != idToken.Subject || info.Email != demo.Reader || !info.EmailVerified {
		t.Errorf("userinfo: %+v", info)
	}

	// A refresh, as x/oauth2 makes it when the access token has expired.
	old := *tokens
	old.Expiry = time.Now().Add(-time.Minute)
	fresh, err := config.TokenSource(ctx, &old).Token()
	must(t, err)
	if fresh.AccessToken == tokens.AccessToken || fresh.RefreshToken == "" || fresh.RefreshToken == tokens.RefreshToken {
		t.Error("nothing was refreshed")
	}
	raw, _ = fresh.Extra("id_token").(string)
	again, err := check.Verify(ctx, raw)
	must(t, err)
	before := person
	must(t, again.Claims(&person))
	if again.Subject != idToken.Subject || person != before {
		t.Errorf("the refreshed ID token tells otherwise: %+v, %+v", person, before)
	}
	bad := *fresh
	bad.RefreshToken, bad.Expiry = "x", old.Expiry
	if _, err := config.TokenSource(ctx, &bad).Token(); err == nil || !strings.Contains(err.Error(), "invalid_grant") {
		t.Errorf("a bad refresh token: %v", err)
	}
}

func TestStockClientInItsOwnName(t *testing.T) {
	i := servertest.New(t, servertest.Options{Clock: clock.NewVirtual(time.Now())})
	m := i.Content.Client(demo.Machine)
	for _, style := range []oauth2.AuthStyle{oauth2.AuthStyleInHeader, oauth2.AuthStyleInParams, oauth2.AuthStyleAutoDetect} {
		config := clientcredentials.Config{
			ClientID: m.ClientID, ClientSecret: m.ClientSecret, TokenURL: i.URL + "/oauth/token", AuthStyle: style, Scopes: []string{demo.ReadShows},
			EndpointParams: map[string][]string{"audience": {demo.Audience}},
		}
		token, err := config.Token(context.Background())
		if err != nil || !token.Valid() || token.Extra("scope") != demo.ReadShows {
			t.Errorf("style %d: %+v, %v", style, token, err)
		}
		config.ClientSecret += "x"
		if _, err := config.Token(context.Background()); err == nil || !strings.Contains(err.Error(), "invalid_client") {
			t.Errorf("style %d, a wrong secret: %v", style, err)
		}
	}
}
