package jose

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// remembered verifies a token with a memory, which then knows it.
func remembered(t *testing.T) (token string, want Expect, key Key) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := NewSigner("one", ES256, private)
	if err != nil {
		t.Fatal(err)
	}
	if token, err = signer.Sign("at+jwt", []byte(`{"sub":"alice"}`)); err != nil {
		t.Fatal(err)
	}
	want = Expect{Types: []string{"at+jwt"}, Algs: []Alg{ES256}, Memory: NewMemory(8)}
	if _, err := Verify(token, want, always(signer.Public())); err != nil {
		t.Fatal(err)
	}
	return token, want, signer.Public()
}

func always(k Key) KeyFunc { return func(string, Alg) (Key, bool) { return k, true } }

func TestMemorySparesTheSignatureCheckAlone(t *testing.T) {
	token, want, key := remembered(t)
	if v, err := Verify(token, want, always(key)); err != nil || string(v.Payload()) != `{"sub":"alice"}` {
		t.Fatalf("the token again: %q, %v", v.Payload(), err)
	}
	other := want
	other.Types = []string{"JWT"}
	if _, err := Verify(token, other, always(key)); !errors.Is(err, ErrType) {
		t.Errorf("wanted as another type: %v", err)
	}
	other = want
	other.Algs = []Alg{RS256}
	if _, err := Verify(token, other, always(key)); !errors.Is(err, ErrAlgorithm) {
		t.Errorf("wanted with another algorithm: %v", err)
	}
	if _, err := Verify(token, want, func(string, Alg) (Key, bool) { return Key{}, false }); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("its key is not trusted any more: %v", err)
	}
}

func TestThreat_JW01_MemoryKnowsATokenUnderItsOwnKeyAlone(t *testing.T) {
	token, want, key := remembered(t)
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	successor := Key{KeyID: key.KeyID, Alg: ES256, Key: &private.PublicKey}
	if _, err := Verify(token, want, always(successor)); !errors.Is(err, ErrSignature) {
		t.Fatalf("another key of the same name: %v", err)
	}
	if _, err := Verify(token, want, always(key)); err != nil {
		t.Fatalf("its own key afterwards: %v", err)
	}
}

func TestThreat_JW01_MemoryTakesNoOtherSpelling(t *testing.T) {
	token, want, key := remembered(t)
	head, rest, _ := strings.Cut(token, ".")
	payload, signature, _ := strings.Cut(rest, ".")
	for name, forged := range map[string]string{
		"another payload":   head + "." + strictBase64.EncodeToString([]byte(`{"sub":"mallory"}`)) + "." + signature,
		"another signature": head + "." + payload + "." + strings.Repeat("A", len(signature)),
		"no signature":      head + "." + payload + ".",
	} {
		for range 2 { // what is wrong is not learnt
			if _, err := Verify(forged, want, always(key)); err == nil {
				t.Errorf("%s is accepted", name)
			}
		}
	}
}

func TestMemoryIsBoundedAndForgetsTheOlder(t *testing.T) {
	m := NewMemory(1)
	if len(m.slots) != ways {
		t.Fatalf("%d places", len(m.slots))
	}
	digest := func(n int) *[32]byte { return &[32]byte{31: byte(n)} } // all in one set
	for n := range ways + 1 {
		m.learn(digest(n), "key")
		m.learn(digest(n), "key")
	}
	for n := range ways + 1 {
		if got, want := m.verified(digest(n), "key"), n > 0; got != want {
			t.Errorf("token %d: remembered %v, want %v", n, got, want)
		}
	}
}

func TestIdentityOfKeys(t *testing.T) {
	_, _, key := remembered(t)
	if identity(key.Key) == nil {
		t.Error("a public key is remembered by its pointer")
	}
	a, b := ed25519.PublicKey(make([]byte, 32)), ed25519.PublicKey(make([]byte, 32))
	if identity(a) != identity(b) {
		t.Error("Ed25519 keys are the same by their bytes")
	}
	if b[0] = 1; identity(a) == identity(b) {
		t.Error("different Ed25519 keys are the same")
	}
	if identity([]byte("secret")) != nil || identity(nil) != nil {
		t.Error("secrets and nothing have no identity")
	}
}

func TestMemoryIsSafeForConcurrentUse(t *testing.T) {
	m := NewMemory(16)
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			for n := range 1000 {
				digest := [32]byte{0: byte(n), 1: byte(g)}
				m.learn(&digest, strconv.Itoa(n))
				if m.verified(&digest, "another key") {
					t.Errorf("token %d is known under a key it was never learnt with", n)
				}
			}
		})
	}
	all.Wait()
}
