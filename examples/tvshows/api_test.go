package tvshows_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/examples/tvshows"
)

const pageOrigin = "http://localhost:5173"

func newAPI(t *testing.T, h *house) string {
	t.Helper()
	api, err := tvshows.NewAPI(tvshows.APIOptions{Issuer: h.URL, Audience: audience, AllowedOrigins: []string{pageOrigin}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	return server.URL
}

// do sends one request; header holds names and values in turn.
func do(t *testing.T, c *http.Client, method, address, body string, header ...string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	return res
}

func TestAPIAnswersByToken(t *testing.T) {
	h := newHouse(t)
	api := newAPI(t, h)
	other := newHouse(t) // its key is not the house's
	for _, c := range []struct {
		name, method, token string
		status              int
		challenge           string // part of it
	}{
		{"reads", "GET", h.accessToken("openid read:shows", time.Minute), 200, ""},
		{"no token", "GET", "", 401, "Bearer"},
		{"expired", "GET", h.accessToken("read:shows", -10*time.Minute), 401, `error="invalid_token"`},
		{"for another API", "GET", h.accessTokenFor("https://api/other", "read:shows", time.Minute), 401, `error="invalid_token"`},
		{"of another house", "GET", other.accessToken("read:shows", time.Minute), 401, `error="invalid_token"`},
		{"without the scope", "GET", h.accessToken("openid profile", time.Minute), 403, `error="insufficient_scope"`},
		{"a scope that begins alike", "GET", h.accessToken("read:shows2", time.Minute), 403, `scope="read:shows"`},
		{"writes", "POST", h.accessToken("write:shows", time.Minute), 201, ""},
		{"writes with the scope to read", "POST", h.accessToken("read:shows", time.Minute), 403, `scope="write:shows"`},
		{"HEAD is no way around", "HEAD", "", 401, "Bearer"},
		{"deletes", "DELETE", h.accessToken("read:shows write:shows", time.Minute), 405, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			header := []string{"Origin", pageOrigin}
			if c.token != "" {
				header = append(header, "Authorization", "Bearer "+c.token)
			}
			res := do(t, http.DefaultClient, c.method, api+"/shows", `{"title":"Brick by Brick"}`, header...)
			if res.StatusCode != c.status {
				t.Errorf("status %d, want %d", res.StatusCode, c.status)
			}
			if got := res.Header.Get("WWW-Authenticate"); !strings.Contains(got, c.challenge) || (c.challenge == "" && got != "") {
				t.Errorf("challenge %q, want %q in it", got, c.challenge)
			}
			if got := res.Header.Get("Access-Control-Allow-Origin"); got != pageOrigin {
				t.Errorf("a page cannot read this answer: Access-Control-Allow-Origin is %q", got)
			}
			if got := res.Header.Get("Cache-Control"); c.status < 404 && got != "no-store" {
				t.Errorf("Cache-Control %q", got)
			}
		})
	}
}

func TestAPISaysWhatItSaw(t *testing.T) {
	h := newHouse(t)
	res := do(t, http.DefaultClient, "GET", newAPI(t, h)+"/shows", "", "Authorization", "Bearer "+h.accessToken("read:shows", time.Minute))
	var body struct {
		Shows  []tvshows.Show
		Caller struct {
			Subject  string
			ClientID string `json:"client_id"`
			Scopes   []string
			Expires  time.Time
		}
	}
	if err := json.NewDecoder(res.Body).Decode(&body); err != nil {
		t.Fatal(err)
	}
	if len(body.Shows) < 5 || body.Caller.Subject != "alice" || body.Caller.ClientID != clientID || body.Caller.Expires.IsZero() {
		t.Errorf("%+v", body)
	}
}

func TestAPIKeepsWhatIsAddedWithinBounds(t *testing.T) {
	h := newHouse(t)
	api := newAPI(t, h)
	token := "Bearer " + h.accessToken("read:shows write:shows", time.Minute)
	for body, want := range map[string]int{
		`{"title":"  "}`: 400,
		`{"title":"` + strings.Repeat("x", 61) + `"}`:   400,
		`{"title":"A","rating":5}`:                      400,
		`{"title":"A","year":-1}`:                       400,
		`not JSON`:                                      400,
		`{"title":"` + strings.Repeat("x", 5<<10) + `"`: 400,
		`{"title":" Brick by Brick ","year":2024}`:      201,
	} {
		if res := do(t, http.DefaultClient, "POST", api+"/shows", body, "Authorization", token); res.StatusCode != want {
			t.Errorf("%.40s: %d, want %d", body, res.StatusCode, want)
		}
	}
	full := 0
	for range 60 {
		full = do(t, http.DefaultClient, "POST", api+"/shows", `{"title":"Another"}`, "Authorization", token).StatusCode
	}
	if full != http.StatusConflict {
		t.Errorf("the 60th: %d", full)
	}
}

func TestAPIPreflight(t *testing.T) {
	api := newAPI(t, newHouse(t))
	for origin, allowed := range map[string]bool{
		pageOrigin: true, "http://localhost:5174": false, "http://localhost:51730": false, "null": false, "https://localhost:5173": false, "": false,
	} {
		res := do(t, http.DefaultClient, "OPTIONS", api+"/shows", "", "Origin", origin, "Access-Control-Request-Method", "GET", "Access-Control-Request-Headers", "authorization")
		got := res.Header.Get("Access-Control-Allow-Origin")
		if allowed != (got == origin && strings.Contains(res.Header.Get("Access-Control-Allow-Headers"), "Authorization")) || (!allowed && got != "") {
			t.Errorf("%q: %d %v", origin, res.StatusCode, res.Header)
		}
		if res.StatusCode != http.StatusNoContent || res.Header.Get("Vary") != "Origin" || res.Header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%q: %d %v", origin, res.StatusCode, res.Header)
		}
	}
}

func TestAPIIsHealthy(t *testing.T) {
	if res := do(t, http.DefaultClient, "GET", newAPI(t, newHouse(t))+"/healthz", ""); res.StatusCode != http.StatusOK {
		t.Error(res.Status)
	}
}

func TestAPINeedsAnAudience(t *testing.T) {
	if _, err := tvshows.NewAPI(tvshows.APIOptions{Issuer: "http://localhost:8080/"}); err == nil {
		t.Error("an API that accepts tokens for anybody")
	}
}
