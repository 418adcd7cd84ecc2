package bearer

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/internal/tokencache"
	"github.com/gatehouse-dev/gatehouse/protocol/jose"
)

// token is what is known of an access token once it was checked. The principal
// is shared by all requests that show the token, none of which may change it.
type token struct {
	principal *guard.Principal
	issuer    *issuer
	key       jose.Key      // that verified it, zero if the issuer was asked instead
	until     time.Time     // when it ends, or has to be asked about again
	cleared   atomic.Uint64 // what Revocations returned last
}

// memory keeps tokens by their digests.
type memory = tokencache.Cache[*token]

// check returns what is known of a token: from memory if what was found out
// still stands, else by finding out.
func (s *Scheme) check(ctx context.Context, now time.Time, text string) (*token, error) {
	if s.memory == nil || len(text) > jose.MaxTokenBytes {
		return s.judge(ctx, now, text)
	}
	digest := tokencache.Of(text)
	if known := s.memory.Get(&digest); known != nil {
		if known.Value.stands(ctx, now) {
			return known.Value, nil
		}
		s.memory.Drop(known)
	}
	t, err := s.judge(ctx, now, text)
	if err != nil {
		return nil, err
	}
	if now.Before(t.until) {
		s.memory.Put(&tokencache.Entry[*token]{Digest: digest, Value: t})
	}
	return t, nil
}

// stands reports whether a token need not be checked again: its time is not
// over, and the issuer has not withdrawn the key that signed it. Everything else
// that was checked cannot change.
func (t *token) stands(ctx context.Context, now time.Time) bool {
	if !now.Before(t.until) {
		return false
	}
	if t.key.Key == nil {
		return true
	}
	key, err := t.issuer.keys.KeyAt(ctx, now, t.key.KeyID, t.key.Alg)
	return err == nil && key.Same(t.key)
}
