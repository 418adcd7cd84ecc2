package guardtest

import (
	"context"
	"net/http"
	"net/http/httptest"

	"github.com/gatehouse-dev/gatehouse/guard"
)

// DefaultIssuer and DefaultClient are the issuer and the client of the principals that User and Client make.
const (
	DefaultIssuer = "https://issuer.test/"
	DefaultClient = "guardtest"
)

// User returns a person, with the changes made to it.
func User(subject string, changes ...func(*guard.Principal)) *guard.Principal {
	return changed(&guard.Principal{
		Kind: guard.User, Subject: subject, Issuer: DefaultIssuer, ClientID: DefaultClient, Method: Method, AMR: []string{"pwd"},
	}, changes)
}

// Client returns an application that speaks for itself, with the changes made
// to it.
func Client(id string, changes ...func(*guard.Principal)) *guard.Principal {
	return changed(&guard.Principal{
		Kind: guard.Client, Subject: id, Issuer: DefaultIssuer, ClientID: id, Method: Method,
	}, changes)
}

func changed(p *guard.Principal, changes []func(*guard.Principal)) *guard.Principal {
	for _, change := range changes {
		change(p)
	}
	return p
}

// As returns h as it is when who sends the request; nil is an anonymous caller.
func As(who *guard.Principal, h http.Handler) http.Handler { return guard.Optional(always{who})(h) }

// Context returns a context in which guard.From finds who.
func Context(ctx context.Context, who *guard.Principal) context.Context {
	// Only guard's own middleware can make such a context: it is asked for one.
	As(who, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { ctx = r.Context() })).
		ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil).WithContext(ctx))
	return ctx
}

// always names the same principal for every request.
type always struct{ who *guard.Principal }

func (a always) Authenticate(*http.Request) (guard.Result, error) {
	return guard.Result{Principal: a.who}, nil
}

func (always) Challenge(*http.Request, *guard.Error) []string { return nil }
