package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/id"
	"github.com/gatehouse-dev/gatehouse/internal/core/access"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/grants"
	"github.com/gatehouse-dev/gatehouse/internal/core/people"
	"github.com/gatehouse-dev/gatehouse/internal/core/signin"
	"github.com/gatehouse-dev/gatehouse/internal/server"
	"github.com/gatehouse-dev/gatehouse/protocol/jose"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// size is how much there is in the database and in hand.
type size struct {
	users    int
	live     int // access tokens that are shown again and again
	fresh    int // access tokens that nobody has shown before
	rsa      int // access tokens signed by RS256
	families int // per connection and kind
	rules    int // revocation rules in force
}

func fullSize() size {
	return size{users: 10_000, live: 10_000, fresh: 50_000, rsa: 10_000, families: 32, rules: 1000}
}

func quickSize() size {
	return size{users: 500, live: 500, fresh: 3000, rsa: 100, families: 4, rules: 100}
}

// The APIs, the application and the permissions of the world.
const (
	audienceES256 = "https://api.bench.example/es256"
	audienceRS256 = "https://api.bench.example/rs256"
	redirectURI   = "https://app.bench.example/callback"
	password      = "measured-in-ops-per-second"
)

func permissions() oauth.Scope { return oauth.Scope{"read:shows", "write:shows"} }

func identityScope() oauth.Scope {
	return oauth.Scope{oauth.ScopeOpenID, oauth.ScopeProfile, oauth.ScopeEmail, oauth.ScopeOfflineAccess}
}

// world is what the load knows of the house: credentials of every kind, in random order.
type world struct {
	machine, web     string // Authorization headers of the clients
	webID            string
	live, fresh, rsa []string // access tokens
	refreshWithID    []string // refresh tokens whose answer carries an ID token
	refreshWithoutID []string // and such whose answer does not
	sessions         []string // cookies
	users            []string
	verifier         string // PKCE
	challenge        string
	key              jose.KeyFunc
}

// builder fills the database as the house itself would, through the core.
type builder struct {
	*server.House
	ctx context.Context
	w   *world
	web *apps.Client
	// signedIn is the session of each connection's person.
	signedIn []*signin.Session
}

// newWorld fills a database.
func newWorld(ctx context.Context, database string, s size) (_ *world, err error) {
	house, err := server.Open(ctx, server.Options{Config: configuration(database, "")})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, house.Close()) }()
	verifier := id.Secret()
	challenge := sha256.Sum256([]byte(verifier))
	b := &builder{House: house, ctx: ctx, w: &world{verifier: verifier, challenge: base64.RawURLEncoding.EncodeToString(challenge[:])}}
	if err := house.Prepare(ctx); err != nil {
		return nil, err
	}
	ring, err := house.Keys.Ring(ctx, house.Tenant)
	if err != nil {
		return nil, err
	}
	b.w.key = ring.Lookup
	for _, step := range []func(size) error{b.applications, b.people, b.tokens, b.sessions, b.families, b.rules} {
		if err := step(s); err != nil {
			return nil, err
		}
	}
	return b.w, nil
}

func (b *builder) write(verb func(*db.Tx) error) error { return b.Tenant.DB.Write(b.ctx, verb) }

func (b *builder) applications(size) error {
	machine, machineSecret := apps.NewClient("Worker", apps.Machine)
	machine.Grants = map[string]oauth.Scope{audienceES256: permissions(), audienceRS256: permissions()}
	web, webSecret := apps.NewClient("Web", apps.RegularWeb)
	web.RedirectURIs, web.DefaultRedirectURI = []string{redirectURI}, redirectURI
	b.web, b.w.webID = web, web.ClientID
	b.w.machine, b.w.web = basic(machine.ClientID, machineSecret), basic(web.ClientID, webSecret)
	return b.write(func(tx *db.Tx) error {
		for identifier, alg := range map[string]jose.Alg{audienceES256: jose.ES256, audienceRS256: jose.RS256} {
			api := apps.NewAPI(identifier, string(alg))
			api.SigningAlg, api.IntrospectionClients = alg, []string{machine.ClientID}
			for _, p := range permissions() {
				api.Permissions = append(api.Permissions, apps.Permission{Value: p})
			}
			if err := b.Apps.CreateAPI(tx, api); err != nil {
				return err
			}
		}
		return errors.Join(b.Apps.CreateClient(tx, machine), b.Apps.CreateClient(tx, web))
	})
}

func basic(clientID, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(clientID+":"+secret))
}

