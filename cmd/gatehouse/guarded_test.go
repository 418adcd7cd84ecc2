package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/bearer"
	"github.com/gatehouse-dev/gatehouse/guard/revocation"
)

// What a guarded process is started with: the server, by whom it is reached, the client whose name
// it follows the feed in, and the API it is.
const (
	envIssuer   = "GUARDED_ISSUER"
	envVia      = "GUARDED_VIA"
	envClient   = "GUARDED_CLIENT"
	envSecret   = "GUARDED_SECRET"
	envAudience = "GUARDED_AUDIENCE"
)

// guarded is an API in a process of its own: behind guard.Require, with tokens checked by their
// signature and the feed of revocations. Beside it are questions that only a test asks; they put
// tokens through the very same handler.
func guarded() {
	if err := serveGuarded(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serveGuarded() error {
	// Everything goes through the proxy of this process, whatever the address says.
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{Timeout: 2 * time.Second}).DialContext(ctx, network, os.Getenv(envVia))
	}
	client := &http.Client{Transport: &http.Transport{DialContext: dial, ResponseHeaderTimeout: 5 * time.Second}}
	feed, err := revocation.Follow(context.Background(), revocation.Options{
		Issuer: os.Getenv(envIssuer), ClientID: os.Getenv(envClient), ClientSecret: os.Getenv(envSecret), HTTPClient: client,
	})
	if err != nil {
		return err
	}
	scheme := func(r guard.Revocations) (*bearer.Scheme, error) {
		return bearer.New(bearer.Options{
			Issuer: os.Getenv(envIssuer), Audience: os.Getenv(envAudience), Revocations: r, HTTPClient: client, Logger: slog.New(slog.DiscardHandler),
		})
	}
	with, err := scheme(feed)
	without, err2 := scheme(nil)
	if err := errors.Join(err, err2); err != nil {
		return err
	}
	api := func(s guard.Authenticator) http.Handler {
		return guard.Require(s)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	}
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", api(with))
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, _ *http.Request) {
		if err := feed.Ready(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("POST /status", func(w http.ResponseWriter, r *http.Request) {
		answer(w, statuses(api(with), tokensIn(r)))
	})
	mux.HandleFunc("POST /until", func(w http.ResponseWriter, r *http.Request) {
		want := http.StatusUnauthorized
		if r.URL.Query().Get("status") == "503" {
			want = http.StatusServiceUnavailable
		}
		answer(w, waitUntil(r.Context(), api(with), tokensIn(r), want))
	})
	mux.HandleFunc("POST /cost", func(w http.ResponseWriter, r *http.Request) {
		tokens := tokensIn(r)
		one, other := cost(api(with), api(without), tokens)
		answer(w, map[string]float64{"with": one, "without": other})
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Printf("guarding %s\n", l.Addr())
	return (&http.Server{Handler: mux}).Serve(l)
}

func tokensIn(r *http.Request) (tokens []string) {
	if err := json.NewDecoder(r.Body).Decode(&tokens); err != nil {
		panic(err)
	}
	return tokens
}

func answer(w http.ResponseWriter, v any) {
	if err := json.NewEncoder(w).Encode(v); err != nil {
		panic(err)
	}
}

func ask(h http.Handler, token string) int {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code
}

// statuses counts the answers.
func statuses(h http.Handler, tokens []string) map[int]int {
	out := map[int]int{}
	for _, t := range tokens {
		out[ask(h, t)]++
	}
	return out
}

// waitUntil asks with every token again and again, until each was answered with the wanted status, and
// returns when the last other answer was, in nanoseconds since 1970.
func waitUntil(ctx context.Context, h http.Handler, tokens []string, want int) int64 {
	last, left := time.Now().UnixNano(), slices.Clone(tokens)
	pause := time.NewTicker(5 * time.Millisecond)
	defer pause.Stop()
	for len(left) > 0 {
		left = slices.DeleteFunc(left, func(t string) bool {
			if ask(h, t) == want {
				return true
			}
			last = time.Now().UnixNano()
			return false
		})
		select {
		case <-pause.C:
		case <-ctx.Done():
			return 0
		}
	}
	return last
}

// cost returns the nanoseconds of a request to either handler, over all tokens in turn: the best of
// many rounds, which take turns.
func cost(one, other http.Handler, tokens []string) (ofOne, ofOther float64) {
	round := func(h http.Handler, best float64) float64 {
		began := time.Now()
		statuses(h, tokens)
		took := float64(time.Since(began).Nanoseconds()) / float64(len(tokens))
		if best == 0 {
			return took
		}
		return min(best, took)
	}
	for range 40 {
		ofOne, ofOther = round(one, ofOne), round(other, ofOther)
	}
	return ofOne, ofOther
}
