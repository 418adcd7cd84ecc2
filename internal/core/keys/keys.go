// Package keys holds the signing keys of a tenant: made once, sealed at rest, parsed once, kept in
// memory, and published before they sign.
package keys

import (
	"cmp"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/clock"
	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/base/feed"
	"github.com/gatehouse-dev/gatehouse/internal/base/gate"
	"github.com/gatehouse-dev/gatehouse/internal/base/seal"
	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/protocol/jose"
)

// Standard are the algorithms every tenant has a key for: RS256, which the client SDKs demand of
// ID tokens, and ES256, which access tokens use unless their API chose another.
var Standard = []jose.Alg{jose.RS256, jose.ES256}

// sealPurpose separates private keys from everything else that is sealed.
const sealPurpose = "signing key"

// Keys holds the signing keys of all tenants. It is safe for concurrent use.
type Keys struct {
	clock clock.Clock
	seal  *seal.Keyring
	gate  *gate.Gate // what every signature passes
	rings sync.Map   // tenant id → *holder
}

// holder is where the ring of one tenant is. The ring stays when it is to be read again: while the
// database is away there is nothing better, and tokens are still signed and checked.
type holder struct {
	ring      atomic.Pointer[Ring] // nil before the first was read
	forgotten atomic.Uint64        // counts Forget
	seen      atomic.Uint64        // what forgotten was when the ring was read
	retryAt   atomic.Int64         // not to be read before, after a failure; microseconds

	reading  sync.Mutex // held while keys are read or made
	failures int        // in a row; under reading
}

// How long to go on with what is there after keys could not be read: twice as long each time.
const (
	minRetry = time.Second
	maxRetry = 30 * time.Second
	// readPatience is how long a caller who has something to go on with waits for something newer.
	readPatience = 2 * time.Second
)

// fresh returns the ring if it need not be read again.
func (h *holder) fresh(now time.Time) *Ring {
	r := h.ring.Load()
	if r == nil || h.seen.Load() != h.forgotten.Load() || !r.changesAt.IsZero() && !now.Before(r.changesAt) {
		return nil
	}
	return r
}

func (k *Keys) holder(tenantID string) *holder {
	if h, ok := k.rings.Load(tenantID); ok {
		return h.(*holder)
	}
	h, _ := k.rings.LoadOrStore(tenantID, &holder{})
	return h.(*holder)
}

// New returns a Keys that has loaded nothing yet.
func New(c clock.Clock, k *seal.Keyring) *Keys {
	return &Keys{clock: c, seal: k, gate: gate.New(gate.Options{})}
}

// Ring is a tenant's keys at one moment. It never changes.
type Ring struct {
	signers map[jose.Alg]*jose.Signer
	public  jose.Set
	jwks    []byte
	// changesAt is when a key begins to sign or is dropped, and the ring is to be read again; zero
	// for never.
	changesAt time.Time
}

// Lookup finds a public key, current or retired: it is a [jose.KeyFunc].
func (r *Ring) Lookup(kid string, alg jose.Alg) (jose.Key, bool) { return r.public.Lookup(kid, alg) }

// JWKS returns the published key set as JSON. Do not change it.
func (r *Ring) JWKS() []byte { return r.jwks }

// Algorithms returns every algorithm in use, RS256 first.
func (r *Ring) Algorithms() []string {
	out := []string{string(jose.RS256)}
	for _, k := range r.public {
		if !slices.Contains(out, string(k.Alg)) {
			out = append(out, string(k.Alg))
		}
	}
	slices.Sort(out[1:])
	return out
}

const (
	selectKeys = `SELECT kid, alg, private_sealed, published_at, signs_from, retired_at FROM signing_keys WHERE tenant_id = $1 ORDER BY signs_from, kid`
	insertKey  = `INSERT INTO signing_keys (tenant_id, kid, alg, public_jwk, private_sealed, published_at, signs_from, retired_at)
		SELECT $1, $2, $3, $4, $5, $6, $7, 0
		WHERE NOT EXISTS (SELECT 1 FROM signing_keys WHERE tenant_id = $1 AND alg = $3 AND retired_at = 0)`
)

// Ring returns the tenant's keys, loading them at first use. A new tenant's are made then, so the
// first caller waits for them, and nobody gets a ring without the standard keys.
func (k *Keys) Ring(ctx context.Context, tn *tenant.Tenant) (*Ring, error) {
	if r := k.holder(tn.ID).fresh(k.clock.Now()); r != nil {
		return r, nil
	}
	return k.load(ctx, tn, Standard)
}

