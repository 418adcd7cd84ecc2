package keyring_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/gatehouse-dev/gatehouse/guard/internal/keyring"
)

const (
	oldSecret = "old-secret-old-secret-old-secret-"
	newSecret = "new-secret-new-secret-new-secret-"
)

func sealer(t *testing.T, purpose string, secrets ...string) *keyring.Sealer {
	t.Helper()
	ring, err := keyring.New(secrets...)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ring.For(purpose)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestRotation(t *testing.T) {
	before := sealer(t, "p", oldSecret).Seal("here", []byte("value"))
	during := sealer(t, "p", newSecret, oldSecret)
	if got, err := during.Open("here", before); err != nil || string(got) != "value" {
		t.Errorf("%q, %v", got, err)
	}
	after := sealer(t, "p", newSecret)
	if _, err := after.Open("here", before); !errors.Is(err, keyring.ErrOpen) {
		t.Errorf("a secret out of the ring still opens: %v", err)
	}
	if _, err := after.Open("here", during.Seal("here", nil)); err != nil {
		t.Errorf("the first secret does not seal: %v", err)
	}
}

func TestThreat_BR10_PurposeAndPlace(t *testing.T) {
	sealed := sealer(t, "session", newSecret).Seal("app one", []byte("value"))
	for name, open := range map[string]struct {
		purpose, place string
	}{
		"purpose":                   {"transaction", "app one"},
		"place":                     {"session", "app two"},
		"parts shifted":             {"sessionapp", " one"},
		"purpose and place swapped": {"app one", "session"},
	} {
		if _, err := sealer(t, open.purpose, newSecret).Open(open.place, sealed); !errors.Is(err, keyring.ErrOpen) {
			t.Errorf("another %s opens it: %v", name, err)
		}
	}
}

func TestEveryBitCounts(t *testing.T) {
	s := sealer(t, "p", newSecret)
	sealed := s.Seal("here", []byte("value"))
	for i := range len(sealed) * 8 {
		broken := bytes.Clone(sealed)
		broken[i/8] ^= 1 << (i % 8)
		if _, err := s.Open("here", broken); !errors.Is(err, keyring.ErrOpen) {
			t.Fatalf("bit %d does not matter: %v", i, err)
		}
	}
	for i := range sealed {
		if _, err := s.Open("here", sealed[:i]); !errors.Is(err, keyring.ErrOpen) {
			t.Fatalf("cut to %d bytes it opens: %v", i, err)
		}
	}
	if bytes.Contains(sealed, []byte("value")) {
		t.Error("not encrypted")
	}
}

func TestSecretsMustBeLong(t *testing.T) {
	for _, secrets := range [][]string{nil, {""}, {"short"}, {newSecret, "short"}, {strings.Repeat("x", keyring.MinSecret-1)}} {
		if _, err := keyring.New(secrets...); err == nil {
			t.Errorf("%q accepted", secrets)
		} else if len(secrets) > 0 && secrets[len(secrets)-1] != "" && strings.Contains(err.Error(), secrets[len(secrets)-1]) {
			t.Error("the secret stands in the error")
		}
	}
}
