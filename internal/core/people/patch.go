package people

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
)

// Patch says what to change of a user. Nil leaves a field as it is. A changed address is not
// verified unless the same patch says so.
type Patch struct {
	Email         *string
	EmailVerified *bool
	Name          *string
	GivenName     *string
	FamilyName    *string
	Nickname      *string
	Picture       *string
	// The metadata are merged at their first level; a null removes a member.
	UserMetadata map[string]json.RawMessage
	AppMetadata  map[string]json.RawMessage
}

// Empty reports whether the patch changes nothing.
func (patch Patch) Empty() bool { return len(patch.fields()) == 0 }

// Update changes a user inside tx, which has called [People.Lock] for them, and returns the new
// state. A new address is also the new name to sign in with, and ends codes and links that were mailed
// to the old one.
func (p *People) Update(tx *db.Tx, userID string, patch Patch, by audit.Origin) (*User, error) {
	before, err := p.InTx(tx, userID)
	if err != nil {
		return nil, err
	}
	after, err := patch.apply(*before)
	if err != nil {
		return nil, err
	}
	address, err := ParseAddress(after.Email)
	if err != nil {
		return nil, err
	}
	after.Email = address.Text
	after.UpdatedAt = p.Clock.Now()
	if _, err := tx.Exec(updateUser, userID, address.Text, address.Key, after.EmailVerified, after.Name, after.GivenName,
		after.FamilyName, after.Nickname, after.Picture, string(after.UserMetadata), string(after.AppMetadata), db.Micros(after.UpdatedAt)); err != nil {
		return nil, fmt.Errorf("people: update user: %w", err)
	}
	if old := LoginKey(before.Email); old != address.Key {
		if err := p.rename(tx, userID, old, address.Key); err != nil {
			return nil, err
		}
	}
	p.changed(tx)
	e := by.Event(audit.UserUpdated, userID, after.UpdatedAt)
	e.Detail = map[string]any{"fields": patch.fields()}
	if err := audit.Record(tx, e); err != nil {
		return nil, err
	}
	return &after, nil
}

// rename gives the local identity another subject.
func (p *People) rename(tx *db.Tx, userID, oldKey, newKey string) error {
	n, err := tx.Exec(deleteLocal, userID, LocalConnection)
	if err != nil {
		return fmt.Errorf("people: rename: %w", err)
	}
	if n > 0 {
		won, err := tx.Exec(insertIdentity, LocalConnection, newKey, userID, db.Micros(p.Clock.Now()))
		if err != nil {
			return fmt.Errorf("people: rename: %w", err)
		}
		if won == 0 {
			return ErrTaken
		}
	}
	return errors.Join(p.EndChallenges(tx, PasswordReset, oldKey), p.EndTickets(tx, userID))
}

func (patch Patch) apply(u User) (User, error) {
	if patch.Email != nil && LoginKey(*patch.Email) != LoginKey(u.Email) {
		u.EmailVerified = false
	}
	set := func(dst *string, src *string) {
		if src != nil {
			*dst = *src
		}
	}
	set(&u.Email, patch.Email)
	set(&u.Name, patch.Name)
	set(&u.GivenName, patch.GivenName)
	set(&u.FamilyName, patch.FamilyName)
	set(&u.Nickname, patch.Nickname)
	set(&u.Picture, patch.Picture)
	if patch.EmailVerified != nil {
		u.EmailVerified = *patch.EmailVerified
	}
	if err := u.Profile.Check(); err != nil {
		return u, err
	}
	var err error
	if u.UserMetadata, err = merge("user_metadata", u.UserMetadata, patch.UserMetadata); err != nil {
		return u, err
	}
	u.AppMetadata, err = merge("app_metadata", u.AppMetadata, patch.AppMetadata)
	return u, err
}

func merge(field string, old json.RawMessage, patch map[string]json.RawMessage) (json.RawMessage, error) {
	object := map[string]json.RawMessage{}
	if err := json.Unmarshal(old, &object); err != nil {
		return nil, fmt.Errorf("people: stored %s: %w", field, err)
	}
	for k, v := range patch {
		if len(v) == 0 || string(v) == "null" {
			delete(object, k)
			continue
		}
		object[k] = v
	}
	raw, err := json.Marshal(object)
	if err != nil {
		return nil, fault.Field(field, "This must be a JSON object.")
	}
	text, err := checkMetadata(field, raw)
	return json.RawMessage(text), err
}

// fields names what a patch changes, for the record: the names, not the values.
func (patch Patch) fields() []string {
	var out []string
	for _, f := range []struct {
		name string
		set  bool
	}{
		{"email", patch.Email != nil},
		{"email_verified", patch.EmailVerified != nil},
		{"name", patch.Name != nil},
		{"given_name", patch.GivenName != nil},
		{"family_name", patch.FamilyName != nil},
		{"nickname", patch.Nickname != nil},
		{"picture", patch.Picture != nil},
		{"user_metadata", patch.UserMetadata != nil},
		{"app_metadata", patch.AppMetadata != nil},
	} {
		if f.set {
			out = append(out, f.name)
		}
	}
	return out
}
