// Command go-serverless is the API of examples/nextjs-bearer as a serverless function in Go: a public
// route and a protected one, guarded by guard/bearer. On AWS Lambda it serves the events of an HTTP API;
// anywhere else it is a server, which fetches the pages from where they are.
//
//	go run ./examples/go-serverless
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard/bearer"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "go-serverless:", err)
		os.Exit(1)
	}
}

func run() error {
	addr := flag.String("addr", "localhost:3011", "where to listen")
	pages := flag.String("pages", "http://localhost:3010", "where the pages are: examples/nextjs-bearer")
	issuer := flag.String("issuer", env("ISSUER", "http://localhost:8080/"), "whose access tokens are accepted")
	audience := flag.String("audience", env("AUDIENCE", "https://api/billing"), "the identifier of this API")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	api, err := newAPI(bearer.Options{Issuer: *issuer, Audience: *audience})
	if err != nil {
		return err
	}
	if runtime := os.Getenv("AWS_LAMBDA_RUNTIME_API"); runtime != "" {
		return serveLambda(ctx, runtime, api)
	}
	origin, err := url.Parse(*pages)
	if err != nil {
		return err
	}
	return serve(ctx, *addr, site(api, origin))
}

// site is what a CDN is in production: one origin that has /api/ answered by the function and all
// else by whoever keeps the pages.
func site(api http.Handler, pages *url.URL) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/api/", api)
	mux.Handle("/", &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(pages) }})
	return mux
}

func serve(ctx context.Context, addr string, handler http.Handler) error {
	server := &http.Server{Addr: addr, Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		<-ctx.Done()
		_ = server.Close()
	}()
	fmt.Printf("http://%s/\n", addr)
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func env(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}
