package access

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/protocol/apikey"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// ErrAPIKey says that a key is not good: not a key at all, never issued, ended, its owner gone, or shown
// from where it may not come. The cause says which, for the log alone.
var ErrAPIKey = errors.New("access: bad API key")

// Shown says where a key was presented.
type Shown struct {
	Addr      netip.Addr // of whoever presented it
	UserAgent string     // what they called themselves
	To        string     // client_id of whom they presented it to
}

// LiveKey is a key that is good at this moment, and what it may do.
type LiveKey struct {
	*APIKey
	API         *apps.API
	Scope       oauth.Scope
	Permissions []string // as the claim of access tokens; nil where the API does not enforce them
}

// Check judges a key as it was presented. A text with a wrong checksum is refused without a query;
// else the key is found by its hash, and no secret is ever compared with another. Owner, expiry,
// networks and rights are judged each time, by facts that are at most a few seconds old on this node and
// forgotten when somebody changes them. The error wraps [ErrAPIKey], or is our failure.
func (a *APIKeys) Check(ctx context.Context, tn *tenant.Tenant, text string, shown Shown) (*LiveKey, error) {
	if err := apikey.Check(text); err != nil {
		return nil, bad(err)
	}
	now := a.Clock.Now()
	facts, err := a.facts(ctx, tn, apikey.Hash(text), now)
	if err != nil {
		return nil, err
	}
	k := facts.key
	if why, ended := k.Ended(now); ended {
		return nil, bad(errors.New(why))
	}
	if facts.ownerGone {
		return nil, bad(errors.New("its owner is blocked or gone"))
	}
	if !k.MayComeFrom(shown.Addr) {
		return nil, bad(errors.New("shown from outside its networks"))
	}
	live, err := a.judge(ctx, tn, facts)
	if err != nil {
		return nil, err
	}
	a.uses.add(tn.ID, k, shown, now)
	return live, nil
}

func bad(cause error) error { return fmt.Errorf("%w: %w", ErrAPIKey, cause) }

// judge finds what a key may do. Clients and APIs have caches of their own.
func (a *APIKeys) judge(ctx context.Context, tn *tenant.Tenant, f *keyFacts) (*LiveKey, error) {
	api, err := a.Apps.API(ctx, tn, f.key.Audience)
	if fault.Is(err, fault.NotFound) || err == nil && api.Identifier != f.key.Audience {
		return nil, bad(errors.New("its API is gone"))
	}
	if err != nil {
		return nil, err
	}
	rights := oauth.Scope(f.permissions)
	if f.key.ClientID != "" {
		client, err := a.Apps.Client(ctx, tn, f.key.ClientID)
		if fault.Is(err, fault.NotFound) || err == nil && client.Disabled {
			return nil, bad(errors.New("its client is disabled or gone"))
		}
		if err != nil {
			return nil, err
		}
		granted, has := client.Grants[api.Identifier]
		if !has {
			return nil, bad(errors.New("its client may not call the API any more"))
		}
		rights = granted
	} else if !api.EnforcePermissions {
		rights = api.Scopes()
	}
	live := &LiveKey{APIKey: f.key, API: api, Scope: f.key.ScopeAt(api, rights)}
	if api.EnforcePermissions {
		live.Permissions = live.Scope
	}
	return live, nil
}

// keyFacts are what the database says of a key and its owner.
type keyFacts struct {
	key         *APIKey
	ownerGone   bool
	permissions []string // of a user at the API
	until       time.Time
}

// facts returns what is known of the key with a hash.
func (a *APIKeys) facts(ctx context.Context, tn *tenant.Tenant, hash [sha256.Size]byte, now time.Time) (*keyFacts, error) {
	at := cachedKey{tn.ID, hash}
	known, generation := a.cache.find(at, now)
	if known != nil {
		return known, nil
	}
	a.cache.lookups.Add(1)
	k, err := foundKey(scanAPIKey(tn.DB.QueryRow(ctx, selectAPIKeyByHash, hash[:])))
	if fault.Is(err, fault.NotFound) {
		return nil, bad(errors.New("never issued")) // and not remembered: a flood of them would push out the good ones
	}
	if err != nil {
		return nil, err
	}
	f := &keyFacts{key: k, until: now.Add(factsLive)}
	if _, ended := k.Ended(now); ended {
		return f, nil
	}
	if k.UserID != "" {
		user, err := a.People.ByID(ctx, tn, k.UserID)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return nil, err
		}
		f.ownerGone = err != nil || user.Blocked
		if f.permissions, err = a.Access.Permissions(ctx, tn, k.UserID, k.Audience); err != nil {
			return nil, err
		}
	}
	a.cache.keep(at, f, generation)
	return f, nil
}

const (
	// factsLive is how long a node may go by what it has read of a key.
	factsLive = 5 * time.Second
	// factsKept bounds how many keys a node remembers: some 4 MB.
	factsKept = 8192
)

type cachedKey struct {
	tenantID string
	hash     [sha256.Size]byte
}

// keyCache remembers facts for a few seconds. What was read before a change and comes in after it is
// told by its generation, and not kept.
type keyCache struct {
	lookups atomic.Int64 // questions to the database

	mu         sync.RWMutex
	facts      map[cachedKey]*keyFacts
	generation uint64
}

func newKeyCache() *keyCache { return &keyCache{facts: map[cachedKey]*keyFacts{}} }

func (c *keyCache) find(at cachedKey, now time.Time) (*keyFacts, uint64) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if f := c.facts[at]; f != nil && now.Before(f.until) {
		return f, c.generation
	}
	return nil, c.generation
}

func (c *keyCache) keep(at cachedKey, f *keyFacts, generation uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if generation != c.generation {
		return
	}
	if len(c.facts) >= factsKept {
		clear(c.facts)
	}
	c.facts[at] = f
}

// Forget drops what is remembered of a tenant's keys: one of them has changed, or the owner of one.
func (a *APIKeys) Forget(tenantID string) {
	a.cache.mu.Lock()
	defer a.cache.mu.Unlock()
	a.cache.generation++
	for at := range a.cache.facts {
		if at.tenantID == tenantID {
			delete(a.cache.facts, at)
		}
	}
}
