package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"

	"golang.org/x/oauth2"
)

// clientName is this program's among the clients that `gatehouse dev` registers.
const clientName = "TV Shows CLI"

// house is where people sign in, and what this program may do there.
type house struct {
	oauth2.Config
	issuer    string
	revokeURL string
	audience  string // which API the tokens are for
	apiURL    string // where that API is
}

// findHouse reads the program's registration, and the rest from the discovery document. A program that
// you ship has the issuer, the client_id and the audience in its source: none of them is a secret.
func findHouse(ctx context.Context, dev string) (*house, error) {
	raw, err := os.ReadFile(dev)
	if err != nil {
		return nil, fmt.Errorf("%w\nStart the house first: go run ./cmd/gatehouse dev", err)
	}
	var registered struct {
		Issuer  string
		Clients []struct {
			Name     string
			ID       string `json:"client_id"`
			Audience string
		}
		APIs []struct{ Audience, URL string }
	}
	if err := json.Unmarshal(raw, &registered); err != nil {
		return nil, fmt.Errorf("%s: %w", dev, err)
	}
	h := &house{issuer: registered.Issuer}
	for _, c := range registered.Clients {
		if c.Name == clientName {
			h.ClientID, h.audience = c.ID, c.Audience
		}
	}
	for _, api := range registered.APIs {
		if api.Audience == h.audience {
			h.apiURL = api.URL
		}
	}
	h.Scopes = []string{"openid", "profile", "offline_access", "read:shows"}
	return h, h.discover(ctx)
}

func (h *house) discover(ctx context.Context) error {
	var found struct {
		Issuer        string
		Authorization string `json:"authorization_endpoint"`
		Token         string `json:"token_endpoint"`
		Device        string `json:"device_authorization_endpoint"`
		Revocation    string `json:"revocation_endpoint"`
	}
	resp, err := oauth2.NewClient(ctx, nil).Get(strings.TrimSuffix(h.issuer, "/") + "/.well-known/openid-configuration")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&found); err != nil || found.Issuer != h.issuer {
		return fmt.Errorf("%s does not describe itself as the issuer %q: %w", resp.Request.URL, h.issuer, err)
	}
	h.Endpoint = oauth2.Endpoint{
		AuthURL: found.Authorization, TokenURL: found.Token, DeviceAuthURL: found.Device,
		AuthStyle: oauth2.AuthStyleInParams, // a program that people install keeps no secret
	}
	h.revokeURL = found.Revocation
	return nil
}

// revoke ends a refresh token and all that came of it (RFC 7009).
func (h *house) revoke(ctx context.Context, refreshToken string) error {
	resp, err := oauth2.NewClient(ctx, nil).PostForm(h.revokeURL, url.Values{"client_id": {h.ClientID}, "token": {refreshToken}})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("revoke the tokens: %s", resp.Status)
	}
	return nil
}
