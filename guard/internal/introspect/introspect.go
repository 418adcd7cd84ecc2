// Package introspect asks an issuer about tokens (RFC 7662): packages bearer, apikey
// and revocation use it. What it is told it remembers for a moment, so that a token
// that is shown with every request costs a question every few seconds.
package introspect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard/internal/tokencache"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// ErrUnavailable: the issuer cannot be asked, or answers nonsense.
var ErrUnavailable = errors.New("introspection unavailable")

// The defaults and bounds of Options.
const (
	DefaultTTL    = 10 * time.Second
	MaxTTL        = 5 * time.Minute
	DefaultTokens = 10_000

	maxBody   = 64 << 10
	timeout   = 5 * time.Second
	pause     = time.Second // after a failure, before the next try
	atOnce    = 64          // questions under way
	maxTokens = 16 << 10    // bytes in a token
)

// Options says whom to ask.
type Options struct {
	// Endpoint returns the address of the introspection endpoint.
	Endpoint func(context.Context) (string, error)
	// ClientID and ClientSecret are shown to it by HTTP Basic.
	ClientID, ClientSecret string
	// HTTPClient must not follow redirects.
	HTTPClient *http.Client
	// TTL is how long an answer is believed, 0 for DefaultTTL; negative: for those
	// alone who asked at once. A token's own end comes first.
	TTL time.Duration
	// Tokens is of how many tokens answers are kept, 0 for DefaultTokens; as many
	// again of tokens that are not good.
	Tokens int
	// Hint is token_type_hint, empty for access_token.
	Hint   string
	Clock  func() time.Time
	Logger *slog.Logger
}

// Client asks about tokens. It is safe for concurrent use.
type Client struct {
	o      Options
	active *tokencache.Cache[answer]
	dead   *tokencache.Cache[answer] // apart, so that made-up tokens push out no good ones

	mu      sync.Mutex
	flights map[tokencache.Digest]*flight
	retryAt time.Time
}

// answer is what the issuer said, and until when it is believed.
type answer struct {
	said  *oauth.Introspection
	err   error
	until time.Time
}

// Question is what an issuer is asked.
type Question struct {
	Token string
	// RemoteAddr is where the token was shown from, empty if that does not matter. A
	// token may be good from one address and not from another: these are two
	// questions.
	RemoteAddr string
	// UserAgent is what showed it, in printable ASCII.
	UserAgent string
}

// digest names a question. No token has a space in it.
func (q Question) digest() tokencache.Digest {
	if q.RemoteAddr == "" {
		return tokencache.Of(q.Token)
	}
	return tokencache.Of(q.Token + " " + q.RemoteAddr)
}

// flight is a question under way; answer is set before done is closed.
type flight struct {
	done chan struct{}
	answer
}

// New returns a Client for options that the caller has checked.
func New(o Options) *Client {
	if o.TTL == 0 {
		o.TTL = DefaultTTL
	}
	if o.Tokens == 0 {
		o.Tokens = DefaultTokens
	}
	if o.Hint == "" {
		o.Hint = "access_token"
	}
	return &Client{
		o: o, active: tokencache.New[answer](o.Tokens), dead: tokencache.New[answer](o.Tokens),
		flights: map[tokencache.Digest]*flight{},
	}
}

// Ask returns what the issuer says, and until when that may be believed without
// asking again. Many who ask one thing at once make one question of it. The error
// wraps oauth.ErrInactive, another error of package
// oauth when the answer is about something that is no access token, or
// ErrUnavailable.
func (c *Client) Ask(ctx context.Context, q Question) (*oauth.Introspection, time.Time, error) {
	if len(q.Token) > maxTokens {
		return nil, time.Time{}, fmt.Errorf("%w: %d bytes", oauth.ErrInactive, len(q.Token))
	}
	now := c.o.Clock()
	digest := q.digest()
	for _, cache := range [...]*tokencache.Cache[answer]{c.active, c.dead} {
		if e := cache.Get(&digest); e != nil && now.Before(e.Value.until) {
			return e.Value.said, e.Value.until, e.Value.err
		}
	}
	f, err := c.start(now, digest, q)
	if err != nil {
		return nil, time.Time{}, err
	}
	select {
	case <-f.done:
		return f.said, f.until, f.err
	case <-ctx.Done():
		return nil, time.Time{}, fmt.Errorf("%w: %w", ErrUnavailable, context.Cause(ctx))
	}
}

// start returns the question that is under way, or asks it.
func (c *Client) start(now time.Time, digest tokencache.Digest, q Question) (*flight, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f := c.flights[digest]; f != nil {
		return f, nil
	}
	if now.Before(c.retryAt) {
		return nil, fmt.Errorf("%w: it failed a moment ago", ErrUnavailable)
	}
	if len(c.flights) >= atOnce {
		return nil, fmt.Errorf("%w: %d questions are under way", ErrUnavailable, atOnce)
	}
	f := &flight{done: make(chan struct{})}
	c.flights[digest] = f
	// Not with the caller's context: others wait for the same answer, and the
	// caller may leave.
	go c.run(f, digest, q)
	return f, nil
}

func (c *Client) run(f *flight, digest tokencache.Digest, q Question) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	f.said, f.err = c.ask(ctx, q)
	now := c.o.Clock()
	f.until = now.Add(max(c.o.TTL, 0))
	switch {
	case errors.Is(f.err, ErrUnavailable):
		c.o.Logger.Warn("guard: introspection", "error", f.err)
	case f.err != nil:
		c.keep(c.dead, digest, f.answer)
	default:
		if end := f.said.Claims().Expiry.Time(); !end.IsZero() && end.Before(f.until) {
			f.until = end
		}
		c.keep(c.active, digest, f.answer)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if errors.Is(f.err, ErrUnavailable) {
		c.retryAt = now.Add(pause)
	}
	delete(c.flights, digest)
	close(f.done)
}

func (c *Client) keep(in *tokencache.Cache[answer], digest tokencache.Digest, a answer) {
	if c.o.TTL > 0 {
		in.Put(&tokencache.Entry[answer]{Digest: digest, Value: a})
	}
}

func (c *Client) ask(ctx context.Context, q Question) (*oauth.Introspection, error) {
	endpoint, err := c.o.Endpoint(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	form := url.Values{"token": {q.Token}, "token_type_hint": {c.o.Hint}}
	if q.RemoteAddr != "" {
		form.Set("remote_addr", q.RemoteAddr)
	}
	if q.UserAgent != "" {
		form.Set("user_agent", q.UserAgent)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	req.SetBasicAuth(url.QueryEscape(c.o.ClientID), url.QueryEscape(c.o.ClientSecret)) // RFC 6749 §2.3.1
	res, err := c.o.HTTPClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%w: %s: status %d", ErrUnavailable, endpoint, res.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxBody+1))
	if err == nil && len(body) > maxBody {
		err = fmt.Errorf("longer than %d bytes", maxBody)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrUnavailable, endpoint, err)
	}
	said, err := oauth.ParseIntrospection(body)
	if err == nil || errors.Is(err, oauth.ErrInactive) || errors.Is(err, oauth.ErrNotAccessToken) || errors.Is(err, oauth.ErrConfirmation) {
		return said, err
	}
	return nil, fmt.Errorf("%w: %s: %w", ErrUnavailable, endpoint, err)
}
