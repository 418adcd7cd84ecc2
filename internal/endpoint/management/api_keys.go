package management

import (
	"encoding/json"
	"net/netip"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/core/access"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/people"
	"github.com/gatehouse-dev/gatehouse/protocol/apikey"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// APIKey is an API key as it is shown. The key itself is in no answer but the one that made it.
type APIKey struct {
	ID             string             `json:"id"`
	Key            string             `json:"key,omitempty"`
	Name           string             `json:"name"`
	Kind           apikey.Kind        `json:"kind"`
	Environment    apikey.Environment `json:"environment"`
	Hint           string             `json:"hint"`
	State          string             `json:"state"`
	UserID         string             `json:"user_id,omitempty"`
	ClientID       string             `json:"client_id,omitempty"`
	OrgID          string             `json:"org_id,omitempty"`
	Audience       string             `json:"audience"`
	Scope          []string           `json:"scope"`
	Networks       []string           `json:"networks"`
	RateLimit      int64              `json:"rate_limit"`
	Quota          int64              `json:"quota"`
	ExpiresAt      string             `json:"expires_at,omitempty"`
	CreatedAt      string             `json:"created_at"`
	UpdatedAt      string             `json:"updated_at"`
	LastUsedAt     string             `json:"last_used_at,omitempty"`
	Uses           int64              `json:"uses"`
	RotatedAt      string             `json:"rotated_at,omitempty"`
	Successor      string             `json:"successor,omitempty"`
	RevokedAt      string             `json:"revoked_at,omitempty"`
	RevokedBecause string             `json:"revoked_because,omitempty"`
}

// ShowAPIKey returns what is shown of a key at a moment. secret is the zero Key but where it was made just now.
func ShowAPIKey(k *access.APIKey, now time.Time, secret apikey.Key) APIKey {
	out := APIKey{
		ID: k.ID, Key: secret.Reveal(), Name: k.Name, Kind: k.Kind, Environment: k.Environment, Hint: k.Hint, State: k.State(now),
		UserID: k.UserID, ClientID: k.ClientID, OrgID: k.Organization, Audience: k.Audience, Scope: orEmpty(k.Scope), Networks: []string{},
		RateLimit: k.Rate, Quota: k.Quota, ExpiresAt: stamp(k.ExpiresAt), CreatedAt: stamp(k.CreatedAt), UpdatedAt: stamp(k.UpdatedAt),
		LastUsedAt: stamp(k.LastUsedAt), Uses: k.Uses, RotatedAt: stamp(k.RotatedAt), Successor: k.Successor,
		RevokedAt: stamp(k.RevokedAt), RevokedBecause: k.RevokedBecause,
	}
	for _, n := range k.Networks {
		out.Networks = append(out.Networks, n.String())
	}
	return out
}

// keyInput is what may be set of a key at any time.
type keyInput struct {
	Name      *string         `json:"name"`
	Scope     []string        `json:"scope"`
	Networks  []string        `json:"networks"`
	RateLimit *int64          `json:"rate_limit"`
	Quota     *int64          `json:"quota"`
	ExpiresAt json.RawMessage `json:"expires_at"` // a time, or null for never
}

// newKeyInput is what may be set of a key when it is made.
type newKeyInput struct {
	keyInput
	Kind        apikey.Kind        `json:"kind"`
	Environment apikey.Environment `json:"environment"`
	UserID      string             `json:"user_id"`
	ClientID    string             `json:"client_id"`
	OrgID       string             `json:"org_id"`
	Audience    string             `json:"audience"`
}

func (in *keyInput) apply(s *access.APIKeySettings) error {
	set(&s.Name, in.Name)
	set(&s.Rate, in.RateLimit)
	set(&s.Quota, in.Quota)
	if in.Scope != nil {
		s.Scope = oauth.Scope(in.Scope)
	}
	if in.Networks != nil {
		s.Networks = []netip.Prefix{}
		for _, text := range in.Networks {
			n, err := access.ParseNetwork(text)
			if err != nil {
				return err
			}
			s.Networks = append(s.Networks, n)
		}
	}
	switch string(in.ExpiresAt) {
	case "":
	case "null":
		s.ExpiresAt = time.Time{}
	default:
		var at time.Time
		if err := json.Unmarshal(in.ExpiresAt, &at); err != nil || at.Year() > 9000 {
			return fault.Field("expires_at", "must be a time such as 2027-01-31T00:00:00Z, or null for never")
		}
		s.ExpiresAt = at.UTC().Truncate(time.Second)
	}
	return nil
}

func (c *call) now() time.Time { return c.Tokens.Clock.Now() }

func listAPIKeys(c *call) (answer, error) {
	p, err := c.query.paging()
	if err != nil {
		return answer{}, err
	}
	keys, total, err := c.APIKeys.List(c.ctx, c.tn, access.APIKeyQuery{
		UserID: c.query.get("user_id"), ClientID: c.query.get("client_id"), Page: apps.Page{Offset: p.offset, Limit: p.limit},
	})
	if err != nil {
		return answer{}, err
	}
	var items []APIKey
	for _, k := range keys {
		items = append(items, ShowAPIKey(k, c.now(), apikey.Key{}))
	}
	return list(p, "api_keys", items, total)
}

func createAPIKey(c *call) (answer, error) {
	var in newKeyInput
	if err := c.decode(&in); err != nil {
		return answer{}, err
	}
	n := access.NewAPIKey{Kind: in.Kind, Environment: in.Environment, APIKeyOwner: access.APIKeyOwner{
		UserID: in.UserID, ClientID: in.ClientID, Organization: in.OrgID, Audience: in.Audience,
	}}
	if err := in.apply(&n.APIKeySettings); err != nil {
		return answer{}, err
	}
	if err := c.outrankOwner(n.APIKeyOwner); err != nil {
		return answer{}, err
	}
	k, secret, err := c.APIKeys.Issue(c.ctx, c.tn, n, c.by())
	if err != nil {
		return answer{}, err
	}
	return created(ShowAPIKey(k, c.now(), secret))
}

// outrankOwner: a key acts for its owner, so who may do less than the owner gets none into the hands.
func (c *call) outrankOwner(o access.APIKeyOwner) error {
	if o.UserID != "" {
		if err := c.outrankUser(o.UserID); err != nil {
			return err
		}
	}
	if o.ClientID == "" || !people.PlausibleID(o.ClientID) {
		return nil
	}
	if err := c.outrankClient(o.ClientID); !fault.Is(err, fault.NotFound) {
		return err
	}
	return nil // there is none; the verb says so
}

// owned reads the key of a call, which may not belong to somebody who may do more than the caller.
func (c *call) owned() (*access.APIKey, error) {
	k, err := c.APIKeys.Get(c.ctx, c.tn, c.id)
	if err != nil {
		return nil, named(err, "api_key")
	}
	return k, c.outrankOwner(k.APIKeyOwner)
}

func getAPIKey(c *call) (answer, error) {
	k, err := c.APIKeys.Get(c.ctx, c.tn, c.id)
	if err != nil {
		return answer{}, named(err, "api_key")
	}
	return ok(ShowAPIKey(k, c.now(), apikey.Key{}))
}

func updateAPIKey(c *call) (answer, error) {
	var in keyInput
	if err := c.decode(&in); err != nil {
		return answer{}, err
	}
	if _, err := c.owned(); err != nil {
		return answer{}, err
	}
	k, err := c.APIKeys.Update(c.ctx, c.tn, c.id, in.apply, c.by())
	if err != nil {
		return answer{}, endedKey(err)
	}
	return ok(ShowAPIKey(k, c.now(), apikey.Key{}))
}

// rotateAPIKey answers with the new key. grace_sec is how long the old one still works: a day unless set.
func rotateAPIKey(c *call) (answer, error) {
	var in struct {
		Grace *int64 `json:"grace_sec"`
	}
	if err := c.decode(&in); err != nil {
		return answer{}, err
	}
	if _, err := c.owned(); err != nil {
		return answer{}, err
	}
	grace := 24 * time.Hour
	if in.Grace != nil {
		if *in.Grace < 0 || *in.Grace > seconds(access.MaxKeyGrace) {
			return answer{}, fault.Field("grace_sec", "must be 0 to %d", seconds(access.MaxKeyGrace))
		}
		grace = time.Duration(*in.Grace) * time.Second
	}
	_, fresh, secret, err := c.APIKeys.Rotate(c.ctx, c.tn, c.id, grace, c.by())
	if err != nil {
		return answer{}, endedKey(err)
	}
	return created(ShowAPIKey(fresh, c.now(), secret))
}

// revokeAPIKey ends the key at once. The row stays for a while, to be looked at.
func revokeAPIKey(c *call) (answer, error) {
	if _, err := c.owned(); err != nil {
		return answer{}, err
	}
	if _, err := c.APIKeys.Revoke(c.ctx, c.tn, c.id, "revoked", c.by()); err != nil {
		return answer{}, named(err, "api_key")
	}
	return gone()
}

// endedKey: the key is there, and has ended.
func endedKey(err error) error {
	if fault.Is(err, fault.Gone) {
		return fault.Wrap(fault.Conflict, err, "%s", fault.MessageOf(err))
	}
	return named(err, "api_key")
}

// keyUse is somebody who used a key after it was rotated.
type keyUse struct {
	ShownTo   string `json:"shown_to"`
	Network   string `json:"network"`
	UserAgent string `json:"user_agent"`
	FirstAt   string `json:"first_at"`
	LastAt    string `json:"last_at"`
	Count     int64  `json:"count"`
}

func listAPIKeyUses(c *call) (answer, error) {
	if _, err := c.APIKeys.Get(c.ctx, c.tn, c.id); err != nil {
		return answer{}, named(err, "api_key")
	}
	uses, err := c.APIKeys.Uses(c.ctx, c.tn, c.id)
	if err != nil {
		return answer{}, err
	}
	items := []keyUse{}
	for _, u := range uses {
		items = append(items, keyUse{u.ShownTo, u.Network, u.UserAgent, stamp(u.FirstAt), stamp(u.LastAt), u.Count})
	}
	return ok(items)
}
