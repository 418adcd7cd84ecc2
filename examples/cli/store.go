package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/oauth2"
)

// store is a file with the tokens, which its owner alone can read.
type store string

func (s store) load() (*oauth2.Token, error) {
	raw, err := os.ReadFile(string(s))
	if err != nil {
		return nil, err
	}
	token := &oauth2.Token{}
	if err := json.Unmarshal(raw, token); err != nil {
		return nil, fmt.Errorf("%s: %w", s, err)
	}
	return token, nil
}

// save replaces the file in one step: a program that is stopped leaves the old tokens or the new.
func (s store) save(token *oauth2.Token) error {
	raw, err := json.Marshal(token)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(string(s)), 0o700); err != nil {
		return err
	}
	fresh, err := os.CreateTemp(filepath.Dir(string(s)), "tokens-*") // 0600
	if err != nil {
		return err
	}
	_, err = fresh.Write(raw)
	if err := errors.Join(err, fresh.Close()); err != nil {
		return errors.Join(err, os.Remove(fresh.Name()))
	}
	return os.Rename(fresh.Name(), string(s))
}

func (s store) forget() error {
	if err := os.Remove(string(s)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// keeping hands out the tokens of a source and saves each new one: a refresh token is good once.
func (s store) keeping(saved *oauth2.Token, from oauth2.TokenSource) oauth2.TokenSource {
	return &keeper{store: s, saved: saved.AccessToken, from: from}
}

type keeper struct {
	store store
	saved string
	from  oauth2.TokenSource
}

// Token is the token of the source, saved.
func (k *keeper) Token() (*oauth2.Token, error) {
	token, err := k.from.Token()
	if err != nil || token.AccessToken == k.saved {
		return token, err
	}
	k.saved = token.AccessToken
	return token, k.store.save(token)
}
