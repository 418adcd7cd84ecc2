package management_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/gatehouse-dev/gatehouse/internal/base/db/dbtest"
	"github.com/gatehouse-dev/gatehouse/internal/core/schema"
	"github.com/gatehouse-dev/gatehouse/internal/endpoint/management"
	"github.com/gatehouse-dev/gatehouse/internal/server/demo"
	"github.com/gatehouse-dev/gatehouse/internal/server/servertest"
)

// What may be set is a list, and what is not on it is refused by name.
func TestThreat_AD04_UnknownFieldsAreRefused(t *testing.T) {
	node := servertest.New(t, servertest.Options{})
	c := asMachine(t, node)
	bob := node.UserID(t, demo.Stranger)
	spa := node.Content.Client(demo.SPA).ClientID
	api := c.want(200, "GET", "resource-servers?identifier="+demo.Audience, nil).array[0].(m)["id"].(string)
	machine := node.Content.Client(demo.Machine).ClientID
	grant := c.want(200, "GET", "client-grants?client_id="+machine, nil).array[0].(m)["id"].(string)

	valid := map[string]m{
		"POST clients":                         {"name": "x", "app_type": "spa"},
		"PATCH clients/" + spa:                 {"name": "x"},
		"POST apps":                            {"building": "spa", "sdk": "auth0-react", "name": "x"},
		"POST client-grants":                   {"client_id": machine, "audience": demo.Audience, "scope": []string{}},
		"PATCH client-grants/" + grant:         {"scope": []string{}},
		"POST resource-servers":                {"identifier": "https://x.example/"},
		"PATCH resource-servers/" + api:        {"name": "x"},
		"POST users":                           {"email": "x@example.com"},
		"PATCH users/" + bob:                   {"name": "x"},
		"POST users/" + bob + "/permissions":   {"permissions": []m{{"permission_name": demo.ReadShows, "resource_server_identifier": demo.Audience}}},
		"DELETE users/" + bob + "/permissions": {"permissions": []m{{"permission_name": demo.ReadShows, "resource_server_identifier": demo.Audience}}},
		"POST tickets/password-change":         {"user_id": bob},
	}
	foreign := []string{"is_admin", "tenant_id", "tenant", "password_hash", "id", "sub", "system", "is_system", "client_secret", "secret_hash", "created_at", "logins_count", "__proto__"}
	for call, body := range valid {
		method, path, _ := strings.Cut(call, " ")
		for _, name := range foreign {
			with := m{name: "x"}
			for k, v := range body {
				with[k] = v
			}
			if got := c.do(method, path, with); got.status != 400 || !strings.Contains(got.raw, name) {
				t.Errorf("%s with %s: %d %s", call, name, got.status, got.raw)
			}
		}
		for _, raw := range []string{``, `null`, `[]`, `"x"`, `{"name":"a","name":"b"}`, `{"NAME":"x"}`, `{} {}`, "{\"name\":\"\xff\"}", strings.Repeat(`{"user_metadata":`, 20) + `{}` + strings.Repeat(`}`, 20)} {
			if got := c.do(method, path, raw); got.status != 400 {
				t.Errorf("%s with %.40q: %d %s", call, raw, got.status, got.raw)
			}
		}
	}
	// What stands elsewhere may not be smuggled in either.
	c.want(400, "GET", "users?tenant_id=other", nil)
	c.want(400, "GET", "users?page=0&page=1", nil)
	c.want(400, "GET", "users?sort=email%3Bdrop", nil)
	for _, q := range []string{"name:x", `email:"a" OR email:"b"`, "email:*", "_exists_:email", "email:"} {
		if got := c.do("GET", "users?"+"q="+strings.ReplaceAll(strings.ReplaceAll(strings.ReplaceAll(q, " ", "+"), `"`, "%22"), "*", "%2A"), nil); got.status != 400 {
			t.Errorf("q=%s: %d %s", q, got.status, got.raw)
		}
	}
	// Nothing of all that changed anything.
	if got := c.want(200, "GET", "users/"+bob, nil); got.get("name") == "x" {
		t.Error("a refused call changed the user")
	}
}

