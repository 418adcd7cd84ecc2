package management

import (
	"encoding/base64"
	"strings"

	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// grantBody is what a client may ask for in its own name at one API.
type grantBody struct {
	ID       string   `json:"id"`
	ClientID string   `json:"client_id"`
	Audience string   `json:"audience"`
	Scope    []string `json:"scope"`
}

func showGrant(g apps.ClientGrant) grantBody {
	return grantBody{grantID(g.ClientID, g.Audience), g.ClientID, g.Audience, orEmpty(g.Scope)}
}

const grantPrefix = "cgr_"

// grantID names a grant by what makes it the only one: its client and its audience.
func grantID(clientID, audience string) string {
	return grantPrefix + base64.RawURLEncoding.EncodeToString([]byte(clientID+"\n"+audience))
}

func parseGrantID(id string) (clientID, audience string, err error) {
	encoded, ours := strings.CutPrefix(id, grantPrefix)
	raw, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	clientID, audience, two := strings.Cut(string(raw), "\n")
	if err != nil || !ours || !two {
		return "", "", named(fault.New(fault.NotFound, ""), "client_grant")
	}
	return clientID, audience, nil
}

func listClientGrants(c *call) (answer, error) {
	p, err := c.query.paging()
	if err != nil {
		return answer{}, err
	}
	grants, total, err := c.Apps.ListClientGrants(c.ctx, c.tn, c.query.get("client_id"), c.query.get("audience"), apps.Page{Offset: p.offset, Limit: p.limit})
	if err != nil {
		return answer{}, err
	}
	var items []grantBody
	for _, g := range grants {
		items = append(items, showGrant(g))
	}
	return list(p, "client_grants", items, total)
}

func createClientGrant(c *call) (answer, error) {
	var in struct {
		ClientID string   `json:"client_id"`
		Audience string   `json:"audience"`
		Scope    []string `json:"scope"`
	}
	if err := c.decode(&in); err != nil {
		return answer{}, err
	}
	g := apps.ClientGrant{ClientID: in.ClientID, Audience: in.Audience, Scope: oauth.Scope(in.Scope)}
	if err := c.setGrant(g, true); err != nil {
		return answer{}, err
	}
	return created(showGrant(g))
}

func updateClientGrant(c *call) (answer, error) {
	var in struct {
		Scope []string `json:"scope"`
	}
	if err := c.decode(&in); err != nil {
		return answer{}, err
	}
	clientID, audience, err := parseGrantID(c.id)
	if err != nil {
		return answer{}, err
	}
	g := apps.ClientGrant{ClientID: clientID, Audience: audience, Scope: oauth.Scope(in.Scope)}
	if err := c.setGrant(g, false); err != nil {
		return answer{}, named(err, "client_grant")
	}
	return ok(showGrant(g))
}

// setGrant hands out no permission of this API that the caller lacks, and touches no client that
// has more of them.
func (c *call) setGrant(g apps.ClientGrant, fresh bool) error {
	if g.Audience == c.tn.ManagementAudience() {
		if err := c.outrankRights(g.Scope); err != nil {
			return err
		}
	}
	if err := c.outrankClient(g.ClientID); err != nil {
		return err
	}
	return c.Admin.SetClientGrant(c.ctx, c.tn, g, fresh, c.by())
}

func deleteClientGrant(c *call) (answer, error) {
	clientID, audience, err := parseGrantID(c.id)
	if err != nil {
		return answer{}, err
	}
	if err := c.outrankClient(clientID); err != nil {
		return answer{}, named(err, "client_grant")
	}
	if err := c.Admin.DeleteClientGrant(c.ctx, c.tn, clientID, audience, c.by()); err != nil {
		return answer{}, named(err, "client_grant")
	}
	return gone()
}
