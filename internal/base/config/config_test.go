package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

var today = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// folder makes the files that the configurations of the tests name.
func folder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	key := keyFile(t, dir, "tls.key", 0o600)
	keyFile(t, dir, "other.key", 0o600)
	writeFile(t, dir, "open.key", 0o644, readText(t, dir, "tls.key"))
	certFile(t, dir, "tls.crt", key, "login.example.com", today.Add(-time.Hour), today.Add(90*day))
	certFile(t, dir, "expired.crt", key, "login.example.com", today.Add(-90*day), today.Add(-time.Hour))
	certFile(t, dir, "early.crt", key, "login.example.com", today.Add(day), today.Add(90*day))
	certFile(t, dir, "elsewhere.crt", key, "elsewhere.example.com", today.Add(-time.Hour), today.Add(90*day))
	writeFile(t, dir, "master.key", 0o600, randomKey()+"\n")
	writeFile(t, dir, "masters.key", 0o600, randomKey()+"\n"+randomKey()+"\n")
	writeFile(t, dir, "open-master.key", 0o644, randomKey())
	writeFile(t, dir, "open.db", 0o644, "")
	return dir
}

func randomKey() string {
	key := make([]byte, 32)
	rand.Read(key)
	return base64.StdEncoding.EncodeToString(key)
}

func keyFile(t *testing.T, dir, name string, mode os.FileMode) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, dir, name, mode, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	return key
}

func certFile(t *testing.T, dir, name string, key *ecdsa.PrivateKey, host string, from, until time.Time) {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host}, NotBefore: from, NotAfter: until}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, dir, name, 0o644, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
}

func writeFile(t *testing.T, dir, name string, mode os.FileMode, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // whatever the umask
		t.Fatal(err)
	}
	return path
}

func readText(t *testing.T, dir, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// sound is a configuration without problems, by section. A test's configuration is completed from
// it, so that it need only hold what it is about.
var sound = [][2]string{
	{"issuer", "https://login.example.com/"},
	{"listen", ":8443"},
	{"tls", "{cert_file: $DIR/tls.crt, key_file: $DIR/tls.key}"},
	{"database", "{url: 'sqlite:$DIR/gatehouse.db'}"},
	{"master_keys", "['file:$DIR/master.key']"},
	{"mail", "{host: mail.example.com, from: login@example.com}"},
}

// complete adds the sections of sound that text does not have, and fills in the folder and keys.
func complete(text, dir string) string {
	for _, s := range sound {
		if !regexp.MustCompile(`(?m)^` + s[0] + `:`).MatchString(text) {
			text += s[0] + ": " + s[1] + "\n"
		}
	}
	text = strings.ReplaceAll(text, "$DIR", dir)
	key := randomKey()
	return strings.NewReplacer("$KEY", key).Replace(text)
}

func TestSoundConfigurationHasNoProblems(t *testing.T) {
	dir := folder(t)
	path := writeFile(t, dir, "gatehouse.yaml", 0o600, complete("", dir))
	c, err := Read(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if problems := c.validate(today, (*validator).served); len(problems) > 0 {
		t.Fatal(Problems(problems))
	}
	ring, err := c.Ring()
	if err != nil || len(ring) != 1 {
		t.Errorf("Ring = %v, %v", ring, err)
	}
	if c.SMTPPort() != 587 || c.Sessions.Idle != 72*time.Hour {
		t.Errorf("defaults are gone: %+v", c)
	}
}

func (c *Config) SMTPPort() int { return c.Mail.SMTPPort() }

func TestConfigurationMadeInCodeIsJudgedToo(t *testing.T) {
	c := Default()
	var all []string
	for _, p := range c.Validate() {
		if p.Line != 0 || p.Env != "" {
			t.Errorf("%v has a place", p)
		}
		all = append(all, p.Path)
	}
	if got, want := strings.Join(all, " "), "issuer database.url master_keys mail.host mail.from tls"; got != want {
		t.Errorf("problems of the default: %s; want %s", got, want)
	}
	dir := folder(t)
	c.Issuer, c.Listen = "http://localhost:8080/", "localhost:8080"
	c.Database.URL = NewSecret("sqlite:" + filepath.Join(dir, "x.db"))
	c.MasterKeys = []Secret{NewSecret(randomKey())}
	c.Mail.Host, c.Mail.TLS, c.Mail.From = "127.0.0.1", "none", "a@localhost"
	if problems := c.Validate(); len(problems) > 0 {
		t.Error(Problems(problems))
	}
}

func TestLoadTellsAllProblemsAtOnce(t *testing.T) {
	dir := folder(t)
	path := writeFile(t, dir, "gatehouse.yaml", 0o600, "issuer: http://Login.example.com/x?y\nlisen: ':80'\npassword: {min_length: six}\n")
	c, err := Load(path, []string{"GATEHOUSE_LOG_LEVEL=loud", "GATEHOUSE_ISSEUR=x"})
	var problems Problems
	if c == nil || !errors.As(err, &problems) {
		t.Fatalf("Load = %v, %v", c, err)
	}
	text := problems.Error()
	for _, want := range []string{
		"in plain text", "has the path /x", "no query", "lower case", // of one value
		":2: lisen: is not a setting", "Did you mean listen?",
		`:3: password.min_length: "six" must be a whole number`,
		`GATEHOUSE_LOG_LEVEL: log.level: "loud"`,
		"GATEHOUSE_ISSEUR: is not a setting", "Did you mean GATEHOUSE_ISSUER?",
		"master_keys: is missing", "database.url: is missing", "tls: is missing", "mail.host: is missing",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("not told: %s", want)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
	if got := len(problems.Under("mail")); got != 2 {
		t.Errorf("Under(mail) has %d problems, want 2", got)
	}
}

func TestLoadWithoutItsFile(t *testing.T) {
	_, err := Load(filepath.Join(t.TempDir(), "none.yaml"), nil)
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("err = %v", err)
	}
}

func TestThreat_SC04_SwitchesThatGiveSafetyUpAreNamedAndListed(t *testing.T) {
	c := Default()
	c.InsecureMailPlaintext = true
	c.InsecurePublicOperations = true
	if got := strings.Join(c.Insecure(), " "); got != "insecure_mail_plaintext insecure_public_operations" {
		t.Errorf("Insecure = %s", got)
	}
	if len(Default().Insecure()) != 0 {
		t.Error("a default is insecure")
	}
	for _, f := range fields(c) {
		if b, ok := f.target.(*bool); ok && *b && strings.Contains(f.key, "insecure") && !f.insecure() {
			t.Errorf("%s does not begin with insecure_", f.key)
		}
	}
}
