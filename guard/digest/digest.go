package digest

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/internal/attempts"
	"github.com/gatehouse-dev/gatehouse/guard/internal/shown"
	protocol "github.com/gatehouse-dev/gatehouse/protocol/digest"
)

// Method is the Principal.Method of this scheme.
const Method = "digest"

// NonceLife is how long a nonce is good. Clients are handed a new one in time
// and notice nothing.
const NonceLife = time.Minute

// defaultMaxBody bounds the bodies read for AuthInt.
const defaultMaxBody = 1 << 20

// Algorithm is a hash by its registered name.
type Algorithm = protocol.Algorithm

// The algorithms, the best first.
const (
	SHA512256 = protocol.SHA512256
	SHA256    = protocol.SHA256
	MD5       = protocol.MD5
)

// QOP is what a client's proof covers.
type QOP = protocol.QOP

// The qualities of protection: method and target of the request alone, or its
// body too. The response's body is covered by neither.
const (
	Auth    = protocol.Auth
	AuthInt = protocol.AuthInt
)

// ErrUnknown is what Options.Find returns for a name nobody has.
var ErrUnknown = errors.New("digest: nobody has this name")

// Name is what a client calls its user.
type Name struct {
	// Username is the name, empty if Userhash is set.
	Username string
	// Userhash is the hash of name and realm in lower-case hex, as package
	// protocol/digest makes it: set if Options.Userhash is and the client uses it.
	Userhash string
	// Algorithm is the one in use, of which H(A1) is asked for and Userhash was made.
	Algorithm Algorithm
}

// Record is what is stored of a user.
type Record struct {
	// Username is the name that H(A1) was made with, to the letter.
	Username string
	// HA1 is what Sealer.Seal made of the password, for the algorithm asked for.
	HA1 []byte
	// Principal is who it is; nil for a User whose Subject is Username.
	Principal *guard.Principal
}

// Options says who is let in and what is asked for. Realm, Sealer and Find are
// required.
type Options struct {
	// Realm names what the password is for; people see it, and it is part of every
	// hash: it cannot change without all passwords being set anew. Printable ASCII
	// without quotes and backslashes.
	Realm string
	// Sealer opens what Find returns and signs nonces.
	Sealer *Sealer
	// Find returns what is stored of a user, ErrUnknown when nobody has that name
	// or may not sign in this way, and any other error when it could not tell.
	Find func(ctx context.Context, name Name) (Record, error)

	// Algorithms are offered, and no other is accepted. Default SHA256; whatever
	// the order here, the best comes first in the challenges.
	Algorithms []Algorithm
	// InsecureMD5 permits MD5 among Algorithms. Whoever overhears one exchange can
	// try billions of passwords a second against it, and an attacker on the path
	// can make clients choose it.
	InsecureMD5 bool
	// QOP are offered, and no other is accepted. Default Auth. With AuthInt the body
	// of a request is read before anybody is known, up to MaxBody.
	QOP []QOP
	// MaxBody is how large a body may be under AuthInt, in bytes; default 1 MiB.
	MaxBody int64
	// Userhash asks clients to send a hash in place of the name. Those that cannot
	// send the name all the same.
	Userhash bool

	// Counts remembers nonces; default in the memory of this process. Several
	// servers of one realm need one they share: a redisstore.Counts or
	// session.SQLCounts.
	Counts Counts
	// Limiter counts wrong passwords. Default: five in 15 minutes for each name from
	// each address, in the memory of this process.
	Limiter Limiter
	// InsecureUnlimited lets anybody guess as often as they like.
	InsecureUnlimited bool
	// Proxies are the addresses of reverse proxies in front of this server: from
	// them, and from nobody else, the default Limiter believes X-Forwarded-For.
	Proxies []netip.Prefix
	// Revocations, if set, is asked at each request whether the principal still
	// stands.
	Revocations guard.Revocations
	// Clock tells the time; default time.Now.
	Clock func() time.Time
}

