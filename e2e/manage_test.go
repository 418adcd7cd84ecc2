package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// object is JSON's.
type object map[string]any

// manage calls the house's management API, as a program of the operator would. Any answer but a 2xx
// is an error.
func (h *house) manage(method, path string, body object) (object, error) {
	if h.managing == "" {
		c := h.client(managerOfAll)
		answer, err := h.send(http.MethodPost, "oauth/token", object{
			"grant_type": "client_credentials", "client_id": c.ClientID, "client_secret": c.ClientSecret, "audience": c.Audience,
		})
		if err != nil {
			return nil, err
		}
		h.managing, _ = answer["access_token"].(string)
	}
	return h.send(method, "api/v2/"+path, body)
}

func (h *house) send(method, path string, body object) (object, error) {
	raw, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(h.t.Context(), method, h.Issuer+path, bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	if h.managing != "" {
		r.Header.Set("Authorization", "Bearer "+h.managing)
	}
	response, err := (&http.Client{Timeout: patience}).Do(r)
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
	answer := object{}
	return answer, json.Unmarshal(said, &answer)
}

// passwordLink gives a person who was created a password, by the link that an administrator hands out.
func (h *house) passwordLink(userID string) (string, error) {
	answer, err := h.manage(http.MethodPost, "tickets/password-change", object{"user_id": userID})
	if err != nil {
		return "", err
	}
	link, _ := answer["ticket"].(string)
	_, err = url.Parse(link)
	return link, err
}
