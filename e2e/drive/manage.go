package drive

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// Object is JSON's.
type Object map[string]any

// Manage calls the house's management API, as a program of the operator would. Any answer but a 2xx
// is an error.
func (h *House) Manage(method, path string, body Object) (Object, error) {
	if h.managing == "" {
		c := h.Client(ManagerOfAll)
		answer, err := h.send(http.MethodPost, "oauth/token", Object{
			"grant_type": "client_credentials", "client_id": c.ClientID, "client_secret": c.ClientSecret, "audience": c.Audience,
		})
		if err != nil {
			return nil, err
		}
		h.managing, _ = answer["access_token"].(string)
	}
	return h.send(method, "api/v2/"+path, body)
}

// ChangeAPI changes fields of the API with this identifier.
func (h *House) ChangeAPI(audience string, fields Object) {
	h.T.Helper()
	list := Must[Object](h.T)(h.Manage(http.MethodGet, "resource-servers?include_totals=true&identifier="+url.QueryEscape(audience), nil))
	api, _ := list["resource_servers"].([]any)[0].(map[string]any)
	if _, err := h.Manage(http.MethodPatch, fmt.Sprint("resource-servers/", api["id"]), fields); err != nil {
		h.T.Fatal(err)
	}
}

func (h *House) send(method, path string, body Object) (Object, error) {
	raw, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(h.T.Context(), method, h.Issuer+path, bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	if h.managing != "" {
		r.Header.Set("Authorization", "Bearer "+h.managing)
	}
	response, err := (&http.Client{Timeout: Patience}).Do(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	said, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if response.StatusCode/100 != 2 {
		return nil, fmt.Errorf("%s %s: %s: %s", method, path, response.Status, said)
	}
	answer := Object{}
	return answer, json.Unmarshal(said, &answer)
}

// PasswordLink gives a person who was created a password, by the link that an administrator hands out.
func (h *House) PasswordLink(userID string) (string, error) {
	answer, err := h.Manage(http.MethodPost, "tickets/password-change", Object{"user_id": userID})
	if err != nil {
		return "", err
	}
	link, _ := answer["ticket"].(string)
	_, err = url.Parse(link)
	return link, err
}
