package people

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"

	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
)

var cheap = Params{Memory: 8, Time: 1, Threads: 1}

func cheapHasher() *Hasher {
	return NewHasher(HasherOptions{Params: cheap, Queue: 10_000, Wait: time.Minute})
}

func bcryptOf(t *testing.T, password string) string {
	t.Helper()
	h, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(h)
}

func verify(t *testing.T, h *Hasher, hash, password string) (ok, upgrade bool) {
	t.Helper()
	ok, upgrade, err := h.Verify(context.Background(), hash, password)
	if err != nil {
		t.Fatal(err)
	}
	return ok, upgrade
}

func TestHash(t *testing.T) {
	h := cheapHasher()
	hash, err := h.Hash(context.Background(), "caf\u00e9 au lait")
	if err != nil || !strings.HasPrefix(hash, "$argon2id$v=19$m=8,t=1,p=1$") {
		t.Fatalf("Hash = %q, %v", hash, err)
	}
	if ok, upgrade := verify(t, h, hash, "cafe\u0301 au lait"); !ok || upgrade {
		t.Errorf("the same password in another normal form: %v, %v", ok, upgrade)
	}
	if ok, _ := verify(t, h, hash, "Caf\u00e9 au lait"); ok {
		t.Error("another password matches")
	}
	dearer := NewHasher(HasherOptions{Params: Params{Memory: 16, Time: 1, Threads: 1}})
	if ok, upgrade := verify(t, dearer, hash, "caf\u00e9 au lait"); !ok || !upgrade {
		t.Errorf("a hash of older parameters: %v, %v; want a match and an upgrade", ok, upgrade)
	}
}

// The reference implementation's string, as other software writes it.
func TestHashFromElsewhere(t *testing.T) {
	salt := []byte("somesalt")
	key := argon2.IDKey([]byte("password"), salt, 2, 64, 2, 24)
	b64 := base64.RawStdEncoding
	hash := fmt.Sprintf("$argon2id$v=19$m=64,t=2,p=2$%s$%s", b64.EncodeToString(salt), b64.EncodeToString(key))
	if ok, upgrade := verify(t, cheapHasher(), hash, "password"); !ok || !upgrade {
		t.Errorf("Verify = %v, %v", ok, upgrade)
	}
}

// bcrypt hashes 72 bytes: what comes after them, or after a NUL, must not be waved through.
func TestThreat_PW07_BcryptCutsNothing(t *testing.T) {
	h := cheapHasher()
	full := strings.Repeat("a", 72)
	for _, c := range []struct {
		set, typed string
		want       bool
	}{
		{full, full, true},
		{full, full + "b", false},
		{full, full + "\u00e9", false},
		{full, full[:71], false},
		{"secret", "secret", true},
		{"secret", "secret\x00", false},
		{"secret", "secret\x00secret", false},
		{"secret\x00a", "secret\x00a", false},
		{"cut", full + "b", false}, // what is compared in place of a password that is too long
		{"cut", "x\x00", false},
	} {
		hash := bcryptOf(t, c.set)
		for _, version := range []string{"$2a$", "$2b$", "$2y$"} {
			before := h.Hashes()
			ok, upgrade := verify(t, h, version+hash[4:], c.typed)
			if ok != c.want || upgrade != c.want {
				t.Errorf("%s of %.10q…: %.10q… matches: %v, upgrade %v; want %v", version, c.set, c.typed, ok, upgrade, c.want)
			}
			if h.Hashes() != before+1 {
				t.Errorf("%d hashes for one comparison", h.Hashes()-before)
			}
		}
	}
	// Argon2id, which every new password gets, reads all of it.
	long, err := h.Hash(context.Background(), full+"b")
	if err != nil {
		t.Fatal(err)
	}
	if ok, _ := verify(t, h, long, full+"c"); ok {
		t.Error("Argon2id cut a password")
	}
}

