package server_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"testing"

	"github.com/gatehouse-dev/gatehouse/internal/base/config"
	"github.com/gatehouse-dev/gatehouse/internal/server"
	"github.com/gatehouse-dev/gatehouse/internal/server/servertest"
)

// visit is a request as a handler sees it.
type visit struct {
	from, host, header, value string
}

// warned returns the lines that a house in production logs when these requests come.
func warned(t *testing.T, configure func(*config.Config), visits ...visit) (lines []map[string]string) {
	t.Helper()
	var log bytes.Buffer
	c := servertest.Config("sqlite:"+filepath.Join(t.TempDir(), "gatehouse.db"), "https://login.test")
	configure(c)
	house, err := server.Open(t.Context(), server.Options{Config: c, Hash: servertest.CheapHashes(), Log: slog.New(slog.NewJSONHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer house.Close()
	handler, err := house.Handler()
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range visits {
		r := httptest.NewRequest(http.MethodGet, "https://login.test/.well-known/openid-configuration", nil)
		r.RemoteAddr, r.Host = v.from, v.host
		if v.header != "" {
			r.Header.Set(v.header, v.value)
		}
		handler.ServeHTTP(httptest.NewRecorder(), r)
	}
	decoder := json.NewDecoder(&log)
	for decoder.More() {
		var line map[string]string
		if err := decoder.Decode(&line); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line)
	}
	return lines
}

// An operator who forgot to name the proxy is told so once, with the line that mends it; what strangers
// make up can neither fill the log nor keep that from being said.
func TestProxyThatIsNotConfigured(t *testing.T) {
	none := func(*config.Config) {}
	const named = "login.test"
	for name, test := range map[string]struct {
		configure func(*config.Config)
		visits    []visit
		fixes     []string
	}{
		"nobody says so":         {none, []visit{{"10.0.0.7:1", named, "", ""}}, nil},
		"a proxy nearby":         {none, []visit{{"10.0.0.7:1", named, "X-Forwarded-For", "203.0.113.9"}, {"10.0.0.8:1", named, "X-Forwarded-For", "203.0.113.9"}}, []string{"proxies: [10.0.0.7]"}},
		"by the standard":        {none, []visit{{"[::1]:1", named, "Forwarded", "for=203.0.113.9"}}, []string{"proxies: [::1]"}},
		"nginx's own":            {none, []visit{{"127.0.0.1:1", named, "X-Real-IP", "203.0.113.9"}}, []string{"proxies: [127.0.0.1]"}},
		"a stranger comes first": {none, []visit{{"198.51.100.1:1", named, "X-Forwarded-For", "1.1.1.1"}, {"198.51.100.2:1", named, "Forwarded", "x"}, {"10.0.0.7:1", named, "X-Forwarded-For", "203.0.113.9"}}, []string{"proxies: [198.51.100.1]", "proxies: [10.0.0.7]"}},
		"one of two": {
			func(c *config.Config) { c.Proxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/24")} },
			[]visit{{"10.0.0.7:1", named, "X-Forwarded-For", "203.0.113.9"}, {"10.0.1.7:1", named, "X-Forwarded-For", "203.0.113.9"}},
			[]string{"proxies: [10.0.0.0/24, 10.0.1.7]"},
		},
	} {
		lines := warned(t, test.configure, test.visits...)
		if len(lines) != len(test.fixes) {
			t.Errorf("%s: %d warnings: %v", name, len(lines), lines)
			continue
		}
		for n, fix := range test.fixes {
			if lines[n]["level"] != "WARN" || lines[n]["if_it_is_your_proxy"] != fix {
				t.Errorf("%s: %v, want %q", name, lines[n], fix)
			}
		}
	}
}

// A house that is opened under another address says so: its database knows which it had.
func TestIssuerThatChanges(t *testing.T) {
	path := "sqlite:" + filepath.Join(t.TempDir(), "gatehouse.db")
	for _, test := range []struct{ origin, was string }{
		{"https://login.test", ""}, {"https://login.test", ""}, {"https://id.test", "https://login.test/"}, {"https://id.test", ""},
	} {
		var log bytes.Buffer
		house, err := server.Open(t.Context(), server.Options{
			Config: servertest.Config(path, test.origin), Hash: servertest.CheapHashes(), Log: slog.New(slog.NewJSONHandler(&log, nil)),
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := house.Close(); err != nil {
			t.Fatal(err)
		}
		line := struct{ Was, Is string }{}
		if log.Len() > 0 {
			if err := json.Unmarshal(log.Bytes(), &line); err != nil {
				t.Fatalf("%v: %s", err, &log)
			}
		}
		if line.Was != test.was {
			t.Errorf("%s: %s", test.origin, &log)
		}
	}
}

func TestHostThatIsNotServed(t *testing.T) {
	lines := warned(t, func(*config.Config) {}, visit{"10.0.0.7:1", "login.test", "", ""}, visit{"10.0.0.7:1", "127.0.0.1:8080", "", ""}, visit{"10.0.0.7:1", "other.test", "", ""})
	if len(lines) != 1 || lines[0]["level"] != "WARN" || lines[0]["host"] != "127.0.0.1:8080" || lines[0]["issuer"] != "https://login.test/" {
		t.Errorf("%v", lines)
	}
}
