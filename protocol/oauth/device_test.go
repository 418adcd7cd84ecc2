package oauth_test

import (
	"math/bits"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// 34 bits of a code whose every letter is drawn evenly from letters that make no words.
func TestThreat_DV01_UserCodesAreHardToGuess(t *testing.T) {
	codes := 1.0
	for range oauth.UserCodeLetters {
		codes *= float64(len(oauth.UserCodeAlphabet))
	}
	if bits.Len64(uint64(codes))-1 < 34 {
		t.Errorf("%.0f codes are fewer than 34 bits", codes)
	}
	if strings.ContainsAny(oauth.UserCodeAlphabet, "AEIOUY0123456789") {
		t.Error("the alphabet spells words, or has letters that look like others")
	}
	random := rand.New(rand.NewPCG(1, 2))
	const draws = 20_000
	counts := [oauth.UserCodeLetters]map[byte]int{}
	for range draws {
		code := oauth.UserCode(random.Uint64())
		if parsed, ok := oauth.ParseUserCode(code); !ok || parsed != code {
			t.Fatalf("%q is no code", code)
		}
		for i := range counts {
			if counts[i] == nil {
				counts[i] = map[byte]int{}
			}
			counts[i][code[i]]++
		}
	}
	for i, seen := range counts {
		for _, letter := range []byte(oauth.UserCodeAlphabet) {
			if n := seen[letter]; n < draws/20*8/10 || n > draws/20*12/10 {
				t.Errorf("letter %c stands at %d in %d of %d codes", letter, i, n, draws)
			}
		}
	}
}

func TestParseUserCode(t *testing.T) {
	for typed, want := range map[string]string{
		"WDJBMJHT": "WDJBMJHT", "WDJB-MJHT": "WDJBMJHT", "wdjb mjht": "WDJBMJHT", " wd-jb\u2011mj ht\t": "WDJBMJHT", "w.d.j.b_mjht": "WDJBMJHT",
		"": "", "WDJBMJH": "", "WDJBMJHTT": "", "WDJBMJHA": "", "WDJBMJH1": "", "WDJB/MJHT": "", "ＷＤＪＢＭＪＨＴ": "", "WDJBMJH\x00": "",
		strings.Repeat("-", 100) + "WDJBMJHT": "", "ſDJBMJHT": "",
	} {
		got, ok := oauth.ParseUserCode(typed)
		if ok != (want != "") || ok && got != want {
			t.Errorf("%q: %q, %v; want %q", typed, got, ok, want)
		}
	}
	if got := oauth.ShowUserCode("WDJBMJHT"); got != "WDJB-MJHT" {
		t.Errorf("shown as %q", got)
	}
}

func TestThreat_DV03_PollTooEarly(t *testing.T) {
	for _, c := range []struct {
		interval, since, next time.Duration
		tooEarly              bool
	}{
		{5 * time.Second, time.Hour, 5 * time.Second, false},
		{5 * time.Second, 5 * time.Second, 5 * time.Second, false},
		{5 * time.Second, 4 * time.Second, 5 * time.Second, false}, // the network was quicker than the last time
		{5 * time.Second, 3999 * time.Millisecond, 10 * time.Second, true},
		{5 * time.Second, 0, 10 * time.Second, true},
		{10 * time.Second, 5 * time.Second, 15 * time.Second, true},
		{10 * time.Second, 10 * time.Second, 10 * time.Second, false},
	} {
		if next, tooEarly := oauth.Poll(c.interval, c.since); next != c.next || tooEarly != c.tooEarly {
			t.Errorf("%v after %v: %v, %v", c.interval, c.since, next, tooEarly)
		}
	}
}
