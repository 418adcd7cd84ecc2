package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/user"
	"path/filepath"

	"github.com/gatehouse-dev/gatehouse/internal/base/config"
	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
	"github.com/gatehouse-dev/gatehouse/internal/server"
)

// houseFlags name the house that a verb is about.
type houseFlags struct {
	Config string `help:"The house of this configuration; $GATEHOUSE_CONFIG where neither is given." placeholder:"FILE" xor:"house"`
	Data   string `help:"The house of gatehouse dev in this folder." placeholder:"DIR" xor:"house"`
}

// verb is what every command on a house has.
type verb struct {
	houseFlags
	JSON bool `name:"json" help:"Print JSON in place of text."`
}

var errNoHouse = errors.New("which house? Name it by --config FILE, or by --data DIR for one of gatehouse dev (its default folder is .gatehouse)")

// open opens the house beside a server that may be running. The caller closes it.
func (f houseFlags) open(ctx context.Context, errOut io.Writer) (*server.House, error) {
	c, err := f.read()
	if err != nil {
		return nil, err
	}
	log := slog.New(slog.NewTextHandler(errOut, &slog.HandlerOptions{Level: slog.LevelWarn}))
	return server.Open(ctx, server.Options{Config: c, Log: log, Guest: true})
}

// read returns the part of a configuration that commands need: they neither listen nor send mail.
func (f houseFlags) read() (*config.Config, error) {
	if f.Data != "" {
		return readDev(f.Data)
	}
	file := cmp.Or(f.Config, os.Getenv("GATEHOUSE_CONFIG"))
	if file == "" {
		return nil, errNoHouse
	}
	c, err := config.Read(file, os.Environ())
	if c == nil {
		return nil, err
	}
	needed := config.Problems(c.Validate()).Under("", "issuer", "database", "master_keys", "tenant", "password", "sessions", "tokens", "insecure_database_plaintext")
	if len(needed) > 0 {
		return nil, needed
	}
	return c, nil
}

// readDev returns the configuration of a house of development.
func readDev(dir string) (*config.Config, error) {
	nothing := func(err error) error {
		return fmt.Errorf("there is no house in %s (%w). Start one: gatehouse dev --data %s", dir, err, dir)
	}
	for _, name := range []string{"gatehouse.db", "master.key"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return nil, nothing(err)
		}
	}
	raw, err := os.ReadFile(filepath.Join(dir, "dev.json"))
	if err != nil {
		return nil, nothing(err)
	}
	var dev struct {
		Issuer string `json:"issuer"`
	}
	if err := json.Unmarshal(raw, &dev); err != nil {
		return nil, nothing(err)
	}
	key, err := os.ReadFile(filepath.Join(dir, "master.key"))
	if err != nil {
		return nil, nothing(err)
	}
	c := config.Default()
	c.Issuer = dev.Issuer
	c.Database.URL = config.NewSecret("sqlite:" + filepath.Join(dir, "gatehouse.db"))
	c.MasterKeys = []config.Secret{config.NewSecret(string(key))}
	return c, nil
}

// with opens the house, does something there, and closes it.
func (f houseFlags) with(ctx context.Context, to streams, do func(h *server.House) error) (err error) {
	h, err := f.open(ctx, to.Err)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	return do(h)
}

// operator is who the record says did it: the user of the machine who runs the command.
func operator() audit.Origin {
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	return audit.Origin{Actor: "operator:" + name, UserAgent: "gatehouse command"}
}
