package revocation

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard/internal/introspect"
	"github.com/gatehouse-dev/gatehouse/guard/internal/provider"
)

// Stale says what becomes of a token while nobody can tell whether it was taken
// back: before the first snapshot is in, and when the feed was silent for too long.
type Stale int

const (
	// Refuse answers 503 with Retry-After: safe, and as available as the feed.
	Refuse Stale = iota
	// Introspect asks the server about each token, and remembers the answer for a
	// second: as safe, slower, and good for as long as the server can be reached. The
	// server answers a client about its own tokens and those for APIs it speaks for.
	// What is no token, such as the cookie of a session, is refused.
	Introspect
)

// Defaults and bounds of Options.
const (
	DefaultStaleAfter = 5 * time.Second
	DefaultPollEvery  = time.Second / 2
	DefaultMaxRules   = 2_000_000

	minStaleAfter = 2 * time.Second // the server gives a sign of life every second
	// maxStaleAfter is less than rules are kept for beyond [guard.RevocationsKept]. Who goes on with a session
	// that was taken back while nobody could hear of it must not find it alive when the rule is forgotten.
	maxStaleAfter = time.Minute
)

// Options says which feed, and what to do without it. Issuer is required, and
// either ClientID and ClientSecret or Token.
type Options struct {
	// Issuer is the server, exactly as its metadata spells it. Only principals of
	// this issuer are judged; others pass.
	Issuer string
	// ClientID and ClientSecret get the access token that opens the feed, by client
	// credentials, and ask when OnStale is Introspect.
	ClientID, ClientSecret string
	// Token, if set, gets the access token instead. It is called for every connection
	// and should remember what it has.
	Token func(context.Context) (string, error)

	// OnStale is Refuse unless it is set to Introspect.
	OnStale Stale
	// StaleAfter is how long the feed may be silent before it is not trusted any more:
	// what is taken back while nobody can hear of it lives on for so long at most. From
	// 2 seconds to a minute; default DefaultStaleAfter.
	StaleAfter time.Duration
	// PollEvery is how often the feed is asked while no stream can be had, and for
	// [Poll] always. Default DefaultPollEvery; below StaleAfter.
	PollEvery time.Duration
	// MaxRules bounds the memory, at 40 to 80 bytes for each: beyond it the feed is not
	// trusted. Default DefaultMaxRules.
	MaxRules int

	// HTTPClient reaches the server. Its timeout does not count for streams, and
	// redirects are never followed. Default one with timeouts for all but streams.
	HTTPClient *http.Client
	// Clock tells the time; default time.Now.
	Clock func() time.Time
	// Logger hears when the feed is lost and found, once each; default slog.Default().
	Logger *slog.Logger
	// InsecureAllowHTTP permits an http issuer off loopback. Whoever is on the path
	// can then read the client's secret and keep dead tokens alive.
	InsecureAllowHTTP bool
}

// complete checks the options, all of them, and fills in defaults.
func (o Options) complete() (Options, error) {
	var problems []error
	add := func(wrong bool, format string, args ...any) {
		if wrong {
			problems = append(problems, fmt.Errorf(format, args...))
		}
	}
	if o.StaleAfter == 0 {
		o.StaleAfter = DefaultStaleAfter
	}
	if o.PollEvery == 0 {
		o.PollEvery = DefaultPollEvery
	}
	if o.MaxRules == 0 {
		o.MaxRules = DefaultMaxRules
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	credentials := o.ClientID != "" && o.ClientSecret != ""
	add(!credentials && o.Token == nil, "ClientID and ClientSecret are missing, or Token in place of them")
	add(credentials && o.OnStale != Introspect && o.Token != nil, "ClientID and ClientSecret are not used beside Token: leave one of them out")
	add(o.OnStale != Refuse && o.OnStale != Introspect, "OnStale is neither Refuse nor Introspect")
	add(o.OnStale == Introspect && !credentials, "OnStale is Introspect, which needs ClientID and ClientSecret")
	add(o.StaleAfter < minStaleAfter, "StaleAfter must be at least %v: the server gives a sign of life every second", minStaleAfter)
	add(o.StaleAfter > maxStaleAfter, "StaleAfter must be at most %v: rules are kept for little longer than sessions may sleep", maxStaleAfter)
	add(o.PollEvery < 0 || o.PollEvery >= o.StaleAfter, "PollEvery must be shorter than StaleAfter (%v)", o.StaleAfter)
	add(o.MaxRules < 1, "MaxRules must be positive")
	if o.HTTPClient == nil {
		o.HTTPClient = newHTTPClient()
	}
	_, err := provider.New(o.provider())
	return o, errors.Join(append(problems, err)...)
}

// newHTTPClient makes connections of HTTP/1.1, one for each request at a time: a
// connection that went dead is given up with its request.
func newHTTPClient() *http.Client {
	dialer := &net.Dialer{Timeout: requestTimeout, KeepAlive: 15 * time.Second}
	return &http.Client{Transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: dialer.DialContext, TLSHandshakeTimeout: requestTimeout,
		ResponseHeaderTimeout: 2 * requestTimeout, MaxIdleConnsPerHost: 2, IdleConnTimeout: 30 * time.Second,
	}}
}

func (o Options) provider() provider.Options {
	return provider.Options{Issuer: o.Issuer, HTTPClient: o.HTTPClient, Clock: o.Clock, Logger: o.Logger, InsecureAllowHTTP: o.InsecureAllowHTTP}
}

// introspectTTL is how long the answer about one token is believed: as long as a
// rule takes to get here.
const introspectTTL = time.Second

func (o Options) introspection(p *provider.Provider) *introspect.Client {
	return introspect.New(introspect.Options{
		Endpoint: p.IntrospectionEndpoint,
		ClientID: o.ClientID, ClientSecret: o.ClientSecret, HTTPClient: p.Client(), TTL: introspectTTL, Clock: o.Clock, Logger: o.Logger,
	})
}

// address is where the feed is, and the audience of its access tokens.
func (o Options) address() string { return strings.TrimSuffix(o.Issuer, "/") + "/revocations" }
