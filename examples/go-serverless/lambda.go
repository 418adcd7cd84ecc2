package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
)

// event and answer are what an HTTP API puts around a request to a function: payload format 2.0.
type event struct {
	RawPath        string            `json:"rawPath"`
	RawQueryString string            `json:"rawQueryString"`
	Cookies        []string          `json:"cookies"`
	Headers        map[string]string `json:"headers"`
	RequestContext struct {
		HTTP struct {
			Method   string `json:"method"`
			SourceIP string `json:"sourceIp"`
		} `json:"http"`
	} `json:"requestContext"`
	Body            string `json:"body"`
	IsBase64Encoded bool   `json:"isBase64Encoded"`
}

type answer struct {
	StatusCode      int               `json:"statusCode"`
	Headers         map[string]string `json:"headers"`
	Cookies         []string          `json:"cookies,omitempty"` // each Set-Cookie by itself: they must not be joined
	Body            string            `json:"body"`
	IsBase64Encoded bool              `json:"isBase64Encoded"`
}

// invoke is the adapter: event in, http.Handler, answer out.
func invoke(ctx context.Context, handler http.Handler, payload []byte) ([]byte, error) {
	var e event
	if err := json.Unmarshal(payload, &e); err != nil {
		return nil, fmt.Errorf("event: %w", err)
	}
	r, err := e.request(ctx)
	if err != nil {
		return nil, fmt.Errorf("event: %w", err)
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)

	a := answer{StatusCode: w.Code, Headers: map[string]string{}, IsBase64Encoded: true}
	for name, values := range w.Result().Header {
		if name == "Set-Cookie" {
			a.Cookies = values
		} else {
			a.Headers[name] = strings.Join(values, ", ")
		}
	}
	a.Body = base64.StdEncoding.EncodeToString(w.Body.Bytes())
	return json.Marshal(a)
}

func (e event) request(ctx context.Context) (*http.Request, error) {
	body := []byte(e.Body)
	if e.IsBase64Encoded {
		var err error
		if body, err = base64.StdEncoding.DecodeString(e.Body); err != nil {
			return nil, err
		}
	}
	target := e.RawPath
	if e.RawQueryString != "" {
		target += "?" + e.RawQueryString
	}
	r, err := http.NewRequestWithContext(ctx, e.RequestContext.HTTP.Method, "/", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if r.URL, err = url.ParseRequestURI(target); err != nil { // as a server does: "//x/y" is a path
		return nil, err
	}
	for name, value := range e.Headers {
		r.Header.Set(name, value)
	}
	if len(e.Cookies) > 0 {
		r.Header.Set("Cookie", strings.Join(e.Cookies, "; "))
	}
	r.RequestURI, r.Host, r.RemoteAddr = target, r.Header.Get("Host"), net.JoinHostPort(e.RequestContext.HTTP.SourceIP, "0")
	return r, nil
}

// serveLambda answers what the platform's runtime interface hands out, one event after the other,
// until ctx ends or the interface fails: it then starts the function anew.
func serveLambda(ctx context.Context, address string, handler http.Handler) error {
	base := "http://" + address + "/2018-06-01/runtime/invocation/"
	platform := &http.Client{} // without a timeout: the function is frozen while there is nothing to do
	for {
		res, payload, err := call(ctx, platform, http.MethodGet, base+"next", nil)
		if err != nil {
			return err
		}
		request := base + res.Header.Get("Lambda-Runtime-Aws-Request-Id")
		body, err := invoke(ctx, handler, payload)
		if err != nil {
			body, err = json.Marshal(map[string]string{"errorType": "invalid_event", "errorMessage": err.Error()})
			request += "/error"
		} else {
			request += "/response"
		}
		if err != nil {
			return err
		}
		if _, _, err := call(ctx, platform, http.MethodPost, request, body); err != nil {
			return err
		}
	}
}

func call(ctx context.Context, client *http.Client, method, url string, body []byte) (*http.Response, []byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	res, err := client.Do(r)
	if err != nil {
		return nil, nil, err
	}
	defer res.Body.Close()
	content, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode/100 != 2 {
		err = fmt.Errorf("%s %s: %s", method, url, res.Status)
	}
	return res, content, err
}
