// Command machine is a service that calls an API in its own name: no person is there to sign in. It
// asks for an access token with its client id and secret, uses it for as long as it is good, and asks
// for the next in time. All of that is golang.org/x/oauth2/clientcredentials.
//
//	go run . [-every 10s] [-times 3]
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// clientName is this service's among the clients that `gatehouse dev` registers.
const clientName = "TV Shows Worker"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "machine:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	every := flag.Duration("every", 10*time.Second, "how often to call the API")
	times := flag.Int("times", 0, "how often in all; 0 for ever")
	dev := flag.String("dev", filepath.Join("..", "..", ".gatehouse", "dev.json"), "what `gatehouse dev` wrote down")
	flag.Parse()
	config, apiURL, err := configure(*dev)
	if err != nil {
		return err
	}
	// No request hangs forever. The library finds its HTTP client in the context.
	ctx = context.WithValue(ctx, oauth2.HTTPClient, &http.Client{Timeout: 30 * time.Second})
	// One source for the whole service, and for all its goroutines: it keeps the token until it is old.
	tokens := config.TokenSource(ctx)
	api := oauth2.NewClient(ctx, tokens)
	for n := 1; ; n++ {
		shows, err := countShows(ctx, api, apiURL)
		if err != nil {
			return err
		}
		token, err := tokens.Token() // the same one, from memory
		if err != nil {
			return err
		}
		fmt.Printf("%d shows, with the token that is good until %s\n", shows, token.Expiry.Format(time.TimeOnly))
		if n == *times {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(*every):
		}
	}
}

func countShows(ctx context.Context, api *http.Client, apiURL string) (int, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, apiURL+"/shows", nil)
	if err != nil {
		return 0, err
	}
	resp, err := api.Do(r)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("the API answers %s: %s", resp.Status, resp.Header.Get("WWW-Authenticate"))
	}
	var list struct{ Shows []struct{ Title string } }
	err = json.NewDecoder(resp.Body).Decode(&list)
	return len(list.Shows), err
}

// configure reads the service's registration. In production the secret comes from the environment or
// from a file that the service alone can read.
func configure(dev string) (*clientcredentials.Config, string, error) {
	raw, err := os.ReadFile(dev)
	if err != nil {
		return nil, "", fmt.Errorf("%w\nStart the house first: go run ./cmd/gatehouse dev", err)
	}
	var registered struct {
		Issuer  string
		Clients []struct {
			Name   string
			ID     string `json:"client_id"`
			Secret string `json:"client_secret"`
		}
		APIs []struct{ Audience, URL string }
	}
	if err := json.Unmarshal(raw, &registered); err != nil {
		return nil, "", fmt.Errorf("%s: %w", dev, err)
	}
	for _, c := range registered.Clients {
		if c.Name == clientName {
			api := registered.APIs[0]
			return &clientcredentials.Config{
				ClientID: c.ID, ClientSecret: c.Secret, AuthStyle: oauth2.AuthStyleInHeader,
				TokenURL:       strings.TrimSuffix(registered.Issuer, "/") + "/oauth/token",
				EndpointParams: url.Values{"audience": {api.Audience}},
				Scopes:         []string{"read:shows"},
			}, api.URL, nil
		}
	}
	return nil, "", fmt.Errorf("%s has no client %s", dev, clientName)
}