// people makes the users, of whom the first can sign in with a password.
func (b *builder) people(s size) error {
	hash, err := b.People.Hasher.Hash(b.ctx, password)
	if err != nil {
		return err
	}
	const batch = 500
	for len(b.w.users) < s.users {
		err := b.write(func(tx *db.Tx) error {
			for range min(batch, s.users-len(b.w.users)) {
				n := people.NewUser{Email: email(len(b.w.users)), EmailVerified: true, Profile: people.Profile{
					Name: "Alice Archer", GivenName: "Alice", FamilyName: "Archer", Nickname: "alice", Picture: "https://www.bench.example/alice.png",
				}}
				if len(b.w.users) < connections {
					n.PasswordHash = hash
				}
				user, err := b.People.Insert(tx, n)
				if err != nil {
					return err
				}
				b.w.users = append(b.w.users, user.ID)
				if err := b.Access.Grant(tx, user.ID, access.Permission{Audience: audienceES256, Value: "read:shows"}, access.Permission{Audience: audienceES256, Value: "write:shows"}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func email(n int) string { return fmt.Sprintf("alice-%d@bench.example", n) }

// terms are what a user granted the web application in a session that nobody asks about.
func (b *builder) terms(n int, scope oauth.Scope) grants.Terms {
	return grants.Terms{
		GID: id.UUID(), ClientID: b.web.ClientID, UserID: b.w.users[n%len(b.w.users)], Scope: scope, Audience: audienceES256,
		Auth: grants.Authentication{SID: id.UUID(), Time: b.Clock.Now(), AMR: []string{"pwd"}, ACR: signin.ACRPassword},
	}
}

// tokens makes access tokens with the claims that the token endpoint gives them.
func (b *builder) tokens(s size) (err error) {
	if b.w.live, err = b.accessTokens(s.live, jose.ES256); err != nil {
		return err
	}
	if b.w.fresh, err = b.accessTokens(s.fresh, jose.ES256); err != nil {
		return err
	}
	b.w.rsa, err = b.accessTokens(s.rsa, jose.RS256)
	return err
}

func (b *builder) accessTokens(n int, alg jose.Alg) ([]string, error) {
	signer, err := b.Keys.Signer(b.ctx, b.Tenant, alg)
	if err != nil {
		return nil, err
	}
	out := make([]string, n)
	err = inParallel(runtime.GOMAXPROCS(0), n, func(i int) error {
		t, now := b.terms(i, append(identityScope(), permissions()...)), b.Clock.Now()
		claims := oauth.AccessTokenClaims{
			Issuer: issuer, Subject: t.UserID, Audience: jose.Audience{audienceES256, b.Tenant.UserInfoAudience()}, ClientID: t.ClientID,
			AuthorizedParty: t.ClientID, ID: id.UUID(), GrantID: t.GID, SessionID: t.Auth.SID, Scope: t.Scope.String(), Permissions: permissions(),
			IssuedAt: jose.Date(now), Expiry: jose.Date(now.Add(time.Hour)), AuthTime: jose.Date(now), AMR: t.Auth.AMR, ACR: t.Auth.ACR,
		}
		payload, err := claims.Payload()
		if err != nil {
			return err
		}
		out[i], err = signer.Sign(oauth.TypeAccessToken, payload)
		return err
	})
	shuffle(out)
	return out, err
}

// families redeems a code for each family, as an application would have.
func (b *builder) families(s size) (err error) {
	if b.w.refreshWithID, err = b.refreshTokens(connections*s.families, append(identityScope(), permissions()...)); err != nil {
		return err
	}
	b.w.refreshWithoutID, err = b.refreshTokens(connections*s.families, append(permissions(), oauth.ScopeOfflineAccess))
	return err
}

func (b *builder) refreshTokens(n int, scope oauth.Scope) ([]string, error) {
	out := make([]string, n)
	err := inParallel(connections, n, func(i int) error {
		family := &grants.NewFamily{Policy: b.web.Refresh(b.Tenant), SessionBound: true}
		terms, session := b.terms(i, scope), b.signedIn[i*connections/n]
		terms.UserID, terms.Auth.SID, terms.Auth.Time = session.UserID, session.SID, session.AuthTime
		code, err := b.Grants.IssueCode(b.ctx, b.Tenant, grants.Code{Terms: terms, RedirectURI: redirectURI}, nil)
		if err != nil {
			return err
		}
		redeemed, err := b.Grants.Redeem(b.ctx, b.Tenant, grants.Redemption{
			Code: code, ClientID: b.web.ClientID,
			Check:  func(grants.Code) error { return nil },
			Family: func(grants.Code) *grants.NewFamily { return family },
		})
		if err == nil {
			out[i] = redeemed.RefreshToken
		}
		return err
	})
	return out, err
}

// sessions signs one person in per connection.
func (b *builder) sessions(size) error {
	b.w.sessions, b.signedIn = make([]string, connections), make([]*signin.Session, connections)
	return inParallel(runtime.GOMAXPROCS(0), connections, func(i int) error {
		from := signin.From{Address: netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}), UserAgent: "bench", Browser: id.Secret()}
		result, err := b.SignIn.Password(b.ctx, b.Tenant, signin.Credentials{Login: email(i), Password: password}, from)
		if err == nil {
			b.w.sessions[i], b.signedIn[i] = result.Cookie, result.Session
		}
		return err
	})
}

// rules are in force as on any house from which people have signed out in the last hour.
func (b *builder) rules(s size) error {
	return b.write(func(tx *db.Tx) error {
		for range s.rules {
			if err := b.Grants.RevokeToken(tx, id.UUID()); err != nil {
				return err
			}
		}
		return nil
	})
}

// inParallel calls f for 0 to n-1 in so many goroutines and returns the first error.
func inParallel(width, n int, f func(i int) error) error {
	var next atomic.Int64
	var all sync.WaitGroup
	errs := make([]error, width)
	for at := range width {
		all.Go(func() {
			for errs[at] == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				errs[at] = f(i)
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

func shuffle(s []string) {
	for i := len(s) - 1; i > 0; i-- {
		n, err := rand.Int(rand.Reader, big.NewInt(int64(i+1)))
		if err != nil {
			panic(err) // there is no machine without randomness
		}
		j := n.Int64()
		s[i], s[j] = s[j], s[i]
	}
}
