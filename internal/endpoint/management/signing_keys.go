package management

import (
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/core/keys"
)

// SigningKey is a key as the API shows it.
type SigningKey struct {
	KeyID       string `json:"kid"`
	Alg         string `json:"alg"`
	State       string `json:"state"`
	Current     bool   `json:"current"`
	Next        bool   `json:"next"`
	Previous    bool   `json:"previous"`
	PublishedAt string `json:"published_at"`
	SignsFrom   string `json:"signs_from"`
	DroppedAt   string `json:"dropped_at,omitempty"`
}

// ShowSigningKey returns what may be shown of a key.
func ShowSigningKey(k keys.Info) SigningKey {
	show := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.UTC().Format(time.RFC3339)
	}
	return SigningKey{
		KeyID: k.KeyID, Alg: string(k.Alg), State: string(k.State),
		Current: k.State == keys.Signing, Next: k.State == keys.Waiting, Previous: k.State == keys.Retired,
		PublishedAt: show(k.PublishedAt), SignsFrom: show(k.SignsFrom), DroppedAt: show(k.DroppedAt),
	}
}

func listSigningKeys(c *call) (answer, error) {
	all, err := c.Keys.List(c.ctx, c.tn)
	if err != nil {
		return answer{}, err
	}
	out := []SigningKey{}
	for _, k := range all {
		out = append(out, ShowSigningKey(k))
	}
	return ok(out)
}

func rotateSigningKeys(c *call) (answer, error) {
	if err := c.RotateKeys(c.ctx, nil, c.by()); err != nil {
		return answer{}, err
	}
	a, err := listSigningKeys(c)
	a.status = 201
	return a, err
}

func revokeSigningKey(c *call) (answer, error) {
	err := c.RevokeKey(c.ctx, c.id, c.by())
	if fault.Is(err, fault.NotFound) {
		return answer{}, named(err, "signing_key")
	}
	if err != nil {
		return answer{}, err
	}
	return listSigningKeys(c)
}
