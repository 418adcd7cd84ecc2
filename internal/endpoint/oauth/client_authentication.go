package oauth

import (
	"context"
	"crypto/subtle"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/base/httpx"
	"github.com/gatehouse-dev/gatehouse/internal/base/id"
	"github.com/gatehouse-dev/gatehouse/internal/base/limit"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/checkup"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// errWrongSecret is the cause of a refusal that is a guess. Only guesses count: whoever sends
// nonsense in the name of a public client locks nobody out, and names nobody has fill no memory.
var errWrongSecret = errors.New("oauth: wrong client secret")

// authenticateClient finds out which client is asking (RFC 6749 section 2.3). Failures are counted
// per client and network, so that a secret can not be guessed and nobody can lock others out.
func (s *Server) authenticateClient(ctx context.Context, tn *tenant.Tenant, r *http.Request, p oauth.Params) (*apps.Client, error) {
	auth, err := oauth.ParseClientAuthentication(r.Header, p)
	if err != nil {
		return nil, err
	}
	key := tn.ID + "\x00" + auth.ClientID + "\x00" + limit.Network(httpx.ClientAddr(r))
	if over, wait := s.ClientFailures.Exceeded(key, s.now()); over {
		return nil, &fault.Error{Code: fault.Limited, RetryAfter: wait}
	}
	client, err := s.verifyClient(ctx, tn, auth)
	if err == nil {
		err = checkOrigin(r, client)
	}
	if errors.Is(err, errWrongSecret) {
		s.ClientFailures.Add(key, s.now())
	}
	if err != nil {
		s.wrongOf(ctx, tn, auth.ClientID, err)
	}
	return client, err
}

func (s *Server) verifyClient(ctx context.Context, tn *tenant.Tenant, auth oauth.ClientAuthentication) (*apps.Client, error) {
	invalid := oauth.NewError(oauth.InvalidClient, "Client authentication failed.")
	client, err := s.Apps.Client(ctx, tn, auth.ClientID)
	if fault.Is(err, fault.NotFound) && auth.Raw != nil {
		auth.ClientID, auth.Secret, auth.Raw = auth.Raw.ClientID, auth.Raw.Secret, nil
		client, err = s.Apps.Client(ctx, tn, auth.ClientID)
	}
	if fault.Is(err, fault.NotFound) {
		return nil, invalid.WithHint("client_id does not name a client of this issuer.")
	}
	if err != nil {
		return nil, err
	}
	if client.Disabled {
		return nil, invalid.WithHint("The client is disabled.")
	}
	if err := auth.CheckMethod(client.AuthMethods); err != nil {
		return nil, checkup.Because(err, checkup.AuthMethod, string(auth.Method))
	}
	if auth.Method == oauth.AuthNone {
		return client, nil
	}
	if !secretMatches(client, auth.Secret) && (auth.Raw == nil || !secretMatches(client, auth.Raw.Secret)) {
		return nil, checkup.Because(invalid.WithHint("The client secret is wrong.").WithCause(errWrongSecret), checkup.ClientSecret, "")
	}
	return client, nil
}

// secretMatches compares hashes in constant time. A client without a secret matches nothing.
func secretMatches(client *apps.Client, secret string) bool {
	return len(client.SecretHash) > 0 && subtle.ConstantTimeCompare(client.SecretHash, id.Hash(secret)) == 1
}

// checkOrigin holds a browser's request to the origins its client registered. A confidential
// client calls from a server; an Origin there means nothing.
func checkOrigin(r *http.Request, client *apps.Client) error {
	origin := r.Header.Get("Origin")
	if origin == "" || client.Confidential() || client.HasWebOrigin(origin) || sameOrigin(r, origin) {
		return nil
	}
	return checkup.Because(oauth.NewError(oauth.UnauthorizedClient, "This origin is not registered for the client.").
		WithHint("Add the origin the browser sends to the client's web_origins."), checkup.WebOrigin, origin)
}

func sameOrigin(r *http.Request, origin string) bool {
	u, err := url.Parse(origin)
	return err == nil && u.Host == tenant.From(r.Context()).Host
}

// setRetryAfter says when to come back, where the error knows.
func setRetryAfter(h http.Header, err error) {
	if !fault.Is(err, fault.Limited) && !unavailable(err) {
		return
	}
	wait := time.Second
	if f := (*fault.Error)(nil); errors.As(err, &f) {
		wait = max(f.RetryAfter, wait)
	}
	h.Set("Retry-After", strconv.Itoa(int((wait+time.Second-1)/time.Second)))
}
