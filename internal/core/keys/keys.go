// Package keys holds the signing keys of a tenant: made once, sealed at rest, parsed once, kept in
// memory, and published before they sign.
package keys

import (
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

	mu    sync.Mutex // held while a tenant's keys are loaded or made
	rings sync.Map   // tenant id → *Ring
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
	selectKeys = `SELECT kid, alg, private_sealed, signs_from, retired_at FROM signing_keys WHERE tenant_id = $1 ORDER BY signs_from, kid`
	insertKey  = `INSERT INTO signing_keys (tenant_id, kid, alg, public_jwk, private_sealed, published_at, signs_from, retired_at)
		SELECT $1, $2, $3, $4, $5, $6, $6, 0
		WHERE NOT EXISTS (SELECT 1 FROM signing_keys WHERE tenant_id = $1 AND alg = $3 AND retired_at = 0)`
)

// Ring returns the tenant's keys, loading them at first use. A new tenant's are made then, so the
// first caller waits for them, and nobody gets a ring without the standard keys.
func (k *Keys) Ring(ctx context.Context, tn *tenant.Tenant) (*Ring, error) {
	if r, ok := k.rings.Load(tn.ID); ok {
		return r.(*Ring), nil
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

// Forget drops what is in memory of a tenant's keys, so that they are read again.
func (k *Keys) Forget(tenantID string) { k.rings.Delete(tenantID) }

// load reads the keys, after making those of the wanted algorithms that are missing.
func (k *Keys) load(ctx context.Context, tn *tenant.Tenant, wanted []jose.Alg) (*Ring, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if r, ok := k.rings.Load(tn.ID); ok && r.(*Ring).has(wanted) {
		return r.(*Ring), nil // somebody else was waiting for the same
	}
	r, err := k.read(ctx, tn)
	if err != nil {
		return nil, err
	}
	if !r.has(wanted) {
		for _, alg := range wanted {
			if r.has([]jose.Alg{alg}) {
				continue
			}
			if err := k.make(ctx, tn, alg); err != nil {
				return nil, err
			}
		}
		if r, err = k.read(ctx, tn); err != nil {
			return nil, err
		}
	}
	k.rings.Store(tn.ID, r)
	return r, nil
}

func (r *Ring) has(algs []jose.Alg) bool {
	return !slices.ContainsFunc(algs, func(alg jose.Alg) bool { _, ok := r.signers[alg]; return !ok })
}

// make generates outside the transaction; if another node was faster, its key stands and this one
// is thrown away.
func (k *Keys) make(ctx context.Context, tn *tenant.Tenant, alg jose.Alg) error {
	private, err := generate(alg)
	if err != nil {
		return err
	}
	kid, err := jose.Thumbprint(private.Public())
	if err != nil {
		return fmt.Errorf("keys: thumbprint: %w", err)
	}
	kid = string(alg) + "-" + kid[:16]
	signer, err := jose.NewSigner(kid, alg, private)
	if err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	public, err := jose.Set{signer.Public()}.Marshal()
	if err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return fmt.Errorf("keys: encode private key: %w", err)
	}
	sealed := k.seal.Seal(sealPurpose, keyAAD(tn, kid), der)
	now := k.clock.Now()
	return tn.DB.WriteSerializable(ctx, func(tx *db.Tx) error {
		n, err := tx.Exec(insertKey, kid, string(alg), string(public), sealed, db.Micros(now))
		if err != nil || n == 0 {
			return err
		}
		if err := audit.Record(tx, audit.Event{Type: audit.SigningKeyCreated, At: now, Actor: "system", Detail: map[string]any{"kid": kid, "alg": string(alg)}}); err != nil {
			return err
		}
		_, err = feed.Bump(tx, feed.Configuration)
		return err
	})
}

func (k *Keys) read(ctx context.Context, tn *tenant.Tenant) (*Ring, error) {
	rows, err := tn.DB.Query(ctx, selectKeys)
	if err != nil {
		return nil, fmt.Errorf("keys: read: %w", err)
	}
	defer rows.Close()
	r, now := &Ring{signers: map[jose.Alg]*jose.Signer{}}, k.clock.Now()
	for rows.Next() {
		var kid, alg string
		var sealed []byte
		var signsFrom, retiredAt int64
		if err := rows.Scan(&kid, &alg, &sealed, &signsFrom, &retiredAt); err != nil {
			return nil, fmt.Errorf("keys: read: %w", err)
		}
		signer, err := k.open(tn, kid, jose.Alg(alg), sealed)
		if err != nil {
			return nil, err
		}
		r.public = append(r.public, signer.Public())
		if retiredAt == 0 && signsFrom <= db.Micros(now) {
			r.signers[jose.Alg(alg)] = signer
		}
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("keys: read: %w", err)
	}
	r.jwks, err = r.public.Marshal()
	return r, err
}

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
