package access

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/clock"
	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/base/feed"
	"github.com/gatehouse-dev/gatehouse/internal/base/id"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
	"github.com/gatehouse-dev/gatehouse/internal/core/mail"
	"github.com/gatehouse-dev/gatehouse/internal/core/people"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/protocol/apikey"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// Revoker takes access tokens back; package grants has it.
type Revoker interface {
	// RevokeGrant ends all access tokens that carry a gid.
	RevokeGrant(tx *db.Tx, gid, because string) error
}

// APIKeysOptions are what the verbs on API keys stand on. All fields are required.
type APIKeysOptions struct {
	Clock   clock.Clock
	Apps    *apps.Apps
	Access  *Access
	People  *people.People
	Revoker Revoker
	Mail    *mail.Outbox
}

// APIKeys issues, judges and ends API keys. It is safe for concurrent use.
type APIKeys struct {
	APIKeysOptions
	cache *keyCache
	uses  *useLog
}

// NewAPIKeys returns an APIKeys that remembers nothing yet.
func NewAPIKeys(o APIKeysOptions) *APIKeys {
	return &APIKeys{APIKeysOptions: o, cache: newKeyCache(), uses: newUseLog()}
}

// NewAPIKey is a key to be.
type NewAPIKey struct {
	Kind        apikey.Kind        // Secret if empty
	Environment apikey.Environment // Live if empty
	APIKeyOwner
	APIKeySettings
}

// Every verb that ends something takes its locks in one order: the owner's row, the number of a
// revocation (by RevokeGrant), rows of keys, the number that tells other nodes. That is why a gid
// is revoked before its row is touched.

// Issue makes a key and returns it, here and never again. Faults: Invalid about what is not possible,
// such as scopes beyond what the owner may do; Conflict when the owner has too many keys.
func (a *APIKeys) Issue(ctx context.Context, tn *tenant.Tenant, n NewAPIKey, by audit.Origin) (*APIKey, apikey.Key, error) {
	now := a.Clock.Now()
	if n.Kind == "" {
		n.Kind = apikey.Secret
	}
	if n.Environment == "" {
		n.Environment = apikey.Live
	}
	k := &APIKey{Kind: n.Kind, Environment: n.Environment, APIKeyOwner: n.APIKeyOwner, APIKeySettings: n.APIKeySettings}
	if err := k.validateNew(now); err != nil {
		return nil, apikey.Key{}, err
	}
	secret, err := k.draw(now)
	if err != nil {
		return nil, apikey.Key{}, err
	}
	err = tn.DB.Write(ctx, func(tx *db.Tx) error {
		if err := a.holdOwner(tx, tn, k); err != nil {
			return err
		}
		if err := a.insert(tx, k, secret, MaxKeysPerOwner); err != nil {
			return err
		}
		return a.note(tx, audit.APIKeyIssued, k, by, map[string]any{"kind": string(k.Kind), "audience": k.Audience, "scope": k.Scope.String()})
	})
	if err != nil {
		return nil, apikey.Key{}, err
	}
	return k, secret, nil
}

func (k *APIKey) validateNew(now time.Time) error {
	switch {
	case !k.Kind.Valid():
		return fault.Field("kind", "%q is none of sk, rk, pk", string(k.Kind))
	case !k.Environment.Valid():
		return fault.Field("environment", "%q is none of live, test", string(k.Environment))
	case (k.UserID == "") == (k.ClientID == ""):
		return fault.Field("user_id", "either user_id or client_id says whose key it is")
	case k.UserID != "" && !people.PlausibleID(k.UserID):
		return fault.Field("user_id", "is no id of a user")
	case k.Organization != "" && !people.PlausibleID(k.Organization):
		return fault.Field("org_id", "is no id of an organisation")
	case k.Audience == "":
		return fault.Field("audience", "is missing: a key is for one API")
	}
	return k.validate(k.Kind, now)
}

// draw gives the key what is new about it.
func (k *APIKey) draw(now time.Time) (apikey.Key, error) {
	random := make([]byte, apikey.RandomBytes)
	rand.Read(random) // never fails: crypto/rand aborts the program instead
	secret, err := apikey.New(random, k.Kind, k.Environment)
	if err != nil {
		return apikey.Key{}, fmt.Errorf("access: make API key: %w", err)
	}
	k.ID, k.GID, k.Hint = id.UUID(), id.UUID(), secret.Hint()
	k.CreatedAt, k.UpdatedAt = now, now
	k.RevokedAt, k.RevokedBecause, k.RotatedAt, k.Successor, k.LastUsedAt, k.Uses = time.Time{}, "", time.Time{}, "", time.Time{}, 0
	return secret, nil
}

