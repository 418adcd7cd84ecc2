package apikey

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/internal/clientip"
	"github.com/gatehouse-dev/gatehouse/guard/internal/shown"
	"github.com/gatehouse-dev/gatehouse/guard/internal/tokencache"
	"github.com/gatehouse-dev/gatehouse/guard/ratelimit"
	"github.com/gatehouse-dev/gatehouse/protocol/apikey"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// Method is the Principal.Method of this scheme.
const Method = "apikey"

// Scheme checks API keys. It is safe for concurrent use. The Credential of its
// principals is the key's *Record.
type Scheme struct {
	kinds        []apikey.Kind
	environments []apikey.Environment
	header       string
	realm        string
	source       source
	house        bool // keys are a server's, which understands them as text
	cache        *tokencache.Cache[entry]
	ttl          time.Duration
	proxies      clientip.Proxies
	addr         func(*http.Request) netip.Addr
	limits       ratelimit.Store
	revocations  guard.Revocations
	uses         *uses // nil if nobody wants to know
	now          func() time.Time
	private      func(http.Header)
}

// source knows keys.
type source interface {
	// find returns a key by its text, whose checksum is right. from is asked for
	// where it was shown from. The error is a *guard.Error with the code
	// InvalidToken, or means that the source cannot tell.
	find(r *http.Request, text string, hash tokencache.Digest, from func() (netip.Addr, error)) (*entry, error)
}

// entry is what is known of a key. It is not changed once made, cleared apart.
type entry struct {
	record    Record
	principal guard.Principal
	until     time.Time // from the cache: no longer than this; zero if the source does not say
	cleared   atomic.Uint64
}

// Authenticate implements guard.Authenticator. Nothing is seen for this scheme
// in a request without a key: a bearer token that does not begin as keys do is
// somebody else's.
func (s *Scheme) Authenticate(r *http.Request) (guard.Result, error) {
	text, err := s.presented(r)
	if text == "" || err != nil {
		return guard.Result{}, err
	}
	now := s.now()
	e, err := s.entry(r, text, now)
	if err != nil {
		return guard.Result{}, err
	}
	if err := s.judge(r, text, e, now); err != nil {
		return guard.Result{}, err
	}
	if s.uses != nil {
		s.uses.add(e.record.ID, now)
	}
	found := guard.Result{Principal: &e.principal}
	if len(r.Header[s.header]) > 0 {
		found.BeforeHeader = s.private
	}
	if e.record.Rate != 0 || e.record.Quota != 0 {
		found.Again = shown.Same(r, "Authorization", s.header) // counted is counted
	}
	return found, nil
}

// keepPrivate marks the answer to a request with the scheme's own header as somebody's
// own: of Authorization caches know by themselves (RFC 9111 §3.5).
func (s *Scheme) keepPrivate(h http.Header) {
	h.Add("Vary", s.header)
	if h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", "private")
	}
}

// presented finds the key of a request, empty if there is none. Whatever stands
// in our own header is meant for this scheme.
func (s *Scheme) presented(r *http.Request) (string, error) {
	if r.URL.RawQuery != "" && apikey.Contains(r.URL.RawQuery) || apikey.Contains(r.URL.Path) {
		return "", badRequest("API keys must not be sent in the URL: revoke this one, it is in logs by now")
	}
	own := r.Header[s.header]
	text, found := "", len(own)
	if found == 1 {
		text = own[0]
	}
	authorization := r.Header["Authorization"]
	for _, value := range authorization {
		if key, is := bearerKey(value); is {
			text = key
			found += len(authorization) // two readers could pick different ones
		}
	}
	if found > 1 {
		return "", badRequest("The API key is sent more than once, or beside something else")
	}
	if found == 1 && text == "" {
		return "", errKey(apikey.ErrMalformed)
	}
	return text, nil
}

// bearerKey returns what follows the scheme Bearer if it begins as keys do.
func bearerKey(value string) (string, bool) {
	rest, is := oauth.CutScheme(value, "Bearer")
	if !is {
		return "", false
	}
	text := strings.TrimPrefix(rest, " ")
	return text, apikey.Looks(text) || apikey.Looks(strings.TrimLeftFunc(text, isNoLetter))
}

// isNoLetter finds what may stand between scheme and key by mistake.
func isNoLetter(c rune) bool { return c < 'a' || c > 'z' }

// entry returns what is known of a key. Nobody is asked about a text that was
// never issued.
func (s *Scheme) entry(r *http.Request, text string, now time.Time) (*entry, error) {
	hash := tokencache.Digest{}
	if s.cache != nil && len(text) == apikey.Len { // what is remembered was looked at before
		hash = apikey.Hash(text)
		if known := s.cache.Get(&hash); known != nil && now.Before(known.Value.until) {
			return &known.Value, nil
		}
	}
	if err := apikey.Check(text); err != nil {
		return nil, errKey(err)
	}
	if !slices.Contains(s.kinds, apikey.Kind(text[:2])) || !slices.Contains(s.environments, apikey.Environment(text[3:7])) {
		return nil, errKey(errors.New("a kind or an environment that is not accepted here"))
	}
	if s.cache == nil {
		hash = apikey.Hash(text)
	}
	e, err := s.source.find(r, text, hash, func() (netip.Addr, error) { return s.from(r) })
	if err != nil {
		var refused *guard.Error
		if errors.As(err, &refused) {
			return nil, err
		}
		return nil, &guard.Error{Code: guard.Unavailable, Description: "The API key cannot be checked at the moment", RetryAfter: 2 * time.Second, Err: err}
	}
	if s.cache == nil {
		return e, nil
	}
	kept := &tokencache.Entry[entry]{Digest: hash}
	kept.Value.record, kept.Value.principal, kept.Value.until = e.record, e.principal, now.Add(s.ttl)
	if !e.until.IsZero() && e.until.Before(kept.Value.until) {
		kept.Value.until = e.until
	}
	kept.Value.principal.Credential = &kept.Value.record
	s.cache.Put(kept)
	return &kept.Value, nil
}

