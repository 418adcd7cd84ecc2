package bearer_test

import (
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/bearer"
)

// An API: every request needs an access token for it, and each route says what
// the token must allow.
func ExampleNew() {
	tokens, err := bearer.New(bearer.Options{
		Issuer:   "https://id.example.com/",
		Audience: "https://api/tv-shows",
	})
	if err != nil {
		log.Fatal(err)
	}

	mux := http.NewServeMux()
	mux.Handle("GET /shows", guard.Require(tokens, guard.Permissions("read:shows"))(
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			who, _ := guard.From(r.Context())
			_ = json.NewEncoder(w).Encode(map[string]string{"hello": who.Subject})
		})))

	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/shows", nil))
	fmt.Println(w.Code, w.Header().Get("WWW-Authenticate"))
	fmt.Print(w.Body)
	// Output:
	// 401 Bearer
	// {"type":"about:blank","title":"Unauthorized","status":401}
}
