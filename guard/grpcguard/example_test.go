package grpcguard_test

import (
	"context"
	"fmt"
	"net/http"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/grpcguard"
	"github.com/gatehouse-dev/gatehouse/guard/guardtest"
)

func request() *http.Request { return &http.Request{Header: http.Header{}} }

// A service whose calls need a scope, and whose health anybody may ask for.
func ExampleRequire() {
	scheme := guardtest.NewScheme() // in an application, one of package bearer
	gate := grpcguard.ByMethod(
		grpcguard.Require(scheme, guard.Scopes("read:shows")),
		map[string]*grpcguard.Gate{"/grpc.health.v1.Health/Check": grpcguard.Optional(scheme)},
	)
	_ = grpc.NewServer(grpc.UnaryInterceptor(gate.Unary), grpc.StreamInterceptor(gate.Stream))

	list := func(ctx context.Context, _ any) (any, error) {
		who, _ := guard.From(ctx)
		return "shows of " + who.Subject, nil
	}
	info := &grpc.UnaryServerInfo{FullMethod: "/shows.v1.Shows/List"}
	fmt.Println(gate.Unary(context.Background(), nil, info, list))

	alice := guardtest.User("alice", func(p *guard.Principal) { p.Scopes = []string{"read:shows"} })
	ctx := metadata.NewIncomingContext(context.Background(), metadata.Pairs(guardtest.Header, scheme.Credential(alice)))
	fmt.Println(gate.Unary(ctx, nil, info, list))
	// Output:
	// <nil> rpc error: code = Unauthenticated desc = Credentials are required
	// shows of alice <nil>
}