// Nobody brings a hash that stops the house when it is checked.
func TestThreat_PW11_CostsOfForeignHashes(t *testing.T) {
	const salt, key = "c29tZXNhbHQ", "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0"
	argon := func(m, t, p string) string {
		return "$argon2id$v=19$m=" + m + ",t=" + t + ",p=" + p + "$" + salt + "$" + key
	}
	bc := bcryptOf(t, "password")
	for _, good := range []string{argon("19456", "2", "1"), argon("131072", "4", "4"), argon("8", "1", "1"), argon("46080", "10", "1"), bc, "$2y$14$" + bc[7:]} {
		if err := CheckHash(good); err != nil {
			t.Errorf("CheckHash(%s) = %v", good, err)
		}
	}
	h := cheapHasher()
	for _, bad := range []string{
		"", "password", "$", "$argon2id$", "5f4dcc3b5aa765d61d8327deb882cf99", "{SSHA}xxxx",
		argon("19456", "2147483648", "1"), argon("4294967295", "1", "1"), argon("131073", "1", "1"), argon("131072", "5", "1"), argon("8", "17", "1"),
		argon("19456", "2", "0"), argon("19456", "0", "1"), argon("0", "2", "1"), argon("8", "1", "2"), argon("19456", "2", "255"), argon("19456", "2", "256"),
		argon("19456", "2", "17"), argon("18446744073709551616", "2", "1"), argon("-1", "2", "1"), argon("+8", "1", "1"), argon("08", "1", "1"), argon("8 ", "1", "1"),
		"$argon2i$v=19$m=8,t=1,p=1$" + salt + "$" + key, "$argon2id$v=16$m=8,t=1,p=1$" + salt + "$" + key, "$argon2id$m=8,t=1,p=1$" + salt + "$" + key,
		"$argon2id$v=19$t=1,m=8,p=1$" + salt + "$" + key, "$argon2id$v=19$m=8,t=1,p=1,x=1$" + salt + "$" + key,
		argon("8", "1", "1") + "$", argon("8", "1", "1") + "=", argon("8", "1", "1") + "\n", "$argon2id$v=19$m=8,t=1,p=1$$" + key, "$argon2id$v=19$m=8,t=1,p=1$" + salt + "$",
		"$argon2id$v=19$m=8,t=1,p=1$" + salt + "$" + strings.Repeat("A", 4096),
		"$2a$31$" + bc[7:], "$2a$15$" + bc[7:], "$2a$03$" + bc[7:], "$2a$xx$" + bc[7:], "$2x$" + bc[4:], "$2$" + bc[4:], bc[:59], bc + "a", bc[:59] + "\n", "$2a$+9$" + bc[7:],
	} {
		if err := CheckHash(bad); !errors.Is(err, ErrHashFormat) {
			t.Errorf("CheckHash(%.80q) = %v; want ErrHashFormat", bad, err)
			continue // and do not try what it costs
		}
		// In the database it would be as dangerous: it matches nothing at the usual price.
		if ok, _ := verify(t, h, bad, "password"); ok {
			t.Errorf("%.80q matches", bad)
		}
	}
}

// A flood waits in a line of bounded length, and what is far too long is not hashed at all.
func TestThreat_PW08_GateAndLength(t *testing.T) {
	h := NewHasher(HasherOptions{Params: cheap, Width: 2, Queue: 3, Wait: time.Hour})
	var leave []func()
	for range 2 {
		l, err := h.enter(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		leave = append(leave, l)
	}
	var served []int
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range 3 {
		wg.Go(func() {
			l, err := h.enter(context.Background())
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			served = append(served, i)
			mu.Unlock()
			l()
		})
		for h.gate.Waiting() != i+1 {
			mu.Lock()
			if len(served) > 0 {
				t.Fatal("more at a time than the gate is wide")
			}
			mu.Unlock()
			runtime.Gosched()
		}
	}
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	for range 100 {
		// Who finds the queue full does not wait, not even for their own end.
		if _, err := h.Hash(gone, "x"); !fault.Is(err, fault.Busy) {
			t.Fatalf("Hash behind a full queue = %v; want Busy", err)
		} else if e, ok := errors.AsType[*fault.Error](err); !ok || e.RetryAfter <= 0 {
			t.Fatalf("Busy without RetryAfter: %v", err)
		}
	}
	leave[0]()
	wg.Wait()
	leave[1]()
	if len(served) != 3 || h.gate.Waiting() != 0 || h.gate.Inside() != 0 {
		t.Errorf("served %v, %d waiting, %d slots taken", served, h.gate.Waiting(), h.gate.Inside())
	}

	impatient := NewHasher(HasherOptions{Params: cheap, Width: 1, Wait: time.Nanosecond})
	if _, err := impatient.enter(context.Background()); err != nil {
		t.Fatal(err)
	}
	if _, err := impatient.Hash(context.Background(), "x"); !fault.Is(err, fault.Busy) {
		t.Errorf("Hash after the deadline = %v; want Busy", err)
	}
	if _, err := NewHasherFull(t).Hash(gone, "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("Hash for a caller who left = %v", err)
	}

	before := h.Hashes()
	for _, password := range []string{strings.Repeat("a", MaxPassword+1), strings.Repeat("a", 10<<20)} {
		if _, err := h.Hash(context.Background(), password); !fault.Is(err, fault.Invalid) {
			t.Errorf("Hash of %d bytes = %v", len(password), err)
		}
		if _, _, err := h.Verify(context.Background(), "", password); !fault.Is(err, fault.Invalid) {
			t.Errorf("Verify of %d bytes = %v", len(password), err)
		}
	}
	if h.Hashes() != before {
		t.Error("a password that is too long was hashed")
	}
	if _, err := h.Hash(context.Background(), strings.Repeat("a", MaxPassword)); err != nil {
		t.Errorf("Hash of %d bytes = %v", MaxPassword, err)
	}
}

// NewHasherFull returns a hasher whose only slot is taken.
func NewHasherFull(t *testing.T) *Hasher {
	t.Helper()
	h := NewHasher(HasherOptions{Params: cheap, Width: 1, Wait: time.Hour})
	if _, err := h.enter(context.Background()); err != nil {
		t.Fatal(err)
	}
	return h
}

// At most as many hashes run at a time as the gate is wide.
func TestThreat_PW08_NoMoreAtATimeThanTheGateIsWide(t *testing.T) {
	h := NewHasher(HasherOptions{Params: cheap, Width: 3, Queue: 1000, Wait: time.Minute})
	var inside atomic.Int64
	release := make(chan struct{})
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() {
			leave, err := h.enter(context.Background())
			if err != nil {
				t.Error(err)
				return
			}
			inside.Add(1)
			<-release
			inside.Add(-1)
			leave()
		})
	}
	for inside.Load()+int64(h.gate.Waiting()) != 200 {
		runtime.Gosched()
	}
	if n := inside.Load(); n != 3 {
		t.Errorf("%d at a time", n)
	}
	close(release)
	wg.Wait()
}

