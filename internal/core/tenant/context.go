package tenant

import "context"

type contextKey struct{}

// With returns a context that carries the tenant a request is for.
func With(ctx context.Context, t *Tenant) context.Context {
	return context.WithValue(ctx, contextKey{}, t)
}

// From returns the tenant a request is for. It panics when there is none: the hall puts one into
// every request before any face sees it.
func From(ctx context.Context) *Tenant { return ctx.Value(contextKey{}).(*Tenant) }
