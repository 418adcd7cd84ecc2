package guard_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/internal/testclock"
)

// visitor is a scheme whose people sign in on pages.
type visitor struct {
	is
	stuck bool // cannot help with a step-up
}

func (v *visitor) LoginURL(*http.Request) string { return "/login" }

func (v *visitor) StepUpURL(r *http.Request, why *guard.Error) string {
	if v.stuck {
		return ""
	}
	return fmt.Sprintf("/login?acr_values=%s&max_age=%.0f&returnTo=%s", strings.Join(why.ACRValues, "+"), why.MaxAge.Seconds(), r.URL.Path)
}

func TestStepUp(t *testing.T) {
	clock := testclock.New()
	ago := func(d time.Duration) time.Time { return clock.Now().Add(-d) }
	tests := []struct {
		name      string
		acr       string
		signedIn  time.Time
		options   []guard.Option
		status    int
		acrValues string
		maxAge    int64
	}{
		{"class reached", "gold", time.Time{}, []guard.Option{guard.ACR("gold")}, 200, "", 0},
		{"second choice reached", "silver", time.Time{}, []guard.Option{guard.ACR("gold", "silver")}, 200, "", 0},
		{"another class", "bronze", time.Time{}, []guard.Option{guard.ACR("gold", "silver")}, 401, "gold silver", 0},
		{"no class", "", time.Time{}, []guard.Option{guard.ACR("gold")}, 401, "gold", 0},
		{"just now", "", ago(0), []guard.Option{guard.MaxAge(time.Minute)}, 200, "", 0},
		{"at the limit", "", ago(time.Minute), []guard.Option{guard.MaxAge(time.Minute)}, 200, "", 0},
		{"past the limit", "", ago(time.Minute + 1), []guard.Option{guard.MaxAge(time.Minute)}, 401, "", 60},
		{"nobody knows when", "", time.Time{}, []guard.Option{guard.MaxAge(time.Minute)}, 401, "", 60},
		{"a clock a little ahead", "", ago(-30 * time.Second), []guard.Option{guard.MaxAge(time.Minute)}, 200, "", 0},
		{"tomorrow", "", ago(-24 * time.Hour), []guard.Option{guard.MaxAge(time.Minute)}, 401, "", 60},
		{"old, both named", "gold", ago(time.Hour), []guard.Option{guard.MaxAge(time.Minute), guard.ACR("gold")}, 401, "gold", 60},
		{"fresh and weak, both named", "", ago(0), []guard.Option{guard.ACR("gold"), guard.MaxAge(time.Minute)}, 401, "gold", 60},
		{"both", "gold", ago(0), []guard.Option{guard.ACR("gold"), guard.MaxAge(time.Minute)}, 200, "", 0},
		{"the smaller age", "", ago(30 * time.Second), []guard.Option{guard.MaxAge(10 * time.Second), guard.MaxAge(time.Minute)}, 401, "", 10},
		{"the smaller age, later", "", ago(30 * time.Second), []guard.Option{guard.MaxAge(time.Minute), guard.MaxAge(10 * time.Second)}, 401, "", 10},
		{"or an administrator", "", ago(time.Hour), []guard.Option{guard.Either(guard.MaxAge(time.Minute), guard.Roles("admin"))}, 401, "", 60},
		{"what signing in would not help is told first", "", ago(time.Hour), []guard.Option{guard.Roles("admin"), guard.MaxAge(time.Minute)}, 403, "", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			who := &visitor{is: is{ACR: tt.acr, AuthTime: tt.signedIn}}
			h := guard.Require(who, append(tt.options, guard.Clock(clock.Now))...)(http.HandlerFunc(whoami))
			w := get(h)
			if w.Code != tt.status {
				t.Fatalf("status %d, want %d: %s", w.Code, tt.status, w.Body)
			}
			page := get(h, "Accept", "text/html", "Sec-Fetch-Mode", "navigate")
			if w.Code != http.StatusUnauthorized {
				if page.Code != w.Code {
					t.Errorf("a page visit gets %d", page.Code)
				}
				return
			}
			if got := w.Header().Get("WWW-Authenticate"); got != "Is error=insufficient_user_authentication" {
				t.Errorf("challenge %q", got)
			}
			var problem struct {
				Code      string
				ACRValues string `json:"acr_values"`
				MaxAge    int64  `json:"max_age"`
			}
			if err := json.Unmarshal(w.Body.Bytes(), &problem); err != nil || problem.ACRValues != tt.acrValues || problem.MaxAge != tt.maxAge {
				t.Errorf("%v, %+v, want %q and %d", err, problem, tt.acrValues, tt.maxAge)
			}
			want := fmt.Sprintf("/login?acr_values=%s&max_age=%d&returnTo=/", strings.ReplaceAll(tt.acrValues, " ", "+"), tt.maxAge)
			if page.Code != http.StatusSeeOther || page.Header().Get("Location") != want || page.Header().Get("WWW-Authenticate") != "" {
				t.Errorf("a page visit gets %d %v, want %s", page.Code, page.Header(), want)
			}
		})
	}
}

// A redirect is for the person whose session it is, not for whoever comes by
// another scheme, and not where it would not help.
func TestStepUpGoesToTheRightDoor(t *testing.T) {
	page := []string{"Accept", "text/html"}
	redirected := func(scheme guard.Authenticator, header ...string) bool {
		return get(guard.Require(scheme, guard.ACR("gold"))(http.HandlerFunc(whoami)), append(header, page...)...).Code == http.StatusSeeOther
	}
	if redirected(&is{}) {
		t.Error("a scheme without pages sends people away")
	}
	if redirected(&visitor{stuck: true}) {
		t.Error("a scheme that cannot help sends people away")
	}
	if redirected(guard.AnyOf(&is{}, &visitor{})) {
		t.Error("a scheme that did not name the principal sends them away")
	}
	if redirected(&visitor{}, "Authorization", "Whatever") {
		t.Error("a client with a credential of its own is sent to a page")
	}
	if !redirected(guard.AnyOf(pass{header: "X"}, &visitor{})) {
		t.Error("the scheme that named the principal is not asked")
	}
}

// A shop: whoever looks needs to be signed in, whoever pays must have proved it
// in the last five minutes with a second factor.
func ExampleMaxAge() {
	pay := guard.Require(login, guard.ACR("http://schemas.openid.net/pape/policies/2007/06/multi-factor"), guard.MaxAge(5*time.Minute))(http.NotFoundHandler())

	r := httptest.NewRequest(http.MethodPost, "/pay", nil)
	r.Header.Set("X-Session", "alice")
	w := httptest.NewRecorder()
	pay.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Header().Get("WWW-Authenticate"))
	// Output: 401 X-Session error="insufficient_user_authentication"
}
