package grpcguard

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/gatehouse-dev/gatehouse/guard"
)

// Gate decides which calls reach their handlers. Its methods Unary and Stream
// are interceptors. It is safe for concurrent use.
type Gate struct {
	handler   http.Handler // calls what it finds in the request's context
	byMethod  map[string]*Gate
	otherwise *Gate
}

// Require returns a gate that lets a call through as guard.Require does a
// request, with the same options. It panics as that does; guard.Refuse has no
// effect.
func Require(scheme guard.Authenticator, options ...guard.Option) *Gate {
	return newGate(guard.Require(scheme, with(options)...))
}

// Optional returns a gate that lets anonymous callers through, and refuses a bad
// credential, as guard.Optional does.
func Optional(scheme guard.Authenticator, options ...guard.Option) *Gate {
	return newGate(guard.Optional(scheme, with(options)...))
}

// ByMethod returns a gate that judges each method by its own, named in full as
// in "/shows.v1.Shows/List", and whatever is not named by otherwise: a method
// that was forgotten is not open. It panics when a gate is nil, or a name is not
// a full one.
func ByMethod(otherwise *Gate, gates map[string]*Gate) *Gate {
	if otherwise == nil {
		panic("grpcguard: ByMethod needs a gate for the methods that are not named")
	}
	g := &Gate{otherwise: otherwise, byMethod: make(map[string]*Gate, len(gates))}
	for method, gate := range gates {
		if gate == nil {
			panic("grpcguard: the gate of " + method + " is nil")
		}
		if !strings.HasPrefix(method, "/") || strings.Count(method, "/") != 2 {
			panic("grpcguard: " + method + " is not a full method name, as /package.Service/Method")
		}
		g.byMethod[method] = gate
	}
	return g
}

// Unary is a grpc.UnaryServerInterceptor.
func (g *Gate) Unary(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (answer any, err error) {
	c := &call{run: func(ctx context.Context) error {
		answer, err = handler(ctx, request)
		return err
	}}
	err = g.judge(ctx, info.FullMethod, c, func(md metadata.MD) { _ = grpc.SetTrailer(ctx, md) })
	return answer, err
}

// Stream is a grpc.StreamServerInterceptor.
func (g *Gate) Stream(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	c := &call{run: func(ctx context.Context) error {
		return handler(server, &namedStream{stream, ctx})
	}}
	return g.judge(stream.Context(), info.FullMethod, c, stream.SetTrailer)
}

// namedStream is a stream whose context names the principal.
type namedStream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s *namedStream) Context() context.Context { return s.ctx }

// call is one call on its way through guard's middleware.
type call struct {
	run func(context.Context) error // the rest of the call
	err error                       // its outcome, or the refusal
}

type callKey struct{}

func newGate(middleware func(http.Handler) http.Handler) *Gate {
	return &Gate{handler: middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		c := ctx.Value(callKey{}).(*call)
		c.err = c.run(ctx)
	}))}
}

// with adds how refusals are written here.
func with(options []guard.Option) []guard.Option {
	return append(options[:len(options):len(options)], guard.Refuse(func(_ http.ResponseWriter, r *http.Request, f *guard.Refusal) {
		r.Context().Value(callKey{}).(*call).err = refusal(f)
	}))
}

func (g *Gate) judge(ctx context.Context, method string, c *call, setTrailer func(metadata.MD)) error {
	for g.otherwise != nil {
		gate, named := g.byMethod[method]
		if !named {
			gate = g.otherwise
		}
		g = gate
	}
	// What guard leaves undecided is refused: nothing but a verdict replaces it.
	c.err = status.Error(codes.Internal, "the call was not judged")
	w := &header{http.Header{}}
	g.handler.ServeHTTP(w, request(context.WithValue(ctx, callKey{}, c), method))
	if md := w.trailer(); len(md) > 0 {
		setTrailer(md)
	}
	return c.err
}

// request is the call as schemes see it.
func request(ctx context.Context, method string) *http.Request {
	r := &http.Request{
		Method: http.MethodPost, URL: &url.URL{Path: method}, RequestURI: method,
		Proto: "HTTP/2.0", ProtoMajor: 2, Header: http.Header{}, Body: http.NoBody,
	}
	md, _ := metadata.FromIncomingContext(ctx)
	for key, values := range md {
		switch {
		case key == ":authority" && len(values) == 1:
			r.Host = values[0]
		case strings.HasPrefix(key, ":"), strings.HasSuffix(key, "-bin"): // no header of ours is binary
		default:
			r.Header[http.CanonicalHeaderKey(key)] = values
		}
	}
	if p, ok := peer.FromContext(ctx); ok {
		if p.Addr != nil {
			r.RemoteAddr = p.Addr.String()
		}
		if t, ok := p.AuthInfo.(credentials.TLSInfo); ok {
			r.TLS = &t.State
		}
	}
	return r.WithContext(ctx)
}

func refusal(f *guard.Refusal) error {
	message := "Credentials are required"
	if f.Err != nil {
		if message = f.Err.Description; message == "" {
			message = http.StatusText(f.Status)
		}
	}
	return status.Error(code(f.Status), message)
}

func code(httpStatus int) codes.Code {
	switch httpStatus {
	case http.StatusBadRequest, http.StatusUnauthorized:
		return codes.Unauthenticated
	case http.StatusForbidden:
		return codes.PermissionDenied
	case http.StatusTooManyRequests:
		return codes.ResourceExhausted
	case http.StatusServiceUnavailable:
		return codes.Unavailable
	}
	return codes.Internal
}

// header is a response of which nothing is sent but what schemes have to say.
type header struct{ h http.Header }

func (w *header) Header() http.Header         { return w.h }
func (w *header) Write(b []byte) (int, error) { return len(b), nil }
func (w *header) WriteHeader(int)             {}

// trailer leaves out what means something to browsers and caches alone.
func (w *header) trailer() metadata.MD {
	md := metadata.MD{}
	for key, values := range w.h {
		switch key {
		case "Cache-Control", "Vary", "Set-Cookie":
		default:
			md.Append(key, values...) // lower-cases the key
		}
	}
	return md
}
