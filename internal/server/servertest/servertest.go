// Package servertest starts a house in a test: the real one, on a loopback port, with the demo
// content, cheap password hashes and a clock that the test holds. Package gatehousetest is its
// public face; tests that look inside the house use this one.
package servertest

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/clock"
	"github.com/gatehouse-dev/gatehouse/internal/base/config"
	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
	"github.com/gatehouse-dev/gatehouse/internal/core/people"
	"github.com/gatehouse-dev/gatehouse/internal/server"
	"github.com/gatehouse-dev/gatehouse/internal/server/demo"
)

// masterKey is for tests alone.
const masterKey = "kF0oXOmQ1yQ3z8yX2bqS7N1p3w5LrGq9uZc4VtEa6dI="

// start is where the clock of every test begins.
func start() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }

// Options change what is started. The zero value is a house of development over SQLite.
type Options struct {
	// Database is the URL of a migrated database to use in place of a fresh SQLite file.
	Database string
	// Extras are further demo clients.
	Extras []demo.Extra
	// Configure changes the configuration before the house is opened.
	Configure func(*config.Config)
	// Production opens no house of development: mail would go out, hints stay hidden.
	Production bool
	// Log receives what the house logs; nil discards it.
	Log io.Writer
	// Clock is shared between two nodes; nil makes one.
	Clock *clock.Virtual
	// TLS serves an issuer of https, with the cookies and headers that only those have.
	TLS bool
	// Hash makes password hashes as costly as a test needs; nil makes them cheap.
	Hash *people.HasherOptions
}

// Instance is a house that serves.
type Instance struct {
	House   *server.House
	URL     string // the origin: the issuer without its slash
	Clock   *clock.Virtual
	Content *demo.Content
	server  *httptest.Server
}

// New starts a house that ends with the test.
func New(t testing.TB, o Options) *Instance {
	t.Helper()
	if o.Clock == nil {
		o.Clock = clock.NewVirtual(start())
	}
	web := httptest.NewUnstartedServer(nil)
	scheme := "http"
	if o.TLS {
		scheme = "https"
	}
	origin := scheme + "://localhost:" + web.Listener.Addr().String()[strings.LastIndexByte(web.Listener.Addr().String(), ':')+1:]
	if o.Database == "" {
		o.Database = "sqlite:" + fromTemplate(t)
	}
	c := Config(o.Database, origin)
	if o.Configure != nil {
		o.Configure(c)
	}
	log := slog.New(slog.DiscardHandler)
	if o.Log != nil {
		log = slog.New(slog.NewJSONHandler(o.Log, nil))
	}
	options := server.Options{Config: c, Clock: o.Clock, Hash: CheapHashes(), Log: log}
	if o.Hash != nil {
		options.Hash = *o.Hash
	}
	if !o.Production {
		options.Dev = &server.Dev{}
	}
	ctx := context.Background()
	house, err := server.Open(ctx, options)
	if err != nil {
		web.Close()
		t.Fatalf("open the house: %v", err)
	}
	t.Cleanup(func() {
		if err := house.Close(); err != nil {
			t.Errorf("close the house: %v", err)
		}
	})
	content, err := demo.Seed(ctx, house, o.Extras)
	if err != nil {
		t.Fatalf("seed the house: %v", err)
	}
	handler, err := house.Handler()
	if err != nil {
		t.Fatal(err)
	}
	web.Config.Handler = handler
	web.Config.MaxHeaderBytes = 64 << 10
	if o.TLS {
		web.StartTLS()
		// The certificate of package httptest is not for localhost, which the issuer is named.
		web.Client().Transport.(*http.Transport).TLSClientConfig.ServerName = "example.com"
	} else {
		web.Start()
	}
	t.Cleanup(func() {
		house.EndStreams() // or the server would wait for their readers
		web.Close()
	})
	return &Instance{House: house, URL: origin, Clock: o.Clock, Content: content, server: web}
}

// AddAPI registers an API with these permissions.
func (i *Instance) AddAPI(t testing.TB, audience string, permissions ...string) {
	t.Helper()
	api := apps.NewAPI(audience, audience)
	for _, p := range permissions {
		api.Permissions = append(api.Permissions, apps.Permission{Value: p})
	}
	err := i.House.Tenant.DB.Write(context.Background(), func(tx *db.Tx) error { return i.House.Apps.CreateAPI(tx, api) })
	if err != nil {
		t.Fatalf("add API %s: %v", audience, err)
	}
}

// KeyLead is how far the clock must move after RotateKeys until the new keys sign: a little more than
// a key is published for before it does, and than an access token of the demo is good for.
const KeyLead = 12 * time.Minute

// RotateKeys publishes the next signing keys, as `gatehouse key rotate` does.
func (i *Instance) RotateKeys(t testing.TB) {
	t.Helper()
	if err := i.House.RotateKeys(context.Background(), nil, audit.System()); err != nil {
		t.Fatalf("rotate the keys: %v", err)
	}
}

// Config returns the configuration of a house in a test.
func Config(database, origin string) *config.Config {
	c := config.Default()
	c.Issuer = origin + "/"
	c.Database.URL = config.NewSecret(database)
	c.MasterKeys = []config.Secret{config.NewSecret(masterKey)}
	return c
}

// CheapHashes are Argon2id with parameters that cost next to nothing.
func CheapHashes() people.HasherOptions {
	return people.HasherOptions{Params: people.Params{Memory: 64, Time: 1, Threads: 1}}
}

// template is a database with schema, keys and demo content, made once in a process.
var template = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "gatehouse-template-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "template.db")
	ctx := context.Background()
	house, err := server.Open(ctx, server.Options{
		Config: Config("sqlite:"+path, "http://localhost:1"), Clock: clock.NewVirtual(start()), Hash: CheapHashes(), Dev: &server.Dev{},
	})
	if err != nil {
		return nil, err
	}
	if err := house.Prepare(ctx); err != nil {
		house.Close()
		return nil, err
	}
	if _, err := demo.Seed(ctx, house, nil); err != nil {
		house.Close()
		return nil, err
	}
	if err := house.Close(); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

func fromTemplate(t testing.TB) string {
	t.Helper()
	raw, err := template()
	if err != nil {
		t.Fatalf("make the template: %v", err)
	}
	path := filepath.Join(t.TempDir(), "gatehouse.db")
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
