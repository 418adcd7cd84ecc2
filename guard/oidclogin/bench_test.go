package oidclogin_test

import (
	"testing"

	"github.com/gatehouse-dev/gatehouse/guard/oidclogin"
)

// What a request costs whose session is at hand.
func BenchmarkAuthenticate(b *testing.B) {
	for name, change := range map[string]func(*oidclogin.Options){"cookie": func(*oidclogin.Options) {}, "memory": memoryStore} {
		b.Run(name, func(b *testing.B) {
			a := newApp(b, false, change)
			v := a.browser(b)
			v.signIn()
			r := a.request(v)
			b.ReportAllocs()
			for b.Loop() {
				if res, err := a.login.Authenticate(r); err != nil || res.Principal == nil {
					b.Fatal(err)
				}
			}
		})
	}
}
