package tvshows

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/bearer"
)

// The scopes of the API.
const (
	readShows  = "read:shows"
	writeShows = "write:shows"
)

// APIOptions configures the API.
type APIOptions struct {
	// Issuer is whose access tokens are accepted.
	Issuer string
	// Audience is this API's identifier; tokens for others are refused.
	Audience string
	// AllowedOrigins are the origins whose scripts may call the API.
	AllowedOrigins []string
	// Logger hears of failures; nil discards them.
	Logger *slog.Logger
	// Clock tells the time; nil is time.Now.
	Clock func() time.Time
}

// Show is a TV show.
type Show struct {
	Title   string `json:"title"`
	Genre   string `json:"genre"`
	Year    int    `json:"year"`
	Seasons int    `json:"seasons"`
}

// caller is what the API learned about its caller from the access token. A real
// API would keep it to itself; this one says it, to show what a token carries.
type caller struct {
	Subject  string    `json:"subject"`
	ClientID string    `json:"client_id"`
	Scopes   []string  `json:"scopes"`
	TokenID  string    `json:"token_id"`
	Expires  time.Time `json:"expires"`
}

// NewAPI returns the API: GET and POST /shows, and /healthz. It asks the house
// for its public keys and for nothing else: a token is checked right here.
func NewAPI(o APIOptions) (http.Handler, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	tokens, err := bearer.New(bearer.Options{Issuer: o.Issuer, Audience: o.Audience, Logger: o.Logger, Clock: o.Clock})
	if err != nil {
		return nil, fmt.Errorf("tvshows: %w", err)
	}
	l := &library{shows: invented()}
	may := func(scope string, h http.HandlerFunc) http.Handler {
		return guard.Require(tokens, guard.Scopes(scope))(h)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /shows", may(readShows, l.list))
	mux.Handle("POST /shows", may(writeShows, l.add))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]any{
			"name": "TV Shows API", "audience": o.Audience, "issuer": o.Issuer,
			"GET /shows": "needs an access token with the scope " + readShows, "POST /shows": "needs " + writeShows,
		})
	})
	return allowOrigins(o.AllowedOrigins, mux), nil
}

// allowOrigins lets scripts of the named origins read answers (CORS). It stands
// in front of the guard, because a preflight carries no token by design, and it
// marks refusals as well: a script that cannot read a 403 cannot explain it.
func allowOrigins(origins []string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Add("Vary", "Origin")
		allowed := slices.Contains(origins, r.Header.Get("Origin"))
		if allowed {
			h.Set("Access-Control-Allow-Origin", r.Header.Get("Origin"))
			h.Set("Access-Control-Expose-Headers", "WWW-Authenticate")
		}
		if r.Method != http.MethodOptions {
			next.ServeHTTP(w, r)
			return
		}
		if allowed {
			h.Set("Access-Control-Allow-Methods", "GET, POST")
			h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type")
			h.Set("Access-Control-Max-Age", "600")
		}
		w.WriteHeader(http.StatusNoContent)
	})
}

// library keeps the shows in memory: they are invented again at every start.
type library struct {
	mu    sync.Mutex
	shows []Show
}

func (l *library) list(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	shows := slices.Clone(l.shows)
	l.mu.Unlock()
	p, _ := guard.From(r.Context()) // always there behind guard.Require
	writeJSON(w, http.StatusOK, map[string]any{"shows": shows, "caller": caller{p.Subject, p.ClientID, p.Scopes, p.TokenID, p.Expiry}})
}

// Bounds of what can be added, so that the demo cannot be filled up.
const (
	maxShows = 50
	maxBody  = 4 << 10
	maxTitle = 60
)

func (l *library) add(w http.ResponseWriter, r *http.Request) {
	var s Show
	body := json.NewDecoder(io.LimitReader(r.Body, maxBody))
	body.DisallowUnknownFields()
	err := body.Decode(&s)
	s.Title, s.Genre = strings.TrimSpace(s.Title), strings.TrimSpace(s.Genre)
	if err != nil || s.Title == "" || len(s.Title) > maxTitle || len(s.Genre) > maxTitle || s.Year < 0 || s.Seasons < 0 {
		refuse(w, http.StatusBadRequest, "A show is JSON with a title of 1 to 60 bytes; genre, year and seasons are optional.")
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.shows) >= maxShows {
		refuse(w, http.StatusConflict, "The library is full until the API starts again.")
		return
	}
	l.shows = append(l.shows, s)
	writeJSON(w, http.StatusCreated, s)
}

// refuse answers as the guard does: with a problem document (RFC 9457).
func refuse(w http.ResponseWriter, status int, detail string) {
	writeJSON(w, status, map[string]any{"type": "about:blank", "title": http.StatusText(status), "status": status, "detail": detail})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the caller hung up: nobody is left to tell
}

// invented returns shows that nobody has ever seen.
func invented() []Show {
	return []Show{
		{"The Lamplighters of Ostrava Lane", "Mystery", 2019, 3},
		{"Nine Minutes to Marrowgate", "Thriller", 2022, 1},
		{"Kettle, Crow & Sons", "Comedy", 2016, 6},
		{"A Cartographer's Guide to Fog", "Drama", 2021, 2},
		{"Saltgrass Radio", "Science fiction", 2023, 2},
		{"The Understudy's Alibi", "Crime", 2018, 4},
	}
}
