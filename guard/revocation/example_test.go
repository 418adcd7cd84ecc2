package revocation_test

import (
	"context"
	"log"
	"net/http"
	"os"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/bearer"
	"github.com/gatehouse-dev/gatehouse/guard/revocation"
)

// Tokens of people who sign out or are banned stop working within a second.
func Example() {
	const issuer = "https://login.example.com/"
	feed, err := revocation.Follow(context.Background(), revocation.Options{
		Issuer: issuer, ClientID: os.Getenv("GATEHOUSE_CLIENT_ID"), ClientSecret: os.Getenv("GATEHOUSE_CLIENT_SECRET"),
	})
	if err != nil {
		log.Fatal(err)
	}
	defer feed.Close()
	tokens, err := bearer.New(bearer.Options{Issuer: issuer, Audience: "https://api.example.com/", Revocations: feed})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /orders", guard.Require(tokens)(http.NotFoundHandler()))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		if err := feed.Ready(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		}
	})
}
