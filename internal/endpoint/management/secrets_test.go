package management_test

import (
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/gatehouse-dev/gatehouse/internal/base/id"
	"github.com/gatehouse-dev/gatehouse/internal/endpoint/management"
	"github.com/gatehouse-dev/gatehouse/internal/server/demo"
	"github.com/gatehouse-dev/gatehouse/internal/server/servertest"
)

// A secret is in the one answer that made it, and in no other.
func TestThreat_AD06_SecretsAreWriteOnly(t *testing.T) {
	var log strings.Builder
	node := servertest.New(t, servertest.Options{Log: &log})
	c := asMachine(t, node)
	made := c.want(201, "POST", "clients", m{"name": "Vault", "app_type": "regular_web", "callbacks": []string{"https://vault.example/cb"}})
	first := made.get("client_secret")
	clientID := made.get("client_id")
	second := c.want(200, "POST", "clients/"+clientID+"/rotate-secret", nil).get("client_secret")
	if len(first) < 40 || len(second) < 40 || first == second {
		t.Fatalf("secrets %q and %q", first, second)
	}
	bob := node.UserID(t, demo.Stranger)
	ticket := c.want(201, "POST", "tickets/password-change", m{"user_id": bob}).get("ticket")
	_, token, _ := strings.Cut(ticket, "ticket=")
	if len(token) < 40 {
		t.Fatalf("ticket %q", ticket)
	}
	canaries := []string{token, node.Password(t, demo.Stranger), "$argon2id$"}
	for _, secret := range []string{first, second, node.Content.Client(demo.Machine).ClientSecret} {
		hash := id.Hash(secret)
		canaries = append(canaries, secret, hex.EncodeToString(hash), base64.StdEncoding.EncodeToString(hash), base64.RawURLEncoding.EncodeToString(hash))
	}
	// Every route that answers, with the ids of real things, and a refusal of each.
	scan := func(what, text string) {
		for _, canary := range canaries {
			if strings.Contains(text, canary) {
				t.Errorf("%s holds a secret: %s", what, text)
			}
		}
		if strings.Contains(text, "client_secret\"") || strings.Contains(text, "secret_hash") || strings.Contains(text, "password_hash") {
			t.Errorf("%s names a secret: %s", what, text)
		}
	}
	ids := []string{clientID, node.Content.Client(demo.Machine).ClientID, bob, "nobody"}
	for _, r := range management.Routes() {
		if strings.Contains(r.Path, "rotate") || strings.Contains(r.Path, "tickets") || r.Method == "DELETE" || r.Method == "POST" {
			continue
		}
		for _, id := range ids {
			got := c.do(r.Method, strings.ReplaceAll(r.Path, "{id}", id), m{"name": "Vault"})
			scan(r.Method+" "+r.Path, got.raw)
		}
	}
	scan("the log", log.String())
}

// Nobody sets or learns a password of somebody else: there is a link, once.
func TestThreat_PW12_AdministratorsDoNotSetPasswords(t *testing.T) {
	node := servertest.New(t, servertest.Options{})
	c := asMachine(t, node)
	bob := node.UserID(t, demo.Stranger)
	for _, body := range []m{{"password": "a-password-of-the-admin"}, {"password": nil, "password_hash": "x"}, {"password": ""}, {"password": m{"value": "x"}}} {
		c.want(400, "PATCH", "users/"+bob, body)
		body["email"] = "new@example.com"
		c.want(400, "POST", "users", body)
	}
	if got := c.want(200, "GET", "users?email=new@example.com", nil); len(got.array) != 0 {
		t.Errorf("a refused user exists: %s", got.raw)
	}
	node.NewBrowser(t).SignIn(demo.Stranger, node.Password(t, demo.Stranger))

	// The link works once; then it is over.
	link := c.want(201, "POST", "tickets/password-change", m{"user_id": bob}).get("ticket")
	if !strings.HasPrefix(link, node.URL+"/u/password?ticket=") {
		t.Fatalf("link %s", link)
	}
	const chosen = "chosen-by-bob-himself-1"
	for i, want := range []int{303, 410} {
		b := node.NewBrowser(t)
		page := b.Get(link)
		if i == 1 {
			if page.StatusCode != want {
				t.Errorf("second use: %s", page.Status)
			}
			break
		}
		if done := b.Submit(page, "password", chosen); done.StatusCode >= 400 {
			t.Fatalf("choose a password: %s\n%s", done.Status, done.Body)
		}
	}
	node.NewBrowser(t).SignIn(demo.Stranger, chosen)
}
