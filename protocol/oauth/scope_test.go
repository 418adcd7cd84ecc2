package oauth_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

func TestScope(t *testing.T) {
	s, err := oauth.ParseScope(" openid  profile openid read:shows ")
	if err != nil || s.String() != "openid profile read:shows" {
		t.Fatalf("%q, %v", s, err)
	}
	if got := s.Intersect([]string{"read:shows", "openid", "x"}); got.String() != "openid read:shows" {
		t.Errorf("intersection %q", got)
	}
	if got := s.Without("openid"); got.String() != "profile read:shows" || s.String() != "openid profile read:shows" {
		t.Errorf("without %q, of %q", got, s)
	}
	if got := s.Union(oauth.Scope{"email", "openid"}); got.String() != "openid profile read:shows email" || len(s) != 3 {
		t.Errorf("union %q, of %q", got, s)
	}
	if !s.Covers(oauth.Scope{"profile"}) || s.Covers(oauth.Scope{"email"}) || !s.Covers(nil) || !s.Equal(oauth.Scope{"read:shows", "profile", "openid"}) || s.Equal(oauth.Scope{"openid"}) || s.Contains("Openid") {
		t.Error("set relations")
	}
	if got := s.Intersect([]string{"none"}); len(got) != 0 || got.String() != "" {
		t.Errorf("nothing left is %q", got)
	}
}

func TestThreat_AZ13_HostileScopes(t *testing.T) {
	var many []string
	for i := range 101 {
		many = append(many, fmt.Sprint(i))
	}
	for _, s := range []string{strings.Join(many, " "), strings.Repeat("a ", 10_000), "a\tb", "a\nb", `a"b`, `a\b`, "ä", "a\x00", "a\u00a0b"} {
		if got, err := oauth.ParseScope(s); oauth.CodeOf(err) != oauth.InvalidScope {
			t.Errorf("%.40q: %q, %v", s, got, err)
		}
	}
}
