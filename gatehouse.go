// Package gatehouse is the whole authentication gate as a library: the same server that the command
// gatehouse runs, as an http.Handler. [Open] makes one of a [Config].
//
// A test that wants the real server starts it with package gatehousetest instead. An application
// that is to be protected imports package guard, and nothing of this.
package gatehouse

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"

	"github.com/gatehouse-dev/gatehouse/internal/base/config"
	"github.com/gatehouse-dev/gatehouse/internal/server"
)

// Config is what an operator decides; docs/configuration.md describes every field. Listen, TLS,
// Operations and Log are for the command: a program that embeds the house has its own.
type Config = config.Config

// Secret is a setting that is never printed.
type Secret = config.Secret

// NewSecret returns text as a Secret.
func NewSecret(text string) Secret { return config.NewSecret(text) }

// DefaultConfig returns the configuration to begin with. Issuer, database, master keys and mail
// are still to be set.
func DefaultConfig() *Config { return config.Default() }

// Server is a running house. Serve it at the root of the issuer's origin.
type Server struct {
	handler http.Handler
	house   *server.House
	stop    context.CancelFunc
	work    sync.WaitGroup
	close   sync.Once
	closed  error
}

// Open checks the configuration, opens the database, brings its schema up to date and starts the
// work that goes on in the background. The error lists everything that is wrong with the
// configuration. ctx bounds the opening alone; [Server.Close] ends what was started.
//
// log may be nil: then nothing is logged.
func Open(ctx context.Context, c *Config, log *slog.Logger) (*Server, error) {
	if problems := c.ValidateEmbedded(); len(problems) > 0 {
		lines := []string{"the configuration is not safe to serve:"}
		for _, p := range problems {
			lines = append(lines, p.String())
		}
		return nil, fmt.Errorf("gatehouse: %w", errors.New(strings.Join(lines, "\n")))
	}
	house, err := server.Open(ctx, server.Options{Config: c, Log: log})
	if err != nil {
		return nil, fmt.Errorf("gatehouse: %w", err)
	}
	handler, err := house.Handler()
	if err != nil {
		return nil, errors.Join(err, house.Close())
	}
	s := &Server{handler: handler, house: house}
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	s.work.Go(func() { house.Run(background) })
	return s, nil
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Close ends the background work and closes the database. Requests must have ended before. Closing
// again returns the same.
func (s *Server) Close() error {
	s.close.Do(func() {
		s.stop()
		s.work.Wait()
		s.closed = s.house.Close()
	})
	return s.closed
}
