package bearer

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/internal/tokencache"
	"github.com/gatehouse-dev/gatehouse/protocol/jose"
)

// token is what is known of an access token once it was checked. It lies in one
// piece, what every request needs in front: with thousands of tokens in use the
// way to memory is most of what a remembered one costs.
type token struct {
	until   int64         // in Unix seconds, when it ends or has to be asked about again
	cleared atomic.Uint64 // what Revocations returned last
	issuer  *issuer
	key     jose.Key // that verified it, zero if the issuer was asked instead
	bound   bool     // to a key or a certificate
	// principal is shared by all requests that show the token, none of which may
	// change it.
	principal guard.Principal
}

// memory is the tokens that were checked.
type memory struct {
	*tokencache.Cache[token]
	*tokencache.Keyed
}

type remembered = tokencache.Entry[token]

// check returns what is known of a token: from memory if what was found out
// still stands, else by finding out.
func (s *Scheme) check(ctx context.Context, now time.Time, text string) (*token, error) {
	if s.memory == nil || len(text) > jose.MaxTokenBytes {
		t := &token{}
		return t, s.judge(ctx, now, text, t)
	}
	digest := s.memory.Of(text)
	if known := s.memory.Get(&digest); known != nil {
		if known.Value.stands(ctx, now) {
			return &known.Value, nil
		}
		s.memory.Drop(known)
	}
	found := &remembered{Digest: digest}
	if err := s.judge(ctx, now, text, &found.Value); err != nil {
		return nil, err
	}
	if found.Value.until > now.Unix() {
		s.memory.Put(found)
	}
	return &found.Value, nil
}

// stands reports whether a token need not be checked again: its time is not
// over, and the issuer has not withdrawn the key that signed it. Everything else
// that was checked cannot change.
func (t *token) stands(ctx context.Context, now time.Time) bool {
	if t.until <= now.Unix() {
		return false
	}
	if t.key.Key == nil {
		return true
	}
	key, err := t.issuer.keys.KeyAt(ctx, now, t.key.KeyID, t.key.Alg)
	return err == nil && key.Same(t.key)
}
