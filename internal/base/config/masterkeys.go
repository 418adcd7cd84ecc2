package config

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/gatehouse-dev/gatehouse/internal/base/seal"
)

// exampleKeys have been printed somewhere: in this repository, or in every tutorial there is. A
// test sees to it that every key in docs/ and examples/ is here.
var exampleKeys = map[string]bool{
	"K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72ol/pe/Unols=": true, // SHA-256 of "secret"
	"XohImNooBHFR0OVvjcYpJ3NgPQ1qq73WKhHvch0VQtg=": true, // SHA-256 of "password"
	"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=": true, // SHA-256 of nothing
	"n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=": true, // SHA-256 of "test"
}

// Ring returns the master keys in the order of the configuration, the first being the current one.
func (c *Config) Ring() ([]seal.MasterKey, error) {
	if len(c.MasterKeys) == 0 {
		return nil, errors.New("config: master_keys is missing")
	}
	var ring []seal.MasterKey
	for i, s := range c.MasterKeys {
		key, err := parseMasterKey(s)
		if err != nil {
			return nil, fmt.Errorf("config: master_keys, number %d: %w", i+1, err)
		}
		ring = append(ring, seal.NewMasterKey(key))
	}
	return ring, nil
}

// masterKeys demands keys that nobody could guess. The messages count keys and show none.
func (v *validator) masterKeys() {
	const fix = "openssl rand -base64 32"
	if len(v.MasterKeys) == 0 {
		v.add("master_keys", fix, "is missing: secrets in the database are sealed with it")
	}
	seen := map[[32]byte]int{}
	ids := map[string]int{}
	for i, s := range v.MasterKeys {
		number := i + 1
		key, err := parseMasterKey(s)
		if err != nil {
			v.add("master_keys", fix, "number %d %s", number, err)
			continue
		}
		if first, twice := seen[key]; twice {
			v.add("master_keys", "Remove one of them.", "number %d is the same as number %d", number, first)
			continue
		}
		seen[key] = number
		if why := guessable(key); why != "" {
			v.add("master_keys", fix, "number %d %s", number, why)
		}
		id := seal.NewMasterKey(key).ID
		if first, taken := ids[id]; taken {
			v.add("master_keys", fix, "number %d cannot be told from number %d by its id", number, first)
		}
		ids[id] = number
	}
}

func parseMasterKey(s Secret) (key [32]byte, err error) {
	raw, err := base64.StdEncoding.DecodeString(s.Reveal())
	if err != nil {
		raw, err = base64.RawStdEncoding.DecodeString(s.Reveal())
	}
	if err != nil {
		return key, errors.New("is not base64")
	}
	if len(raw) != len(key) {
		return key, fmt.Errorf("has %d bytes, but must have %d", len(raw), len(key))
	}
	return [32]byte(raw), nil
}

// guessable says why a key cannot have come from a random source, or "" when it may have. A random
// key meets one of these rules less than once in a thousand million tries.
func guessable(key [32]byte) string {
	if key == [32]byte{} {
		return "is all zeros"
	}
	if exampleKeys[base64.StdEncoding.EncodeToString(key[:])] {
		return "is an example that everybody knows"
	}
	distinct := map[byte]bool{}
	text := true
	steps := map[byte]bool{}
	for i, b := range key {
		distinct[b] = true
		text = text && b >= ' ' && b <= '~'
		if i > 0 {
			steps[b-key[i-1]] = true
		}
	}
	switch {
	case text:
		return "is text in base64, not 32 random bytes"
	case len(distinct) < 16 || len(steps) < 10 || strings.Contains(string(key[16:]), string(key[:16])):
		return "repeats itself: it is not random"
	}
	return ""
}
