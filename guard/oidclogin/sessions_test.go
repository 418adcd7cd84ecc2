package oidclogin_test

import (
	"errors"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard/oidclogin"
)

func TestThreat_BR12_SessionsAreListedAndEnded(t *testing.T) {
	indexed(t, func(t *testing.T, change func(*oidclogin.Options)) {
		a := newApp(t, false, change)
		var alice []*browser
		for range 3 {
			alice = append(alice, a.signInAs(t, "alice", "s"))
			a.clock.Advance(time.Minute)
		}
		bob := a.signInAs(t, "bob", "t")
		s := a.session(t, alice[1])
		list, err := s.List(t.Context())
		if err != nil || len(list) != 3 {
			t.Fatal(list, err)
		}
		current := 0
		for i, l := range list {
			if l.Current {
				current++
			}
			if want := a.clock.Now().Add(time.Duration(-i-1) * time.Minute); !l.SignedIn.Equal(want) || !l.LastSeen.Equal(want) || !l.Expires.Equal(want.Add(24*time.Hour)) {
				t.Errorf("%d: %+v", i, l)
			}
		}
		if current != 1 || !list[1].Current {
			t.Errorf("which one asks: %+v", list)
		}
		strangers, err := a.session(t, bob).List(t.Context())
		if err != nil || len(strangers) != 1 {
			t.Fatal(strangers, err)
		}
		if err := s.End(t.Context(), strangers[0].ID); err != nil || !bob.signedIn() {
			t.Errorf("ended somebody else's: %v", err)
		}
		if err := s.End(t.Context(), list[0].ID); err != nil || alice[2].signedIn() || !alice[0].signedIn() {
			t.Errorf("%v", err)
		}
		if n, err := s.EndOthers(t.Context()); err != nil || n != 1 || alice[0].signedIn() || !alice[1].signedIn() || !bob.signedIn() {
			t.Errorf("%d %v", n, err)
		}
		if n, err := a.login.EndSessions(t.Context(), "alice"); err != nil || n != 1 || alice[1].signedIn() || !bob.signedIn() {
			t.Errorf("%d %v", n, err)
		}
	})
	t.Run("cookie", func(t *testing.T) {
		a := newApp(t, false, nil)
		b := a.browser(t)
		b.signIn()
		s := a.session(t, b)
		_, one := s.List(t.Context())
		_, two := s.EndOthers(t.Context())
		_, three := a.login.EndSessions(t.Context(), "alice")
		for _, err := range []error{one, two, three, s.End(t.Context(), "x")} {
			if !errors.Is(err, oidclogin.ErrNoIndex) {
				t.Error(err)
			}
		}
	})
}
