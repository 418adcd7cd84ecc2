package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

const canary = "canary-3b9f"

func TestThreat_AD07_SecretPrintsNowhere(t *testing.T) {
	s := NewSecret(canary)
	type inside struct {
		Shown  Secret
		hidden Secret
		Many   []Secret
	}
	values := []any{s, &s, inside{s, s, []Secret{s}}, &inside{s, s, []Secret{s}}, map[string]Secret{"k": s}, []any{s}}
	var out bytes.Buffer
	for _, v := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%c", "%U", "%10.3s", "%p", "%T"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		fmt.Fprintln(&out, errors.Join(fmt.Errorf("failed: %w %v", errors.New("x"), v)))
		for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
			slog.New(h).Info("m", "v", v, slog.Group("g", "v", v))
		}
		raw, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(raw)
		raw, err = yaml.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(raw)
	}
	for _, form := range []string{canary, fmt.Sprintf("%x", canary), fmt.Sprintf("%X", canary), canary[:4] + "\n", fmt.Sprint([]byte(canary))} {
		if i := strings.Index(out.String(), form); i >= 0 {
			t.Errorf("%q is shown: …%s", form, out.String()[max(0, i-80):i+len(form)])
		}
	}
	if !strings.Contains(out.String(), "***") {
		t.Error("nothing stands for the secret")
	}
	if s.Reveal() != canary || s.Empty() || !(Secret{}).Empty() || (Secret{}).String() != "" {
		t.Error("Reveal or Empty is wrong")
	}
}

// A secret must not get out through what is said about a configuration either, wherever it stands.
func TestThreat_AD06_ProblemsShowNoSecret(t *testing.T) {
	dir := folder(t)
	for _, text := range []string{
		"mail: {password: [" + canary + "]}",
		"mail: {password: {x: " + canary + "}}",
		"mail:\n  password: &a " + canary,
		"mail:\n  password: \"" + canary,
		"mail:\n  password: " + canary + ": x",
		"master_keys: [" + canary + "]",
		"master_keys: " + canary,
		"master_keys: {x: " + canary + "}",
		"database: {url: " + canary + "}",
		"database: {url: \"postgres://u:" + canary + "%@h/d\"}",
		"database: {url: \"postgres://u:" + canary + "@h:x/d\"}",
		"database: {url: \"postgres://h/d?password=" + canary + "&sslmode=none\"}",
		"database: {url: \"mysql://u:" + canary + "@h/d\"}",
	} {
		path := writeFile(t, dir, "gatehouse.yaml", 0o600, text+"\n")
		c, err := Load(path, []string{"GATEHOUSE_MASTER_KEYS_X=" + canary})
		if err == nil {
			t.Errorf("no problem with %s", text)
			continue
		}
		var explained strings.Builder
		if err := c.Explain(&explained); err != nil {
			t.Fatal(err)
		}
		for _, shown := range []string{err.Error(), fmt.Sprintf("%+v", c), explained.String()} {
			if strings.Contains(shown, canary) {
				t.Errorf("%s is shown in\n%s", text, shown)
			}
		}
	}
}
