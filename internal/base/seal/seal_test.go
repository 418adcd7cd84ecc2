package seal

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func ring(t *testing.T, seeds ...byte) *Keyring {
	t.Helper()
	var keys []MasterKey
	for _, s := range seeds {
		keys = append(keys, NewMasterKey([32]byte{s}))
	}
	r, err := New(keys)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestOpenReturnsWhatWasSealed(t *testing.T) {
	r := ring(t, 1)
	for _, plain := range []string{"", "x", strings.Repeat("long ", 1000)} {
		got, err := r.Open("p", []byte("aad"), r.Seal("p", []byte("aad"), []byte(plain)))
		if err != nil || string(got) != plain {
			t.Errorf("Open = %q, %v; want %q", got, err, plain)
		}
	}
}

func TestValueOpensOnlyInItsPlace(t *testing.T) {
	r := ring(t, 1)
	aad := ColumnAAD("t1", "totp", "secret", "u1")
	sealed := r.Seal("totp", aad, []byte("seed"))
	for name, open := range map[string]func() ([]byte, error){
		"other purpose": func() ([]byte, error) { return r.Open("mail", aad, sealed) },
		"other tenant":  func() ([]byte, error) { return r.Open("totp", ColumnAAD("t2", "totp", "secret", "u1"), sealed) },
		"other row":     func() ([]byte, error) { return r.Open("totp", ColumnAAD("t1", "totp", "secret", "u2"), sealed) },
		"shifted parts": func() ([]byte, error) { return r.Open("totp", ColumnAAD("t1", "totps", "ecret", "u1"), sealed) },
		"other ring":    func() ([]byte, error) { return ring(t, 2).Open("totp", aad, sealed) },
		"cut":           func() ([]byte, error) { return r.Open("totp", aad, sealed[:len(sealed)-1]) },
		"header only":   func() ([]byte, error) { return r.Open("totp", aad, sealed[:headerSize]) },
		"empty":         func() ([]byte, error) { return r.Open("totp", aad, nil) },
	} {
		if got, err := open(); !errors.Is(err, ErrOpen) || got != nil {
			t.Errorf("%s: Open = %q, %v; want ErrOpen", name, got, err)
		}
	}
	for i := range sealed {
		changed := bytes.Clone(sealed)
		changed[i] ^= 1
		if _, err := r.Open("totp", aad, changed); !errors.Is(err, ErrOpen) {
			t.Fatalf("byte %d changed: %v; want ErrOpen", i, err)
		}
	}
}

func TestOldKeysOpenUntilTheyLeaveTheRing(t *testing.T) {
	before := ring(t, 1).Seal("p", nil, []byte("old"))
	if got, err := ring(t, 2, 1).Open("p", nil, before); err != nil || string(got) != "old" {
		t.Errorf("old key in the ring: %q, %v", got, err)
	}
	if _, err := ring(t, 2).Open("p", nil, before); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("old key gone: %v; want ErrUnknownKey", err)
	}
	keyID, err := KeyID(before)
	if err != nil || keyID != ring(t, 1).CurrentID() {
		t.Errorf("KeyID = %q, %v", keyID, err)
	}
}

func TestMACDependsOnPurposeKeyAndData(t *testing.T) {
	r := ring(t, 1, 2)
	seen := map[string]string{}
	for _, in := range [][3]string{{"p", r.keys[0].ID, "d"}, {"q", r.keys[0].ID, "d"}, {"p", r.keys[1].ID, "d"}, {"p", r.keys[0].ID, "e"}} {
		mac, err := r.MAC(in[0], in[1], []byte(in[2]))
		if err != nil {
			t.Fatal(err)
		}
		if other, ok := seen[string(mac)]; ok {
			t.Errorf("%v and %s give the same MAC", in, other)
		}
		seen[string(mac)] = fmt.Sprint(in)
	}
	if _, err := r.MAC("p", "00000000", nil); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("unknown key: %v", err)
	}
}

func TestMasterKeyStaysOutOfLogs(t *testing.T) {
	k := NewMasterKey([32]byte{0xab, 0xcd})
	for _, s := range []string{fmt.Sprint(k), fmt.Sprintf("%v", k), fmt.Sprintf("%+v", k), fmt.Sprintf("%#v", k)} {
		if s != "MasterKey("+k.ID+")" {
			t.Errorf("printed as %s", s)
		}
	}
}

func TestNewRefusesBadRings(t *testing.T) {
	k := NewMasterKey([32]byte{1})
	for name, keys := range map[string][]MasterKey{
		"empty": nil, "twice": {k, k}, "bad id": {{ID: "zz"}},
	} {
		if _, err := New(keys); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
