package revocation_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/bearer"
	"github.com/gatehouse-dev/gatehouse/guard/revocation"
	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
	"github.com/gatehouse-dev/gatehouse/internal/server/demo"
	"github.com/gatehouse-dev/gatehouse/internal/server/servertest"
)

// guarded is an API that follows the feed of the real house.
type guarded struct {
	*servertest.Instance
	t      *testing.T
	tokens *bearer.Scheme
	feed   *revocation.Feed
}

func guardOf(t *testing.T) *guarded {
	t.Helper()
	node := servertest.New(t, servertest.Options{})
	quiet, worker := slog.New(slog.DiscardHandler), node.Content.Client(demo.Machine)
	feed, err := revocation.Follow(t.Context(), revocation.Options{
		Issuer: node.URL + "/", ClientID: worker.ClientID, ClientSecret: worker.ClientSecret, Clock: node.Clock.Now, Logger: quiet,
		StaleAfter: time.Minute, // no house beats here: there is no background
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { feed.Close() })
	tokens, err := bearer.New(bearer.Options{
		Issuer: node.URL + "/", Audience: demo.Audience, Revocations: feed, Clock: node.Clock.Now, Logger: quiet,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := feed.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	return &guarded{node, t, tokens, feed}
}

func (g *guarded) tokenOf(email string) (token string, b *servertest.Browser) {
	g.t.Helper()
	got, b := g.TokensFor(g.t, email, demo.SPA, "audience", demo.Audience, "scope", "openid "+demo.ReadShows)
	g.stands(got.AccessToken)
	return got.AccessToken, b
}

func (g *guarded) stands(token string) {
	g.t.Helper()
	if _, err := g.tokens.Verify(g.t.Context(), token); err != nil {
		g.t.Errorf("a token that stands is refused: %v", err)
	}
}

// dies waits until a token is refused as revoked. How long that takes is measured elsewhere.
func (g *guarded) dies(token string) {
	g.t.Helper()
	deadline, again := time.After(time.Minute), time.NewTicker(time.Millisecond)
	defer again.Stop()
	for {
		_, err := g.tokens.Verify(g.t.Context(), token)
		var why *guard.Error
		if errors.As(err, &why) && why.Code == guard.InvalidToken {
			return
		}
		select {
		case <-again.C:
		case <-deadline:
			g.t.Fatalf("the token lives on: %v", err)
		}
	}
}

func TestThreat_LO07_SignOutEndsTokensAtTheGuard(t *testing.T) {
	g := guardOf(t)
	token, b := g.tokenOf(demo.Reader)
	others, _ := g.tokenOf(demo.Administrator)
	b.Get("/v2/logout?returnTo=http://localhost:3000&client_id=" + g.Content.Client(demo.SPA).ClientID)
	g.dies(token)
	g.stands(others)
}

func TestThreat_BR12_EndingSessionsEndsTokensAtTheGuard(t *testing.T) {
	g := guardOf(t)
	token, _ := g.tokenOf(demo.Reader)
	second, _ := g.tokenOf(demo.Reader)
	others, _ := g.tokenOf(demo.Administrator)
	if err := g.House.SignIn.EndSessions(t.Context(), g.House.Tenant, g.UserID(t, demo.Reader), audit.System()); err != nil {
		t.Fatal(err)
	}
	g.dies(token)
	g.dies(second)
	g.stands(others)
}

func TestThreat_JW14_BannedAtTheGuard(t *testing.T) {
	g := guardOf(t)
	token, _ := g.tokenOf(demo.Reader)
	others, _ := g.tokenOf(demo.Administrator)
	g.Block(t, demo.Reader)
	g.dies(token)
	g.stands(others)
}

// A key that is not trusted any more: what it signed is dead, though the guard knows the key still.
func TestThreat_KY02_RevokedKeyAtTheGuard(t *testing.T) {
	g := guardOf(t)
	token, _ := g.tokenOf(demo.Reader)
	all, err := g.House.Keys.List(t.Context(), g.House.Tenant)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range all {
		if k.Alg == "ES256" {
			if err := g.House.RevokeKey(t.Context(), k.KeyID, audit.System()); err != nil {
				t.Fatal(err)
			}
		}
	}
	g.dies(token)
}
