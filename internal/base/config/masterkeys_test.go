package config

import (
	"encoding/base64"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestRandomMasterKeysAreAccepted(t *testing.T) {
	for range 1000 {
		key, err := parseMasterKey(NewSecret(randomKey()))
		if err != nil {
			t.Fatal(err)
		}
		if why := guessable(key); why != "" {
			t.Fatalf("%x %s", key, why)
		}
	}
	if _, err := parseMasterKey(NewSecret(strings.TrimRight(randomKey(), "="))); err != nil {
		t.Errorf("without padding: %v", err)
	}
}

// Whoever copies a key out of our own pages has a key that everybody has.
func TestThreat_SC04_PublishedKeysAreRefused(t *testing.T) {
	const root = "../../.."
	candidate := regexp.MustCompile(`[A-Za-z0-9+/]{43}=?`)
	for _, start := range []string{"docs", "examples", "README.md"} {
		err := filepath.WalkDir(filepath.Join(root, start), func(path string, d fs.DirEntry, err error) error {
			if os.IsNotExist(err) {
				return nil
			}
			if err != nil {
				return err
			}
			switch filepath.Ext(path) {
			case ".md", ".yaml", ".yml", ".env", ".sh", ".txt":
			default:
				if d.IsDir() && d.Name() == "node_modules" {
					return fs.SkipDir
				}
				return nil
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for _, word := range candidate.FindAllString(string(text), -1) {
				key, err := parseMasterKey(NewSecret(word))
				if err == nil && guessable(key) == "" && strings.HasSuffix(word, "=") {
					t.Errorf("%s shows the key %s; add it to exampleKeys, or better say how to make one", path, word)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for text := range exampleKeys {
		raw, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(raw) != 32 || guessable([32]byte(raw)) == "" {
			t.Errorf("example key %s is accepted", text)
		}
	}
}
