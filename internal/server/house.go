// Package server is the hall of the house: the one function that wires its rooms, the table of
// routes, the edge every request passes, and the work that goes on in the background.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/clock"
	"github.com/gatehouse-dev/gatehouse/internal/base/config"
	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/base/feed"
	"github.com/gatehouse-dev/gatehouse/internal/base/outbound"
	"github.com/gatehouse-dev/gatehouse/internal/base/seal"
	"github.com/gatehouse-dev/gatehouse/internal/core/access"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/backchannel"
	"github.com/gatehouse-dev/gatehouse/internal/core/checkup"
	"github.com/gatehouse-dev/gatehouse/internal/core/grants"
	"github.com/gatehouse-dev/gatehouse/internal/core/keys"
	"github.com/gatehouse-dev/gatehouse/internal/core/mail"
	"github.com/gatehouse-dev/gatehouse/internal/core/people"
	"github.com/gatehouse-dev/gatehouse/internal/core/schema"
	"github.com/gatehouse-dev/gatehouse/internal/core/signin"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
)

// Options are what a house is opened with. Config is required; the rest has defaults.
type Options struct {
	Config *config.Config
	Clock  clock.Clock          // the machine's
	Log    *slog.Logger         // discards
	Hash   people.HasherOptions // the product's parameters
	// Dev makes a house of development: plain http on loopback, mail kept in a built-in inbox, hints
	// shown to everyone. Nil for production.
	Dev *Dev
	// Guest opens the database beside a house that is serving it, for a command.
	Guest bool
}

// Dev is what a house of development has on top.
type Dev struct {
	// Start is shown on the start page; it may be set until the house serves.
	Start DevStart
	// CheckCommand is how this house's developer calls gatehouse app check; a client id follows.
	CheckCommand string
}

// House is an open house: its database, its subjects, and its one tenant. A command works with it
// directly; [House.Handler] serves it.
type House struct {
	Options
	DB     *db.DB
	Seal   *seal.Keyring
	Tenant *tenant.Tenant

	Apps    *apps.Apps
	Checkup *checkup.Record
	Access  *access.Access
	APIKeys *access.APIKeys
	Keys    *keys.Keys
	Grants  *grants.Grants
	People  *people.People
	SignIn  *signin.SignIn
	Outbox  *mail.Outbox
	Logouts *backchannel.Logouts

	watcher *feed.Watcher
	advice  advice
	leave   sync.Once
	leaving chan struct{} // closed when streams are to end
}

