package apps_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/clock"
	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/db/dbtest"
	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/schema"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

var (
	noon = time.Date(2026, 11, 5, 12, 0, 0, 0, time.UTC)
	bg   = context.Background()
)

// node is the subject in one process.
type node struct {
	*apps.Apps
	tn *tenant.Tenant
}

func start(t *testing.T, d *db.DB, id string) node {
	t.Helper()
	tn, err := tenant.Ensure(bg, d, id, "https://"+id+".example.com/", tenant.Settings{}, noon)
	if err != nil {
		t.Fatal(err)
	}
	return node{apps.New(clock.NewVirtual(noon)), tn}
}

func (n node) write(t *testing.T, verb func(tx *db.Tx) error) {
	t.Helper()
	if err := n.tn.DB.Write(bg, verb); err != nil {
		t.Fatal(err)
	}
}

func (n node) create(t *testing.T, typ apps.Type) *apps.Client {
	t.Helper()
	c, _ := apps.NewClient("An application", typ)
	c.Grants = map[string]oauth.Scope{"https://api/": {"a", "b"}}
	n.write(t, func(tx *db.Tx) error { return n.CreateClient(tx, c) })
	return c
}

// A change is seen here at once, elsewhere after the caches were told to forget, and not at all if
// it was undone.
func TestThreat_DB14_ChangesOfClientsAreSeen(t *testing.T) {
	dbtest.Two(t, schema.Files, func(t *testing.T, a, b *db.DB) {
		here, there := start(t, a, "one"), start(t, b, "one")
		c := here.create(t, apps.Machine)
		disabled := func(n node) bool {
			t.Helper()
			found, err := n.Client(bg, n.tn, c.ClientID)
			if err != nil {
				t.Fatal(err)
			}
			return found.Disabled
		}
		if disabled(here) || disabled(there) {
			t.Fatal("disabled from the start")
		}
		off := *c
		off.Disabled = true
		undo := errors.New("undo")
		err := here.tn.DB.Write(bg, func(tx *db.Tx) error { return errors.Join(here.UpdateClient(tx, &off), undo) })
		if !errors.Is(err, undo) || disabled(here) {
			t.Errorf("after an undone change: %v", err)
		}
		here.write(t, func(tx *db.Tx) error { return here.UpdateClient(tx, &off) })
		if !disabled(here) {
			t.Error("the node that disabled a client does not know")
		}
		there.Forget("one")
		if !disabled(there) {
			t.Error("another node does not know after it was told to forget")
		}
		here.write(t, func(tx *db.Tx) error { return here.DeleteClient(tx, c.ClientID) })
		if _, err := here.Client(bg, here.tn, c.ClientID); !fault.Is(err, fault.NotFound) {
			t.Errorf("a deleted client: %v", err)
		}
	})
}

func TestClientsOfTenantsAreApart(t *testing.T) {
	dbtest.Each(t, schema.Files, func(t *testing.T, d *db.DB) {
		one, two := start(t, d, "one"), start(t, d, "two")
		c := one.create(t, apps.SPA)
		if _, err := two.Client(bg, two.tn, c.ClientID); !fault.Is(err, fault.NotFound) {
			t.Errorf("at another tenant: %v", err)
		}
		for name, verb := range map[string]func(tx *db.Tx) error{
			"update": func(tx *db.Tx) error { return two.UpdateClient(tx, c) },
			"delete": func(tx *db.Tx) error { return two.DeleteClient(tx, c.ClientID) },
		} {
			if err := two.tn.DB.Write(bg, verb); !fault.Is(err, fault.NotFound) {
				t.Errorf("%s from another tenant: %v", name, err)
			}
		}
		if found, err := one.Client(bg, one.tn, c.ClientID); err != nil || len(found.Grants) != 1 {
			t.Errorf("%v, %v", found, err)
		}
	})
}

// What is read is what was written, grants and all.
func TestClientIsKeptAsItWasWritten(t *testing.T) {
	dbtest.Each(t, schema.Files, func(t *testing.T, d *db.DB) {
		n := start(t, d, "one")
		c := n.create(t, apps.Machine)
		n.Forget("one")
		found, err := n.Client(bg, n.tn, c.ClientID)
		if err != nil {
			t.Fatal(err)
		}
		if fmt.Sprintf("%+v", *found) != fmt.Sprintf("%+v", *c) {
			t.Errorf("\n got %+v\nwant %+v", *found, *c)
		}
		err = n.tn.DB.Write(bg, func(tx *db.Tx) error { return n.CreateClient(tx, c) })
		if !fault.Is(err, fault.Conflict) {
			t.Errorf("the same id again: %v", err)
		}
	})
}

