package guard_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gatehouse-dev/gatehouse/guard"
)

// is is a scheme for tests that names the same principal for every request.
type is guard.Principal

func (s *is) Authenticate(*http.Request) (guard.Result, error) {
	p := guard.Principal(*s)
	return guard.Result{Principal: &p}, nil
}

func (s *is) Challenge(_ *http.Request, why *guard.Error) []string {
	if why == nil {
		return []string{"Is"}
	}
	return []string{"Is error=" + string(why.Code)}
}

func TestRequirementsOfPrincipals(t *testing.T) {
	admin := &is{Roles: []string{"admin", "staff"}, Organization: "org_1"}
	dpop := &is{Confirmation: guard.Confirmation{JKT: "thumbprint"}}
	mtls := &is{Confirmation: guard.Confirmation{X5T: "thumbprint"}}
	nobody := &is{}
	tests := []struct {
		name   string
		who    *is
		option guard.Option
		status int
		code   guard.Code
	}{
		{"role held", admin, guard.Roles("admin"), 200, ""},
		{"every role held", admin, guard.Roles("staff", "admin"), 200, ""},
		{"one role of two", admin, guard.Roles("admin", "owner"), 403, guard.AccessDenied},
		{"no role", nobody, guard.Roles("admin"), 403, guard.AccessDenied},
		{"its organisation", admin, guard.Organizations("org_2", "org_1"), 200, ""},
		{"another organisation", admin, guard.Organizations("org_2"), 403, guard.AccessDenied},
		{"no organisation", nobody, guard.Organizations("org_2"), 403, guard.AccessDenied},
		{"DPoP is bound", dpop, guard.Bound(), 200, ""},
		{"mTLS is bound", mtls, guard.Bound(), 200, ""},
		{"nothing is not bound", nobody, guard.Bound(), 401, guard.InvalidToken},
		{"DPoP", dpop, guard.DPoPBound(), 200, ""},
		{"mTLS is not DPoP", mtls, guard.DPoPBound(), 401, guard.InvalidToken},
		{"mTLS", mtls, guard.CertificateBound(), 200, ""},
		{"DPoP is not mTLS", dpop, guard.CertificateBound(), 401, guard.InvalidToken},
		{"either: first", admin, guard.Either(guard.Roles("admin"), guard.Scopes("write")), 200, ""},
		{"either: second", admin, guard.Either(guard.Scopes("write"), guard.Roles("admin")), 200, ""},
		{"either: none, the first answers", nobody, guard.Either(guard.Scopes("write"), guard.Roles("admin")), 403, guard.InsufficientScope},
		{"either: nested", mtls, guard.Either(guard.Roles("admin"), guard.Either(guard.DPoPBound(), guard.CertificateBound())), 200, ""},
		{"an error that is nil inside", admin, guard.Where(func(*http.Request, *guard.Principal) error { var e *guard.Error; return e }), 403, guard.AccessDenied},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := get(guard.Require(tt.who, tt.option)(http.HandlerFunc(whoami)))
			if w.Code != tt.status {
				t.Fatalf("status %d, want %d: %s", w.Code, tt.status, w.Body)
			}
			if tt.code != "" && !strings.Contains(w.Body.String(), string(tt.code)) {
				t.Errorf("%s, want the code %s", w.Body, tt.code)
			}
			if strings.Contains(w.Body.String(), "owner") {
				t.Error("the refusal names the role")
			}
		})
	}
}

// A requirement that nothing stands in, or that stands for two things, is a
// mistake in the program: it must not build.
func TestThreat_RP08_EmptyRequirementIsAPanic(t *testing.T) {
	ok := pass{header: "X"}
	for name, build := range map[string]func(){
		"Roles of nothing":         func() { guard.Roles() },
		"Roles of an empty name":   func() { guard.Roles("") },
		"Organizations of nothing": func() { guard.Organizations() },
		"Organizations of none":    func() { guard.Organizations("org_1", "") },
		"ACR of nothing":           func() { guard.ACR() },
		"ACR of an empty value":    func() { guard.ACR("") },
		"ACR of two in one":        func() { guard.ACR("gold silver") },
		"ACR twice":                func() { guard.Require(ok, guard.ACR("gold"), guard.ACR("silver")) },
		"MaxAge of nothing":        func() { guard.MaxAge(0) },
		"MaxAge negative":          func() { guard.MaxAge(-1) },
		"MaxAge of a millisecond":  func() { guard.MaxAge(1e6) },
		"Clock nil":                func() { guard.Clock(nil) },
		"Either of nothing":        func() { guard.Either() },
		"Either of one":            func() { guard.Either(guard.Users()) },
		"Either of nil":            func() { guard.Require(ok, guard.Either(guard.Users(), nil)) },
		"Either of what asks for nothing": func() {
			guard.Require(ok, guard.Either(guard.Users(), guard.Refuse(func(http.ResponseWriter, *http.Request, *guard.Refusal) {})))
		},
		"AllOf of nothing":         func() { guard.AllOf() },
		"AllOf of one":             func() { guard.AllOf(ok) },
		"AllOf of nil":             func() { guard.AllOf(ok, nil) },
		"Optional with a role":     func() { guard.Optional(ok, guard.Roles("admin")) },
		"Optional with a step-up":  func() { guard.Optional(ok, guard.ACR("gold")) },
		"Optional with an either":  func() { guard.Optional(ok, guard.Either(guard.Users(), guard.Clients())) },
		"Optional that must bind":  func() { guard.Optional(ok, guard.Bound()) },
		"Optional of an empty set": func() { guard.Optional(guard.AnyOf()) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s builds", name)
				}
			}()
			build()
		}()
	}
}

