package signin

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/id"
	"github.com/gatehouse-dev/gatehouse/internal/core/people"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
)

// device is a browser that remembers, in a sealed cookie, who has signed in from it. Attempts on
// their accounts from there are counted apart, so that strangers who guess cannot lock the owner
// out. Nothing about it is stored in the house.
type device struct {
	ID    string   `json:"d"`
	Users []tenure `json:"u"` // newest first
}

// tenure says that the password a user had since a certain time was known here. A changed password
// ends it: who was let in by the old one is a stranger again.
type tenure struct {
	UserID  string `json:"s"`
	Changed int64  `json:"p"`
}

const (
	devicePurpose = "known device"
	deviceUsers   = 5
	maxDevice     = 2048 // bytes of cookie that are looked at
)

// openDevice reads a device cookie. One that is missing or was not made by this house for this
// tenant is a new device that knows nobody.
func (s *SignIn) openDevice(tn *tenant.Tenant, cookie string) device {
	fresh := device{ID: id.Secret()}
	if cookie == "" || len(cookie) > maxDevice {
		return fresh
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(cookie)
	if err != nil {
		return fresh
	}
	plain, err := s.seal.Open(devicePurpose, []byte(tn.ID), raw)
	if err != nil {
		return fresh
	}
	var d device
	if err := json.Unmarshal(plain, &d); err != nil || d.ID == "" {
		return fresh
	}
	return d
}

// sealDevice returns the cookie of d.
func (s *SignIn) sealDevice(tn *tenant.Tenant, d device) string {
	plain, err := json.Marshal(d)
	if err != nil {
		panic(err) // strings and numbers always marshal
	}
	return base64.RawURLEncoding.EncodeToString(s.seal.Seal(devicePurpose, []byte(tn.ID), plain))
}

// knows reports whether the account's owner has signed in here with the password of today.
func (d device) knows(a *people.Account) bool {
	return slices.Contains(d.Users, tenure{a.ID, db.Micros(a.PasswordChangedAt)})
}

// with returns d with the user in front, and the eldest beyond five forgotten.
func (d device) with(userID string, passwordChangedAt time.Time) device {
	users := []tenure{{userID, db.Micros(passwordChangedAt)}}
	for _, t := range d.Users {
		if t.UserID != userID && len(users) < deviceUsers {
			users = append(users, t)
		}
	}
	d.Users = users
	return d
}
