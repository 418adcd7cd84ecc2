package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/core/access"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/endpoint/management"
	"github.com/gatehouse-dev/gatehouse/internal/server"
	"github.com/gatehouse-dev/gatehouse/protocol/apikey"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// apiKeyCommand is the verbs on API keys.
type apiKeyCommand struct {
	Create apiKeyCreate `cmd:"" help:"Issue a key, which is shown here and never again."`
	List   apiKeyList   `cmd:"" help:"List keys."`
	Show   apiKeyShow   `cmd:"" help:"Show a key, and who still uses it after it was rotated."`
	Rotate apiKeyRotate `cmd:"" help:"Issue a key that takes the place of another."`
	Revoke apiKeyRevoke `cmd:"" help:"End a key at once, with the access tokens it was exchanged for."`
}

type apiKeyCreate struct {
	verb
	Name        string        `arg:"" help:"What it is for, such as 'nightly export'."`
	User        string        `help:"Its owner: a user, by e-mail address or id." placeholder:"EMAIL" xor:"owner"`
	Client      string        `help:"Its owner: a client." placeholder:"CLIENT_ID" xor:"owner"`
	Audience    string        `help:"The identifier of the API it is for." placeholder:"URI" required:""`
	Scope       []string      `help:"Something it may do there; repeat for more. A secret key without any may do all that its owner may." placeholder:"SCOPE" sep:"none"`
	Kind        string        `help:"sk secret, rk restricted to its scopes, pk publishable." default:"sk" placeholder:"KIND"`
	Environment string        `name:"env" help:"live or test." default:"live" placeholder:"ENVIRONMENT"`
	Org         string        `help:"The organisation it acts in." placeholder:"ID"`
	Network     []string      `help:"A network it may come from, such as 192.0.2.0/24; repeat for more." placeholder:"CIDR" sep:"none"`
	Expires     time.Duration `help:"How long it is good for; for ever unless set." placeholder:"DURATION"`
	RateLimit   int64         `help:"Requests in a minute." placeholder:"N"`
	Quota       int64         `help:"Requests in a day." placeholder:"N"`
}

// Help shows an example.
func (apiKeyCreate) Help() string {
	return `Its owner is a user or a client, and it may never do more than they.

  gatehouse apikey create 'nightly export' --user ada@example.com --audience https://api.example.com/ \
      --scope read:orders --network 192.0.2.0/24 --expires 2160h --config gatehouse.yaml`
}

// Validate demands an owner: that both flags are optional, and one is not, no usage line can say.
func (c *apiKeyCreate) Validate() error {
	if c.User == "" && c.Client == "" {
		return errors.New("whose is it? Name --user EMAIL or --client CLIENT_ID")
	}
	return nil
}

// Run issues the key and prints it.
func (c *apiKeyCreate) Run(ctx context.Context, to streams) error {
	return c.with(ctx, to, func(h *server.House) error {
		n := access.NewAPIKey{
			Kind: apikey.Kind(c.Kind), Environment: apikey.Environment(c.Environment),
			APIKeyOwner:    access.APIKeyOwner{ClientID: c.Client, Organization: c.Org, Audience: c.Audience},
			APIKeySettings: access.APIKeySettings{Name: c.Name, Scope: oauth.Scope(c.Scope), Rate: c.RateLimit, Quota: c.Quota},
		}
		var err error
		if n.Networks, err = networks(c.Network); err != nil {
			return err
		}
		if c.Expires != 0 {
			n.ExpiresAt = h.Clock.Now().Add(c.Expires).Truncate(time.Second)
		}
		if c.User != "" {
			user, err := userArg{c.User}.find(ctx, h)
			if err != nil {
				return err
			}
			n.UserID = user.ID
		}
		k, secret, err := h.APIKeys.Issue(ctx, h.Tenant, n, operator())
		if err != nil {
			return ownFlag(err)
		}
		return printNewKey(to, h, k, secret, c.JSON)
	})
}

func networks(list []string) (out []netip.Prefix, err error) {
	for _, text := range list {
		n, err := access.ParseNetwork(text)
		if err != nil {
			return nil, err
		}
		out = append(out, n)
	}
	return out, nil
}

type apiKeyList struct {
	verb
	User   string `help:"Only those of this user, by e-mail address or id." placeholder:"EMAIL"`
	Client string `help:"Only those of this client." placeholder:"CLIENT_ID"`
}

// Run prints keys.
func (c *apiKeyList) Run(ctx context.Context, to streams) error {
	return c.with(ctx, to, func(h *server.House) error {
		q := access.APIKeyQuery{ClientID: c.Client, Page: apps.Page{Limit: 100}}
		if c.User != "" {
			user, err := userArg{c.User}.find(ctx, h)
			if err != nil {
				return err
			}
			q.UserID = user.ID
		}
		now := h.Clock.Now()
		var shown []management.APIKey
		rows := [][]string{}
		for ; ; q.Offset += q.Limit {
			keys, _, err := h.APIKeys.List(ctx, h.Tenant, q)
			if err != nil {
				return err
			}
			for _, k := range keys {
				shown = append(shown, management.ShowAPIKey(k, now, apikey.Key{}))
				rows = append(rows, []string{k.ID, k.Name, shownKey(k), k.State(now), ownerOf(k), k.Scope.String(), day(k.LastUsedAt), day(k.ExpiresAt)})
			}
			if len(keys) < q.Limit {
				break
			}
		}
		if c.JSON {
			return printJSON(to.Out, orNone(shown))
		}
		return table(to.Out, []string{"ID", "NAME", "KEY", "STATE", "OWNER", "SCOPE", "LAST USED", "EXPIRES"}, rows)
	})
}