// Limiter counts attempts. It is the same as that of package basic, so one budget
// serves both; basic.Limit makes one of package ratelimit.
type Limiter interface {
	// Attempt is asked about each proof, right or wrong, before it is answered, with
	// the name of the record or, for a name nobody has, with what the client sent. It
	// takes the attempt off the budget at once. An error refuses the request: a
	// *guard.Error with the code TooManyRequests and RetryAfter when the budget is
	// used up. It is not asked again about a nonce with which this user's password
	// was proved.
	Attempt(r *http.Request, username string) error
	// Succeeded says that the proof of the last Attempt was right: it does not
	// count.
	Succeeded(r *http.Request, username string)
}

// Scheme checks Digest credentials. It is safe for concurrent use.
type Scheme struct {
	o      Options
	nonces protocol.Nonces
	dummy  map[Algorithm]Record // for names nobody has: as much work, and never right
	proven *proven
}

// New checks the options, all of them, and returns a Scheme.
func New(o Options) (*Scheme, error) {
	var problems []error
	if o.Realm == "" || strings.ContainsFunc(o.Realm, func(c rune) bool { return c < ' ' || c > '~' || c == '"' || c == '\\' }) {
		problems = append(problems, errors.New("Realm must be printable ASCII without quotes and backslashes, and not empty"))
	}
	if o.Sealer == nil {
		problems = append(problems, errors.New("Sealer is missing; NewSealer makes one"))
	}
	if o.Find == nil {
		problems = append(problems, errors.New("Find is missing"))
	}
	var offered []Algorithm
	if len(o.Algorithms) == 0 {
		o.Algorithms = []Algorithm{SHA256}
	}
	for _, a := range [...]Algorithm{SHA512256, SHA256, MD5} {
		if slices.Contains(o.Algorithms, a) {
			offered = append(offered, a)
		}
	}
	for _, a := range o.Algorithms {
		switch {
		case !a.Known():
			problems = append(problems, fmt.Errorf("Algorithms: %q is not one of this package", a))
		case a == MD5 && !o.InsecureMD5:
			problems = append(problems, errors.New("Algorithms: MD5 is broken; for equipment that knows nothing else set InsecureMD5"))
		}
	}
	o.Algorithms = offered
	if len(o.QOP) == 0 {
		o.QOP = []QOP{Auth}
	}
	o.QOP = slices.Clone(o.QOP)
	for _, q := range o.QOP {
		if q != Auth && q != AuthInt {
			problems = append(problems, fmt.Errorf("QOP: %q is neither auth nor auth-int", q))
		}
	}
	if o.MaxBody == 0 {
		o.MaxBody = defaultMaxBody
	}
	if o.MaxBody < 0 {
		problems = append(problems, errors.New("MaxBody is negative"))
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	limiter, err := attempts.Limit(o.Limiter, o.InsecureUnlimited, o.Proxies, o.Clock)
	if err := errors.Join(append(problems, err)...); err != nil {
		return nil, fmt.Errorf("digest: %w", err)
	}
	o.Limiter = limiter
	if o.Counts == nil {
		o.Counts = newMemory(2*NonceLife, o.Clock) // made by a clock that is ahead, a nonce lives nearly twice as long here
	}
	s := &Scheme{o: o, nonces: protocol.Nonces{Keys: o.Sealer.nonces, Realm: o.Realm, Life: NonceLife}, dummy: map[Algorithm]Record{}}
	s.proven = &proven{users: generations[string]{period: NonceLife}}
	for _, a := range o.Algorithms {
		s.dummy[a] = Record{HA1: o.Sealer.seal(a, o.Realm, "", protocol.HA1(a, "", o.Realm, rand.Text()))}
	}
	return s, nil
}

// errStale is the cause of a refusal of which the password was right.
var errStale = errors.New("digest: the nonce was used before, or is too old")

// Authenticate implements guard.Authenticator. Nothing is seen for this scheme
// in a request without Digest credentials. Under AuthInt it reads the body, and
// puts another in its place that reads the same.
func (s *Scheme) Authenticate(r *http.Request) (guard.Result, error) {
	c, err := credentials(r.Header)
	if c == nil || err != nil {
		return guard.Result{}, err
	}
	if err := s.answersUs(r, c); err != nil {
		return guard.Result{}, err
	}
	record, known, err := s.find(r.Context(), c)
	if err != nil {
		return guard.Result{}, err
	}
	ha1, err := s.prove(r, c, record, known)
	if err != nil {
		return guard.Result{}, err
	}
	now := s.o.Clock()
	made, err := s.use(r.Context(), c, now)
	if err != nil {
		return guard.Result{}, err
	}
	s.proven.note(record.Username, c.Nonce, now) // by now it is one of ours
	p := principal(record)
	if s.o.Revocations != nil {
		if _, err := s.o.Revocations.Check(r.Context(), p, "", 0); err != nil {
			return guard.Result{}, err
		}
	}
	return guard.Result{Principal: p, Again: shown.Same(r, "Authorization"), BeforeHeader: func(h http.Header) {
		next := ""
		if now.Sub(made) >= NonceLife/2 {
			next = s.nonce(now)
		}
		h.Set("Authentication-Info", c.AuthenticationInfo(ha1, next))
	}}, nil
}

// credentials returns nil when the header has none of Digest.
func credentials(h http.Header) (*protocol.Credentials, error) {
	values := h.Values("Authorization")
	for _, v := range values {
		c, err := protocol.ParseCredentials(v)
		switch {
		case errors.Is(err, protocol.ErrNotDigest):
		case err != nil:
			return nil, &guard.Error{Code: guard.InvalidRequest, Description: "The Digest credentials are malformed", Err: err}
		case len(values) > 1:
			return nil, &guard.Error{Code: guard.InvalidRequest, Description: "Send one Authorization header"}
		default:
			return c, nil
		}
	}
	return nil, nil
}

// answersUs refuses what is no answer to a challenge of ours, or meant for
// another request.
func (s *Scheme) answersUs(r *http.Request, c *protocol.Credentials) error {
	switch {
	case c.Realm != s.o.Realm:
		return refused(errors.New("digest: of another realm"))
	case !slices.Contains(s.o.Algorithms, c.Algorithm):
		return refused(errors.New("digest: an algorithm that was not offered"))
	case !slices.Contains(s.o.QOP, c.QOP): // none is not among them
		return refused(errors.New("digest: a qop that was not offered, or none"))
	case c.URI != r.RequestURI:
		return refused(errors.New("digest: the uri is not that of the request"))
	case c.Hashed && !s.o.Userhash:
		return refused(errors.New("digest: userhash was not offered"))
	}
	return nil
}

// find returns the record of the user c names, or one that nobody's proof fits.
func (s *Scheme) find(ctx context.Context, c *protocol.Credentials) (_ Record, known bool, err error) {
	name := Name{Username: c.Username, Algorithm: c.Algorithm}
	if c.Hashed {
		name = Name{Userhash: strings.ToLower(c.Username), Algorithm: c.Algorithm}
	}
	record, err := s.o.Find(ctx, name)
	switch {
	case errors.Is(err, ErrUnknown):
		return s.dummy[c.Algorithm], false, nil
	case err != nil:
		return Record{}, false, err
	}
	return record, true, nil
}

// prove returns H(A1) when the client's proof shows that it knows it.
func (s *Scheme) prove(r *http.Request, c *protocol.Credentials, record Record, known bool) (ha1 string, err error) {
	var body []byte
	if c.QOP == AuthInt {
		if body, err = s.body(r); err != nil {
			return "", err
		}
	}
	if ha1, err = s.o.Sealer.open(c.Algorithm, s.o.Realm, record.Username, record.HA1); err != nil {
		return "", fmt.Errorf("digest: what is stored of a user: %w", err)
	}
	right := subtle.ConstantTimeCompare([]byte(c.Expected(ha1, r.Method, body)), []byte(c.Response)) == 1 && known
	username := record.Username
	if !known {
		username = c.Username
	}
	if err := s.limit(r, username, c.Nonce, right); err != nil {
		return "", err
	}
	if !right {
		return "", refused(nil)
	}
	return ha1, nil
}

// limit counts the attempt, right or wrong, before anybody hears which it was.
func (s *Scheme) limit(r *http.Request, username, nonce string, right bool) error {
	if s.o.Limiter == nil || s.proven.by(username, nonce, s.o.Clock()) {
		return nil
	}
	if err := s.o.Limiter.Attempt(r, username); err != nil {
		return err
	}
	if right {
		s.o.Limiter.Succeeded(r, username)
	}
	return nil
}

// body reads the body and puts it back.
func (s *Scheme) body(r *http.Request) ([]byte, error) {
	if r.Body == nil {
		return nil, nil
	}
	read, err := io.ReadAll(io.LimitReader(r.Body, s.o.MaxBody+1))
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(read), r.Body), r.Body}
	switch {
	case err != nil:
		return nil, &guard.Error{Code: guard.InvalidRequest, Description: "The body cannot be read", Err: err}
	case int64(len(read)) > s.o.MaxBody:
		return nil, &guard.Error{Code: guard.InvalidRequest, Description: "The body is too large for auth-int"}
	}
	return read, nil
}

