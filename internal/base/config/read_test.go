package config

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestEnvironmentLiesOverTheFile(t *testing.T) {
	dir := folder(t)
	path := writeFile(t, dir, "gatehouse.yaml", 0o600, complete("log: {level: warn, format: text}\nsign_up: true\n", dir))
	c, err := Read(path, []string{
		"GATEHOUSE_LOG_LEVEL=debug",
		"GATEHOUSE_LOG_FORMAT=", // as good as not set
		"GATEHOUSE_SIGN_UP=false",
		"GATEHOUSE_PROXIES=10.0.0.0/8, fd00::/8,192.0.2.1",
		"GATEHOUSE_SESSIONS_IDLE=1d12h",
		"GATEHOUSE_PASSWORD_MIN_LENGTH=15",
		"GATEHOUSE_MAIL_PASSWORD=file:" + dir + "/master.key",
		"GATEHOUSE_MASTER_KEYS_FILE=" + dir + "/masters.key",
		"GATEHOUSE_CONFIG=x", "GATEHOUSE_TEST_POSTGRES=x", "GATEHOUSE_PROOF=1",
		"GATEHOUSE_PORT=tcp://10.0.0.1:443", "GATEHOUSE_PORT_443_TCP_ADDR=10.0.0.1", "GATEHOUSE_SERVICE_HOST=10.0.0.1",
		"GATEHOUSE_OPERATIONS_SERVICE_PORT_HTTP=9090",
		"OTHER=x",
	})
	if err != nil {
		t.Fatal(err)
	}
	var networks []string
	for _, p := range c.Proxies {
		networks = append(networks, p.String())
	}
	got := []any{c.Log.Level, c.Log.Format, c.SignUp, strings.Join(networks, " "), c.Sessions.Idle, c.Password.MinLength, len(c.MasterKeys)}
	want := []any{"debug", "text", false, "10.0.0.0/8 fd00::/8 192.0.2.1/32", 36 * time.Hour, 15, 2}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if c.Mail.Password.Reveal() == "" || strings.ContainsAny(c.Mail.Password.Reveal(), "\n ") {
		t.Error("the password of the file is wrong")
	}
}

func TestEnvironmentIsStrict(t *testing.T) {
	dir := folder(t)
	for env, want := range map[string]string{
		"GATEHOUSE_SIGNUP=false":                              "GATEHOUSE_SIGNUP: is not a setting\n    Did you mean GATEHOUSE_SIGN_UP?",
		"GATEHOUSE_ISSUER_FILE=/x":                            "GATEHOUSE_ISSUER_FILE: is not a setting",
		"GATEHOUSE_SIGN_UP=yes":                               `GATEHOUSE_SIGN_UP: sign_up: "yes" must be true or false`,
		"GATEHOUSE_MAIL_PORT=tcp://10.0.0.1":                  `GATEHOUSE_MAIL_PORT: mail.port: "tcp://10.0.0.1" must be a whole number`,
		"GATEHOUSE_MAIL_PASSWORD_FILE=/nowhere":               "GATEHOUSE_MAIL_PASSWORD_FILE: mail.password: cannot read its file",
		"GATEHOUSE_MAIL_PASSWORD_FILE=" + dir:                 "is not a file of at most",
		"GATEHOUSE_DATABASE_URL_FILE=" + dir + "/masters.key": "must hold one line, not 2",
	} {
		if _, err := Read("", []string{env}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %s", env, err, want)
		}
	}
	_, err := Read("", []string{"GATEHOUSE_MAIL_PASSWORD=x", "GATEHOUSE_MAIL_PASSWORD_FILE=" + dir + "/master.key"})
	if err == nil || !strings.Contains(err.Error(), "GATEHOUSE_MAIL_PASSWORD is set, too") {
		t.Errorf("both forms of a secret: %v", err)
	}
}

