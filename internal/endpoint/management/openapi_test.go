package management_test

import (
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/gatehouse-dev/gatehouse/internal/core/guide"
	"github.com/gatehouse-dev/gatehouse/internal/endpoint/management"
	"github.com/gatehouse-dev/gatehouse/internal/server"
	"github.com/gatehouse-dev/gatehouse/internal/server/servertest"
)

// document is as much of an OpenAPI document as is held against the API.
type document struct {
	OpenAPI    string
	Paths      map[string]map[string]operation
	Components struct {
		Parameters map[string]struct {
			Name, In string
			Required bool
		}
		Schemas map[string]struct {
			Required   []string
			Properties map[string]any
		}
		SecuritySchemes map[string]struct {
			Flows map[string]struct{ Scopes map[string]string }
		} `yaml:"securitySchemes"`
	}
}

type operation struct {
	OperationID string `yaml:"operationId"`
	Security    []map[string][]string
	Parameters  []map[string]string
	RequestBody any `yaml:"requestBody"`
	Responses   map[string]any
}

// served reads the description where a house serves it, without a token.
func served(t *testing.T) (d document, text string) {
	t.Helper()
	node := servertest.New(t, servertest.Options{})
	p := node.NewBrowser(t).Get(management.PathDescription)
	if p.StatusCode != http.StatusOK || p.Header.Get("Content-Type") != "application/yaml" {
		t.Fatalf("%s %v", p.Status, p.Header)
	}
	if err := yaml.Unmarshal([]byte(p.Body), &d); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(d.OpenAPI, "3.1.") {
		t.Errorf("openapi: %q", d.OpenAPI)
	}
	return d, p.Body
}

// What is described is what there is: every route, with its permission, its parameters and whether it takes a
// body, and nothing beside it.
func TestDescriptionHasEveryRoute(t *testing.T) {
	d, text := served(t)
	described, ids := map[string]bool{}, map[string]bool{}
	segment := regexp.MustCompile(`\{(\w+)\}`)
	for path, operations := range d.Paths {
		for method, o := range operations {
			name := strings.ToUpper(method) + " " + segment.ReplaceAllString(strings.TrimPrefix(path, "/"), "{id}")
			described[name] = true
			if o.OperationID == "" || ids[o.OperationID] {
				t.Errorf("%s: operationId %q", name, o.OperationID)
			}
			ids[o.OperationID] = true
			var parameters []string
			for _, ref := range o.Parameters {
				parameter := strings.TrimPrefix(ref["$ref"], "#/components/parameters/")
				is, ok := d.Components.Parameters[parameter]
				if !ok || parameter != is.In+"_"+is.Name || is.Required != (is.In == "path") {
					t.Errorf("%s: parameter %s is %+v", name, parameter, is)
				}
				parameters = append(parameters, parameter)
			}
			var wanted []string
			for _, m := range segment.FindAllStringSubmatch(path, -1) {
				wanted = append(wanted, "path_"+m[1])
			}
			i := slices.IndexFunc(management.Routes(), func(r management.Route) bool { return r.Method+" "+r.Path == name })
			if i < 0 {
				t.Errorf("%s is described, and does not exist", name)
				continue
			}
			r := management.Routes()[i]
			for _, q := range r.Query {
				wanted = append(wanted, "query_"+q)
			}
			slices.Sort(parameters)
			slices.Sort(wanted)
			if !slices.Equal(parameters, wanted) {
				t.Errorf("%s: parameters %v, want %v", name, parameters, wanted)
			}
			if len(o.Security) != 1 || !slices.Equal(o.Security[0]["token"], []string{r.Permission}) {
				t.Errorf("%s: security %v, want %s", name, o.Security, r.Permission)
			}
			if (o.RequestBody != nil) != r.TakesBody {
				t.Errorf("%s: body %v, want %v", name, o.RequestBody != nil, r.TakesBody)
			}
			if o.Responses["default"] == nil || len(o.Responses) != 2 {
				t.Errorf("%s: responses %v", name, o.Responses)
			}
		}
	}
	for _, r := range management.Routes() {
		if !described[r.Method+" "+r.Path] {
			t.Errorf("%s %s is not described", r.Method, r.Path)
		}
	}
	for _, m := range regexp.MustCompile(`'#/components/schemas/(\w+)'`).FindAllStringSubmatch(text, -1) {
		if _, ok := d.Components.Schemas[m[1]]; !ok {
			t.Errorf("there is no schema %s", m[1])
		}
	}
	scopes := d.Components.SecuritySchemes["token"].Flows["clientCredentials"].Scopes
	for _, p := range server.ManagementPermissions() {
		if scopes[p.Value] != p.Description {
			t.Errorf("scope %s: %q, want %q", p.Value, scopes[p.Value], p.Description)
		}
	}
	if len(scopes) != len(server.ManagementPermissions()) {
		t.Errorf("%d scopes", len(scopes))
	}
}

// The members of what is taken and what is answered are those that are described.
func TestDescriptionHasEveryMember(t *testing.T) {
	d, _ := served(t)
	for name, example := range map[string]any{
		"Client": management.Client{}, "JWTConfiguration": management.JWTConfiguration{}, "RefreshToken": management.RefreshToken{},
		"OIDCLogout": management.OIDCLogout{}, "Guide": management.Guide{}, "Application": management.Application{}, "Answers": guide.Answers{},
		"Checkup": management.Checkup{}, "Finding": management.Finding{}, "ResourceServer": management.ResourceServer{}, "User": management.User{},
		"APIKey": management.APIKey{}, "SigningKey": management.SigningKey{}, "LogoutReceipt": management.LogoutReceipt{},
		"ClientGrant": management.GrantBody{}, "LogEntry": management.LogBody{}, "Permission": management.PermissionBody{}, "APIKeyUse": management.KeyUse{},
		"ClientInput": management.ClientInput{}, "OIDCLogoutInput": management.OIDCLogoutInput{}, "UserInput": management.UserInput{},
		"ResourceServerInput": management.ResourceServerInput{}, "APIKeyInput": management.APIKeyInput{}, "APIKeyChange": management.APIKeyChange{},
	} {
		var wanted, got []string
		for _, f := range reflect.VisibleFields(reflect.TypeOf(example)) {
			member, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if f.Anonymous || name == "UserInput" && member == "password" { // which is read to be refused
				continue
			}
			wanted = append(wanted, member)
		}
		schema := d.Components.Schemas[name]
		for member := range schema.Properties {
			got = append(got, member)
		}
		slices.Sort(wanted)
		slices.Sort(got)
		if !slices.Equal(got, wanted) {
			t.Errorf("%s: %v, want %v", name, got, wanted)
		}
		for _, member := range schema.Required {
			if !slices.Contains(got, member) {
				t.Errorf("%s demands %s, which it has not", name, member)
			}
		}
	}
}
