package management_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/gatehouse-dev/gatehouse/internal/server/demo"
	"github.com/gatehouse-dev/gatehouse/internal/server/servertest"
)

// client calls the API of a house with one access token.
type client struct {
	t     testing.TB
	node  *servertest.Instance
	token string
}

// reply is an answer, read.
type reply struct {
	status int
	header http.Header
	raw    string
	object map[string]any
	array  []any
}

func (r reply) get(name string) string { s, _ := r.object[name].(string); return s }

// asMachine calls in the name of the demo's management client, with these scopes or all.
func asMachine(t testing.TB, node *servertest.Instance, scopes ...string) *client {
	t.Helper()
	args := []string{"grant_type", "client_credentials", "audience", node.House.Tenant.ManagementAudience()}
	if len(scopes) > 0 {
		args = append(args, "scope", strings.Join(scopes, " "))
	}
	tokens := node.PostForm(t, "/oauth/token", demo.Management, args...)
	if tokens.Error != "" {
		t.Fatalf("token: %s %s", tokens.Error, tokens.Description)
	}
	return &client{t, node, tokens.AccessToken}
}

// asUser calls as somebody who signed in to the single-page application and asked for these scopes.
func asUser(t testing.TB, node *servertest.Instance, email string, scopes ...string) *client {
	t.Helper()
	tokens, _ := node.TokensFor(t, email, demo.SPA, "audience", node.House.Tenant.ManagementAudience(), "scope", "openid "+strings.Join(scopes, " "))
	return &client{t, node, tokens.AccessToken}
}

// do sends a request. body is nil, a string that is sent as it is, or something to write as JSON.
func (c *client) do(method, path string, body any, header ...string) reply {
	c.t.Helper()
	var reader io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		reader = strings.NewReader(b)
	default:
		raw, err := json.Marshal(b)
		if err != nil {
			c.t.Fatal(err)
		}
		reader = bytes.NewReader(raw)
	}
	r, err := http.NewRequest(method, c.node.URL+"/api/v2/"+path, reader)
	if err != nil {
		c.t.Fatal(err)
	}
	if reader != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i+1] == "" {
			r.Header.Del(header[i])
			continue
		}
		r.Header.Set(header[i], header[i+1])
	}
	return c.send(r)
}

func (c *client) send(r *http.Request) reply {
	c.t.Helper()
	resp, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	out := reply{status: resp.StatusCode, header: resp.Header, raw: string(raw)}
	if len(raw) == 0 {
		return out
	}
	if got := resp.Header.Get("Content-Type"); got != "application/json" {
		c.t.Errorf("%s %s: Content-Type %q", r.Method, r.URL.Path, got)
	}
	target := any(&out.object)
	if raw[0] == '[' {
		target = &out.array
	}
	if err := json.Unmarshal(raw, target); err != nil {
		c.t.Fatalf("%s %s: %v\n%s", r.Method, r.URL.Path, err, raw)
	}
	return out
}

// want sends a request and demands a status.
func (c *client) want(status int, method, path string, body any) reply {
	c.t.Helper()
	got := c.do(method, path, body)
	if got.status != status {
		c.t.Fatalf("%s %s: %d, want %d\n%s", method, path, got.status, status, got.raw)
	}
	if status >= 400 && (got.object["statusCode"] != float64(status) || got.get("error") == "" || got.get("message") == "" || got.get("errorCode") == "") {
		c.t.Errorf("%s %s: not the shape of an error: %s", method, path, got.raw)
	}
	return got
}

type m = map[string]any
