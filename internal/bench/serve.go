package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"runtime/pprof"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/config"
	"github.com/gatehouse-dev/gatehouse/internal/server"
)

// issuer is reached through a proxy on this machine that terminates TLS, as many a house is.
const (
	host   = "login.bench.example"
	issuer = "https://" + host + "/"
)

// masterKey is for measuring alone.
const masterKey = "3q2SgQmZbQYcN8o0mV5r0yqH1xJf7t9uKzW4LrGd6sE="

// configuration is that of a production house, but for the longer life of access tokens: they must
// outlive the run. An empty listen stands for a house that does not serve.
func configuration(database, listen string) *config.Config {
	c := config.Default()
	c.Issuer, c.Listen, c.Operations.Listen = issuer, listen, "127.0.0.1:0"
	c.Proxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	c.Database.URL = config.NewSecret(database)
	c.MasterKeys = []config.Secret{config.NewSecret(masterKey)}
	c.Mail.Host, c.Mail.From = "mail.bench.example", "login@bench.example"
	c.Tokens.Access = time.Hour
	return c
}

// The listeners a server process inherits.
const (
	bareFD = 3 + iota
	controlFD
)

// serve is the server process: the house as `gatehouse serve` runs it, the bare handler, and a
// control for this process's parent. It ends when its standard input does.
func serve(ctx context.Context, database, listen string) (err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	house, err := server.Open(ctx, server.Options{Config: configuration(database, listen), Log: slog.New(slog.NewJSONHandler(os.Stderr, nil))})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, house.Close()) }()
	service, err := house.Listen()
	if err != nil {
		return err
	}
	bare := &bareHandler{}
	for fd, h := range map[uintptr]http.Handler{bareFD: bare, controlFD: control(bare)} {
		listener, err := net.FileListener(os.NewFile(fd, "listener"))
		if err != nil {
			return err
		}
		s := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute}
		go s.Serve(listener)
		defer s.Close()
	}
	go func() {
		io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	return service.Run(ctx, nil)
}

// bareHandler answers every request with the same number of bytes, and does nothing else.
type bareHandler struct {
	body atomic.Pointer[bareBody]
}

type bareBody struct {
	bytes  []byte
	length []string
}

func (b *bareHandler) set(size int) {
	b.body.Store(&bareBody{bytes.Repeat([]byte{'x'}, size), []string{strconv.Itoa(size)}})
}

func (b *bareHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body)
	body := b.body.Load()
	h := w.Header()
	h["Content-Type"], h["Content-Length"] = []string{"application/json"}, body.length
	w.Write(body.bytes)
}

// control lets the parent process set what the bare handler answers, and profile this process.
func control(bare *bareHandler) http.Handler {
	profile := &bytes.Buffer{}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /bare/{size}", func(_ http.ResponseWriter, r *http.Request) {
		size, _ := strconv.Atoi(r.PathValue("size"))
		bare.set(size)
	})
	mux.HandleFunc("POST /profile", func(w http.ResponseWriter, _ *http.Request) {
		if err := pprof.StartCPUProfile(profile); err != nil {
			http.Error(w, err.Error(), http.StatusConflict)
		}
	})
	mux.HandleFunc("GET /profile", func(w http.ResponseWriter, _ *http.Request) {
		pprof.StopCPUProfile()
		w.Write(profile.Bytes())
		profile.Reset()
	})
	mux.HandleFunc("GET /allocations", func(w http.ResponseWriter, _ *http.Request) {
		pprof.Lookup("allocs").WriteTo(w, 0)
	})
	return mux
}
