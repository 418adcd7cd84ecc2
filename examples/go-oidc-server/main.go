// Command go-oidc-server is a watchlist: an application with its own server and its own database, whose
// people sign in at the house. Package guard keeps the door: sessions in SQL, forms of its own alone,
// limits, roles, a fresh proof before what cannot be undone, and the news of who signed out elsewhere.
//
//	go run ./cmd/gatehouse dev
//	go run ./examples/go-oidc-server
//
// app.go puts everything together and says who may call what: read it first.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard/revocation"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "go-oidc-server:", err)
		os.Exit(1)
	}
}

func run() error {
	addr := flag.String("addr", "localhost:8092", "where to listen")
	url := flag.String("url", "http://localhost:8092", "where browsers find this application; https in production")
	data := flag.String("data", ".watchlist", "the folder of the database")
	dev := flag.String("dev", ".gatehouse/dev.json", "what `gatehouse dev` wrote when it started")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	o := options{BaseURL: *url, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))}
	if err := readDev(*dev, &o); err != nil {
		return err
	}
	if err := os.MkdirAll(*data, 0o700); err != nil {
		return err
	}
	var err error
	if o.DB, err = openDatabase(filepath.Join(*data, "watchlist.db")); err != nil {
		return err
	}
	defer o.DB.Close()
	feed, err := revocation.Follow(ctx, revocation.Options{
		Issuer: o.Issuer, ClientID: o.Feed.ClientID, ClientSecret: o.Feed.ClientSecret,
		StaleAfter: time.Minute, // the house may be away for so long; then nobody is believed to be signed in
		Logger:     o.Logger,
	})
	if err != nil {
		return err
	}
	o.Revocations = feed
	a, err := newApp(ctx, o)
	if err != nil {
		return err
	}

	server := &http.Server{Addr: *addr, Handler: a.handler(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second}
	stopped := make(chan error, 1)
	go func() {
		<-ctx.Done()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		stopped <- server.Shutdown(ctx)
	}()
	fmt.Printf("The watchlist is at %s/ (the first to sign in is its administrator)\n", *url)
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-stopped
}
