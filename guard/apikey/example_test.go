package apikey_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/apikey"
)

// An application that issues keys by itself.
func ExampleNew() {
	store := apikey.NewMemoryStore() // NewSQLStore keeps them in a database
	keys := apikey.NewKeys(store)
	_, key, err := keys.Issue(context.Background(), apikey.Spec{Name: "nightly export", Subject: "user-17", Scopes: []string{"read:orders"}})
	if err != nil {
		log.Fatal(err)
	}

	scheme, err := apikey.New(apikey.Options{Store: store})
	if err != nil {
		log.Fatal(err)
	}
	orders := guard.Require(scheme, guard.Scopes("read:orders"))(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, _ := guard.From(r.Context())
		fmt.Fprintf(w, "orders for %s\n", who.Subject)
	}))

	r := httptest.NewRequest(http.MethodGet, "/orders", nil)
	r.Header.Set("X-API-Key", key.Reveal())
	w := httptest.NewRecorder()
	orders.ServeHTTP(w, r)
	fmt.Print(w.Code, " ", w.Body)

	w = httptest.NewRecorder()
	orders.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/orders", nil))
	fmt.Println(w.Code, w.Header().Get("WWW-Authenticate"))
	// Output:
	// 200 orders for user-17
	// 401 ApiKey header="X-Api-Key"
}

// An API whose keys a Gatehouse server issues.
func ExampleNew_gatehouse() {
	scheme, err := apikey.New(apikey.Options{Gatehouse: &apikey.Gatehouse{
		Issuer:       "https://login.example.com/",
		Audience:     "https://api.example.com/",
		ClientID:     "orders-api",
		ClientSecret: "from the environment",
	}})
	if err != nil {
		log.Fatal(err)
	}
	http.NewServeMux().Handle("GET /orders", guard.Require(scheme)(http.NotFoundHandler()))
	fmt.Println(scheme.Challenge(nil, nil))
	// Output:
	// [ApiKey header="X-Api-Key"]
}

// Rotation: the new key goes to its owner, the old one works for another day.
func ExampleKeys_Rotate() {
	ctx := context.Background()
	store := apikey.NewMemoryStore()
	keys := apikey.NewKeys(store)
	first, _, err := keys.Issue(ctx, apikey.Spec{Name: "nightly export", Subject: "user-17"})
	if err != nil {
		log.Fatal(err)
	}
	second, key, err := keys.Rotate(ctx, first.ID, 24*time.Hour)
	if err != nil {
		log.Fatal(err)
	}
	old, err := store.Get(ctx, first.ID)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(old.Successor == second.ID, key.Kind(), len(key.Reveal()))
	// Output: true sk 58
}
