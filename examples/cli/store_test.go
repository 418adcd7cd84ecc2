package main

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/oauth2"
)

// source hands out one token after the other.
type source []string

func (s *source) Token() (*oauth2.Token, error) {
	if len(*s) == 0 {
		return nil, errors.New("no more tokens")
	}
	token := &oauth2.Token{AccessToken: (*s)[0], RefreshToken: "of " + (*s)[0]}
	*s = (*s)[1:]
	return token, nil
}

func TestTokensAreKeptForTheirOwner(t *testing.T) {
	kept := store(filepath.Join(t.TempDir(), "shows", "tokens.json"))
	if _, err := kept.load(); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("before anybody signed in: %v", err)
	}
	if err := kept.save(&oauth2.Token{AccessToken: "one"}); err != nil {
		t.Fatal(err)
	}
	tokens := kept.keeping(&oauth2.Token{AccessToken: "one"}, &source{"one", "two"})
	for _, want := range []string{"one", "two"} {
		if _, err := tokens.Token(); err != nil {
			t.Fatal(err)
		}
		if got, err := kept.load(); err != nil || got.AccessToken != want {
			t.Fatalf("kept %+v, %v; want %s", got, err, want)
		}
	}
	if _, err := tokens.Token(); err == nil {
		t.Error("the source's error is lost")
	}
	info, err := os.Stat(string(kept))
	if err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	for range 2 { // forgetting twice is no error
		if err := kept.forget(); err != nil {
			t.Fatal(err)
		}
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(string(kept)), "*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
