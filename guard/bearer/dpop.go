package bearer

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gatehouse-dev/gatehouse/protocol/jose"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// DPoP says how proofs of possession are checked (RFC 9449). Its zero value is
// good for an API in one process.
type DPoP struct {
	// Algorithms are those a proof may be signed with; default oauth.DPoPAlgs.
	Algorithms []jose.Alg
	// Replays remembers which proofs were used, shared by all processes of the
	// API: a redisstore.Replays or session.SQLReplays; default the memory of this
	// one. Without a shared one a proof that is stolen on its way can be used once at
	// each of the other processes, within the 90 seconds of its life.
	Replays Replays
	// NonceKey, if set, has clients put a nonce into their proofs that proves when
	// they were made (§9): at least 32 random bytes, the same in all processes of
	// the API. It costs clients a second request every few minutes.
	NonceKey []byte
	// URL returns the address of a request as its sender sees it, to be compared
	// with htu; default scheme and host of Options.URL and the path as it was sent.
	// An application whose proxy changes paths sets it. It must not believe the
	// request's Host.
	URL func(*http.Request) string
}

// Replays remembers proofs that were used, so that each is good once.
type Replays interface {
	// Use records id, which need not be kept longer than until, and reports
	// whether it is new: of any number of callers with the same id one is told
	// true. An error refuses the request as Unavailable: a proof that may have been
	// used before must not count.
	Use(ctx context.Context, id string, until time.Time) (fresh bool, err error)
}

// dpop checks proofs.
type dpop struct {
	algs    []jose.Alg
	replays Replays
	nonces  *nonces // nil if none are asked for
	url     func(*http.Request) string
}

func newDPoP(o DPoP, origin string, now func() time.Time) (*dpop, error) {
	d := &dpop{algs: o.Algorithms, replays: o.Replays, url: o.URL}
	var problems []error
	if len(d.algs) == 0 {
		d.algs = oauth.DPoPAlgs()
	}
	for _, alg := range d.algs {
		if !alg.Asymmetric() {
			problems = append(problems, fmt.Errorf("DPoP: Algorithms: %q is not an asymmetric algorithm", alg))
		}
	}
	if d.replays == nil {
		d.replays = &usedProofs{now: now, most: maxProofs}
	}
	if o.NonceKey != nil {
		if len(o.NonceKey) < sha256.Size {
			problems = append(problems, fmt.Errorf("DPoP: NonceKey must have %d bytes at least", sha256.Size))
		}
		d.nonces = &nonces{key: o.NonceKey}
	}
	if d.url == nil {
		d.url = func(r *http.Request) string { return origin + pathAsSent(r) }
	}
	return d, errors.Join(problems...)
}

// pathAsSent returns the path of a request before any router cut at it.
func pathAsSent(r *http.Request) string {
	if strings.HasPrefix(r.RequestURI, "/") {
		path, _, _ := strings.Cut(r.RequestURI, "?")
		return path
	}
	return r.URL.EscapedPath()
}

// confirm checks that the sender of r holds the key with this thumbprint. The
// hook hands out a nonce where one is due.
func (d *dpop) confirm(r *http.Request, now time.Time, token, thumbprint string) (hook func(http.Header), err error) {
	text, err := oauth.DPoPHeader(r.Header)
	if errors.Is(err, oauth.ErrNoDPoPProof) {
		return nil, oauth.NewError(oauth.InvalidDPoPProof, "The request carries no DPoP proof.")
	}
	if err != nil {
		return nil, err
	}
	rules := oauth.DPoPRules{Method: r.Method, URL: d.url(r), Algs: d.algs, Now: now, AccessToken: token}
	if d.nonces != nil {
		rules.Nonce = func(nonce string) bool {
			good, old := d.nonces.check(now, nonce)
			if !good || old {
				hook = func(h http.Header) { h.Set("Dpop-Nonce", d.nonces.at(now, 0)) }
			}
			return good
		}
	}
	proof, err := oauth.VerifyDPoPProof(text, rules)
	switch {
	case err != nil:
		return hook, err
	case subtle.ConstantTimeCompare([]byte(proof.JKT), []byte(thumbprint)) != 1:
		return nil, notProven("The access token is bound to another key than that of the DPoP proof", nil)
	}
	fresh, err := d.replays.Use(r.Context(), replayID(proof), proof.Until)
	switch {
	case err != nil:
		return nil, unavailable("DPoP proofs cannot be checked at the moment", err)
	case !fresh:
		return nil, oauth.NewError(oauth.InvalidDPoPProof, "The DPoP proof was used before.")
	}
	return hook, nil
}

// replayID names a proof by its key and its jti: two senders may well choose the
// same jti. It says nothing and has one length.
func replayID(p *oauth.DPoPProof) string {
	sum := sha256.Sum256([]byte(p.JKT + " " + p.ID))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// nonces are made of the time and a key, so that nothing need be kept of them.
type nonces struct{ key []byte }

// nonceLife is for how long one nonce is handed out. It is good for as long again.
const nonceLife = 3 * time.Minute

// at returns the nonce of the span of time that is so many before now's.
func (n *nonces) at(now time.Time, before int64) string {
	mac := hmac.New(sha256.New, n.key)
	mac.Write([]byte("DPoP-Nonce"))
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(now.Unix()/int64(nonceLife/time.Second)-before)))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:16])
}

// check tells whether a nonce is good, and whether it is time for a newer one.
func (n *nonces) check(now time.Time, nonce string) (good, old bool) {
	is := func(want string) bool { return subtle.ConstantTimeCompare([]byte(want), []byte(nonce)) == 1 }
	old = is(n.at(now, 1))
	return old || is(n.at(now, 0)), old
}

// usedProofs is the memory of one process: two heaps of proofs, of which the
// older is thrown away whole once its last proof is over.
type usedProofs struct {
	now  func() time.Time
	most int // proofs in one heap

	mu            sync.Mutex
	recent, older map[string]struct{}
	turn          time.Time // when recent becomes older
}

const (
	// proofLife is how long a proof can be acceptable: made as far ahead as is
	// allowed, shown as late.
	proofLife = oauth.DPoPMaxAge + oauth.DPoPAhead
	// maxProofs is how many proofs a heap holds, some 100 MB.
	maxProofs = 1 << 20
)

var errTooManyProofs = errors.New("bearer: more DPoP proofs in use than can be remembered")

// Use implements Replays. A full heap refuses: to forget a proof would let it
// count twice.
func (u *usedProofs) Use(_ context.Context, id string, _ time.Time) (bool, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if now := u.now(); !now.Before(u.turn) {
		u.older = u.recent
		if !now.Before(u.turn.Add(proofLife)) {
			u.older = nil
		}
		u.recent, u.turn = map[string]struct{}{}, now.Add(proofLife)
	}
	if _, used := u.recent[id]; used {
		return false, nil
	}
	if _, used := u.older[id]; used {
		return false, nil
	}
	if len(u.recent) >= u.most {
		return false, errTooManyProofs
	}
	u.recent[id] = struct{}{}
	return true, nil
}
