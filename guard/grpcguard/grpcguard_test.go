package grpcguard_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/basic"
	"github.com/gatehouse-dev/gatehouse/guard/grpcguard"
	"github.com/gatehouse-dev/gatehouse/guard/guardtest"
)

// service is a service that every gRPC installation knows, with a unary method
// and a stream; it remembers who called.
type service struct {
	grpc_health_v1.UnimplementedHealthServer
	callers chan string
}

func (s *service) note(ctx context.Context) {
	who, ok := guard.From(ctx)
	if !ok {
		who = &guard.Principal{Subject: "nobody"}
	}
	s.callers <- who.Subject
}

func (s *service) Check(ctx context.Context, _ *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	s.note(ctx)
	return &grpc_health_v1.HealthCheckResponse{Status: grpc_health_v1.HealthCheckResponse_SERVING}, nil
}

func (s *service) Watch(_ *grpc_health_v1.HealthCheckRequest, stream grpc_health_v1.Health_WatchServer) error {
	s.note(stream.Context())
	return stream.Send(&grpc_health_v1.HealthCheckResponse{Status: grpc_health_v1.HealthCheckResponse_SERVING})
}

const (
	check = "/grpc.health.v1.Health/Check"
	watch = "/grpc.health.v1.Health/Watch"
)

// start runs a server on a loopback port and returns a client of it.
func start(t *testing.T, gate *grpcguard.Gate, server, client credentials.TransportCredentials) (grpc_health_v1.HealthClient, *service) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer(grpc.Creds(server), grpc.UnaryInterceptor(gate.Unary), grpc.StreamInterceptor(gate.Stream))
	served := &service{callers: make(chan string, 1)}
	grpc_health_v1.RegisterHealthServer(s, served)
	go func() { _ = s.Serve(listener) }()
	t.Cleanup(s.Stop)
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(client))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return grpc_health_v1.NewHealthClient(conn), served
}

// both calls the unary method and the stream with the same metadata, and
// returns what is the same of both.
func both(t *testing.T, client grpc_health_v1.HealthClient, s *service, md ...string) (caller string, code codes.Code, message string, trailer metadata.MD) {
	t.Helper()
	ctx := metadata.AppendToOutgoingContext(t.Context(), md...)
	request := &grpc_health_v1.HealthCheckRequest{}
	_, err := client.Check(ctx, request, grpc.Trailer(&trailer))
	caller = s.caller()

	stream, streamErr := client.Watch(ctx, request)
	if streamErr == nil {
		_, streamErr = stream.Recv()
	}
	if other := s.caller(); other != caller || status.Code(streamErr) != status.Code(err) || status.Convert(streamErr).Message() != status.Convert(err).Message() {
		t.Errorf("the stream says %q %v, the unary call %q %v", other, streamErr, caller, err)
	}
	return caller, status.Code(err), status.Convert(err).Message(), trailer
}

func (s *service) caller() string {
	select {
	case c := <-s.callers:
		return c
	default:
		return ""
	}
}

func TestCalls(t *testing.T) {
	issuer := guardtest.NewIssuer(t, "https://api.test")
	fake := guardtest.NewScheme()
	scheme := guard.AnyOf(issuer.Scheme(), fake)
	plain := insecure.NewCredentials()
	client, s := start(t, grpcguard.Require(scheme, guard.Scopes("read"), guard.MaxAge(time.Hour)), plain, plain)
	read := func(c map[string]any) { c["scope"] = "read" }
	old := func(c map[string]any) { c["scope"], c["auth_time"] = "read", time.Now().Add(-2*time.Hour).Unix() }
	refused := func(why *guard.Error) string {
		return fakeCredential(fake, why)
	}
	tests := []struct {
		name      string
		md        []string
		caller    string
		code      codes.Code
		message   string
		challenge string
	}{
		{"a token", []string{"authorization", "Bearer " + issuer.Token("alice", read)}, "alice", codes.OK, "", ""},
		{"another scheme", []string{guardtest.Header, fake.Credential(guardtest.User("bob", func(p *guard.Principal) {
			p.Scopes, p.AuthTime = []string{"read"}, time.Now()
		}))}, "bob", codes.OK, "", ""},
		{"nothing", nil, "", codes.Unauthenticated, "Credentials are required", "Bearer|Guard-Test"},
		{"expired", []string{"authorization", "Bearer " + issuer.Expired("alice")}, "", codes.Unauthenticated, "The access token expired", `Bearer error="invalid_token"`},
		{"wrong audience", []string{"authorization", "Bearer " + issuer.WrongAudience("alice")}, "", codes.Unauthenticated, "The access token is invalid", `Bearer error="invalid_token"`},
		{"two tokens", []string{"authorization", "Bearer " + issuer.Token("alice", read), "authorization", "Bearer " + issuer.Token("bob", read)}, "", codes.Unauthenticated, "", `error="invalid_request"`},
		{"a scope missing", []string{"authorization", "Bearer " + issuer.Token("alice")}, "", codes.PermissionDenied, "The credential lacks a scope this resource requires", `error="insufficient_scope"`},
		{"signed in too long ago", []string{"authorization", "Bearer " + issuer.Token("alice", old)}, "", codes.Unauthenticated, "This resource requires signing in again", `error="insufficient_user_authentication"`},
		{"a bad one beside a good one", []string{"authorization", "Bearer " + issuer.Token("alice", read), guardtest.Header, "bad"}, "", codes.Unauthenticated, "", ""},
		{"too many", []string{guardtest.Header, refused(&guard.Error{Code: guard.TooManyRequests})}, "", codes.ResourceExhausted, "Too Many Requests", ""},
		{"unavailable", []string{guardtest.Header, refused(&guard.Error{Code: guard.Unavailable, Description: "Later"})}, "", codes.Unavailable, "Later", ""},
		{"broken", []string{guardtest.Header, refused(&guard.Error{Code: guard.Internal})}, "", codes.Internal, "Internal Server Error", ""},
		{"a principal of the client's own", []string{"x-remote-user", "admin", "principal", "admin"}, "", codes.Unauthenticated, "Credentials are required", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			caller, code, message, trailer := both(t, client, s, tt.md...)
			if caller != tt.caller || code != tt.code || tt.message != "" && message != tt.message {
				t.Errorf("%q %v %q, want %q %v %q", caller, code, message, tt.caller, tt.code, tt.message)
			}
			if got := strings.Join(trailer.Get("www-authenticate"), "|"); !strings.Contains(got, tt.challenge) || tt.code == codes.OK && got != "" {
				t.Errorf("challenges %q, want %q", got, tt.challenge)
			}
		})
	}
}

