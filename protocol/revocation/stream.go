package revocation

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/gatehouse-dev/gatehouse/protocol/jose"
)

// Bounds of a stream and of an answer.
const (
	// MaxEventRules is how many rules one event carries at most.
	MaxEventRules = 256
	// MaxEventBytes is the longest event a reader takes.
	MaxEventBytes = 64 << 10
	// MaxAnswerRules is how many rules an answer carries at most. Who lacks more gets a snapshot.
	MaxAnswerRules = 4096
	// MaxAnswerBytes is the longest answer a reader takes.
	MaxAnswerBytes = 1 << 20
)

// beat is the name of events that are a sign of life.
const beat = "beat"

// Event is one message of the stream.
type Event struct {
	// N is the number the reader has reached with it, to be sent as Last-Event-ID when it comes
	// back.
	N int64
	// Rules are new ones in the order of their numbers, the last of which is N. An event without any
	// says that there are none beyond N.
	Rules []Rule
}

// Append writes the event after b:
//
//	id: 118
//	data: {"n":117,"kind":"sid","digest":"…","until":1795000000}
//	data: {"n":118,…}
//
// and without rules
//
//	id: 118
//	event: beat
//	data:
//
// It panics when the rules are not in form: they are the writer's own.
func (e Event) Append(b []byte) []byte {
	b = append(b, "id: "...)
	b = strconv.AppendInt(b, e.N, 10)
	if len(e.Rules) == 0 {
		return append(b, "\nevent: "+beat+"\ndata:\n\n"...)
	}
	for _, r := range e.Rules {
		raw, err := r.MarshalJSON()
		if err != nil {
			panic(err)
		}
		b = append(b, "\ndata: "...)
		b = append(b, raw...)
	}
	return append(b, "\n\n"...)
}

// ReadEvent reads the next event of a stream, passing over comments and over events of names it
// does not know. The error is io.EOF when the stream ended between two events,
// io.ErrUnexpectedEOF when within one, wraps ErrMalformed, or is the reader's own.
func ReadEvent(r *bufio.Reader) (Event, error) {
	for {
		e, name, err := readFields(r)
		if err != nil {
			return Event{}, err
		}
		if name == "" || name == beat {
			return e.event(name)
		}
	}
}

// fields are those of one event.
type fields struct {
	id    string
	lines [][]byte
}

// readFields reads up to the empty line that ends an event which has any field.
func readFields(r *bufio.Reader) (f fields, name string, err error) {
	size, begun := 0, false
	for {
		raw, err := readLine(r, MaxEventBytes-size)
		if err != nil {
			if errors.Is(err, io.EOF) && begun {
				err = io.ErrUnexpectedEOF
			}
			return f, "", err
		}
		size += len(raw)
		if len(raw) == 0 {
			if begun {
				return f, name, nil
			}
			size = 0
			continue
		}
		field, value, _ := strings.Cut(string(raw), ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "": // a comment
			continue
		case "id":
			f.id = value
		case "event":
			name = value
		case "data":
			f.lines = append(f.lines, []byte(value))
		}
		begun = true
	}
}

// readLine reads a line of at most limit bytes and cuts its end off.
func readLine(r *bufio.Reader, limit int) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		if len(line) > limit {
			return nil, fmt.Errorf("%w: an event of more than %d bytes", ErrMalformed, MaxEventBytes)
		}
		switch {
		case err == nil:
			line = line[:len(line)-1]
			return bytes.TrimSuffix(line, []byte{'\r'}), nil
		case errors.Is(err, io.EOF) && len(line) > 0:
			return nil, io.ErrUnexpectedEOF
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		}
	}
}

func (f fields) event(name string) (Event, error) {
	n, err := ParseNumber(f.id)
	if err != nil {
		return Event{}, err
	}
	e := Event{N: n}
	if name == beat {
		return e, nil
	}
	if len(f.lines) == 0 || len(f.lines) > MaxEventRules {
		return Event{}, fmt.Errorf("%w: an event of %d rules", ErrMalformed, len(f.lines))
	}
	for _, raw := range f.lines {
		rule, err := ParseRule(raw)
		if err != nil {
			return Event{}, err
		}
		e.Rules = append(e.Rules, rule)
	}
	return e, inOrder(e.Rules, e.N)
}

// inOrder checks that numbers ascend and end at n, or before it if more may follow.
func inOrder(rules []Rule, n int64) error {
	last := int64(0)
	for _, r := range rules {
		if r.N <= last {
			return fmt.Errorf("%w: number %d after %d", ErrMalformed, r.N, last)
		}
		last = r.N
	}
	if last > n {
		return fmt.Errorf("%w: a rule numbered %d in what ends at %d", ErrMalformed, last, n)
	}
	return nil
}

// ParseNumber reads a number of a rule as it stands in Last-Event-ID or in a query: digits alone.
func ParseNumber(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || strconv.FormatInt(n, 10) != s {
		return 0, fmt.Errorf("%w: %.24q is not the number of a rule", ErrMalformed, s)
	}
	return n, nil
}

// Answer is what a poll is answered with.
type Answer struct {
	// N is the number the reader has reached with it.
	N int64
	// Rules are those after the number that was asked for, in order.
	Rules []Rule
}

// Encode returns {"n":…,"rules":[…]}. It panics when the rules are not in form: they are the
// writer's own.
func (a Answer) Encode() []byte {
	rules := a.Rules
	if rules == nil {
		rules = []Rule{}
	}
	raw, err := json.Marshal(struct {
		N     int64  `json:"n"`
		Rules []Rule `json:"rules"`
	}{a.N, rules})
	if err != nil {
		panic(err)
	}
	return raw
}

// ParseAnswer reads what [Answer.Encode] writes.
func ParseAnswer(data []byte) (Answer, error) {
	var in struct {
		N     *int64 `json:"n"`
		Rules []line `json:"rules"`
	}
	if err := jose.Decode(data, &in); err != nil {
		return Answer{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if in.N == nil || *in.N < 0 || in.Rules == nil || len(in.Rules) > MaxAnswerRules {
		return Answer{}, fmt.Errorf("%w: not an answer", ErrMalformed)
	}
	a := Answer{N: *in.N}
	for _, l := range in.Rules {
		r, err := l.rule()
		if err != nil {
			return Answer{}, err
		}
		a.Rules = append(a.Rules, r)
	}
	return a, inOrder(a.Rules, a.N)
}