func TestThreat_HT08_BodiesAreJSONAndSmall(t *testing.T) {
	node := servertest.New(t, servertest.Options{})
	c := asMachine(t, node)
	const body = `{"email":"typed@example.com"}`
	for _, kind := range []string{
		"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonp", "text/json",
		"application/json, text/plain", "application/json; charset=utf-16", "application/json; charset=utf-8; x=y", "application/json; boundary=x", "application/merge-patch+json",
	} {
		if got := c.do("POST", "users", body, "Content-Type", kind); got.status != 415 {
			t.Errorf("Content-Type %q: %d %s", kind, got.status, got.raw)
		}
	}
	large := `{"email":"large@example.com","name":"` + strings.Repeat("x", 1<<20) + `"}`
	if got := c.do("POST", "users", large); got.status != 413 {
		t.Errorf("a body over 1 MiB: %d", got.status)
	}
	for _, kind := range []string{"application/json", "application/json; charset=utf-8", "Application/JSON;charset=UTF-8"} {
		email := fmt.Sprintf(`{"email":"typed%d@example.com"}`, len(kind))
		if got := c.do("POST", "users", email, "Content-Type", kind); got.status != 201 {
			t.Errorf("Content-Type %q: %d %s", kind, got.status, got.raw)
		}
	}
}

// One spelling of a path reaches a route; every other reaches nothing.
func TestThreat_HT04_OtherSpellingsOfAPath(t *testing.T) {
	node := servertest.New(t, servertest.Options{})
	c := asMachine(t, node)
	c.want(200, "GET", "users", nil)
	host := strings.TrimPrefix(node.URL, "http://")
	for _, path := range []string{
		"//api/v2/users", "/api//v2/users", "/api/v2//users", "/api/v2/users/", "/api/v2/./users", "/api/v2/x/../users", "/api/v2/%2e%2e/v2/users",
		"/api/v2/users%2f", "/api/v2/%75sers", "/api/v2/users;x=1", "/API/v2/users", "/api/v2/Users", "/api/v2/users%00", "/api/v2/users%20", `/api/v2\users`,
		"/api/v2/users/..", "/api/v2/users/.", "/api/v2/users/%2e", "/api/v2/users/a%2fpermissions", "/api/v2/users/a/b/permissions", "/api/v2", "/api/v2/",
	} {
		// A stock client would clean the path before it is sent.
		conn, err := net.Dial("tcp", host)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nConnection: close\r\n\r\n", path, host, c.token)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		resp.Body.Close()
		conn.Close()
		if resp.StatusCode != http.StatusNotFound && resp.StatusCode != http.StatusBadRequest {
			t.Errorf("GET %s: %s", path, resp.Status)
		}
	}
}

// A method that is not in the table does nothing, and no header makes one out of another.
func TestThreat_HT05_MethodsAreThoseOfTheTable(t *testing.T) {
	node := servertest.New(t, servertest.Options{})
	c := asMachine(t, node)
	offered := map[string][]string{}
	for _, r := range management.Routes() {
		offered[r.Path] = append(offered[r.Path], r.Method)
	}
	for path, methods := range offered {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"} {
			if strings.Contains(" "+strings.Join(methods, " ")+" ", " "+method+" ") {
				continue
			}
			got := c.do(method, strings.ReplaceAll(path, "{id}", "x"), nil)
			allow := strings.Split(got.header.Get("Allow"), ", ")
			if got.status != 405 || len(allow) != len(methods) {
				t.Errorf("%s %s: %d, Allow %v, want %v", method, path, got.status, allow, methods)
			}
		}
	}
	bob := node.UserID(t, demo.Stranger)
	for _, header := range []string{"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"} {
		if got := c.do("GET", "users/"+bob, nil, header, "DELETE"); got.status != 200 {
			t.Errorf("%s: %d", header, got.status)
		}
		if got := c.do("POST", "users/"+bob, m{}, header, "DELETE"); got.status != 405 {
			t.Errorf("POST with %s: %d", header, got.status)
		}
	}
	c.want(200, "GET", "users/"+bob, nil)
}