// Open opens the database a configuration names, brings its schema up to date, and wires the
// subjects of the core. It generates no signing key: see [House.Prepare].
func Open(ctx context.Context, o Options) (*House, error) {
	if o.Clock == nil {
		o.Clock = clock.System{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	h := &House{Options: o}
	if err := h.open(ctx); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

func (h *House) open(ctx context.Context) (err error) {
	c := h.Config
	masterKeys, err := c.Ring()
	if err != nil {
		return err
	}
	if h.Seal, err = seal.New(masterKeys); err != nil {
		return err
	}
	h.DB, err = db.Open(ctx, c.Database.URL.Reveal(), db.Options{Clock: h.Clock, MaxConns: c.Database.MaxConnections, Logger: h.Log, Guest: h.Guest})
	if err != nil {
		return err
	}
	if err := h.DB.Migrate(ctx, schema.Files); err != nil {
		return err
	}
	if err := keys.CheckMaster(ctx, h.DB, h.Seal, h.Clock.Now(), h.Guest); err != nil {
		return err
	}
	if err := h.issuerChanges(ctx); err != nil {
		return err
	}
	h.Tenant, err = tenant.Ensure(ctx, h.DB, tenant.DefaultID, c.Issuer, tenant.Settings{
		Name:              c.Tenant.Name,
		PasswordMinLength: c.Password.MinLength,
		SessionIdle:       c.Sessions.Idle,
		SessionAbsolute:   c.Sessions.Absolute,
		NoSignUp:          !c.SignUp,
		NoSilentCookie:    !c.Sessions.SilentCookie,
		AccessToken:       c.Tokens.Access,
		RefreshIdle:       c.Tokens.RefreshIdle,
		RefreshLifetime:   c.Tokens.RefreshAbsolute,
		RefreshOverlap:    c.Tokens.RefreshOverlap,
	}, h.Clock.Now())
	if err != nil {
		return err
	}
	h.wire()
	if err := h.ensureAPI(ctx, h.Tenant.ManagementAudience(), "Gatehouse Management API", ManagementPermissions()); err != nil {
		return err
	}
	return h.ensureAPI(ctx, grants.RevocationsAudience(h.Tenant), "Gatehouse Revocations", RevocationPermissions())
}

// ensureAPI registers an API of the house's own in a new tenant, and gives it the permissions of this
// version in one that another version made.
func (h *House) ensureAPI(ctx context.Context, audience, name string, permissions []apps.Permission) error {
	api, err := h.Apps.API(ctx, h.Tenant, audience)
	switch {
	case fault.Is(err, fault.NotFound):
		api = apps.NewAPI(audience, name)
		api.System, api.Permissions, api.AllowOfflineAccess = true, permissions, false
		return h.Tenant.DB.Write(ctx, func(tx *db.Tx) error { return h.Apps.CreateAPI(tx, api) })
	case err != nil || slices.Equal(api.Permissions, permissions):
		return err
	}
	changed := *api
	changed.Permissions = permissions
	return h.Tenant.DB.Write(ctx, func(tx *db.Tx) error { return h.Apps.UpdateAPI(tx, &changed) })
}

// wire makes the subjects of the core, each from those below it.
func (h *House) wire() {
	h.Apps = apps.New(h.Clock)
	h.Checkup = checkup.New(h.Clock)
	h.Access = access.New(h.Clock, h.Apps)
	h.Keys = keys.New(h.Clock, h.Seal)
	h.Grants = grants.New(h.Clock, h.Seal)
	h.People = people.New(h.Clock, h.Seal, people.NewHasher(h.Hash))
	h.Outbox = mail.New(mail.Options{
		DB: h.DB, Seal: h.Seal, Clock: h.Clock, Log: h.Log, Sender: h.sender(), KeepBodies: h.Dev != nil,
	})
	h.APIKeys = access.NewAPIKeys(access.APIKeysOptions{
		Clock: h.Clock, Apps: h.Apps, Access: h.Access, People: h.People, Revoker: h.Grants, Mail: h.Outbox,
	})
	h.Logouts = backchannel.New(backchannel.Options{
		DB: h.DB, Clock: h.Clock, Apps: h.Apps, Keys: h.Keys, Tenant: h.tenantOf, Log: h.Log,
		HTTP: outbound.New(outbound.Options{InternalHosts: h.Config.InternalHosts, Loopback: h.Dev != nil}),
	})
	h.SignIn = signin.New(signin.Options{
		Clock: h.Clock, Seal: h.Seal, People: h.People, Grants: h.Grants, Access: h.Access, APIKeys: h.APIKeys, Mail: h.Outbox, Logouts: h.Logouts,
	})
	h.leaving = make(chan struct{})
	h.watcher = feed.NewWatcher(h.DB)
	h.watcher.Subscribe(feed.Configuration, func(_ context.Context, tenantID string) error {
		h.Apps.Forget(tenantID)
		h.Keys.Forget(tenantID)
		return nil
	})
	h.watcher.Subscribe(feed.APIKeys, func(_ context.Context, tenantID string) error {
		h.APIKeys.Forget(tenantID)
		return nil
	})
	h.watcher.Subscribe(feed.Revocation, func(ctx context.Context, tenantID string) error {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		return h.Grants.CatchUp(ctx, h.DB.Tenant(tenantID))
	})
	h.watcher.Subscribe(feed.Revocation, func(context.Context, string) error {
		h.Logouts.Wake() // whoever ended a session may be a command that cannot wait for applications
		return nil
	})
}

// tenantOf returns the tenant with an id, for background work.
func (h *House) tenantOf(_ context.Context, id string) (*tenant.Tenant, error) {
	if id != h.Tenant.ID {
		return nil, fmt.Errorf("server: there is no tenant %s", id)
	}
	return h.Tenant, nil
}

// sender delivers by SMTP, or keeps mail in the inbox of a house of development.
func (h *House) sender() mail.Sender {
	if h.Dev != nil {
		return nil
	}
	m := h.Config.Mail
	return mail.SMTP{Host: m.Host, Port: m.SMTPPort(), TLS: mail.TLS(m.TLS), Username: m.User, Password: m.Password.Reveal(), From: m.From}
}

// Prepare makes what a new tenant lacks: its signing keys. It may take a second, so a house is
// ready before it has ended; whoever needs a key meanwhile waits for it.
func (h *House) Prepare(ctx context.Context) error {
	if _, err := h.Keys.Ring(ctx, h.Tenant); err != nil {
		return fmt.Errorf("server: make signing keys: %w", err)
	}
	return nil
}

// Close ends streams and closes the database. Background work must have ended.
func (h *House) Close() error {
	if h.leaving != nil {
		h.EndStreams()
	}
	if h.DB == nil {
		return nil
	}
	return h.DB.Close()
}