// use takes the nonce's count, and returns when the nonce was made. By now the
// proof was right: only a client that knows the password hears that it is stale.
func (s *Scheme) use(ctx context.Context, c *protocol.Credentials, now time.Time) (made time.Time, err error) {
	made, err = s.nonces.Check(c.Nonce, now)
	if err != nil {
		return made, stale(err)
	}
	fresh, err := s.o.Counts.Use(ctx, c.Nonce, c.Count, made.Add(NonceLife))
	switch {
	case err != nil:
		return made, &guard.Error{Code: guard.Unavailable, Description: "The credentials cannot be checked at the moment", RetryAfter: NonceLife, Err: err}
	case !fresh:
		return made, stale(errors.New("the count is not higher than the last"))
	}
	return made, nil
}

func principal(record Record) *guard.Principal {
	p := guard.Principal{}
	if record.Principal != nil {
		p = *record.Principal // a copy: it is the application's
	}
	p.Method = Method
	if p.Kind == "" {
		p.Kind = guard.User
	}
	if p.Subject == "" {
		p.Subject = record.Username
	}
	if p.AMR == nil {
		p.AMR = []string{"pwd"}
	}
	return &p
}

func refused(cause error) *guard.Error {
	return &guard.Error{Code: guard.InvalidToken, Description: "The user name or the password is wrong", Err: cause}
}

func stale(cause error) *guard.Error {
	return &guard.Error{Code: guard.InvalidToken, Description: "The nonce is stale", Err: fmt.Errorf("%w: %w", errStale, cause)}
}

// Challenge implements guard.Authenticator: one challenge for each algorithm,
// the best first, and none when other credentials of the same person would not
// help.
func (s *Scheme) Challenge(_ *http.Request, why *guard.Error) []string {
	if why != nil && why.Code != guard.InvalidToken && why.Code != guard.InvalidRequest {
		return nil
	}
	c := protocol.Challenge{
		Realm: s.o.Realm, Nonce: s.nonce(s.o.Clock()), QOP: s.o.QOP, Userhash: s.o.Userhash,
		Stale: why != nil && errors.Is(why.Err, errStale),
	}
	var challenges []string
	for _, a := range s.o.Algorithms {
		c.Algorithm = a
		challenges = append(challenges, c.String())
	}
	return challenges
}

func (s *Scheme) nonce(now time.Time) string {
	nonce, _ := s.nonces.New(now, rand.Reader) // never fails: crypto/rand.Read ends the program rather
	return nonce
}

var _ guard.Authenticator = (*Scheme)(nil)