func fakeCredential(s *guardtest.Scheme, why *guard.Error) string {
	r := request()
	s.Refuse(r, why)
	return r.Header.Get(guardtest.Header)
}

// The connection's TLS is the request's: a password travels by it, and not
// without.
func TestTLS(t *testing.T) {
	users, err := basic.Users(map[string]string{"alice": "sesame"})
	if err != nil {
		t.Fatal(err)
	}
	scheme, err := basic.New(basic.Options{Realm: "tests", Verifier: users})
	if err != nil {
		t.Fatal(err)
	}
	server, client := certificate(t)
	password := []string{"authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte("alice:sesame")), "x-forwarded-for", "203.0.113.7"}

	c, s := start(t, grpcguard.Require(scheme), server, client)
	if caller, code, message, _ := both(t, c, s, password...); caller != "alice" {
		t.Errorf("by TLS: %v %s", code, message)
	}
	plain := insecure.NewCredentials()
	c, s = start(t, grpcguard.Require(scheme), plain, plain)
	if caller, code, _, _ := both(t, c, s, password...); caller != "" || code != codes.Unauthenticated {
		t.Errorf("without: %q %v", caller, code)
	}
}

func TestOptional(t *testing.T) {
	fake := guardtest.NewScheme()
	plain := insecure.NewCredentials()
	client, s := start(t, grpcguard.Optional(fake), plain, plain)
	for credential, want := range map[string]string{"": "nobody OK", fake.Credential(guardtest.User("alice")): "alice OK", "bad": " Unauthenticated"} {
		var md []string
		if credential != "" {
			md = []string{guardtest.Header, credential}
		}
		if caller, code, _, _ := both(t, client, s, md...); caller+" "+code.String() != want {
			t.Errorf("%q: %s %v, want %s", credential, caller, code, want)
		}
	}
}

func TestByMethod(t *testing.T) {
	fake := guardtest.NewScheme()
	plain := insecure.NewCredentials()
	gate := grpcguard.ByMethod(grpcguard.Require(fake, guard.Roles("admin")), map[string]*grpcguard.Gate{check: grpcguard.Optional(fake)})
	client, s := start(t, gate, plain, plain)
	if _, err := client.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{}); err != nil || s.caller() != "nobody" {
		t.Errorf("the method that is open: %v", err)
	}
	stream, err := client.Watch(t.Context(), &grpc_health_v1.HealthCheckRequest{})
	if err == nil {
		_, err = stream.Recv()
	}
	if status.Code(err) != codes.Unauthenticated || s.caller() != "" {
		t.Errorf("a method that is not named: %v", err)
	}
	for name, build := range map[string]func(){
		"no gate for the rest": func() { grpcguard.ByMethod(nil, nil) },
		"no gate":              func() { grpcguard.ByMethod(gate, map[string]*grpcguard.Gate{watch: nil}) },
		"half a name":          func() { grpcguard.ByMethod(gate, map[string]*grpcguard.Gate{"Watch": gate}) },
		"no scheme":            func() { grpcguard.Require(nil) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: it builds", name)
				}
			}()
			build()
		}()
	}
}

// certificate makes one for loopback, and credentials of both ends.
func certificate(t *testing.T) (server, client credentials.TransportCredentials) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return credentials.NewServerTLSFromCert(&tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}), credentials.NewClientTLSFromCert(pool, "")
}
