package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
)

// credentials are a client's at the house.
type credentials struct {
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret"`
}

// readDev takes the configuration from what `gatehouse dev` wrote. In production it comes from where
// the other secrets come from; oidclogin.FromEnv reads most of it from the environment.
func readDev(path string, o *options) error {
	var house struct {
		Issuer  string
		APIs    []struct{ Audience, URL string }
		Clients []struct {
			Name, Audience string
			credentials
		}
	}
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no %s; start the house first: go run ./cmd/gatehouse dev", path)
	}
	if err == nil {
		err = json.Unmarshal(raw, &house)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	o.Issuer = house.Issuer
	for _, c := range house.Clients {
		switch c.Name {
		case "go-oidc-server": // this application
			o.Client, o.Audience = c.credentials, c.Audience
		case "TV Shows Worker": // may read what was revoked
			o.Feed = c.credentials
		}
	}
	if i := slices.IndexFunc(house.APIs, func(a struct{ Audience, URL string }) bool { return a.Audience == o.Audience }); i >= 0 {
		o.APIURL = house.APIs[i].URL
	}
	o.Secret = "a secret of development, " + o.Client.ClientSecret
	if o.Client.ClientID == "" || o.Feed.ClientID == "" || o.APIURL == "" {
		return fmt.Errorf("%s lacks the client go-oidc-server, TV Shows Worker, or their API; start a newer house", path)
	}
	return nil
}