type apiKeyShow struct {
	verb
	ID string `arg:"" help:"Its id, not the key."`
}

// Run prints one key.
func (c *apiKeyShow) Run(ctx context.Context, to streams) error {
	return c.with(ctx, to, func(h *server.House) error {
		k, err := h.APIKeys.Get(ctx, h.Tenant, c.ID)
		if err != nil {
			return noSuchKey(err)
		}
		if c.JSON {
			return printJSON(to.Out, management.ShowAPIKey(k, h.Clock.Now(), apikey.Key{}))
		}
		if err := printKey(to, h, k, apikey.Key{}); err != nil {
			return err
		}
		uses, err := h.APIKeys.Uses(ctx, h.Tenant, k.ID)
		if err != nil || len(uses) == 0 {
			return err
		}
		rows := [][]string{}
		for _, u := range uses {
			rows = append(rows, []string{when(u.LastAt), fmt.Sprint(u.Count), u.Network, u.UserAgent, u.ShownTo})
		}
		fmt.Fprintln(to.Out, "\nUsed since it was rotated:")
		return table(to.Out, []string{"LAST", "TIMES", "FROM", "BY", "SHOWN TO"}, rows)
	})
}

type apiKeyRotate struct {
	verb
	ID    string        `arg:"" help:"Its id, not the key."`
	Grace time.Duration `help:"How long the old key still works; 0s ends it at once." default:"24h" placeholder:"DURATION"`
}

// Run rotates the key and prints the new one.
func (c *apiKeyRotate) Run(ctx context.Context, to streams) error {
	return c.with(ctx, to, func(h *server.House) error {
		old, fresh, secret, err := h.APIKeys.Rotate(ctx, h.Tenant, c.ID, c.Grace, operator())
		if err != nil {
			return noSuchKey(err)
		}
		fmt.Fprintf(to.Err, "The old key %s works until %s UTC. Who still uses it: gatehouse apikey show %s\n", shownKey(old), when(old.ExpiresAt), old.ID)
		return printNewKey(to, h, fresh, secret, c.JSON)
	})
}

type apiKeyRevoke struct {
	houseFlags
	ID      string `arg:"" help:"Its id, not the key."`
	Because string `help:"Why, for the record." default:"revoked" placeholder:"WORD"`
}

// Run ends the key.
func (c *apiKeyRevoke) Run(ctx context.Context, to streams) error {
	return c.with(ctx, to, func(h *server.House) error {
		k, err := h.APIKeys.Revoke(ctx, h.Tenant, c.ID, c.Because, operator())
		if err != nil {
			return noSuchKey(err)
		}
		fmt.Fprintf(to.Err, "The key %s (%s) is %s.\n", shownKey(k), k.Name, k.State(h.Clock.Now()))
		return nil
	})
}

// ownFlag names the flags of this command where those of others go by the same field.
func ownFlag(err error) error {
	f, ok := errors.AsType[*fault.Error](err)
	if !ok || f.Field != "scope" && f.Field != "audience" {
		return err
	}
	return fault.New(f.Code, "--%s: %s", f.Field, f.Message)
}

func noSuchKey(err error) error {
	if fault.Is(err, fault.NotFound) {
		return fixable(err, "gatehouse apikey list shows those there are")
	}
	return err
}

// shownKey is what may be shown of a key.
func shownKey(k *access.APIKey) string {
	return string(k.Kind) + "_" + string(k.Environment) + "_…" + k.Hint
}

func ownerOf(k *access.APIKey) string {
	if k.ClientID != "" {
		return "client " + k.ClientID
	}
	return "user " + k.UserID
}

func printNewKey(to streams, h *server.House, k *access.APIKey, secret apikey.Key, asJSON bool) error {
	if asJSON {
		return printJSON(to.Out, management.ShowAPIKey(k, h.Clock.Now(), secret))
	}
	fmt.Fprintln(to.Err, "The key is shown once. Keep it out of code, logs and addresses.")
	return printKey(to, h, k, secret)
}

func printKey(to streams, h *server.House, k *access.APIKey, secret apikey.Key) error {
	var from []string
	for _, n := range k.Networks {
		from = append(from, n.String())
	}
	shown := shownKey(k)
	if secret.Reveal() != "" {
		shown = secret.Reveal()
	}
	return details(to.Out,
		field{"id", k.ID}, field{"key", shown}, field{"name", k.Name}, field{"state", k.State(h.Clock.Now())}, field{"owner", ownerOf(k)},
		field{"organisation", k.Organization}, field{"audience", k.Audience}, field{"scope", k.Scope.String()}, field{"networks", lines(from)},
		field{"requests a minute", number(k.Rate)}, field{"requests a day", number(k.Quota)}, field{"expires", when(k.ExpiresAt)},
		field{"last used", when(k.LastUsedAt)}, field{"uses", number(k.Uses)}, field{"successor", k.Successor},
		field{"revoked", strings.TrimSpace(when(k.RevokedAt) + " " + k.RevokedBecause)},
	)
}

func number(n int64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

func day(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.DateOnly)
}
