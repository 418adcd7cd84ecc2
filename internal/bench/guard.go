package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/bearer"
	"github.com/gatehouse-dev/gatehouse/protocol/jose"
)

// checked is the bearer check of guard beside the bare check of the same signatures.
type checked struct {
	alg        jose.Alg
	aim        float64 // times the bare check
	bare, with time.Duration
	tokens     int
}

// measureGuard protects a handler as an application does, with the keys of a running house, and
// shows it distinct tokens in random order.
func measureGuard(ctx context.Context, o options, w *world, url string) (_ []checked, err error) {
	p, err := startServer(ctx, url)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	scheme := func() (*bearer.Scheme, error) {
		return bearer.New(bearer.Options{
			Issuer: issuer, Audience: audienceES256,
			HTTPClient: &http.Client{Timeout: 5 * time.Second, Transport: proxy{p.house}},
		})
	}
	var out []checked
	for _, c := range []checked{{alg: jose.ES256, aim: 1.3}, {alg: jose.RS256, aim: 1.6}} {
		tokens := map[jose.Alg][]string{jose.ES256: w.live, jose.RS256: w.rsa}[c.alg]
		if c, err = c.measure(o, w, scheme, tokens); err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

// proxy stands for the one that terminates TLS in front of the house.
type proxy struct{ house string }

func (p proxy) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Host, r.URL.Scheme, r.URL.Host = r.URL.Host, "http", p.house
	r.Header.Set("X-Forwarded-For", "203.0.113.7")
	return http.DefaultTransport.RoundTrip(r)
}

// measure alternates between guard and the bare check every hundred tokens and compares the medians,
// so that other programs on the machine do not decide the ratio. A scheme remembers the tokens it has
// seen, so each time round has one of its own.
func (c checked) measure(o options, w *world, scheme func() (*bearer.Scheme, error), tokens []string) (checked, error) {
	passed := 0
	let := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { passed++ })
	requests := make([]*http.Request, len(tokens))
	bares := make([]func() bool, len(tokens))
	for i, token := range tokens {
		requests[i] = httptest.NewRequest(http.MethodGet, "https://api.bench.example/shows", nil)
		requests[i].Header.Set("Authorization", "Bearer "+token)
		var err error
		if bares[i], err = bareCheck(w, token); err != nil {
			return c, err
		}
	}
	answer := httptest.NewRecorder()
	fresh := func() (http.Handler, error) {
		s, err := scheme()
		if err != nil {
			return nil, err
		}
		handler := guard.Require(s, guard.Permissions("read:shows"))(let)
		before := passed
		handler.ServeHTTP(answer, requests[len(requests)-1]) // fetches the keys
		if passed != before+1 {
			return nil, fmt.Errorf("guard refuses a good token: %d %s", answer.Code, answer.Header().Get("WWW-Authenticate"))
		}
		passed = before
		return handler, nil
	}
	var handler http.Handler
	const batch = 100
	var bare, with []time.Duration
	shown := 0
	for began := time.Now(); time.Since(began) < o.measure || shown < len(tokens); {
		from := shown % len(tokens)
		if from == 0 {
			var err error
			if handler, err = fresh(); err != nil {
				return c, err
			}
		}
		to := min(from+batch, len(tokens))
		start := time.Now()
		for _, check := range bares[from:to] {
			if !check() {
				return c, errors.New("a good signature does not verify")
			}
		}
		middle := time.Now()
		for _, r := range requests[from:to] {
			handler.ServeHTTP(answer, r)
		}
		end := time.Now()
		n := time.Duration(to - from)
		bare, with, shown = append(bare, middle.Sub(start)/n), append(with, end.Sub(middle)/n), shown+to-from
	}
	if passed != shown {
		return c, fmt.Errorf("guard let %d of %d good tokens pass", passed, shown)
	}
	slices.Sort(bare)
	slices.Sort(with)
	c.bare, c.with, c.tokens = bare[len(bare)/2], with[len(with)/2], len(tokens)
	return c, nil
}

// bareCheck returns the check of a token's signature by the standard library, hash included.
func bareCheck(w *world, token string) (func() bool, error) {
	header, err := jose.Peek(token)
	if err != nil {
		return nil, err
	}
	key, ok := w.key(header.KeyID, header.Alg)
	if !ok {
		return nil, fmt.Errorf("no key %s", header.KeyID)
	}
	end := strings.LastIndexByte(token, '.')
	message := []byte(token[:end])
	signature, err := base64.RawURLEncoding.DecodeString(token[end+1:])
	if err != nil {
		return nil, err
	}
	switch public := key.Key.(type) {
	case *ecdsa.PublicKey:
		der, err := ecdsaDER(signature)
		return func() bool {
			d := sha256.Sum256(message)
			return ecdsa.VerifyASN1(public, d[:], der)
		}, err
	case *rsa.PublicKey:
		return func() bool {
			d := sha256.Sum256(message)
			return rsa.VerifyPKCS1v15(public, crypto.SHA256, d[:], signature) == nil
		}, nil
	}
	return nil, fmt.Errorf("a key of type %T", key.Key)
}

// ecdsaDER spells the two numbers of a JWS signature as ecdsa.VerifyASN1 wants them.
func ecdsaDER(raw []byte) ([]byte, error) {
	return asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(raw[:32]), new(big.Int).SetBytes(raw[32:])})
}