// Signer returns what signs with the algorithm, making the tenant's first key for it if need be.
// Any number of nodes may ask at once: one key of each kind comes of it.
func (k *Keys) Signer(ctx context.Context, tn *tenant.Tenant, alg jose.Alg) (*jose.Signer, error) {
	r, err := k.Ring(ctx, tn)
	if err != nil {
		return nil, err
	}
	if s, ok := r.signers[alg]; ok {
		return s, nil
	}
	if r, err = k.load(ctx, tn, append(slices.Clone(Standard), alg)); err != nil {
		return nil, err
	}
	s, ok := r.signers[alg]
	if !ok {
		return nil, fmt.Errorf("keys: the tenant has no key that signs with %s", alg)
	}
	return s, nil
}

// Sign makes a JWS of payload with the tenant's key for alg. A signature takes a core for as long as
// it takes, so only as many are made at a time as there are cores; the error is a Busy fault where
// too many are waiting.
func (k *Keys) Sign(ctx context.Context, tn *tenant.Tenant, alg jose.Alg, typ string, payload []byte) (string, error) {
	signer, err := k.Signer(ctx, tn, alg)
	if err != nil {
		return "", err
	}
	leave, err := k.gate.Enter(ctx)
	if errors.Is(err, gate.ErrFull) {
		return "", busy()
	}
	if err != nil {
		return "", err
	}
	defer leave()
	return signer.Sign(typ, payload)
}

// Room returns a Busy fault when a signature would be refused now. Whoever is to spend something
// that can be spent only once, and then sign, asks first.
func (k *Keys) Room() error {
	if k.gate.Full() {
		return busy()
	}
	return nil
}

func busy() error {
	return &fault.Error{Code: fault.Busy, Message: "Too many tokens are being made right now. Try again in a moment.", RetryAfter: time.Second}
}

// Forget has a tenant's keys read again before they are next used, at once. While they can not be
// read, those in memory go on to sign and to be published.
func (k *Keys) Forget(tenantID string) {
	h := k.holder(tenantID)
	h.forgotten.Add(1)
	h.retryAt.Store(0)
}

// load reads the keys, after making those of the wanted algorithms that are missing. Who has keys
// that will do does not wait for others who read, nor long for the database.
func (k *Keys) load(ctx context.Context, tn *tenant.Tenant, wanted []jose.Alg) (*Ring, error) {
	h, now := k.holder(tn.ID), k.clock.Now()
	old := h.ring.Load()
	willDo := old != nil && old.has(wanted)
	switch {
	case !willDo:
		h.reading.Lock()
	case db.Micros(now) < h.retryAt.Load() || !h.reading.TryLock():
		return old, nil
	}
	defer h.reading.Unlock()
	if r := h.fresh(now); r != nil && r.has(wanted) {
		return r, nil // somebody else was waiting for the same
	}
	bounded := ctx
	if willDo {
		var cancel context.CancelFunc
		bounded, cancel = context.WithTimeout(ctx, readPatience)
		defer cancel()
	}
	seen := h.forgotten.Load()
	r, err := k.readOrMake(bounded, tn, wanted)
	if err != nil {
		if !willDo || !errors.Is(err, errStorage) {
			return nil, err
		}
		if ctx.Err() == nil {
			h.retryAt.Store(db.Micros(now.Add(min(minRetry<<min(h.failures, 5), maxRetry))))
			h.failures++
		}
		return old, nil
	}
	h.failures = 0
	h.retryAt.Store(0)
	h.ring.Store(r)
	h.seen.Store(seen)
	return r, nil
}

// errStorage marks what the database could not do, as against what is wrong with a key.
var errStorage = errors.New("keys: the database could not be read")

func (k *Keys) readOrMake(ctx context.Context, tn *tenant.Tenant, wanted []jose.Alg) (*Ring, error) {
	r, err := k.read(ctx, tn)
	if err != nil || r.has(wanted) {
		return r, err
	}
	for _, alg := range wanted {
		if r.has([]jose.Alg{alg}) {
			continue
		}
		if err := k.make(ctx, tn, alg); err != nil {
			return nil, err
		}
	}
	return k.read(ctx, tn)
}

func (r *Ring) has(algs []jose.Alg) bool {
	return !slices.ContainsFunc(algs, func(alg jose.Alg) bool { _, ok := r.signers[alg]; return !ok })
}

// made is a key that is not stored yet.
type made struct {
	kid, public string
	alg         jose.Alg
	sealed      []byte
}

// generate makes a key. It may take a second, so it is never done inside a verb.
func (k *Keys) generate(tn *tenant.Tenant, alg jose.Alg) (*made, error) {
	private, err := generate(alg)
	if err != nil {
		return nil, err
	}
	kid, err := jose.Thumbprint(private.Public())
	if err != nil {
		return nil, fmt.Errorf("keys: thumbprint: %w", err)
	}
	kid = string(alg) + "-" + kid[:16]
	signer, err := jose.NewSigner(kid, alg, private)
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	public, err := jose.Set{signer.Public()}.Marshal()
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, fmt.Errorf("keys: encode private key: %w", err)
	}
	return &made{kid: kid, public: string(public), alg: alg, sealed: k.seal.Seal(sealPurpose, keyAAD(tn, kid), der)}, nil
}

