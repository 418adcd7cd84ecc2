package routers_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/labstack/echo/v4"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/guardtest"
)

type middleware = func(http.Handler) http.Handler

// An application in each router: /open lets strangers through, everything under
// /admin needs the role, /admin/stream answers bit by bit, /admin/empty says
// nothing, and /admin/panic breaks.

func serveMux(open, admin middleware) http.Handler {
	under := http.NewServeMux()
	under.HandleFunc("GET /admin/{id}", whoami)
	under.HandleFunc("GET /admin/stream", stream)
	under.HandleFunc("GET /admin/empty", empty)
	under.HandleFunc("GET /admin/panic", breaks)
	mux := http.NewServeMux()
	mux.Handle("/open", open(http.HandlerFunc(whoami)))
	mux.Handle("/admin/", admin(under))
	return mux
}

func chiRouter(open, admin middleware) http.Handler {
	r := chi.NewRouter()
	r.With(open).Get("/open", whoami)
	r.Route("/admin", func(r chi.Router) {
		r.Use(admin)
		r.Get("/{id}", whoami)
		r.Get("/stream", stream)
		r.Get("/empty", empty)
		r.Get("/panic", breaks)
	})
	return r
}

func ginRouter(open, admin middleware) http.Handler {
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.GET("/open", ginMiddleware(open), func(c *gin.Context) {
		c.String(http.StatusOK, name(c.Request))
	})
	under := r.Group("/admin", ginMiddleware(admin))
	under.GET("/:id", func(c *gin.Context) { c.String(http.StatusOK, name(c.Request)) })
	under.GET("/stream", func(c *gin.Context) {
		rest := []string{"one ", "two"}
		c.Stream(func(w io.Writer) bool {
			_, _ = io.WriteString(w, rest[0])
			rest = rest[1:]
			return len(rest) > 0
		})
	})
	under.GET("/empty", func(c *gin.Context) { c.Status(http.StatusNoContent) })
	under.GET("/panic", func(*gin.Context) { panic(http.ErrAbortHandler) })
	return r
}

// ginMiddleware fits middleware of net/http into gin.
func ginMiddleware(m middleware) gin.HandlerFunc {
	return func(c *gin.Context) {
		passed, outer := false, c.Writer
		m(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			passed = true
			c.Request, c.Writer = r, ginWriter{outer, w}
			c.Next()
		})).ServeHTTP(c.Writer, c.Request)
		c.Writer = outer
		if !passed {
			c.Abort()
		}
	}
}

// ginWriter sends through the writer the middleware handed on.
type ginWriter struct {
	gin.ResponseWriter
	w http.ResponseWriter
}

func (g ginWriter) Write(b []byte) (int, error)       { return g.w.Write(b) }
func (g ginWriter) WriteString(s string) (int, error) { return io.WriteString(g.w, s) }
func (g ginWriter) Flush()                            { _ = http.NewResponseController(g.w).Flush() }

func (g ginWriter) WriteHeaderNow() {
	g.w.WriteHeader(g.Status())
	g.ResponseWriter.WriteHeaderNow()
}

func (g ginWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(g.w).Hijack()
}

func echoRouter(open, admin middleware) http.Handler {
	e := echo.New()
	hello := func(c echo.Context) error { return c.String(http.StatusOK, name(c.Request())) }
	e.GET("/open", hello, echo.WrapMiddleware(open))
	under := e.Group("/admin", echo.WrapMiddleware(admin))
	under.GET("/:id", hello)
	under.GET("/stream", func(c echo.Context) error {
		stream(c.Response(), c.Request())
		return nil
	})
	under.GET("/empty", func(c echo.Context) error { return c.NoContent(http.StatusNoContent) })
	under.GET("/panic", func(echo.Context) error { panic(http.ErrAbortHandler) })
	return e
}

func name(r *http.Request) string {
	who, ok := guard.From(r.Context())
	if !ok {
		return "nobody"
	}
	return who.Subject
}

func whoami(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, name(r)) }

func stream(w http.ResponseWriter, _ *http.Request) {
	_, _ = io.WriteString(w, "one ")
	w.(http.Flusher).Flush()
	_, _ = io.WriteString(w, "two")
}

func empty(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }

