package main

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/bearer"
)

// newAPI returns the two routes. It asks the issuer for its keys when the first token comes, so a
// function that starts cold answers strangers without waiting for anybody.
func newAPI(accepted bearer.Options) (http.Handler, error) {
	tokens, err := bearer.New(accepted)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/pricing-tiers", pricingTiers)
	mux.Handle("GET /api/billing-info", guard.Require(tokens, guard.Users(), guard.Scopes("read:billing"))(http.HandlerFunc(billingInfo)))
	return mux, nil
}

type tier struct {
	Name  string `json:"name"`
	Seats int    `json:"seats"`
	Price int    `json:"price"`
}

func pricingTiers(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, map[string][]tier{"tiers": {{"Garden shed", 3, 0}, {"Workshop", 25, 49}, {"Factory", 500, 690}}})
}

func billingInfo(w http.ResponseWriter, r *http.Request) {
	who, _ := guard.From(r.Context()) // always there behind guard.Require
	w.Header().Set("Cache-Control", "no-store")
	writeJSON(w, map[string]any{
		"account": who.Subject, "tier": "Workshop", "amount": 49, "due": "2027-01-01", "checked_by": "guard/bearer", "token_id": who.TokenID,
	})
}

func writeJSON(w http.ResponseWriter, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, "%s\n", body)
}