// The overlap is bounded for everyone: a thief has the same time.
func TestThreat_TK07_OverlapIsBounded(t *testing.T) {
	for overlap, ok := range map[time.Duration]bool{0: true, time.Second: true, time.Minute: true, time.Minute + 1: false, time.Hour: false, -1: false} {
		c, _ := apps.NewClient("x", apps.SPA)
		c.RefreshOverlap = overlap
		if err := c.Validate(); (err == nil) != ok {
			t.Errorf("%s: %v", overlap, err)
		}
	}
}

// What must never be stored about a client, whoever asks.
func TestThreat_TK14_GrantsAClientCanNotRegister(t *testing.T) {
	for _, c := range []struct {
		typ   apps.Type
		grant string
		ok    bool
	}{
		{apps.SPA, "client_credentials", false},
		{apps.Native, "client_credentials", false},
		{apps.Machine, "client_credentials", true},
		{apps.RegularWeb, "client_credentials", true},
		{apps.Machine, "authorization_code", false},
		{apps.Machine, "refresh_token", false},
		{apps.SPA, "authorization_code", true},
		{apps.SPA, "password", false},
		{apps.RegularWeb, "password", false},
		{apps.SPA, "implicit", false},
		{apps.RegularWeb, "urn:ietf:params:oauth:grant-type:jwt-bearer", false},
		{apps.SPA, "", false},
	} {
		client, _ := apps.NewClient("x", c.typ)
		client.GrantTypes = []string{c.grant}
		if err := client.Validate(); (err == nil) != c.ok {
			t.Errorf("%s for %s: %v", c.grant, c.typ, err)
		}
	}
}

// A name can not write on an operator's terminal, nor turn the words on the page where a person decides.
func TestThreat_AD07_NamesAreNames(t *testing.T) {
	for name, ok := range map[string]bool{
		"Shop": true, "Café №1 — 日本語": true, "متجر": true, "a\u200db": true,
		"": false, " ": false, "a\nb": false, "a\x1b[31m": false, "a\u009b31m": false, "a\x9b31m": false, "a\u0085b": false, "a\u202eb": false, "a\u2067b": false, "a\x7f": false,
	} {
		client, _ := apps.NewClient(name, apps.SPA)
		api := apps.NewAPI("https://api.example.com/", name)
		described, identified := apps.NewAPI("https://api.example.com/", "API"), apps.NewAPI("https://api.example.com/"+name, "API")
		described.Permissions = []apps.Permission{{Value: "read", Description: name}}
		for what, err := range map[string]error{"client": client.Validate(), "API": api.Validate(), "permission": described.Validate(), "identifier": identified.Validate()} {
			if may := strings.TrimSpace(name) == "" || strings.Contains(name, " "); (err == nil) != ok && !(may && (what == "permission" || what == "identifier")) {
				t.Errorf("%s %q: %v", what, name, err)
			}
		}
	}
}

// An origin is what a browser may send as one: it goes into the policy of a page and onto the terminal
// of whoever runs the house.
func TestThreat_AD07_OriginsAreOrigins(t *testing.T) {
	for origin, ok := range map[string]bool{
		"https://shop.example": true, "http://localhost:3000": true, "http://127.0.0.1:3000": true, "https://[::1]:3000": true, "https://xn--caf-dma.example": true,
		"https://shop.example/": false, "https://SHOP.example": false, "https://shop.example:443": false, "http://shop.example:80": false, "https://*.example": false,
		"https://a\u202eb.example": false, "https://caf\u00e9.example": false, "https://a;b.example": false, "https://a'b.example": false, "https://a,b.example": false,
		"https://a\"b": false, "https://a(b)": false, "https://a$b": false, "https://": false, "https://a@b": false, "https://a:x": false, "https://a b": false, "null": false,
	} {
		client, _ := apps.NewClient("x", apps.SPA)
		client.WebOrigins = []string{origin}
		if err := client.Validate(); (err == nil) != ok {
			t.Errorf("%q: %v", origin, err)
		}
	}
}

// Client ids and secrets are made here, of one alphabet that no encoding changes.
func TestThreat_TK20_ClientIDsAreMadeHere(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		c, secret := apps.NewClient("x", apps.RegularWeb)
		for _, s := range []string{c.ClientID, secret} {
			for _, r := range s {
				if !(r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z') {
					t.Fatalf("%q", s)
				}
			}
		}
		if len(c.ClientID) != 32 || seen[c.ClientID] {
			t.Fatalf("client id %q", c.ClientID)
		}
		seen[c.ClientID] = true
	}
}

// A token life beyond what rules are kept for would outlive its revocation.
func TestThreat_JW14_AccessTokensAreNeverOlderThanTheirRules(t *testing.T) {
	for life, ok := range map[time.Duration]bool{0: true, time.Second: true, apps.MaxAccessTokenLifetime: true, apps.MaxAccessTokenLifetime + 1: false, -1: false} {
		api := apps.NewAPI("https://api/", "x")
		api.TokenLifetime = life
		if err := api.Validate(); (err == nil) != ok {
			t.Errorf("%s: %v", life, err)
		}
	}
}
