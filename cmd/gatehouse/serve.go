package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/config"
	"github.com/gatehouse-dev/gatehouse/internal/server"
)

// serveCommand runs a house in production.
type serveCommand struct {
	Config string `help:"The configuration. Without it, the environment alone (GATEHOUSE_…)." placeholder:"FILE" env:"GATEHOUSE_CONFIG"`
}

// Help is shown under the flags.
func (serveCommand) Help() string {
	return `Refuses to start on an unsafe setting, and lists everything that is wrong at once.
At the first start it prints the link and the token for the first administrator.
Stop it with SIGTERM (it tells the load balancer first, then drains) or with Ctrl+C.

  openssl rand -base64 32 > master.key && chmod 600 master.key
  gatehouse config check --config gatehouse.yaml
  gatehouse serve --config gatehouse.yaml`
}

// noticeTime is how long the house goes on answering after it said that it is leaving, for load
// balancers that look every second or two.
const noticeTime = 3 * time.Second

// Run serves until SIGTERM or SIGINT.
func (c *serveCommand) Run(to streams) (err error) {
	settings, err := config.Load(c.Config, os.Environ())
	if err != nil {
		return err
	}
	log := newLog(settings.Log, to.Err)
	for _, name := range settings.Insecure() {
		log.Warn("an insecure setting is on", "setting", name)
	}
	ctx := context.Background()
	house, err := server.Open(ctx, server.Options{Config: settings, Log: log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, house.Close()) }()
	service, err := house.Listen()
	if err != nil {
		return err
	}
	if err := invite(ctx, house, to.Err); err != nil {
		return err
	}

	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	serving, leave := context.WithCancel(ctx)
	defer leave()
	notice := make(chan time.Duration, 1)
	go func() {
		first := <-signals
		wait := time.Duration(0) // a person at the keyboard has no load balancer
		if first == syscall.SIGTERM && settings.Operations.Listen != "" {
			wait = noticeTime
		}
		log.Info("leaving", "signal", first.String())
		notice <- wait
		leave()
		<-signals
		os.Exit(exitFailed) // asked twice
	}()
	log.Info("serving", "issuer", house.Tenant.Issuer, "listen", service.Addr().String(), "database", house.DB.Dialect().String(), "version", version())
	return service.Run(serving, func() time.Duration { return <-notice })
}

// invite tells the operator how to become the first administrator. It goes to the terminal and
// not through the log, which others may read.
func invite(ctx context.Context, h *server.House, w io.Writer) error {
	page, token, err := h.FirstAdministrator(ctx)
	if err != nil || token == "" {
		return err
	}
	_, err = fmt.Fprintf(w, "\n  There is no administrator yet. Within the hour, open\n\n    %s\n\n  and type this token, which works once:\n\n    %s\n\n", page, token)
	return err
}

func newLog(o config.Log, w io.Writer) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(o.Level)); err != nil {
		level = slog.LevelInfo // validated before
	}
	options := &slog.HandlerOptions{Level: level}
	if o.Format == "text" {
		return slog.New(slog.NewTextHandler(w, options))
	}
	return slog.New(slog.NewJSONHandler(w, options))
}