// holdOwner makes sure that the owner is there and may do what the key is to do. A user's row stays
// locked, so that no key is born while its owner is being locked out.
func (a *APIKeys) holdOwner(tx *db.Tx, tn *tenant.Tenant, k *APIKey) error {
	api, err := a.Apps.APIInTx(tx, k.Audience)
	if fault.Is(err, fault.NotFound) || err == nil && api.Identifier != k.Audience {
		return fault.Field("audience", "There is no API with this identifier.")
	}
	if err != nil {
		return err
	}
	if api.System {
		return fault.Field("audience", "The house's own API takes no keys.")
	}
	rights, err := a.rightsInTx(tx, api, k)
	if err != nil {
		return err
	}
	for i, s := range k.Scope {
		switch {
		case !api.Scopes().Contains(s):
			return fault.Field("scope", "%q is not among the permissions of the API.", s)
		case !rights.Contains(s):
			return fault.Field("scope", "The owner of the key may not do %q.", s)
		case slices.Contains(k.Scope[:i], s):
			return fault.Field("scope", "%q stands twice.", s)
		}
	}
	return nil
}

// rightsInTx is what the owner may do at the API of the key.
func (a *APIKeys) rightsInTx(tx *db.Tx, api *apps.API, k *APIKey) (oauth.Scope, error) {
	if k.ClientID != "" {
		client, err := a.Apps.ClientInTx(tx, k.ClientID)
		if fault.Is(err, fault.NotFound) || err == nil && client.Disabled {
			return nil, fault.Field("client_id", "There is no such client, or it is disabled.")
		}
		if err != nil {
			return nil, err
		}
		granted, has := client.Grants[api.Identifier]
		if !has || !client.Confidential() {
			return nil, fault.Field("client_id", "The client may not call this API in its own name: give it a grant first.")
		}
		return granted, nil
	}
	if err := a.People.Lock(tx, k.UserID); fault.Is(err, fault.NotFound) {
		return nil, fault.Field("user_id", "There is no such user.")
	} else if err != nil {
		return nil, err
	}
	user, err := a.People.InTx(tx, k.UserID)
	if err != nil {
		return nil, err
	}
	if user.Blocked {
		return nil, fault.Field("user_id", "The user is blocked.")
	}
	if !api.EnforcePermissions {
		return api.Scopes(), nil
	}
	rows, err := tx.Query(selectPermissions, k.UserID, api.Identifier)
	if err != nil {
		return nil, fmt.Errorf("access: read permissions: %w", err)
	}
	defer rows.Close()
	var rights oauth.Scope
	for rows.Next() {
		var p string
		if err := rows.Scan(&p); err != nil {
			return nil, fmt.Errorf("access: read permissions: %w", err)
		}
		rights = append(rights, p)
	}
	return rights, rows.Err()
}

func (a *APIKeys) insert(tx *db.Tx, k *APIKey, secret apikey.Key, most int64) error {
	var living int64
	if err := tx.QueryRow(countLivingAPIKeys, k.UserID, k.ClientID, db.Micros(k.CreatedAt)).Scan(&living); err != nil {
		return fmt.Errorf("access: count API keys: %w", err)
	}
	if living >= most {
		return fault.New(fault.Conflict, "The owner has %d API keys, which is the most there can be: revoke one that nobody uses.", living)
	}
	hash := secret.Hash()
	_, err := tx.Exec(insertAPIKey, k.ID, hash[:], k.GID, string(k.Kind), string(k.Environment), k.Hint, k.Name, k.UserID, k.ClientID, k.Organization,
		k.Audience, k.Scope.String(), joinNetworks(k.Networks), k.Rate, k.Quota, db.Micros(k.CreatedAt), db.Micros(k.ExpiresAt), endsAt(k.ExpiresAt))
	if err != nil {
		return fmt.Errorf("access: write API key: %w", err)
	}
	return nil
}