// Bytes that are no text are refused in words, wherever they stand, on both engines.
func TestThreat_DB13_BytesThatAreNoText(t *testing.T) {
	for name, database := range map[string]func(t *testing.T) string{
		"SQLite":     func(t *testing.T) string { return "sqlite:" + dbtest.TemplateSQLite(t, schema.Files) },
		"PostgreSQL": func(t *testing.T) string { return dbtest.TemplatePostgreSQL(t, schema.Files) },
	} {
		t.Run(name, func(t *testing.T) {
			node := servertest.New(t, servertest.Options{Database: database(t)})
			c := asMachine(t, node)
			bob, machine := node.UserID(t, demo.Stranger), node.Content.Client(demo.Machine).ClientID
			for list, parameters := range map[string][]string{
				"users": {"q", "email"}, "client-grants": {"client_id", "audience"}, "resource-servers": {"identifier"}, "api-keys": {"user_id", "client_id"},
				"logout-receipts": {"client_id", "user_id", "session_id"}, "logs": {"from", "user_id"},
			} {
				for _, parameter := range parameters {
					for _, bytes := range []string{"%00", "%FF"} {
						if got := c.do("GET", list+"?"+parameter+"="+bytes, nil); got.status >= 500 {
							t.Errorf("%s?%s=%s: %d %s", list, parameter, bytes, got.status, got.raw)
						}
					}
				}
			}
			nul := "\x00"
			for call, bodies := range map[string][]m{
				"POST clients": {{"name": nul}, {"name": "x", "description": nul}, {"name": "x", "default_audience": nul}, {"name": "x", "callbacks": []string{"https://a.example/" + nul}}},
				"POST client-grants": {
					{"client_id": nul, "audience": demo.Audience}, {"client_id": machine, "audience": nul}, {"client_id": machine, "audience": demo.Audience, "scope": []string{nul}},
				},
				"POST resource-servers": {
					{"identifier": nul},
					{"identifier": "https://a.example/" + nul},
					{"identifier": "https://a.example/", "name": nul},
					{"identifier": "https://a.example/", "introspection_clients": []string{nul}},
					{"identifier": "https://a.example/", "scopes": []m{{"value": "a", "description": nul}}},
				},
				"POST users": {
					{"email": "a" + nul + "@example.com"}, {"email": "a@example.com", "name": nul}, {"email": "a@example.com", "nickname": nul}, {"email": "a@example.com", "picture": nul},
				},
				"POST users/" + bob + "/permissions":   {{"permissions": []m{{"permission_name": nul, "resource_server_identifier": demo.Audience}}}, {"permissions": []m{{"permission_name": "x", "resource_server_identifier": nul}}}},
				"DELETE users/" + bob + "/permissions": {{"permissions": []m{{"permission_name": nul, "resource_server_identifier": demo.Audience}}}, {"permissions": []m{{"permission_name": "x", "resource_server_identifier": nul}}}},
				"POST tickets/password-change":         {{"user_id": nul}},
				"POST api-keys": {
					{"name": nul, "user_id": bob, "audience": demo.Audience},
					{"name": "x", "user_id": nul, "audience": demo.Audience},
					{"name": "x", "client_id": nul, "audience": demo.Audience},
					{"name": "x", "user_id": bob, "audience": nul},
					{"name": "x", "user_id": bob, "audience": demo.Audience, "org_id": nul},
				},
				"POST apps": {{"building": nul}, {"building": "spa", "sdk": nul}, {"building": "spa", "sdk": "auth0-react", "name": nul}},
			} {
				method, path, _ := strings.Cut(call, " ")
				for _, body := range bodies {
					if got := c.do(method, path, body); got.status >= 500 || got.status < 400 {
						t.Errorf("%s with %v: %d %s", call, body, got.status, got.raw)
					}
				}
			}
		})
	}
}
