package revocation_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/gatehouse-dev/gatehouse/protocol/revocation"
)

const until = 1795000000

func rule(n int64, k revocation.Kind, id string) revocation.Rule {
	r := revocation.Rule{N: n, Kind: k, Digest: revocation.DigestOf(k, id), Until: until}
	if k.Timed() {
		r.IssuedBy = until - 3600
	}
	return r
}

// The digests are a contract between servers and guards of different versions.
func TestDigest(t *testing.T) {
	const id = "3f0f5f3c-8f0a-4a64-9c6e-0d2f2a0c9e11"
	seen := map[revocation.Digest]bool{}
	for k := revocation.Session; int(k) <= revocation.Kinds; k++ {
		d := revocation.DigestOf(k, id)
		if seen[d] || d == (revocation.Digest{}) {
			t.Errorf("%s: %s", k, d)
		}
		seen[d] = true
		if d.Sieve() != revocation.SieveOf(k, id) {
			t.Errorf("%s: sieve %x, want %x", k, d.Sieve(), revocation.SieveOf(k, id))
		}
		if back, err := revocation.ParseDigest(d.String()); err != nil || back != d {
			t.Errorf("ParseDigest(%s) = %s, %v", d, back, err)
		}
		if back, err := revocation.ParseKind(k.String()); err != nil || back != k {
			t.Errorf("ParseKind(%s) = %v, %v", k, back, err)
		}
	}
	if got := revocation.DigestOf(revocation.Session, id).String(); got != "TpoMzxKFkKNpi9YRI7L2GA" {
		t.Errorf("the digest of a sid changed: %s", got)
	}
	for _, bad := range []string{"", "TpoMzxKFkKNpi9YRI7L2G", "TpoMzxKFkKNpi9YRI7L2GAA", "TpoMzxKFkKNpi9YRI7L2GB", "TpoMzxKFkKNpi9YRI7L2\ng", "TpoMzxKFkKNpi9YRI7L2=g"} {
		if _, err := revocation.ParseDigest(bad); !errors.Is(err, revocation.ErrMalformed) {
			t.Errorf("ParseDigest(%q) = %v", bad, err)
		}
	}
}

