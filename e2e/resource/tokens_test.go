package resource

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatehouse-dev/gatehouse/e2e/drive"
	"github.com/gatehouse-dev/gatehouse/internal/server/demo"
	"github.com/gatehouse-dev/gatehouse/internal/server/servertest"
)

// house is a running `gatehouse dev`, whose people sign in without a browser.
type house struct {
	*drive.House
	door *servertest.Instance
}

func openHouse(t *testing.T) house {
	t.Helper()
	h := drive.OpenHouse(t)
	raw := drive.Must[[]byte](t)(os.ReadFile(devJSON(h)))
	content := &demo.Content{}
	if err := json.Unmarshal(raw, content); err != nil {
		t.Fatal(err)
	}
	return house{h, &servertest.Instance{URL: h.Origin(), Content: content}}
}

func devJSON(h *drive.House) string { return filepath.Join(h.Folder, "dev.json") }

// worker returns a token that the demo's service got for itself.
func worker(t *testing.T, door *servertest.Instance) string {
	t.Helper()
	tokens := door.PostForm(t, "/oauth/token", demo.Machine, "grant_type", "client_credentials", "audience", demo.Audience)
	if tokens.Error != "" {
		t.Fatalf("client credentials: %s: %s", tokens.Error, tokens.Description)
	}
	return tokens.AccessToken
}

// person returns what the demo's static site got for somebody who signed in.
func person(t *testing.T, door *servertest.Instance, email string) servertest.Tokens {
	t.Helper()
	tokens, _ := door.TokensFor(t, email, demo.SPA, "audience", demo.Audience, "scope", "openid profile offline_access "+demo.ReadShows)
	return tokens
}

// command runs another gatehouse beside the house that serves, on its data.
func (h house) command(args ...string) []byte {
	h.T.Helper()
	cmd := exec.Command(drive.Gatehouse(h.T), append(args, "--data", h.Folder)...)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		h.T.Fatalf("%s: %v\n%s", cmd, err, &said)
	}
	return out
}

// header returns one member of a token's JOSE header.
func header(t *testing.T, token, name string) string {
	t.Helper()
	first, _, _ := strings.Cut(token, ".")
	raw := drive.Must[[]byte](t)(base64.RawURLEncoding.DecodeString(first))
	var members map[string]any
	if err := json.Unmarshal(raw, &members); err != nil {
		t.Fatal(err)
	}
	value, _ := members[name].(string)
	return value
}

// forged are tokens that nobody made, from one that somebody did.
func forged(token string) map[string]string {
	part := strings.Split(token, ".")
	encode := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	payload, _ := base64.RawURLEncoding.DecodeString(part[1])
	other := byte('A')
	if part[2][9] == other {
		other = 'B'
	}
	return map[string]string{
		"another signature": part[0] + "." + part[1] + "." + part[2][:9] + string(other) + part[2][10:],
		"another payload":   part[0] + "." + encode(strings.Replace(string(payload), demo.ReadShows, demo.WriteShows, 1)) + "." + part[2],
		"no signature":      encode(`{"alg":"none","typ":"at+jwt"}`) + "." + part[1] + ".",
		"an unknown key":    encode(`{"alg":"ES256","typ":"at+jwt","kid":"ES256-0000000000000000"}`) + "." + part[1] + "." + part[2],
		"two parts":         part[0] + "." + part[1],
		"nonsense":          "nonsense",
	}
}
