package apikey

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/internal/clientip"
	"github.com/gatehouse-dev/gatehouse/guard/internal/tokencache"
	"github.com/gatehouse-dev/gatehouse/guard/ratelimit"
	"github.com/gatehouse-dev/gatehouse/protocol/apikey"
)

// The defaults and bounds of Options.
const (
	DefaultHeader    = "X-API-Key"
	DefaultCacheSize = 10_000
	MaxCacheTTL      = 5 * time.Second
)

// Options says whose keys are accepted. Either Store or Gatehouse is required.
type Options struct {
	// Store holds the application's own keys.
	Store Store
	// Gatehouse is the server that issued the keys.
	Gatehouse *Gatehouse

	// Kinds are accepted; default secret and restricted ones. A publishable key
	// proves nothing, because everybody has it.
	Kinds []apikey.Kind
	// Environments are accepted; default live alone.
	Environments []apikey.Environment
	// Header is where a key may stand beside Authorization: Bearer; default
	// X-API-Key.
	Header string
	// Realm is named in challenges, if set.
	Realm string

	// CacheTTL is how long what is known of a key may be gone by, which is how long
	// one that was revoked goes on. For keys of a Gatehouse the default is 5
	// seconds, which is also the most; Revocations end them sooner. For a Store it
	// is zero: looked up at every request. Negative: never cached.
	CacheTTL time.Duration
	// CacheSize is of how many keys; default 10,000.
	CacheSize int

	// Proxies are the addresses of reverse proxies in front of this server: from
	// them, and from nobody else, X-Forwarded-For is believed.
	Proxies []netip.Prefix
	// ClientAddr, if set, says where a request comes from, in place of the
	// connection and Proxies. An address that is not valid is in no network.
	ClientAddr func(*http.Request) netip.Addr

	// Limits counts requests of keys with a rate or a quota; default in this
	// process. Processes that are to count together share a store, such as
	// ratelimit's in Redis. When it cannot tell, such keys are refused with 503.
	Limits ratelimit.Store
	// Revocations, if set, is asked at each request whether the key still stands.
	Revocations guard.Revocations

	// Clock tells the time; default time.Now.
	Clock func() time.Time
	// Logger hears of uses that could not be noted; default slog.Default().
	Logger *slog.Logger
}

// New checks the options, all of them, and returns a Scheme. It asks nobody yet.
func New(o Options) (*Scheme, error) {
	var problems []error
	if (o.Store == nil) == (o.Gatehouse == nil) {
		problems = append(problems, errors.New("either Store or Gatehouse must be set: keys have one issuer"))
	}
	if len(o.Kinds) == 0 {
		o.Kinds = []apikey.Kind{apikey.Secret, apikey.Restricted}
	}
	if len(o.Environments) == 0 {
		o.Environments = []apikey.Environment{apikey.Live}
	}
	if slices.ContainsFunc(o.Kinds, func(k apikey.Kind) bool { return !k.Valid() }) {
		problems = append(problems, errors.New("Kinds: one is none of package protocol/apikey"))
	}
	if slices.ContainsFunc(o.Environments, func(e apikey.Environment) bool { return !e.Valid() }) {
		problems = append(problems, errors.New("Environments: one is none of package protocol/apikey"))
	}
	if o.Header == "" {
		o.Header = DefaultHeader
	}
	o.Header = http.CanonicalHeaderKey(o.Header)
	if strings.ContainsAny(o.Header, " \t\r\n:\"\\") || o.Header == "Authorization" || o.Header == "Cookie" {
		problems = append(problems, fmt.Errorf("Header %q is no header for keys", o.Header))
	}
	if strings.ContainsFunc(o.Realm, func(r rune) bool { return r < ' ' || r > '~' }) {
		problems = append(problems, errors.New("Realm must be printable ASCII"))
	}
	if o.CacheTTL > MaxCacheTTL {
		problems = append(problems, fmt.Errorf("CacheTTL %v is longer than %v: a revoked key would go on for too long", o.CacheTTL, MaxCacheTTL))
	}
	if o.CacheTTL == 0 && o.Gatehouse != nil {
		o.CacheTTL = MaxCacheTTL
	}
	if o.CacheSize < 0 {
		problems = append(problems, errors.New("CacheSize is negative; to cache nothing set CacheTTL to -1"))
	}
	if o.CacheSize == 0 {
		o.CacheSize = DefaultCacheSize
	}
	problems = append(problems, clientip.Proxies(o.Proxies).Check())
	if o.ClientAddr != nil && len(o.Proxies) > 0 {
		problems = append(problems, errors.New("ClientAddr stands beside Proxies; one of them says where requests come from"))
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Limits == nil {
		o.Limits = ratelimit.NewMemoryStoreClock(0, o.Clock)
	}
	s := &Scheme{
		kinds: slices.Clone(o.Kinds), environments: slices.Clone(o.Environments), header: o.Header, realm: o.Realm, ttl: o.CacheTTL,
		proxies: clientip.Proxies(slices.Clone(o.Proxies)), addr: o.ClientAddr, limits: o.Limits, revocations: o.Revocations, now: o.Clock,
	}
	s.private = s.keepPrivate // once, not at every request
	if o.CacheTTL > 0 && o.CacheSize > 0 {
		s.cache = tokencache.New[entry](o.CacheSize)
	}
	switch {
	case o.Gatehouse != nil:
		asked, err := newAsker(*o.Gatehouse, o)
		problems = append(problems, err)
		s.source, s.house = asked, true
	case o.Store != nil:
		s.source = storeSource{o.Store}
		s.uses = &uses{store: o.Store, log: o.Logger, pending: map[string]*Use{}, flushed: o.Clock()}
	}
	if err := errors.Join(problems...); err != nil {
		return nil, fmt.Errorf("apikey: %w", err)
	}
	return s, nil
}