func TestRule(t *testing.T) {
	good := `{"n":7,"kind":"sid","digest":"TpoMzxKFkKNpi9YRI7L2GA","until":1795000000}`
	r, err := revocation.ParseRule([]byte(good))
	if err != nil {
		t.Fatal(err)
	}
	if raw, err := json.Marshal(r); err != nil || string(raw) != good {
		t.Errorf("%s, %v", raw, err)
	}
	for name, bad := range map[string]string{
		"empty": "", "array": "[]", "null": "null", "two": good + good,
		"no number":      `{"kind":"sid","digest":"TpoMzxKFkKNpi9YRI7L2GA","until":1795000000}`,
		"number zero":    strings.Replace(good, "7", "0", 1),
		"negative":       strings.Replace(good, "7", "-7", 1),
		"fraction":       strings.Replace(good, "7", "7.5", 1),
		"unknown kind":   strings.Replace(good, "sid", "uid", 1),
		"kind by case":   strings.Replace(good, "sid", "SID", 1),
		"no digest":      strings.Replace(good, "digest", "digset", 1),
		"no end":         strings.Replace(good, "1795000000", "0", 1),
		"end too far":    strings.Replace(good, "1795000000", "4294967296", 1),
		"twice":          strings.Replace(good, `"n":7`, `"n":7,"n":8`, 1),
		"timed sid":      strings.Replace(good, `"until"`, `"issued_by":5,"until"`, 1),
		"untimed client": strings.Replace(good, "sid", "client", 1),
	} {
		if _, err := revocation.ParseRule([]byte(bad)); !errors.Is(err, revocation.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := revocation.Seconds(-1); got != 0 {
		t.Errorf("Seconds(-1) = %d", got)
	}
	if got := revocation.Seconds(math.MaxInt64); got != math.MaxUint32 {
		t.Errorf("Seconds of the far future = %d", got)
	}
}

func snapshot(rules int) revocation.Snapshot {
	s := revocation.Snapshot{N: int64(rules)}
	for i := range rules {
		r := rule(1, revocation.Kind(1+i%revocation.Kinds), fmt.Sprint(i))
		r.N = 0
		s.Rules = append(s.Rules, r)
	}
	return s
}

func TestSnapshot(t *testing.T) {
	for _, rules := range []int{0, 1, 2, 6, 100} {
		s := snapshot(rules)
		raw := s.Encode()
		if int64(len(raw)) > revocation.MaxSnapshotBytes(rules) {
			t.Errorf("%d rules: %d bytes", rules, len(raw))
		}
		back, err := revocation.ParseSnapshot(raw, rules)
		if err != nil || back.N != s.N || len(back.Rules) != rules {
			t.Fatalf("%d rules: %d, %v", rules, len(back.Rules), err)
		}
		had, has := map[revocation.Rule]bool{}, map[revocation.Rule]bool{}
		for i := range rules {
			had[s.Rules[i]], has[back.Rules[i]] = true, true
		}
		if !reflect.DeepEqual(had, has) {
			t.Errorf("%d rules: what came back is another", rules)
		}
		for cut := range len(raw) {
			if _, err := revocation.ParseSnapshot(raw[:cut], rules); !errors.Is(err, revocation.ErrMalformed) {
				t.Errorf("cut after %d of %d: %v", cut, len(raw), err)
			}
		}
		if _, err := revocation.ParseSnapshot(append(raw, 0), rules); !errors.Is(err, revocation.ErrMalformed) {
			t.Errorf("a byte too many: %v", err)
		}
		if rules > 0 {
			if _, err := revocation.ParseSnapshot(raw, rules-1); !errors.Is(err, revocation.ErrTooMany) {
				t.Errorf("no room for the last: %v", err)
			}
		}
	}
	one := snapshot(1).Encode()
	change := func(at int, to byte) []byte {
		out := bytes.Clone(one)
		out[at] = to
		return out
	}
	for name, bad := range map[string][]byte{
		"magic": change(0, 'g'), "version": change(3, '2'), "negative": change(4, 0x80), "groups": change(12, 2), "kind zero": change(13, 0),
		"kind seven": change(13, 7), "timed kind": change(13, byte(revocation.Client)), "huge": change(14, 0xff), "number zero": change(11, 0),
	} {
		if _, err := revocation.ParseSnapshot(bad, 10); !errors.Is(err, revocation.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEvents(t *testing.T) {
	events := []revocation.Event{
		{N: 0},
		{N: 3, Rules: []revocation.Rule{rule(2, revocation.Session, "a"), rule(3, revocation.Client, "b")}},
		{N: 3},
		{N: 4, Rules: []revocation.Rule{rule(4, revocation.Key, "k")}},
	}
	var stream []byte
	for _, e := range events {
		stream = e.Append(stream)
	}
	for name, text := range map[string]string{
		"as written":   string(stream),
		"CR LF":        strings.ReplaceAll(string(stream), "\n", "\r\n"),
		"comments":     ": hello\n\n" + strings.ReplaceAll(string(stream), "\n\n", "\n\n: \n\n"),
		"other events": "event: notice\ndata: x\n\n" + string(stream),
	} {
		r := bufio.NewReaderSize(strings.NewReader(text), 16)
		for i, want := range events {
			got, err := revocation.ReadEvent(r)
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Fatalf("%s: event %d: %+v, %v; want %+v", name, i, got, err, want)
			}
		}
		if _, err := revocation.ReadEvent(r); err != io.EOF {
			t.Errorf("%s: at the end: %v", name, err)
		}
	}
	read := func(text string) error {
		_, err := revocation.ReadEvent(bufio.NewReader(strings.NewReader(text)))
		return err
	}
	for i := 1; i < len(stream)-1; i++ {
		text := string(stream[:i])
		if whole := strings.LastIndex(text, "\n\n"); whole >= 0 {
			continue
		}
		if err := read(text); err != io.ErrUnexpectedEOF {
			t.Errorf("cut after %q: %v", text, err)
		}
	}
	good := string(events[1].Append(nil))
	for name, bad := range map[string]string{
		"no id":         strings.Replace(good, "id: 3", "ID: 3", 1),
		"id with a +":   strings.Replace(good, "id: 3", "id: +3", 1),
		"id before":     strings.Replace(good, "id: 3", "id: 2", 1),
		"out of order":  strings.Replace(strings.Replace(good, `"n":2`, `"n":9`, 1), "id: 3", "id: 9", 1),
		"no data":       "id: 3\n\n",
		"not JSON":      "id: 3\ndata: {\n\n",
		"endless":       "id: 3\ndata: " + strings.Repeat("x", revocation.MaxEventBytes) + "\n\n",
		"endless lines": "id: 3\n" + strings.Repeat("data: x\n", revocation.MaxEventBytes/4) + "\n",
	} {
		if err := read(bad); !errors.Is(err, revocation.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnswer(t *testing.T) {
	for _, a := range []revocation.Answer{
		{N: 0},
		{N: 9},
		{N: 9, Rules: []revocation.Rule{rule(2, revocation.Session, "a"), rule(3, revocation.Tenant, "")}},
	} {
		if back, err := revocation.ParseAnswer(a.Encode()); err != nil || !reflect.DeepEqual(back, a) {
			t.Errorf("%+v, %v; want %+v", back, err, a)
		}
	}
	for _, bad := range []string{"", "{}", `{"n":1}`, `{"rules":[]}`, `{"n":1,"rules":null}`, `{"n":-1,"rules":[]}`, `{"n":1,"rules":[{}]}`} {
		if _, err := revocation.ParseAnswer([]byte(bad)); !errors.Is(err, revocation.ErrMalformed) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func FuzzSnapshot(f *testing.F) {
	for _, rules := range []int{0, 1, 20} {
		f.Add(snapshot(rules).Encode())
	}
	f.Add([]byte("GHR1\x00\x00\x00\x00\x00\x00\x00\x01\x01\x01\xff\xff\xff\xff\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := revocation.ParseSnapshot(data, 1000)
		if err != nil {
			return
		}
		if !bytes.Equal(s.Encode(), data) {
			t.Error("two spellings of one snapshot")
		}
	})
}

func FuzzEvent(f *testing.F) {
	f.Add(revocation.Event{N: 3, Rules: []revocation.Rule{rule(2, revocation.Session, "a"), rule(3, revocation.Client, "b")}}.Append(nil))
	f.Add(revocation.Event{N: 7}.Append(nil))
	f.Add([]byte("id: 1\nevent: beat\n\n: x\n\nid:2\r\ndata:{}\r\n\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := bufio.NewReaderSize(bytes.NewReader(data), 16)
		for {
			e, err := revocation.ReadEvent(r)
			if err != nil {
				return
			}
			back, err := revocation.ReadEvent(bufio.NewReader(bytes.NewReader(e.Append(nil))))
			if err != nil || !reflect.DeepEqual(back, e) {
				t.Errorf("%+v came back as %+v, %v", e, back, err)
			}
		}
	})
}

func FuzzAnswer(f *testing.F) {
	f.Add(revocation.Answer{N: 9, Rules: []revocation.Rule{rule(2, revocation.Session, "a")}}.Encode())
	f.Add([]byte(`{"n":0,"rules":[]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := revocation.ParseAnswer(data)
		if err != nil {
			return
		}
		back, err := revocation.ParseAnswer(a.Encode())
		if err != nil || !reflect.DeepEqual(back, a) {
			t.Errorf("%+v came back as %+v, %v", a, back, err)
		}
	})
}

func BenchmarkSieve(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		revocation.SieveOf(revocation.Session, "3f0f5f3c-8f0a-4a64-9c6e-0d2f2a0c9e11")
	}
}

func BenchmarkDigest(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		revocation.DigestOf(revocation.Session, "3f0f5f3c-8f0a-4a64-9c6e-0d2f2a0c9e11")
	}
}
