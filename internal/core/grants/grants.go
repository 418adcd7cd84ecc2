// Package grants keeps what was granted: consents, authorization codes, refresh token families,
// and the rules that take tokens back.
//
// A grant is one redeemed code or approved device (or an exchanged key), named by its
// gid, which every token that comes of it carries. Each verb here is one transaction with one
// winner, however many callers there are. Access tokens are not stored: what is stored is what
// ends them.
package grants

import (
	"strings"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/clock"
	"github.com/gatehouse-dev/gatehouse/internal/base/feed"
	"github.com/gatehouse-dev/gatehouse/internal/base/seal"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/protocol/jose"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// leeway is how far the clocks of others may be off.
const leeway = 30 * time.Second

// longestAccessToken is how long after a rule was written a token it matches can still be taken
// for alive.
const longestAccessToken = apps.MaxAccessTokenLifetime + leeway

// Grants is the store of grants. It is safe for concurrent use.
type Grants struct {
	clock clock.Clock
	seal  *seal.Keyring
	rules *rules
	// checked remembers which access tokens' signatures were right; everything else about them is
	// judged whenever they come.
	checked *jose.Memory
	// unspent are codes that this node has issued, so that it need not read them when they are redeemed.
	unspent *feed.Cache[*issuedCode]
}

// rememberedCodes is for as many codes of a tenant under way: some 4 MB.
const rememberedCodes = 4096

// rememberedTokens is for about how many access tokens: some 3 MB when all are used.
const rememberedTokens = 32 << 10

// New returns a Grants that has read no rules yet.
func New(c clock.Clock, k *seal.Keyring) *Grants {
	return &Grants{clock: c, seal: k, rules: newRules(), checked: jose.NewMemory(rememberedTokens), unspent: feed.NewCache[*issuedCode](c, CodeLifetime, rememberedCodes)}
}

// Authentication is how and when the user of a grant signed in. It stays the same for all tokens
// of the grant.
type Authentication struct {
	SID  string
	Time time.Time
	AMR  []string
	ACR  string
}

// Terms are what a grant is about: who allowed whom what, where.
type Terms struct {
	GID      string
	ClientID string
	UserID   string
	Scope    oauth.Scope
	Audience string // identifier of the API, or empty
	Auth     Authentication
}

func joinAMR(amr []string) string { return strings.Join(amr, " ") }

func splitAMR(s string) []string { return strings.Fields(s) }
