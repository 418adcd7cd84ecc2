package limit

import (
	"fmt"
	"testing"
	"time"
)

func TestCounter(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	c := NewCounter(2, time.Minute, 100)
	c.Add("a", now)
	if over, _ := c.Exceeded("a", now); over {
		t.Error("one of two events is over the limit")
	}
	c.Add("a", now.Add(10*time.Second))
	over, wait := c.Exceeded("a", now.Add(20*time.Second))
	if !over || wait != 40*time.Second {
		t.Errorf("two of two events: %v, wait %v; want over, 40s", over, wait)
	}
	if over, _ := c.Exceeded("b", now); over {
		t.Error("another key is over the limit")
	}
	if over, _ := c.Exceeded("a", now.Add(time.Minute)); over {
		t.Error("over the limit after the window")
	}
}

func TestCounterForgetsQuietKeysFirst(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	c := NewCounter(3, time.Minute, 50)
	for range 3 {
		c.Add("victim", now)
	}
	for i := range 1000 {
		c.Add(fmt.Sprint("flood", i), now)
	}
	if over, _ := c.Exceeded("victim", now); !over {
		t.Error("a flood of keys made the counter forget one at its limit")
	}
	if len(c.entries) > 50 {
		t.Errorf("%d keys are remembered, want at most 50", len(c.entries))
	}
}
