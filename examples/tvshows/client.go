package tvshows

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// client calls the API on behalf of whoever an access token belongs to.
type client struct {
	api  string
	http *http.Client
}

func newClient(api string) *client {
	return &client{api: api, http: &http.Client{
		Timeout: 10 * time.Second,
		// A redirect would carry the token to an address nobody here has chosen.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// answer is what the API said.
type answer struct {
	Status    int    `json:"-"`
	Challenge string `json:"-"` // WWW-Authenticate, on a refusal

	Shows  []Show  `json:"shows"`
	Caller *caller `json:"caller"`

	// A refusal is a problem document (RFC 9457).
	Title  string `json:"title"`
	Detail string `json:"detail"`
	Code   string `json:"code"`
	Scope  string `json:"scope"`
}

// Refused reports that the API would not do it.
func (a *answer) Refused() bool { return a.Status >= 400 }

// maxAnswer bounds what is read from the API.
const maxAnswer = 1 << 20

// call sends one request; add is nil to read. The error means that there was no
// answer to understand: a refusal is an answer.
func (c *client) call(ctx context.Context, token string, add *Show) (*answer, error) {
	method, body := http.MethodGet, io.Reader(nil)
	if add != nil {
		b, err := json.Marshal(add)
		if err != nil {
			return nil, err
		}
		method, body = http.MethodPost, bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.api+"/shows", body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	res, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	a := &answer{Status: res.StatusCode, Challenge: res.Header.Get("WWW-Authenticate")}
	text, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, a); err != nil {
		return nil, fmt.Errorf("the API answered %s with something that is not JSON: %w", res.Status, err)
	}
	return a, nil
}