// store writes a key inside tx, unless there is one for its algorithm already that is not to be
// dropped.
func (k *Keys) store(tx *db.Tx, m *made, signsFrom time.Time, by audit.Origin) (stored bool, err error) {
	now := k.clock.Now()
	n, err := tx.Exec(insertKey, m.kid, string(m.alg), m.public, m.sealed, db.Micros(now), db.Micros(signsFrom))
	if err != nil {
		return false, fmt.Errorf("keys: write: %w", err)
	}
	if n == 0 {
		return false, nil
	}
	return true, k.note(tx, audit.SigningKeyCreated, by, map[string]any{"kid": m.kid, "alg": string(m.alg), "signs_from": signsFrom.UTC().Format(time.RFC3339)})
}

func (k *Keys) note(tx *db.Tx, t audit.Type, by audit.Origin, detail map[string]any) error {
	e := by.Event(t, "", k.clock.Now())
	e.Detail = detail
	return audit.Record(tx, e)
}

// changed ends every verb that changes keys.
func (k *Keys) changed(tx *db.Tx) error {
	tenantID := tx.TenantID()
	tx.OnCommit(func() { k.Forget(tenantID) })
	_, err := feed.Bump(tx, feed.Configuration)
	return err
}

// make makes the first key for an algorithm; if another node was faster, its key stands and this
// one is thrown away.
func (k *Keys) make(ctx context.Context, tn *tenant.Tenant, alg jose.Alg) error {
	m, err := k.generate(tn, alg)
	if err != nil {
		return err
	}
	return tn.DB.WriteSerializable(ctx, func(tx *db.Tx) error {
		stored, err := k.store(tx, m, k.clock.Now(), audit.System())
		if err != nil || !stored {
			return err
		}
		_, err = feed.Bump(tx, feed.Configuration)
		return err
	})
}

// read reads the keys as they are at this moment.
func (k *Keys) read(ctx context.Context, tn *tenant.Tenant) (*Ring, error) {
	r, now := &Ring{signers: map[jose.Alg]*jose.Signer{}}, k.clock.Now()
	stored, err := k.stored(ctx, tn)
	if err != nil {
		return nil, err
	}
	for _, s := range stored { // in the order in which they begin to sign
		for _, at := range []time.Time{s.SignsFrom, s.DroppedAt} {
			if at.After(now) && (r.changesAt.IsZero() || at.Before(r.changesAt)) {
				r.changesAt = at
			}
		}
		if s.State == Dropped {
			continue
		}
		signer, err := k.open(tn, s.KeyID, s.Alg, s.sealed)
		if err != nil {
			return nil, err
		}
		r.public = append(r.public, signer.Public())
		if s.State == Signing {
			r.signers[s.Alg] = signer
		}
	}
	slices.SortStableFunc(r.public, rsaFirst)
	r.jwks, err = r.public.Marshal()
	return r, err
}

// rsaFirst is the order of a key set. Some verifiers do not look a key up by its id, but try one
// after another, and give up at the first that is of another type; what they check is ID tokens,
// by RS256.
func rsaFirst(a, b jose.Key) int {
	return cmp.Compare(slices.Index(rsaAlgs(), b.Alg), slices.Index(rsaAlgs(), a.Alg))
}

func rsaAlgs() []jose.Alg { return []jose.Alg{jose.PS256, jose.RS256} }

func (k *Keys) open(tn *tenant.Tenant, kid string, alg jose.Alg, sealed []byte) (*jose.Signer, error) {
	der, err := k.seal.Open(sealPurpose, keyAAD(tn, kid), sealed)
	if err != nil {
		return nil, fmt.Errorf("keys: open %s: %w", kid, err)
	}
	private, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("keys: parse %s: %w", kid, err)
	}
	signer, ok := private.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("keys: %s can not sign", kid)
	}
	return jose.NewSigner(kid, alg, signer)
}

func keyAAD(tn *tenant.Tenant, kid string) []byte { return privateKeyAAD(tn.ID, kid) }

func privateKeyAAD(tenantID, kid string) []byte {
	return seal.ColumnAAD(tenantID, "signing_keys", "private_sealed", kid)
}

func generate(alg jose.Alg) (crypto.Signer, error) {
	switch alg {
	case jose.RS256, jose.PS256:
		return rsa.GenerateKey(rand.Reader, 2048)
	case jose.ES256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case jose.EdDSA:
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	default:
		return nil, fmt.Errorf("keys: no keys are made for %q", alg)
	}
}

// CacheFor is how long others may keep the key set. A new key is published for at least as long
// before it signs.
const CacheFor = 10 * time.Minute