// judge is where all paths meet: everything about a known key that may change
// from one request to the next.
func (s *Scheme) judge(r *http.Request, text string, e *entry, now time.Time) error {
	if e.record.Ended(now) {
		return errKey(ErrEnded)
	}
	if len(e.record.Networks) > 0 {
		from, err := s.from(r)
		if err != nil {
			return err
		}
		if !e.record.MayComeFrom(from) {
			return errKey(errors.New("shown from outside its networks"))
		}
	}
	if s.revocations != nil {
		if !s.house {
			text = ""
		}
		cleared, err := s.revocations.Check(r.Context(), &e.principal, text, e.cleared.Load())
		if err != nil {
			return revoked(err)
		}
		e.cleared.Store(cleared)
	}
	return s.limit(r.Context(), e)
}

// revoked passes on what Revocations said, in this scheme's words.
func revoked(err error) error {
	var e *guard.Error
	if errors.As(err, &e) && e.Code == guard.InvalidToken {
		return errKey(err)
	}
	return err
}

// limit counts the request against the key's rate and quota.
func (s *Scheme) limit(ctx context.Context, e *entry) error {
	rate, quota := e.record.rate(), e.record.quota()
	if rate.Requests != 0 {
		if err := s.take(ctx, "rate "+e.record.ID, rate); err != nil {
			return err
		}
	}
	if quota.Requests == 0 {
		return nil
	}
	err := s.take(ctx, "quota "+e.record.ID, quota)
	if err != nil && rate.Requests != 0 {
		_, _ = s.limits.Take(ctx, "rate "+e.record.ID, rate, -1) // the request did not happen
	}
	return err
}

func (s *Scheme) take(ctx context.Context, name string, limit ratelimit.Limit) error {
	err := limit.Check() // the record's word is a store's or a server's
	var result ratelimit.Result
	if err == nil {
		result, err = s.limits.Take(ctx, "apikey "+name, limit, 1)
	}
	switch {
	case err != nil:
		return &guard.Error{Code: guard.Unavailable, Description: "The requests of the API key cannot be counted at the moment", RetryAfter: 2 * time.Second, Err: err}
	case !result.Allowed:
		return &guard.Error{Code: guard.TooManyRequests, Description: "The API key has used up its requests", RetryAfter: result.RetryAfter}
	}
	return nil
}

// from is where a request comes from.
func (s *Scheme) from(r *http.Request) (netip.Addr, error) {
	if s.addr != nil {
		return s.addr(r), nil
	}
	if len(s.proxies) == 0 {
		peer, err := netip.ParseAddrPort(r.RemoteAddr)
		if err != nil {
			return netip.Addr{}, nil // not IP: in no network
		}
		return peer.Addr().Unmap().WithZone(""), nil
	}
	a, err := s.proxies.Client(r)
	if err != nil {
		return netip.Addr{}, &guard.Error{Code: guard.InvalidRequest, Description: "The address of the client cannot be known", Err: err}
	}
	return a, nil
}

// Challenge implements guard.Authenticator. There is no registered scheme for
// API keys; this one tells a developer where to put one.
func (s *Scheme) Challenge(_ *http.Request, why *guard.Error) []string {
	parameters := []oauth.Parameter{{Name: "realm", Value: s.realm}, {Name: "header", Value: s.header}}
	switch {
	case why == nil:
	case why.Code == guard.AccessDenied, why.Code == guard.TooManyRequests:
		return nil // another key would be no answer
	default:
		parameters = append(parameters,
			oauth.Parameter{Name: "error", Value: string(why.Code)},
			oauth.Parameter{Name: "error_description", Value: why.Description},
			oauth.Parameter{Name: "scope", Value: why.Scope})
	}
	return []string{oauth.Challenge("ApiKey", parameters...)}
}

// errKey refuses a key. Why, its sender is not told.
func errKey(cause error) error {
	return &guard.Error{Code: guard.InvalidToken, Description: "The API key is invalid", Err: cause}
}

func badRequest(description string) error {
	return &guard.Error{Code: guard.InvalidRequest, Description: description}
}

// storeSource finds the application's own keys.
type storeSource struct{ store Store }

func (s storeSource) find(r *http.Request, _ string, hash tokencache.Digest, _ func() (netip.Addr, error)) (*entry, error) {
	record, err := s.store.Find(r.Context(), hash)
	if errors.Is(err, ErrNotFound) {
		return nil, errKey(err)
	}
	if err != nil {
		return nil, err
	}
	e := &entry{record: record}
	e.principal = guard.Principal{
		Kind: record.Owner, Subject: record.Subject, Method: Method, Scopes: record.Scopes, Organization: record.Organization,
		TokenID: record.ID, IssuedAt: record.CreatedAt, Expiry: record.ExpiresAt, Credential: &e.record,
	}
	if record.Owner == guard.Client {
		e.principal.ClientID = record.Subject
	}
	return e, nil
}

var _ guard.Authenticator = (*Scheme)(nil)