// Update changes the settings of a key as change says, on its newest state, and returns what is
// stored. When it changes what the key may do, access tokens it was exchanged for end. Faults: NotFound,
// Gone for a key that has ended, what change returns, and those of [APIKeys.Issue].
func (a *APIKeys) Update(ctx context.Context, tn *tenant.Tenant, keyID string, change func(*APIKeySettings) error, by audit.Origin) (k *APIKey, err error) {
	if !people.PlausibleID(keyID) {
		return foundKey(nil, db.ErrNoRows)
	}
	err = tn.DB.WriteSerializable(ctx, func(tx *db.Tx) error {
		now := a.Clock.Now()
		if k, err = foundKey(scanAPIKey(tx.QueryRow(selectAPIKey, keyID))); err != nil {
			return err
		}
		if why, ended := k.Ended(now); ended {
			return errEnded(why)
		}
		before := *k
		if err := change(&k.APIKeySettings); err != nil {
			return err
		}
		if err := k.validate(k.Kind, now); err != nil {
			return err
		}
		if before.Successor != "" && !k.ExpiresAt.Equal(before.ExpiresAt) && (k.ExpiresAt.IsZero() || k.ExpiresAt.After(before.ExpiresAt)) {
			return fault.Field("expires_at", "The key was rotated: it can end earlier, and no later.")
		}
		if err := a.holdOwner(tx, tn, k); err != nil {
			return err
		}
		if !k.Scope.Equal(before.Scope) || !slices.Equal(k.Networks, before.Networks) || !k.ExpiresAt.Equal(before.ExpiresAt) ||
			k.Rate != before.Rate || k.Quota != before.Quota {
			if err := a.Revoker.RevokeGrant(tx, before.GID, "api_key_changed"); err != nil {
				return err
			}
			k.GID = id.UUID()
		}
		k.UpdatedAt = now
		n, err := tx.Exec(updateAPIKey, k.ID, before.GID, k.GID, k.Name, k.Scope.String(), joinNetworks(k.Networks), k.Rate, k.Quota,
			db.Micros(k.ExpiresAt), endsAt(k.ExpiresAt), db.Micros(now))
		if err != nil {
			return fmt.Errorf("access: write API key: %w", err)
		}
		if n == 0 {
			return fault.New(fault.Conflict, "The API key has just been changed by somebody else.")
		}
		return a.announce(tx, audit.APIKeyUpdated, k, by, map[string]any{"scope": k.Scope.String(), "networks": joinNetworks(k.Networks)})
	})
	if err != nil {
		return nil, err
	}
	return k, nil
}

func errEnded(why string) error {
	return fault.New(fault.Gone, "The API key is %s.", why)
}

// Rotate makes a key that takes the place of another, and returns both; the new one is shown here and
// never again. The old one ends after grace, 0 to [MaxKeyGrace]. The new one is good for as long as the old one
// was when it was issued, from now on. A key is rotated once, by one caller. Faults: NotFound, Gone, and Conflict for a
// key that has a successor.
func (a *APIKeys) Rotate(ctx context.Context, tn *tenant.Tenant, keyID string, grace time.Duration, by audit.Origin) (old, fresh *APIKey, secret apikey.Key, err error) {
	if grace < 0 || grace > MaxKeyGrace {
		return nil, nil, secret, fault.Field("grace", "must be 0 to %d seconds", int64(MaxKeyGrace/time.Second))
	}
	if old, err = a.Get(ctx, tn, keyID); err != nil {
		return nil, nil, secret, err
	}
	err = tn.DB.Write(ctx, func(tx *db.Tx) (err error) {
		now := a.Clock.Now()
		if err := a.People.Lock(tx, old.UserID); old.UserID != "" && err != nil {
			return err
		}
		if old, err = foundKey(scanAPIKey(tx.QueryRow(selectAPIKey, keyID))); err != nil {
			return err
		}
		if grace < apps.MaxAccessTokenLifetime { // tokens it was exchanged for could outlive it
			if err := a.Revoker.RevokeGrant(tx, old.GID, "api_key_rotated"); err != nil {
				return err
			}
		}
		until := now.Add(grace)
		if !old.ExpiresAt.IsZero() && old.ExpiresAt.Before(until) {
			until = old.ExpiresAt
		}
		next := *old
		fresh = &next
		if !old.ExpiresAt.IsZero() {
			fresh.ExpiresAt = now.Add(old.ExpiresAt.Sub(old.CreatedAt))
		}
		if secret, err = fresh.draw(now); err != nil {
			return err
		}
		n, err := tx.Exec(rotateAPIKey, old.ID, db.Micros(now), fresh.ID, db.Micros(until), old.GID, db.Micros(old.UpdatedAt))
		if err != nil {
			return fmt.Errorf("access: rotate API key: %w", err)
		}
		if n == 0 {
			return whyNotRotated(tx, keyID, now)
		}
		old.RotatedAt, old.Successor, old.ExpiresAt, old.UpdatedAt = now, fresh.ID, until, now
		// Who has as many keys as there can be must still be able to rotate each of them.
		if err := a.insert(tx, fresh, secret, 2*MaxKeysPerOwner); err != nil {
			return err
		}
		return a.announce(tx, audit.APIKeyRotated, old, by, map[string]any{"successor": fresh.ID, "until": until.UTC().Format(time.RFC3339)})
	})
	if err != nil {
		return nil, nil, apikey.Key{}, err
	}
	return old, fresh, secret, nil
}

func whyNotRotated(tx *db.Tx, keyID string, now time.Time) error {
	k, err := foundKey(scanAPIKey(tx.QueryRow(selectAPIKey, keyID)))
	if err != nil {
		return err
	}
	if why, ended := k.Ended(now); ended {
		return errEnded(why)
	}
	if k.Successor != "" {
		return fault.New(fault.Conflict, "The API key has been rotated already.")
	}
	return fault.New(fault.Conflict, "The API key has just been changed by somebody else.")
}

