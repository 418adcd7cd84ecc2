package management

import (
	"github.com/gatehouse-dev/gatehouse/internal/base/id"
	"github.com/gatehouse-dev/gatehouse/internal/base/shell"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/checkup"
	"github.com/gatehouse-dev/gatehouse/internal/core/guide"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
)

// Guide is the tree of questions as it is shown.
type Guide struct {
	Question  string           `json:"question"`
	Buildings []guide.Building `json:"buildings"`
}

// Application is what came of the answers: the client or the API, and the lines that make the SDK
// work with it. These hold the client's secret, in this one answer.
type Application struct {
	Building       string          `json:"building"`
	SDK            string          `json:"sdk"`
	Client         *Client         `json:"client,omitempty"`
	ResourceServer *ResourceServer `json:"resource_server,omitempty"`
	Steps          []guide.Step    `json:"steps"`
	Notes          []Note          `json:"notes"`
}

// Note is something good to know, with a command that does something about it.
type Note struct {
	Text    string `json:"text"`
	Command string `json:"command,omitempty"`
}

// ShowApplication returns what is shown of an application that was made just now. house is what
// commands must be told to find the house.
func ShowApplication(tn *tenant.Tenant, app *guide.Application, house ...string) (Application, error) {
	out := Application{Building: app.Building.ID, SDK: app.SDK.ID, Notes: []Note{}}
	if app.Client != nil {
		client := ShowClient(tn, app.Client, app.Secret)
		out.Client = &client
	} else {
		api := ShowAPI(tn, app.API)
		out.ResourceServer = &api
	}
	for _, n := range app.Notes() {
		out.Notes = append(out.Notes, Note{n.Text, Command(n.Command, house...)})
	}
	var err error
	out.Steps, err = app.Steps(tn.Issuer, id.Secret())
	return out, err
}

// Command returns a command of this program as it is typed; empty for none.
func Command(words []string, house ...string) string {
	if len(words) == 0 {
		return ""
	}
	return "gatehouse " + shell.Join(append(append([]string{}, words...), house...)...)
}

func getGuide(*call) (answer, error) { return ok(Guide{guide.Question, guide.Tree()}) }

func createApplication(c *call) (answer, error) {
	var in guide.Answers
	if err := c.decode(&in); err != nil {
		return answer{}, err
	}
	app, err := c.Admin.PlanApplication(c.ctx, c.tn, in)
	if err != nil {
		return answer{}, err
	}
	if err := c.mayCreate(app); err != nil {
		return answer{}, err
	}
	if err := c.Admin.CreateApplication(c.ctx, c.tn, app, c.by()); err != nil {
		return answer{}, err
	}
	shown, err := ShowApplication(c.tn, app)
	if err != nil {
		return answer{}, err
	}
	return created(shown)
}

// mayCreate: what comes along with the client takes the permissions that it takes elsewhere.
func (c *call) mayCreate(app *guide.Application) error {
	needed := ""
	switch {
	case app.NewAPI != nil:
		needed = "create:resource_servers"
	case app.Client == nil:
		needed = "read:resource_servers"
	case len(app.Client.Grants) > 0:
		needed = "create:client_grants"
	}
	if needed != "" && !c.caller.rights.Contains(needed) {
		return insufficient(needed)
	}
	if app.Client == nil {
		return nil
	}
	return c.outrankRights(app.Client.Grants[c.tn.ManagementAudience()])
}

// Checkup is what is wrong with the configuration of a client.
type Checkup struct {
	ClientID string    `json:"client_id"`
	Name     string    `json:"name"`
	Seen     bool      `json:"seen"` // whether it has been heard of in the last month
	Findings []Finding `json:"findings"`
	Lasts    []Last    `json:"lasts"`
}

// Finding is one thing that is wrong, or was.
type Finding struct {
	Level      checkup.Level `json:"level"` // wrong, look or settled
	Kind       checkup.Kind  `json:"kind"`
	Title      string        `json:"title"`
	Sent       string        `json:"sent,omitempty"`
	Registered string        `json:"registered,omitempty"`
	Difference string        `json:"difference,omitempty"`
	Fix        string        `json:"fix,omitempty"`
	Command    string        `json:"command,omitempty"`
	Count      int64         `json:"count"`
	LastAt     string        `json:"last_at,omitempty"`
}

// Last is when something last went well.
type Last struct {
	Kind  checkup.Kind `json:"kind"`
	Title string       `json:"title"`
	At    string       `json:"at"`
}

// ShowCheckup returns what is shown of an examination. house is what commands must be told to find
// the house.
func ShowCheckup(client *apps.Client, r checkup.Report, house ...string) Checkup {
	out := Checkup{ClientID: client.ClientID, Name: client.Name, Seen: r.Seen, Findings: []Finding{}, Lasts: []Last{}}
	for _, f := range r.Findings {
		out.Findings = append(out.Findings, Finding{
			f.Level, f.Kind, f.Title, f.Sent, f.Registered, f.Difference, f.Fix, Command(f.Command, house...), f.Count, stamp(f.LastAt),
		})
	}
	for _, l := range r.Lasts {
		out.Lasts = append(out.Lasts, Last{l.Kind, l.Title, stamp(l.At)})
	}
	return out
}

func checkApplication(c *call) (answer, error) {
	client, report, err := c.Admin.CheckClient(c.ctx, c.tn, c.id)
	if err != nil {
		return answer{}, named(err, "client")
	}
	return ok(ShowCheckup(client, report))
}
