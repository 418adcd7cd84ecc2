package people

import (
	"encoding/json"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
)

// Profile is what a person is called, in the claim names of OpenID Connect Core, section 5.1.
type Profile struct {
	Name       string
	GivenName  string
	FamilyName string
	Nickname   string
	Picture    string // an http or https URL, or empty
}

// The most that a user row takes of what comes from outside, in bytes.
const (
	maxProfileText = 300
	maxPicture     = 2048
	maxMetadata    = 16 * 1024
)

// Check returns a fault about the first field that is too long or holds what it must not.
func (f Profile) Check() error {
	for _, t := range []struct{ field, text string }{
		{"name", f.Name}, {"given_name", f.GivenName}, {"family_name", f.FamilyName}, {"nickname", f.Nickname},
	} {
		if err := checkText(t.field, t.text, maxProfileText); err != nil {
			return err
		}
	}
	return checkPicture(f.Picture)
}

// checkMetadata returns raw as a compact object, "{}" for none.
func checkMetadata(field string, raw json.RawMessage) (string, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return "{}", nil
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(raw, &object); err != nil {
		return "", fault.Field(field, "This must be a JSON object.")
	}
	out, err := json.Marshal(object)
	if err != nil {
		return "", err
	}
	if len(out) > maxMetadata {
		return "", fault.Field(field, "This can have at most %d bytes.", maxMetadata)
	}
	return string(out), nil
}

func checkText(field, s string, limit int) error {
	if len(s) > limit {
		return fault.Field(field, "This can have at most %d bytes.", limit)
	}
	if !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
		return fault.Field(field, "This must not contain control characters.")
	}
	return nil
}

// checkPicture lets only addresses of the web through: the claim is put into pages by others.
func checkPicture(s string) error {
	if s == "" {
		return nil
	}
	if err := checkText("picture", s, maxPicture); err != nil {
		return err
	}
	u, err := url.Parse(s)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" {
		return fault.Field("picture", "This must be a URL that begins with https://.")
	}
	return nil
}
