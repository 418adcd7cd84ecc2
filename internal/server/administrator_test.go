package server_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/core/people"
	"github.com/gatehouse-dev/gatehouse/internal/core/signin"
)

// The way in for the first administrator is a token the operator reads, good for an hour; and it is
// not there any more once somebody went through.
func TestThreat_AD09_SetUpIsGoneAfterwards(t *testing.T) {
	r := serve(t, nil, inPlainText)
	r.await("/readyz", http.StatusOK)
	ctx, h := context.Background(), r.house
	const path = "/u/first-administrator"
	page, token, err := h.FirstAdministrator(ctx)
	if err != nil || page != "http://login.test"+path || len(token) < 43 || strings.Contains(page, token) {
		t.Fatalf("FirstAdministrator = %q, %q, %v", page, token, err)
	}
	if got := r.get(path); got.StatusCode != http.StatusOK {
		t.Errorf("the page before: %s", got.Status)
	}
	enter := func(token, email string) error {
		_, err := h.SignIn.CreateFirstAdmin(ctx, h.Tenant, token, signin.SignUp{Email: email, Password: "a-long-enough-secret-1"}, signin.From{})
		return err
	}
	for _, guess := range []string{"", "admin", token[1:], token + "x"} {
		if err := enter(guess, "eve@example.com"); !errors.Is(err, people.ErrTicket) {
			t.Errorf("with the token %q: %v", guess, err)
		}
	}
	r.clock.Advance(time.Hour)
	if err := enter(token, "late@example.com"); !errors.Is(err, people.ErrTicket) {
		t.Errorf("after an hour: %v", err)
	}
	_, token, err = h.FirstAdministrator(ctx)
	if err != nil {
		t.Fatal(err)
	}
	_, newer, err := h.FirstAdministrator(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := enter(token, "older@example.com"); !errors.Is(err, people.ErrTicket) {
		t.Errorf("with a token that was replaced: %v", err)
	}
	if err := enter(newer, "ada@example.com"); err != nil {
		t.Fatal(err)
	}
	if err := enter(newer, "eve@example.com"); !fault.Is(err, fault.NotFound) {
		t.Errorf("a second time: %v", err)
	}
	if got := r.get(path); got.StatusCode != http.StatusNotFound {
		t.Errorf("the page afterwards: %s", got.Status)
	}
	if page, token, err := h.FirstAdministrator(ctx); err != nil || page != "" || token != "" {
		t.Errorf("afterwards FirstAdministrator = %q, %q, %v", page, token, err)
	}
}
