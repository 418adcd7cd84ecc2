package session

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard/internal/cookies"
	"github.com/gatehouse-dev/gatehouse/guard/internal/keyring"
)

// CookieStore keeps no state: the token is the record, encrypted and
// authenticated. It needs no database and works on serverless platforms.
//
// What it cannot do is take a session back: Delete only makes the browser
// forget. Keep the limits short, or use a store with memory where that matters.
type CookieStore struct {
	sealer *keyring.Sealer
	now    func() time.Time
}

// NewCookieStore returns a store that seals with the first secret and opens
// with any, so that secrets can be rotated. Each must be at least 32 random
// bytes, the same on every node.
func NewCookieStore(secrets ...string) (*CookieStore, error) {
	sealer, err := sealerFor("session cookie", secrets)
	if err != nil {
		return nil, err
	}
	return &CookieStore{sealer: sealer, now: time.Now}, nil
}

// WithClock returns a copy that asks now for the time.
func (s CookieStore) WithClock(now func() time.Time) *CookieStore {
	s.now = now
	return &s
}

// Create implements Store. A record that does not fit into cookies is a
// *TooLargeError.
func (s *CookieStore) Create(_ context.Context, rec Record) (string, error) {
	rec.Version = 1
	return s.seal(rec)
}

// Find implements Store.
func (s *CookieStore) Find(_ context.Context, app, token string) (Record, error) {
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil {
		return Record{}, ErrNotFound
	}
	plain, err := s.sealer.Open(app, sealed)
	if err != nil || len(plain) < cookieHead {
		return Record{}, ErrNotFound
	}
	rec := Record{
		App:     app,
		Expires: time.UnixMicro(int64(binary.BigEndian.Uint64(plain))),
		Version: int64(binary.BigEndian.Uint64(plain[8:])),
		Data:    plain[cookieHead:],
	}
	if !s.now().Before(rec.Expires) {
		return Record{}, ErrNotFound
	}
	return rec, nil
}

// Update implements Store. There is nobody to compare with, so it never
// conflicts; of two responses to one browser the later one stays. A record that
// does not fit into cookies is a *TooLargeError.
func (s *CookieStore) Update(_ context.Context, _ string, rec Record) (string, error) {
	rec.Version++
	return s.seal(rec)
}

// Delete implements Store; there is nothing to delete.
func (s *CookieStore) Delete(context.Context, string, string) error { return nil }

const cookieHead = 16 // expiry and version, 8 bytes each

// TooLargeError says that a session does not fit into the browser's cookies. What
// was there before stays as it was. Keep large values elsewhere, under an id that
// is in the session, or use a store with memory.
type TooLargeError struct {
	// Size and Max are in bytes, as the cookie would have them.
	Size, Max int
}

// Error names both sizes.
func (e *TooLargeError) Error() string {
	return fmt.Sprintf("session: %d bytes do not fit into cookies, which hold %d", e.Size, e.Max)
}

// seal drops Subject and SessionID: Data has them, and a cookie is no index.
func (s *CookieStore) seal(rec Record) (string, error) {
	plain := binary.BigEndian.AppendUint64(nil, uint64(rec.Expires.UnixMicro()))
	plain = binary.BigEndian.AppendUint64(plain, uint64(rec.Version))
	plain = append(plain, rec.Data...)
	token := base64.RawURLEncoding.EncodeToString(s.sealer.Seal(rec.App, plain))
	if len(token) > cookies.MaxValue {
		return "", &TooLargeError{Size: len(token), Max: cookies.MaxValue}
	}
	return token, nil
}

func sealerFor(purpose string, secrets []string) (*keyring.Sealer, error) {
	ring, err := keyring.New(secrets...)
	if err != nil {
		return nil, fmt.Errorf("session: %w", err)
	}
	sealer, err := ring.For(purpose)
	if err != nil {
		return nil, fmt.Errorf("session: %w", err)
	}
	return sealer, nil
}