// The hash that stands in where there is none costs what a real one costs.
func TestThreat_PW06_DummyHasTheLiveParameters(t *testing.T) {
	p := Params{Memory: 32, Time: 3, Threads: 2}
	h := NewHasher(HasherOptions{Params: p})
	dummy, ok := h.dummy.(argon2Hash)
	if !ok || dummy.Params != p || len(dummy.salt) != saltSize || len(dummy.key) != keySize {
		t.Errorf("dummy = %+v", h.dummy)
	}
	real, err := h.Hash(context.Background(), "x")
	if err != nil {
		t.Fatal(err)
	}
	for _, hash := range []string{real, "", "garbage"} {
		before := h.Hashes()
		if ok, _ := verify(t, h, hash, "wrong"); ok {
			t.Errorf("%q matches", hash)
		}
		if n := h.Hashes() - before; n != 1 {
			t.Errorf("%d hashes to compare with %q", n, hash)
		}
	}
}

func TestThreat_PW09_Policy(t *testing.T) {
	p := NewPolicy(12)
	for _, password := range []string{
		"correct horse battery", "tr0mbone-window-lamp", "\u00fcber den Wolken, wohl", strings.Repeat("long sentence ", 5) + "end", strings.Repeat("\u6b23\u559c", 6) + "\u4f60",
		"kvothe-rises-again", "dragon7291882519364", "adalovelace writes poems", "            leading spaces are fine",
	} {
		if err := p.Check(password, "ada@example.com", "TV Shows"); err != nil {
			t.Errorf("Check(%q) = %v", password, err)
		}
	}
	for password, rule := range map[string]string{
		"":                                     "at least 12",
		"short":                                "at least 12",
		"elevenchars":                          "at least 12",
		"\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9": "at least 12", // bytes are not characters
		strings.Repeat("e\u0301", 6):           "at least 12", // nor are accents that stand by themselves
		strings.Repeat("a", 1025):              "at most 1024",
		"password1234":                         "attackers try first",
		"Password2024!":                        "attackers try first",
		"P4ssw0rd!!!!":                         "attackers try first",
		"iloveyou!2024":                        "attackers try first",
		"passwordpassword":                     "attackers try first",
		"correcthorsebatterystaple":            "attackers try first",
		"qwertyuiop123":                        "attackers try first",
		"aaaaaaaaaaaa":                         "simple pattern",
		"abcabcabcabc":                         "simple pattern",
		"123456789012":                         "simple pattern",
		"qwertyuiopasdf":                       "simple pattern",
		"mlkjihgfedcba":                        "simple pattern",
		"ada.lovelace1":                        "made of",
		"lovelace-example":                     "made of",
		"TV Shows 2026":                        "made of",
	} {
		err := p.Check(password, "ada.lovelace@example.com", "TV Shows")
		if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), rule) || !strings.Contains(err.Error(), "password") {
			t.Errorf("Check(%.30q) = %v; want %q", password, err, rule)
		}
	}
	if err := NewPolicy(8).Check("password1"); err == nil {
		t.Error("a listed password passes where eight characters are enough")
	}
	// A password is the same in every normal form, on whatever keyboard it is typed.
	h := cheapHasher()
	hash, err := h.Hash(context.Background(), "caf\u00e9 au lait, merci")
	if err != nil {
		t.Fatal(err)
	}
	if ok, _ := verify(t, h, hash, "cafe\u0301 au lait, merci"); !ok {
		t.Error("another normal form is another password")
	}
	if n := len(p.common); n < 1000 {
		t.Errorf("the list has %d entries", n)
	}
}