func TestPathsBeginAtTheFolderOfTheFile(t *testing.T) {
	dir := folder(t)
	path := writeFile(t, dir, "gatehouse.yaml", 0o600, "tls: {cert_file: a.crt, key_file: /k/a.key}\ndatabase: {url: sqlite:data/x.db}\nmaster_keys: [file:master.key]\n")
	c, err := Read(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := []string{c.TLS.CertFile, c.TLS.KeyFile, c.Database.URL.Reveal()}
	if diff := cmp.Diff([]string{dir + "/a.crt", "/k/a.key", "sqlite:" + dir + "/data/x.db"}, got); diff != "" {
		t.Error(diff)
	}
	if len(c.MasterKeys) != 1 {
		t.Error("master.key was not found beside the file")
	}
}

func TestScalarsAreTakenAsWritten(t *testing.T) {
	dir := folder(t)
	for text, want := range map[string]string{"0123": "0123", "1e3": "1e3", "true": "true", "'a # b'": "a # b", `"x\ty"`: "x\ty", "|-\n    two words": "two words", "~x": "~x"} {
		path := writeFile(t, dir, "gatehouse.yaml", 0o600, "mail:\n  password: "+text+"\n")
		c, err := Read(path, nil)
		if err != nil || c.Mail.Password.Reveal() != want {
			t.Errorf("%s is read as %q, %v", text, c.Mail.Password.Reveal(), err)
		}
	}
}

func TestDurations(t *testing.T) {
	for text, want := range map[string]time.Duration{"30s": 30 * time.Second, "1h30m": 90 * time.Minute, "30d": 30 * day, "1d12h": 36 * time.Hour, "0s": 0, "0d": 0} {
		got, err := parseDuration(text)
		if err != nil || got != want {
			t.Errorf("%s = %v, %v", text, got, err)
		}
		if again, err := parseDuration(formatDuration(got)); err != nil || again != got {
			t.Errorf("%s is written as %s", text, formatDuration(got))
		}
	}
	for _, text := range []string{"", "30", "0", "-1h", "1d-1h", "+1h", "d", "1.5d", "1w", "99999999d", "1d1d", " 1h"} {
		if d, err := parseDuration(text); err == nil {
			t.Errorf("%q = %v", text, d)
		}
	}
}

func TestExplainShowsWhatIsInForceAndWhy(t *testing.T) {
	dir := folder(t)
	path := writeFile(t, dir, "gatehouse.yaml", 0o600, `issuer: https://login.example.com/
proxies:
  - 10.1.0.0/16
database:
  url: postgres://gate:canary@db.example.com/gate?sslmode=verify-full&sslpassword=canary
master_keys: [file:master.key]
mail: {host: mail.example.com, from: "Example <login@example.com>", user: gate, password: canary}
`)
	c, err := Read(path, []string{"GATEHOUSE_LOG_LEVEL=debug"})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := c.Explain(&b); err != nil {
		t.Fatal(err)
	}
	got := strings.ReplaceAll(b.String(), dir+"/", "")
	want := readText(t, "testdata", "explain.txt")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	// What Explain writes can be read again, the secrets aside.
	again := writeFile(t, dir, "again.yaml", 0o600, b.String())
	if _, err := Read(again, nil); err != nil {
		t.Error(err)
	}
}

func TestVariablesAndKeysAreDistinct(t *testing.T) {
	seen := map[string]string{}
	note := func(name, key string) {
		if other, ok := seen[name]; ok {
			t.Errorf("%s means both %s and %s", name, key, other)
		}
		seen[name] = key
	}
	for _, f := range fields(Default()) {
		note(f.env(), f.key)
		if f.secret() {
			note(f.env()+"_FILE", f.key)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, s := range []string{"", "issuer: https://x/\n", "a: &a [*a]", "tls: {cert_file: x}", "? x\n: y", "<<: {a: b}", "master_keys: [a, [b]]", "- x", "---\n...\n---\n", "mail: !!str {}", "\xff\xfe", "issuer: |\n  x\n", "{", "x: {{}: y}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c := Default()
		c.from = map[string]source{}
		c.readYAML(text)
		for _, p := range c.wrong {
			if p.Message == "" {
				t.Errorf("a problem says nothing: %+v", p)
			}
		}
	})
}

// Whoever may name himself a proxy may name himself any client, so a list that lets everybody in is
// refused however it is spelled.
func TestThreat_HT01_EverybodyIsNoProxy(t *testing.T) {
	for _, networks := range []string{"0.0.0.0/0", "::/0", "0.0.0.0/1,128.0.0.0/1", "2000::/3", "::ffff:0:0/96", "203.0.113.0/7"} {
		c, _ := Read("", []string{"GATEHOUSE_PROXIES=" + networks})
		if len(Problems(c.Validate()).Under("proxies")) == 0 {
			t.Errorf("%s is accepted", networks)
		}
	}
	for _, networks := range []string{"10.0.0.0/8", "fd00::/8", "127.0.0.1", "203.0.113.0/24", "2001:db8::/32"} {
		c, _ := Read("", []string{"GATEHOUSE_PROXIES=" + networks})
		if got := Problems(c.Validate()).Under("proxies"); len(got) > 0 {
			t.Errorf("%s: %v", networks, got)
		}
	}
}