func breaks(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// renewing is a scheme that sets a cookie with each answer, as sessions do.
type renewing struct{ *guardtest.Scheme }

func (s renewing) Authenticate(r *http.Request) (guard.Result, error) {
	res, err := s.Scheme.Authenticate(r)
	res.BeforeHeader = func(h http.Header) { h.Add("Set-Cookie", "renewed=yes") }
	return res, err
}

func TestRouters(t *testing.T) {
	for router, build := range map[string]func(open, admin middleware) http.Handler{
		"ServeMux": serveMux, "chi": chiRouter, "gin": ginRouter, "echo": echoRouter,
	} {
		t.Run(router, func(t *testing.T) {
			scheme := renewing{guardtest.NewScheme()}
			scheme.LoginPage = "/login"
			server := httptest.NewServer(build(guard.Optional(scheme), guard.Require(scheme, guard.Roles("admin"))))
			defer server.Close()
			admin := scheme.Credential(guardtest.User("alice", func(p *guard.Principal) { p.Roles = []string{"admin"} }))
			user := scheme.Credential(guardtest.User("bob"))

			tests := []struct {
				name, method, path, credential, accept string
				status                                 int
				body                                   string
			}{
				{"a stranger where it is open", "GET", "/open", "", "", 200, "nobody"},
				{"somebody where it is open", "GET", "/open", user, "", 200, "bob"},
				{"a bad credential where it is open", "GET", "/open", "bad", "", 401, "invalid_token"},
				{"the administrator", "GET", "/admin/7", admin, "", 200, "alice"},
				{"a user", "GET", "/admin/7", user, "", 403, "access_denied"},
				{"a stranger", "GET", "/admin/7", "", "", 401, "Unauthorized"},
				{"a stranger's HEAD", "HEAD", "/admin/stream", "", "", 401, ""},
				{"a page visit", "GET", "/admin/7", "", "text/html", 303, ""},
				{"bit by bit", "GET", "/admin/stream", admin, "", 200, "one two"},
				{"bit by bit, for a stranger", "GET", "/admin/stream", "", "", 401, ""},
				{"nothing", "GET", "/admin/empty", admin, "", 204, ""},
			}
			client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
			for _, tt := range tests {
				t.Run(tt.name, func(t *testing.T) {
					r, err := http.NewRequestWithContext(t.Context(), tt.method, server.URL+tt.path, nil)
					if err != nil {
						t.Fatal(err)
					}
					r.Header.Set("Accept", tt.accept)
					if tt.credential != "" {
						r.Header.Set(guardtest.Header, tt.credential)
					}
					res, err := client.Do(r)
					if err != nil {
						t.Fatal(err)
					}
					defer res.Body.Close()
					body, _ := io.ReadAll(res.Body)
					// HEAD has no route in some of them, and must not open one.
					if res.StatusCode != tt.status && !(tt.method == "HEAD" && res.StatusCode >= 404) || !strings.Contains(string(body), tt.body) {
						t.Fatalf("%d %s, want %d %s", res.StatusCode, body, tt.status, tt.body)
					}
					if tt.status < 400 && res.Header.Get("WWW-Authenticate") != "" {
						t.Error("a challenge where none belongs")
					}
					if tt.status == 401 && tt.method == "GET" && res.Header.Get("WWW-Authenticate") == "" {
						t.Error("no challenge")
					}
					if got := res.Header.Values("Set-Cookie"); tt.method == "GET" && len(got) != 1 {
						t.Errorf("the scheme's cookie was set %d times", len(got))
					}
				})
			}
			r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/admin/panic", nil)
			r.Header.Set(guardtest.Header, admin)
			if res, err := client.Do(r); err == nil {
				res.Body.Close()
				t.Errorf("a handler that breaks answers %d", res.StatusCode)
			}
		})
	}
}

// However a path is spelled, nobody gets behind the guard without a credential.
func TestNoWayAround(t *testing.T) {
	for router, build := range map[string]func(open, admin middleware) http.Handler{
		"ServeMux": serveMux, "chi": chiRouter, "gin": ginRouter, "echo": echoRouter,
	} {
		h := build(guard.Optional(guardtest.NewScheme()), guard.Require(guardtest.NewScheme(), guard.Users()))
		for _, method := range []string{"GET", "HEAD", "POST", "OPTIONS", "PROPFIND", "get"} {
			for _, path := range []string{"/admin/7", "/admin/7/", "//admin/7", "/admin//7", "/admin/./7", "/open/../admin/7", "/admin/%37", "/%61dmin/7", "/ADMIN/7", "/admin/stream", "/admin/empty"} {
				r := httptest.NewRequest(method, path, nil)
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				if w.Code < 300 {
					t.Errorf("%s: %s %s: %d %s", router, method, path, w.Code, w.Body)
				}
			}
		}
	}
}
