// Command go-api is an API that a Go developer protects in five minutes: one handler that anyone
// may call, one for signed-in people, one for those with a permission.
//
//	go run ./examples/go-api
package main

import (
	"flag"
	"fmt"
	"log"
	"net/http"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/bearer"
)

func main() {
	issuer := flag.String("issuer", "http://localhost:8080/", "whose tokens are accepted")
	audience := flag.String("audience", "https://api/tv-shows", "the identifier of this API")
	addr := flag.String("addr", "localhost:8090", "where to listen")
	flag.Parse()

	tokens, err := bearer.New(bearer.Options{Issuer: *issuer, Audience: *audience})
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Addr: *addr, Handler: routes(tokens), ReadHeaderTimeout: 5 * time.Second}
	log.Printf("listening on http://%s/", *addr)
	log.Fatal(server.ListenAndServe())
}

func routes(tokens guard.Authenticator) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "Anyone may read this.")
	})
	mux.Handle("GET /me", guard.Require(tokens)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, _ := guard.From(r.Context())
		fmt.Fprintf(w, "You are %s, by way of %s.\n", who.Subject, who.ClientID)
	})))
	mux.Handle("GET /shows", guard.Require(tokens, guard.Permissions("read:shows"))(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "The Lighthouse Keepers, Night Train to Brno, Salt")
	})))
	return mux
}
