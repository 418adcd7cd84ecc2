package basic_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"golang.org/x/crypto/bcrypt"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/basic"
)

// A staging site behind a single password.
func ExampleNew() {
	users, err := basic.Users(map[string]string{"preview": "correct horse battery staple"})
	if err != nil {
		log.Fatal(err)
	}
	scheme, err := basic.New(basic.Options{Realm: "staging", Verifier: users})
	if err != nil {
		log.Fatal(err)
	}
	site := guard.Require(scheme)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, _ := guard.From(r.Context())
		fmt.Fprint(w, "hello ", who.Subject)
	}))

	r := httptest.NewRequest(http.MethodGet, "https://staging.example.com/", nil)
	w := httptest.NewRecorder()
	site.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Header().Get("WWW-Authenticate"))

	r.SetBasicAuth("preview", "correct horse battery staple")
	w = httptest.NewRecorder()
	site.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Body)
	// Output:
	// 401 Basic realm="staging", charset="UTF-8"
	// 200 hello preview
}

// An application's own table of users, its passwords hashed with bcrypt.
func ExampleHashed() {
	stored, _ := bcrypt.GenerateFromPassword([]byte("sesame"), bcrypt.MinCost)
	dummy, _ := bcrypt.GenerateFromPassword([]byte("what nobody has"), bcrypt.MinCost)

	verifier, err := basic.Hashed{
		Find: func(_ context.Context, username string) (*guard.Principal, []byte, error) {
			if username != "alice" { // SELECT id, password_hash FROM users WHERE name = $1
				return nil, nil, basic.ErrRefused
			}
			return &guard.Principal{Subject: "user_1"}, stored, nil
		},
		Compare: bcrypt.CompareHashAndPassword,
		Dummy:   dummy,
	}.Verifier()
	if err != nil {
		log.Fatal(err)
	}
	who, err := verifier.Verify(context.Background(), "alice", "sesame")
	fmt.Println(who.Subject, err)
	_, err = verifier.Verify(context.Background(), "bob", "sesame")
	fmt.Println(err)
	// Output:
	// user_1 <nil>
	// basic: user name or password refused
}