// Revoke ends a key at once, with the access tokens it was exchanged for. To revoke an ended key
// changes nothing and is no error. Its successor, if it has one, lives on.
func (a *APIKeys) Revoke(ctx context.Context, tn *tenant.Tenant, keyID, because string, by audit.Origin) (*APIKey, error) {
	k, err := a.Get(ctx, tn, keyID)
	if err != nil {
		return nil, err
	}
	err = tn.DB.Write(ctx, func(tx *db.Tx) error {
		ended, err := a.revoke(tx, k, because)
		if err != nil || !ended {
			return err
		}
		return a.announce(tx, audit.APIKeyRevoked, k, by, map[string]any{"because": because})
	})
	if err != nil {
		return nil, err
	}
	return a.Get(ctx, tn, keyID)
}

// revoke reports whether the key lived.
func (a *APIKeys) revoke(tx *db.Tx, k *APIKey, because string) (bool, error) {
	if _, ended := k.Ended(a.Clock.Now()); ended {
		return false, nil
	}
	if err := a.Revoker.RevokeGrant(tx, k.GID, because); err != nil {
		return false, err
	}
	gids, err := collect(tx, revokeAPIKey, k.ID, db.Micros(a.Clock.Now()), because)
	if err != nil {
		return false, err
	}
	for _, gid := range gids {
		if gid == k.GID {
			continue
		}
		// It was changed since it was read, and the grants of then have ended with that.
		if err := a.Revoker.RevokeGrant(tx, gid, because); err != nil {
			return false, err
		}
	}
	return len(gids) > 0, nil
}

// EndOfUser ends, inside tx, every key of a user who is locked out or deleted.
func (a *APIKeys) EndOfUser(tx *db.Tx, userID, because string) error {
	return a.endAll(tx, revokeAPIKeysOfUser, userID, because)
}

// ForgetUser deletes, inside tx, the keys of a user who is to be deleted. They must have been ended.
func (a *APIKeys) ForgetUser(tx *db.Tx, userID string) error {
	for _, sql := range []string{deleteAPIKeyUsesOfUser, deleteAPIKeysOfUser} {
		if _, err := tx.Exec(sql, userID); err != nil {
			return fmt.Errorf("access: forget API keys: %w", err)
		}
	}
	return nil
}

// EndOfClient ends, inside tx, every key of a client that is disabled or deleted.
func (a *APIKeys) EndOfClient(tx *db.Tx, clientID, because string) error {
	return a.endAll(tx, revokeAPIKeysOfClient, clientID, because)
}

// EndOfAPI ends, inside tx, every key for an API that is deleted: another API of the same identifier
// must not inherit them.
func (a *APIKeys) EndOfAPI(tx *db.Tx, audience, because string) error {
	return a.endAll(tx, revokeAPIKeysOfAPI, audience, because)
}

// endAll ends many keys. A nil APIKeys has none.
func (a *APIKeys) endAll(tx *db.Tx, sql, whose, because string) error {
	if a == nil {
		return nil
	}
	if _, err := feed.Bump(tx, feed.Revocation); err != nil { // the lock that stands before rows of keys
		return err
	}
	gids, err := collect(tx, sql, whose, db.Micros(a.Clock.Now()), because)
	if err != nil || len(gids) == 0 {
		return err
	}
	for _, gid := range gids {
		if err := a.Revoker.RevokeGrant(tx, gid, because); err != nil {
			return err
		}
	}
	return a.changed(tx)
}

func collect(tx *db.Tx, sql string, args ...any) (out []string, err error) {
	rows, err := tx.Query(sql, args...)
	if err != nil {
		return nil, fmt.Errorf("access: end API keys: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, fmt.Errorf("access: end API keys: %w", err)
		}
		out = append(out, s)
	}
	return out, rows.Err()
}

// announce ends every verb that changes what a key is good for.
func (a *APIKeys) announce(tx *db.Tx, t audit.Type, k *APIKey, by audit.Origin, detail map[string]any) error {
	if err := a.note(tx, t, k, by, detail); err != nil {
		return err
	}
	return a.changed(tx)
}

func (a *APIKeys) changed(tx *db.Tx) error {
	tx.OnCommit(func() { a.Forget(tx.TenantID()) })
	_, err := feed.Bump(tx, feed.APIKeys)
	return err
}

// note records an event. The key is named by its id and what is shown of it.
func (a *APIKeys) note(tx *db.Tx, t audit.Type, k *APIKey, by audit.Origin, detail map[string]any) error {
	e := by.Event(t, k.UserID, a.Clock.Now())
	detail["api_key"], detail["name"], detail["hint"] = k.ID, k.Name, k.Hint
	if k.ClientID != "" {
		detail["client_id"] = k.ClientID
	}
	e.Detail = detail
	return audit.Record(tx, e)
}
