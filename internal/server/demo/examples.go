package demo

import (
	"github.com/gatehouse-dev/gatehouse/internal/core/access"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
)

// Billing is the API of the example that brings its own.
const (
	Billing     = "https://api/billing"
	ReadBilling = "read:billing"
)

// exampleClients are the applications of the folder examples that have a client of their own, named
// after the folder, each on a port of its own.
func exampleClients() []*apps.Client {
	at := func(origin string, paths ...string) []string {
		var out []string
		for _, path := range paths {
			out = append(out, origin+path)
		}
		return out
	}
	web := func(name, origin string, callback ...string) *apps.Client {
		return regularWeb(name, at(origin, callback...), at(origin, "", "/"))
	}
	bearerOrigins := []string{"http://localhost:3010", "http://localhost:3011"} // the second: with the API in Go
	bearer := spa("nextjs-bearer", bearerOrigins, bearerOrigins, bearerOrigins)
	bearer.Audience = Billing
	watchlist := web("go-oidc-server", "http://localhost:8092", "/auth/callback")
	watchlist.BackchannelLogoutURI = "http://localhost:8092/auth/backchannel-logout"
	nextjs := web("nextjs-auth0-v4", "http://localhost:3034", "/auth/callback")
	nextjs.BackchannelLogoutURI = "http://localhost:3034/auth/backchannel-logout" // it listens where its sessions are in a store
	return []*apps.Client{
		bearer,
		basic(web("express-passport", "http://localhost:3020", "/callback")),
		basic(web("express-openid-connect", "http://localhost:3021", "/callback")),
		nextjs,
		web("nextjs-auth0-v3", "http://localhost:3033", "/api/auth/callback"),
		web("nextjs-auth0-v2", "http://localhost:3032", "/api/auth/callback"),
		web("next-auth-v4", "http://localhost:3044", "/api/auth/callback/auth0", "/api/auth/callback/gatehouse"),
		web("next-auth-v5", "http://localhost:3045", "/api/auth/callback/auth0", "/api/auth/callback/gatehouse"),
		watchlist,
	}
}

// readBilling is what reading one's bill takes.
func readBilling() access.Permission { return access.Permission{Audience: Billing, Value: ReadBilling} }
