package session

import (
	"context"
	"errors"
	"time"
)

// Errors of a Store, to be matched with errors.Is. Anything else a Store
// returns means that it could not do its work.
var (
	// ErrNotFound: no live session has this token. Unknown, ended, expired,
	// forged and belonging to another application are the same.
	ErrNotFound = errors.New("session: not found")
	// ErrConflict: the session was updated by somebody else since it was read.
	ErrConflict = errors.New("session: changed meanwhile")
)

// Record is what a store keeps for one session.
type Record struct {
	// App separates applications that share a store or a secret: a record is
	// found only under the App it was created with.
	App string
	// Subject and SessionID name whose session it is and the provider's session
	// (sid) it came from, in whatever words are unique within App. Stores with memory
	// index them.
	Subject, SessionID string
	// Data is opaque to the store.
	Data []byte
	// Expires is the moment from which the session is not found any more.
	Expires time.Time
	// Version counts the updates. The store sets it; Update compares it.
	Version int64
}

// Store keeps sessions. It is safe for concurrent use.
type Store interface {
	// Create keeps a new session and returns its token. Every call makes a token
	// never given out before: who signs in can rely on the new one.
	Create(ctx context.Context, rec Record) (token string, err error)

	// Find returns the live session behind token, or ErrNotFound.
	Find(ctx context.Context, app, token string) (Record, error)

	// Update replaces the session that was found as rec, if it still has
	// rec.Version, and returns the token that names it from now on; a store with
	// memory returns the same one. ErrConflict if another update was faster,
	// ErrNotFound if the session ended: an update never brings it back.
	Update(ctx context.Context, token string, rec Record) (newToken string, err error)

	// Delete ends the session. An unknown token is no error.
	Delete(ctx context.Context, app, token string) error
}

// Index is what a store with memory can do beyond one session: find all of a
// person's. Every verb goes by an index and never reads other people's sessions.
// A record without Subject, or without SessionID, is found by neither: asking
// for the empty one finds and ends nothing.
type Index interface {
	// List returns the live sessions of subject, the one used last first.
	List(ctx context.Context, app, subject string) ([]Entry, error)

	// DeleteEntry ends one of subject's sessions by its Entry.ID. An unknown one,
	// or one of somebody else, is no error and ends nothing.
	DeleteEntry(ctx context.Context, app, subject, id string) error

	// DeleteSubject ends all sessions of subject but the one behind the token
	// except, which may be empty, and returns how many ended.
	DeleteSubject(ctx context.Context, app, subject, except string) (int, error)

	// DeleteSession ends all sessions that came from the provider's session with
	// this sid, and returns how many ended.
	DeleteSession(ctx context.Context, app, sessionID string) (int, error)
}

// Entry is a session in a list.
type Entry struct {
	// ID names the session in DeleteEntry. It is no token: showing it to the
	// person it belongs to gives nothing away.
	ID string
	Record
}

// Locker lets one process at a time do something, across all that share the
// store.
type Locker interface {
	// TryLock takes the lock called key for at most ttl and reports whether it
	// got it. unlock gives it back; when ttl passed meanwhile it leaves the lock
	// of the next holder alone. The error means that the store could not tell.
	TryLock(ctx context.Context, key string, ttl time.Duration) (unlock func(context.Context) error, ok bool, err error)
}
