package tokencache_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/gatehouse-dev/gatehouse/guard/internal/tokencache"
)

func put(c *tokencache.Cache[int], token string, value int) *tokencache.Entry[int] {
	e := &tokencache.Entry[int]{Digest: tokencache.Of(token), Value: value}
	c.Put(e)
	return e
}

func get(c *tokencache.Cache[int], token string) (int, bool) {
	d := tokencache.Of(token)
	if e := c.Get(&d); e != nil {
		return e.Value, true
	}
	return 0, false
}

func TestWhatIsPutIsThere(t *testing.T) {
	c := tokencache.New[int](1000)
	for n := range 1000 {
		put(c, fmt.Sprint("token-", n), n)
	}
	missing := 0
	for n := range 1000 {
		if got, ok := get(c, fmt.Sprint("token-", n)); !ok {
			missing++
		} else if got != n {
			t.Fatalf("token %d is remembered as %d", n, got)
		}
	}
	if missing > 2 {
		t.Errorf("%d of 1000 tokens were forgotten although there is room for them", missing)
	}
	put(c, "token-1", -1)
	if got, _ := get(c, "token-1"); got != -1 {
		t.Errorf("the newer value is %d", got)
	}
}

func TestItIsBounded(t *testing.T) {
	c := tokencache.New[int](100)
	held := 0
	for n := range 10_000 {
		put(c, fmt.Sprint(n), n)
	}
	for n := range 10_000 {
		if _, ok := get(c, fmt.Sprint(n)); ok {
			held++
		}
	}
	if held > 400 {
		t.Errorf("%d tokens are held", held)
	}
	if _, ok := get(c, "9999"); !ok {
		t.Error("the newest is not among them")
	}
}

func TestDrop(t *testing.T) {
	c := tokencache.New[int](10)
	old := put(c, "token", 1)
	put(c, "token", 2)
	c.Drop(old)
	if got, _ := get(c, "token"); got != 2 {
		t.Error("dropping what was replaced took the newer along")
	}
	c.Drop(put(c, "token", 3))
	if _, ok := get(c, "token"); ok {
		t.Error("dropped, and still there")
	}
}

func TestDigests(t *testing.T) {
	long := strings.Repeat("a", 5000)
	keyed := tokencache.NewKeyed()
	for name, of := range map[string]func(string) tokencache.Digest{"SHA-256": tokencache.Of, "keyed": keyed.Of} {
		seen := map[tokencache.Digest]string{}
		for _, token := range []string{"", "a", "A", "a ", "b", "a\x00", long, long + "a", long[:2047] + "b", long[:2048], long[:2049]} {
			d := of(token)
			if other, ok := seen[d]; ok {
				t.Errorf("%s: tokens of %d and %d bytes are one", name, len(token), len(other))
			}
			if of(token) != d {
				t.Errorf("%s: a token of %d bytes is two", name, len(token))
			}
			seen[d] = token
		}
	}
	if tokencache.NewKeyed().Of("a") == keyed.Of("a") {
		t.Error("two keys are one")
	}
}

func TestManyAtOnce(t *testing.T) {
	c := tokencache.New[int](64)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for n := range 2000 {
				token := n % 200
				if got, ok := get(c, fmt.Sprint(token)); ok && got != token {
					t.Errorf("token %d is remembered as %d", token, got)
				}
				e := put(c, fmt.Sprint(token), token)
				if n%7 == 0 {
					c.Drop(e)
				}
			}
		})
	}
	wg.Wait()
}
