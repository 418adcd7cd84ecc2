// Package grpcguard protects gRPC servers with the schemes and requirements of
// package guard:
//
//	gate := grpcguard.Require(tokens, guard.Scopes("read:shows"))
//	server := grpc.NewServer(grpc.UnaryInterceptor(gate.Unary), grpc.StreamInterceptor(gate.Stream))
//
//	func (s *shows) List(ctx context.Context, …) (…) {
//		who, _ := guard.From(ctx)
//		…
//	}
//
// A call reaches its method's handler under the conditions under which a request
// would reach an http.Handler, for it is the same code that decides. Metadata
// stand for the header (authorization, x-api-key, dpop), the peer's address and
// its TLS connection for those of a request, POST and the method's full name for
// method and path.
//
// Refusals are status Unauthenticated, where other credentials would help, and
// PermissionDenied, where they would not; ResourceExhausted and Unavailable say
// to come back later. The challenges travel as www-authenticate in the trailer.
//
// A stream is judged when it is opened. What happens to the credential later does
// not end it: a handler that keeps streams open for long has to look at
// Principal.Expiry, and to ask again.
//
// This package imports google.golang.org/grpc, which the rest of guard does not.
package grpcguard
