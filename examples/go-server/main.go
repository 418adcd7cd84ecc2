// Command go-server is a notebook: an application with its own server, its own users and its own
// database, protected by the guard alone. There is no provider here; people have a name and a
// password in a table of SQLite.
//
//	go run ./examples/go-server
//
// app.go puts everything together and says who may call what: read it first. Every other file is a
// feature: sign-in, account, notes, API keys, administration.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "go-server:", err)
		os.Exit(1)
	}
}

func run() error {
	addr := flag.String("addr", "localhost:8091", "where to listen")
	url := flag.String("url", "http://localhost:8091", "where browsers find this application; https in production")
	data := flag.String("data", ".notebook", "the folder of the database and the secret")
	proxies := flag.String("proxies", "", "networks of the load balancers in front, such as 10.0.0.0/8, by commas")
	flag.Parse()

	o := options{BaseURL: *url, Clock: time.Now, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))}
	for _, text := range strings.FieldsFunc(*proxies, func(r rune) bool { return r == ',' }) {
		network, err := netip.ParsePrefix(text)
		if err != nil {
			return err
		}
		o.Proxies = append(o.Proxies, network)
	}
	if err := os.MkdirAll(*data, 0o700); err != nil {
		return err
	}
	var err error
	if o.Secret, err = secretFrom(filepath.Join(*data, "secret")); err != nil {
		return err
	}
	if o.DB, err = openDatabase(filepath.Join(*data, "notebook.db")); err != nil {
		return err
	}
	defer o.DB.Close()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
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
	fmt.Printf("The notebook is at %s/ (the first to sign up is its administrator)\n", *url)
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	if err := <-stopped; err != nil {
		return err
	}
	return a.keys.Flush(context.Background()) // the last minute of uses
}
