package oauth_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

func TestStatus(t *testing.T) {
	for code, want := range map[string]int{
		oauth.InvalidClient: 401, oauth.InvalidToken: 401, oauth.InsufficientScope: 403, oauth.AccessDenied: 403, oauth.TooManyRequests: 429, oauth.TemporarilyUnavailable: 503, oauth.ServerError: 500,
		oauth.InvalidRequest: 400, oauth.InvalidGrant: 400, oauth.UnauthorizedClient: 400, oauth.UnsupportedGrantType: 400, oauth.InvalidScope: 400, oauth.InvalidTarget: 400, oauth.LoginRequired: 400, "anything": 400,
	} {
		if got := oauth.NewError(code, "").Status(); got != want {
			t.Errorf("%s: %d, want %d", code, got, want)
		}
	}
}

func TestErrorKeepsItsVoicesApart(t *testing.T) {
	cause := errors.New("pq: password=hunter2")
	e := oauth.NewError(oauth.InvalidGrant, "Unknown or invalid refresh token.").WithHint("Sign in again.").WithCause(cause)
	body, err := json.Marshal(e)
	if want := `{"error":"invalid_grant","error_description":"Unknown or invalid refresh token."}`; err != nil || string(body) != want {
		t.Errorf("%s, %v", body, err)
	}
	if !errors.Is(e, cause) || oauth.CodeOf(fmt.Errorf("x: %w", e)) != oauth.InvalidGrant {
		t.Error("the chain is broken")
	}
	foreign := oauth.AsError(cause)
	if foreign.Code != oauth.ServerError || foreign.Status() != http.StatusInternalServerError || strings.Contains(foreign.Description, "hunter2") || !errors.Is(foreign, cause) {
		t.Errorf("%+v", foreign)
	}
	if oauth.CodeOf(nil) != "" {
		t.Error("no error has a code")
	}
}