func TestThreat_RP08_AllOf(t *testing.T) {
	a, b, c := pass{header: "X-A"}, pass{header: "X-B"}, pass{header: "X-C"}
	h := guard.Require(guard.AnyOf(guard.AllOf(a, b), c))(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, _ := guard.From(r.Context())
		for _, p := range append([]*guard.Principal{who}, who.Also...) {
			_, _ = w.Write([]byte(p.Subject + " "))
		}
	}))
	tests := []struct {
		name       string
		header     []string
		status     int
		body       string
		challenges string
	}{
		{"both", []string{"X-A", "alice", "X-B", "app"}, 200, "alice app ", ""},
		{"the other way in", []string{"X-C", "carol"}, 200, "carol ", ""},
		{"both ways", []string{"X-A", "alice", "X-B", "app", "X-C", "carol"}, 200, "alice app ", ""},
		{"half", []string{"X-A", "alice"}, 401, "", "X-A|X-B|X-C"},
		{"the other half", []string{"X-B", "app"}, 401, "", "X-A|X-B|X-C"},
		{"nothing", nil, 401, "", "X-A|X-B|X-C"},
		{"one is bad", []string{"X-A", "alice", "X-B", "bad"}, 401, "", `X-A|X-B error="invalid_token"|X-C`},
		{"the first is bad", []string{"X-A", "bad", "X-B", "app"}, 401, "", `X-A error="invalid_token"|X-B|X-C`},
		{"bad beside the other way in", []string{"X-A", "bad", "X-C", "carol"}, 401, "", `X-A error="invalid_token"|X-B|X-C`},
		{"half and bad", []string{"X-B", "bad"}, 401, "", `X-A|X-B error="invalid_token"|X-C`},
		{"broken", []string{"X-A", "alice", "X-B", "broken"}, 500, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := get(h, tt.header...)
			if w.Code != tt.status || tt.body != "" && w.Body.String() != tt.body {
				t.Errorf("%d %s, want %d %s", w.Code, w.Body, tt.status, tt.body)
			}
			if got := strings.Join(w.Header().Values("WWW-Authenticate"), "|"); got != tt.challenges {
				t.Errorf("challenges %q, want %q", got, tt.challenges)
			}
		})
	}

	anonymous := guard.Optional(guard.AllOf(a, b))(http.HandlerFunc(whoami))
	if w := get(anonymous, "X-A", "alice"); w.Body.String() != "nobody" {
		t.Errorf("half of a credential names %s", w.Body)
	}
	more := guard.Require(guard.AllOf(a, b), guard.Scopes("write"))(http.HandlerFunc(whoami))
	if w := get(more, "X-A", "alice", "X-B", "app"); w.Code != 403 || w.Header().Get("WWW-Authenticate") != `X-A error="insufficient_scope"` {
		t.Errorf("%d %v: a requirement is the first scheme's to explain", w.Code, w.Header())
	}
}

// What a scheme hands out may be shared: a chain must not write into it.
func TestAllOfCopies(t *testing.T) {
	shared := &guard.Principal{Subject: "alice"}
	keeps := scheme(func(*http.Request) (guard.Result, error) { return guard.Result{Principal: shared}, nil })
	get(guard.Require(guard.AllOf(keeps, &is{Subject: "app"}))(http.HandlerFunc(whoami)))
	if len(shared.Also) != 0 {
		t.Error("the scheme's own principal was changed")
	}
}

type scheme func(*http.Request) (guard.Result, error)

func (s scheme) Authenticate(r *http.Request) (guard.Result, error) { return s(r) }
func (s scheme) Challenge(*http.Request, *guard.Error) []string     { return nil }

func TestHooksOfAllOf(t *testing.T) {
	count := 0
	hook := func(http.Header) { count++ }
	a, b := pass{header: "X-A", hook: hook}, pass{header: "X-B", hook: hook}
	for _, header := range [][]string{{"X-A", "alice", "X-B", "app"}, {"X-A", "bad", "X-B", "bad"}, nil} {
		count = 0
		get(guard.Require(guard.AllOf(a, b))(http.HandlerFunc(whoami)), header...)
		if count != 2 {
			t.Errorf("%v: %d hooks ran of 2", header, count)
		}
	}
}

func BenchmarkRequire(b *testing.B) {
	known := &guard.Principal{Subject: "alice", Scopes: []string{"read"}, Roles: []string{"admin"}}
	keeps := scheme(func(*http.Request) (guard.Result, error) { return guard.Result{Principal: known}, nil })
	h := guard.Require(keeps, guard.Scopes("read"), guard.Roles("admin"))(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	r, w := httptest.NewRequest(http.MethodGet, "/", nil), httptest.NewRecorder()
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(w, r)
	}
}
