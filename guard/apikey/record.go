package apikey

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/netip"
	"slices"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/ratelimit"
	"github.com/gatehouse-dev/gatehouse/protocol/apikey"
)

// Spec is a key to be issued. Name and Subject are required.
type Spec struct {
	// Name says what the key is for, in the words of its owner.
	Name string
	// Kind is apikey.Secret unless set.
	Kind apikey.Kind
	// Environment is apikey.Live unless set.
	Environment apikey.Environment
	// Owner says whether Subject names a person or an application; guard.User
	// unless set.
	Owner guard.Kind
	// Subject is for whom the key acts.
	Subject string
	// Organization is the organisation it acts in, if any.
	Organization string
	// Scopes is what the key may do.
	Scopes []string
	// Networks are where it may come from; everywhere if empty.
	Networks []netip.Prefix
	// ExpiresAt is when it ends by itself; zero for never.
	ExpiresAt time.Time
	// Rate is how many requests it is good for in a minute, Quota in a day; zero
	// for any number.
	Rate, Quota int
}

func (s Spec) rate() ratelimit.Limit { return ratelimit.Limit{Requests: s.Rate, Per: time.Minute} }

func (s Spec) quota() ratelimit.Limit { return ratelimit.Limit{Requests: s.Quota, Per: 24 * time.Hour} }

// Record is all that is known of a key: not the key, which is shown once.
type Record struct {
	ID   string
	Hash [sha256.Size]byte // of the whole key; zero for one that a server issued
	Hint string            // its last four characters
	Spec
	CreatedAt  time.Time
	RevokedAt  time.Time // zero: it was not
	Successor  string    // the id of the key that takes its place
	LastUsedAt time.Time // to the minute; zero: never, or not known
	Uses       int64
}

// Ended reports whether the key is of no more use at a moment.
func (r *Record) Ended(now time.Time) bool {
	return !r.RevokedAt.IsZero() || !r.ExpiresAt.IsZero() && !now.Before(r.ExpiresAt)
}

// MayComeFrom reports whether the key may be used from an address. One that
// nobody knows is outside every network.
func (r *Record) MayComeFrom(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	return len(r.Networks) == 0 || slices.ContainsFunc(r.Networks, func(n netip.Prefix) bool { return n.Contains(a) })
}

// Errors of a Store and of Keys, to be matched with errors.Is.
var (
	// ErrNotFound: there is no such key.
	ErrNotFound = errors.New("apikey: no such key")
	// ErrEnded: the key has expired or was revoked.
	ErrEnded = errors.New("apikey: the key has ended")
	// ErrRotated: the key has a successor already.
	ErrRotated = errors.New("apikey: the key was rotated already")
)

// Use says that a key was used: Count times, and last at At.
type Use struct {
	ID    string
	At    time.Time
	Count int64
}

// Store keeps keys. It is safe for concurrent use, and what it answered was
// durable before. MemoryStore and SQLStore are two.
type Store interface {
	// Create adds a key.
	Create(ctx context.Context, r Record) error
	// Find returns the key with this hash, an ended one too, or ErrNotFound.
	Find(ctx context.Context, hash [sha256.Size]byte) (Record, error)
	// Get returns the key with this id, an ended one too, or ErrNotFound.
	Get(ctx context.Context, id string) (Record, error)
	// List returns the keys of a subject in the order of their creation, ended
	// ones too; every key if subject is empty.
	List(ctx context.Context, subject string) ([]Record, error)
	// Rotate adds successor and lets the key end at until, in one step: of any
	// number of callers one succeeds, and not after the key has ended. ErrNotFound,
	// ErrEnded, ErrRotated.
	Rotate(ctx context.Context, id string, now, until time.Time, successor Record) error
	// Revoke ends a key; one that has ended stays as it is. ErrNotFound.
	Revoke(ctx context.Context, id string, now time.Time) error
	// RevokeAll ends every key of a subject.
	RevokeAll(ctx context.Context, subject string, now time.Time) error
	// Used adds uses. Keys that are gone are passed over.
	Used(ctx context.Context, uses []Use) error
	// DeleteEnded deletes up to limit keys that ended before a moment, and says how
	// many it found.
	DeleteEnded(ctx context.Context, before time.Time, limit int) (int64, error)
}
