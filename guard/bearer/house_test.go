package bearer_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard/bearer"
	"github.com/gatehouse-dev/gatehouse/internal/server/demo"
	"github.com/gatehouse-dev/gatehouse/internal/server/servertest"
)

// The real house: its tokens checked here, and its word asked for.
func TestGatehouse(t *testing.T) {
	house := servertest.New(t, servertest.Options{})
	api := house.Content.Client(demo.Machine)
	options := func(always bool) bearer.Options {
		return bearer.Options{
			Issuer: house.URL + "/", Audience: demo.Audience, Clock: house.Clock.Now, Logger: slog.New(slog.DiscardHandler),
			Introspection: &bearer.Introspection{ClientID: api.ClientID, ClientSecret: api.ClientSecret, Always: always},
		}
	}
	tokens, _ := house.TokensFor(t, demo.Reader, demo.RegularWeb, "scope", "openid offline_access read:shows")
	machine := house.PostForm(t, "/oauth/token", demo.Machine, "grant_type", "client_credentials")
	for name, always := range map[string]bool{"checked here": false, "asked about": true} {
		t.Run(name, func(t *testing.T) {
			s, err := bearer.New(options(always))
			if err != nil {
				t.Fatal(err)
			}
			p, err := s.Verify(t.Context(), tokens.AccessToken)
			if err != nil || !p.IsUser() || !p.HasScope("read:shows") || p.GrantID == "" || p.SessionID == "" || p.Issuer != house.URL+"/" {
				t.Errorf("a person: %+v, %v", p, err)
			}
			if p, err := s.Verify(t.Context(), machine.AccessToken); err != nil || !p.IsClient() {
				t.Errorf("a machine: %+v, %v", p, err)
			}
			for other, token := range map[string]string{"refresh token": tokens.RefreshToken, "ID token": tokens.IDToken} {
				if w := call(s, request("Bearer "+token)); w.Code != 401 {
					t.Errorf("%s: %d", other, w.Code)
				}
			}
		})
	}
	asked, err := bearer.New(options(true))
	if err != nil {
		t.Fatal(err)
	}
	if w := call(asked, request("Bearer "+tokens.AccessToken)); w.Code != 200 {
		t.Fatal(w.Code)
	}
	house.Block(t, demo.Reader)
	house.Clock.Advance(10 * time.Second)
	if w := call(asked, request("Bearer "+tokens.AccessToken)); w.Code != 401 {
		t.Errorf("ten seconds after the person was blocked: %d", w.Code)
	}
}
