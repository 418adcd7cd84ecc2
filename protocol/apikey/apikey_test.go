package apikey_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"testing"

	"github.com/gatehouse-dev/gatehouse/protocol/apikey"
)

func random(b byte) []byte { return bytes.Repeat([]byte{b}, apikey.RandomBytes) }

func key(t testing.TB, b byte, kind apikey.Kind, env apikey.Environment) apikey.Key {
	t.Helper()
	k, err := apikey.New(random(b), kind, env)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// The format never changes: keys outlive versions, and scanners elsewhere know them.
func TestFormat(t *testing.T) {
	for _, c := range []struct {
		random byte
		kind   apikey.Kind
		env    apikey.Environment
		want   string
	}{
		{0, apikey.Secret, apikey.Live, "sk_live_0000000000000000000000000000000000000000000_" + sum("sk_live_0000000000000000000000000000000000000000000")},
		{0xff, apikey.Publishable, apikey.Test, "pk_test_yhjskwdA6OZ1AL1YmHWZWm8LLG7HjnuCA2j5rOw8Xp1_" + sum("pk_test_yhjskwdA6OZ1AL1YmHWZWm8LLG7HjnuCA2j5rOw8Xp1")},
		{0x5a, apikey.Restricted, apikey.Live, ""},
	} {
		k := key(t, c.random, c.kind, c.env)
		if c.want != "" && k.Reveal() != c.want {
			t.Errorf("%s, want %s", k.Reveal(), c.want)
		}
		if len(k.Reveal()) != apikey.Len || k.Kind() != c.kind || k.Environment() != c.env || k.Hash() != sha256.Sum256([]byte(k.Reveal())) {
			t.Errorf("%s: %s %s", k.Reveal(), k.Kind(), k.Environment())
		}
		if !regexp.MustCompile("^(?:" + apikey.Pattern + ")$").MatchString(k.Reveal()) {
			t.Errorf("the published pattern does not match %s", k.Reveal())
		}
	}
}

// sum is the checksum as the documentation describes it, computed another way.
func sum(s string) string {
	const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	crc := ^uint32(0)
	for _, b := range []byte(s) {
		crc ^= uint32(b)
		for range 8 {
			crc = crc>>1 ^ 0xEDB88320&-(crc&1)
		}
	}
	out, n := "", ^crc
	for range 6 {
		out = string(alphabet[n%62]) + out
		n /= 62
	}
	return out
}

func TestNewRefuses(t *testing.T) {
	for name, make := range map[string]func() (apikey.Key, error){
		"too little randomness": func() (apikey.Key, error) { return apikey.New(make([]byte, 31), apikey.Secret, apikey.Live) },
		"too much":              func() (apikey.Key, error) { return apikey.New(make([]byte, 33), apikey.Secret, apikey.Live) },
		"no kind":               func() (apikey.Key, error) { return apikey.New(random(1), "", apikey.Live) },
		"another environment":   func() (apikey.Key, error) { return apikey.New(random(1), apikey.Secret, "prod") },
	} {
		if _, err := make(); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

// Whatever is not exactly a key is told apart by its text alone.
func TestThreat_AK02_OnlyAnExactKeyParses(t *testing.T) {
	good := key(t, 7, apikey.Secret, apikey.Live).Reveal()
	if k, err := apikey.Parse(good); err != nil || k.Reveal() != good {
		t.Fatalf("%v", err)
	}
	body, end := good[:8], good[8:]
	over := "sk_live_" + strings.Repeat("z", 43)
	for name, c := range map[string]struct {
		text string
		want error
	}{
		"empty":                     {"", apikey.ErrMalformed},
		"prefix alone":              {body, apikey.ErrMalformed},
		"cut":                       {good[:apikey.Len-1], apikey.ErrMalformed},
		"longer":                    {good + "0", apikey.ErrMalformed},
		"space before":              {" " + good, apikey.ErrMalformed},
		"space after":               {good + " ", apikey.ErrMalformed},
		"newline after":             {good + "\n", apikey.ErrMalformed},
		"upper case prefix":         {"SK_LIVE_" + end, apikey.ErrMalformed},
		"unknown kind":              {"ak_live_" + end, apikey.ErrMalformed},
		"unknown environment":       {"sk_prod_" + end, apikey.ErrMalformed},
		"other separator":           {"sk-live-" + end, apikey.ErrMalformed},
		"not base 62":               {good[:20] + "+" + good[21:], apikey.ErrMalformed},
		"NUL":                       {good[:20] + "\x00" + good[21:], apikey.ErrMalformed},
		"above 256 bits":            {over + "_" + sum(over), apikey.ErrMalformed},
		"one character changed":     {good[:20] + other(good[20]) + good[21:], apikey.ErrChecksum},
		"another kind":              {"rk" + good[2:], apikey.ErrChecksum},
		"another environment":       {"sk_test_" + end, apikey.ErrChecksum},
		"last character changed":    {good[:apikey.Len-1] + other(good[apikey.Len-1]), apikey.ErrChecksum},
		"two characters swapped":    {swapped(good), apikey.ErrChecksum},
		"letters of the other case": {strings.ToLower(good), nil},
	} {
		_, err := apikey.Parse(c.text)
		if err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func other(c byte) string {
	if c == 'x' {
		return "y"
	}
	return "x"
}

func swapped(s string) string {
	b := []byte(s)
	for i := 9; i < 50; i++ {
		if b[i] != b[i-1] {
			b[i], b[i-1] = b[i-1], b[i]
			break
		}
	}
	return string(b)
}

// No way of printing shows a key.
func TestThreat_AK01_AKeyPrintsRedacted(t *testing.T) {
	k := key(t, 9, apikey.Secret, apikey.Live)
	secret := k.Reveal()[8:apikey.Len]
	var log bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&log, nil))
	logger.Info("x", "key", k, "in", struct{ K apikey.Key }{k})
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "key", k, "in", struct{ k apikey.Key }{k})
	raw, err := json.Marshal(map[string]any{"key": k})
	if err != nil {
		t.Fatal(err)
	}
	_, refused := apikey.Parse(k.Reveal()[:apikey.Len-1] + "x")
	for _, text := range []string{
		log.String(), string(raw), fmt.Sprint(k), fmt.Sprintf("%v %+v %#v %s %q %x %d", k, k, k, k, k, k, k),
		fmt.Sprintf("%+v %#v", struct{ k apikey.Key }{k}, &struct{ k *apikey.Key }{&k}), fmt.Sprint(refused),
	} {
		if strings.Contains(text, secret[:8]) || strings.Contains(text, fmt.Sprintf("%x", secret[:8])) {
			t.Errorf("a key in clear: %s", text)
		}
	}
	if want := "sk_live_…" + k.Reveal()[apikey.Len-4:]; k.String() != want || !strings.Contains(log.String(), want) {
		t.Errorf("%s is not recognisable, want %s", k, want)
	}
	if zero := (apikey.Key{}); zero.String() != "" || zero.Reveal() != "" || zero.Kind() != "" || zero.Hint() != "" || zero.Environment() != "" {
		t.Error("the zero Key says something")
	}
}

func TestContains(t *testing.T) {
	good := key(t, 3, apikey.Restricted, apikey.Test).Reveal()
	for text, want := range map[string]bool{
		"":                          false,
		"/shows":                    false,
		"/k_/sk_live_/x":            false,
		"/desk_live_chat":           false,
		"/risk_test_cases_2026":     false,
		good:                        true,
		"key=" + good + "&x=1":      true,
		"/v1/" + good + "/x":        true,
		"key=" + good[:40]:          true,
		"k_live_" + good[8:]:        false,
		"xk_k_k_" + good:            true,
		"key=sk_live_" + good[8:30]: true,
	} {
		if got := apikey.Contains(text); got != want {
			t.Errorf("Contains(%q) = %v", text, got)
		}
	}
}

func FuzzThreat_AK02_Parse(f *testing.F) {
	good := key(f, 7, apikey.Secret, apikey.Live).Reveal()
	for _, seed := range []string{"", good, good[:57], "pk" + good[2:], strings.Repeat("sk_live_", 1000), "sk_live_" + strings.Repeat("z", 43) + "_000000"} {
		f.Add(seed)
	}
	pattern := regexp.MustCompile("^(?:" + apikey.Pattern + ")$")
	f.Fuzz(func(t *testing.T, s string) {
		k, err := apikey.Parse(s)
		if (err == nil) != (apikey.Check(s) == nil) {
			t.Error("Parse and Check disagree")
		}
		if err != nil {
			return
		}
		if k.Reveal() != s || !pattern.MatchString(s) || !apikey.Looks(s) || !apikey.Contains(s) || sum(s[:51]) != s[52:] {
			t.Errorf("%q is accepted", s)
		}
	})
}

func BenchmarkCheck(b *testing.B) {
	good := key(b, 7, apikey.Secret, apikey.Live).Reveal()
	b.ReportAllocs()
	for b.Loop() {
		if apikey.Check(good) != nil {
			b.Fatal("refused")
		}
	}
}

func BenchmarkHash(b *testing.B) {
	good := key(b, 7, apikey.Secret, apikey.Live).Reveal()
	b.ReportAllocs()
	for b.Loop() {
		_ = apikey.Hash(good)
	}
}
