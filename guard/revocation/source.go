package revocation

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard/internal/provider"
	"github.com/gatehouse-dev/gatehouse/protocol/jose"
	"github.com/gatehouse-dev/gatehouse/protocol/revocation"
)

// What a request is given to be answered, and a snapshot to arrive.
const (
	requestTimeout   = 5 * time.Second
	snapshotTimeout  = 30 * time.Second
	onRequestTimeout = time.Second
	// tokenLeeway is how long before its end a token is replaced.
	tokenLeeway  = 30 * time.Second
	maxTokenBody = 64 << 10
)

// scope opens the feed.
const scope = "read:revocations"

// Why a stream ended, beside what the network says.
var (
	errTooFar = errors.New("too much has happened since; the snapshot is due")
	errSilent = errors.New("the stream gave no sign of life")
)

// source reads the feed over HTTP.
type source struct {
	o        Options
	address  string
	provider *provider.Provider
	client   *http.Client // without a timeout of its own

	mu      sync.Mutex
	token   string
	expires time.Time
}

func newSource(o Options, p *provider.Provider) *source {
	client := *p.Client() // which follows no redirect: none may lead our secret or our rules astray
	client.Timeout = 0
	return &source{o: o, address: o.address(), provider: p, client: &client}
}

// after returns what there is after a number, or all there is for a negative one.
// snapshot says that it is all there is.
func (s *source) after(ctx context.Context, after int64) (n int64, rules []revocation.Rule, snapshot bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, snapshotTimeout)
	defer cancel()
	address := s.address
	if after >= 0 {
		address += "?after=" + strconv.FormatInt(after, 10)
	}
	begun := time.AfterFunc(requestTimeout, cancel)
	res, err := s.get(ctx, address, nil)
	begun.Stop()
	if err != nil {
		return 0, nil, false, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return 0, nil, false, s.refused(res)
	}
	if isType(res, revocation.MediaTypeSnapshot) {
		body, err := readAll(res.Body, revocation.MaxSnapshotBytes(s.o.MaxRules))
		if err != nil {
			return 0, nil, false, err
		}
		all, err := revocation.ParseSnapshot(body, s.o.MaxRules)
		return all.N, all.Rules, true, err
	}
	if after < 0 || !isType(res, "application/json") {
		return 0, nil, false, fmt.Errorf("%s answered with %q", s.address, res.Header.Get("Content-Type"))
	}
	body, err := readAll(res.Body, revocation.MaxAnswerBytes)
	if err != nil {
		return 0, nil, false, err
	}
	news, err := revocation.ParseAnswer(body)
	if err == nil && news.N < after {
		err = fmt.Errorf("%w: it went back from %d to %d", revocation.ErrMalformed, after, news.N)
	}
	return news.N, news.Rules, false, err
}

// listen hands every event of the stream to take, until it ends. It is cut when it
// brought nothing for half of StaleAfter, from the beginning: while there is time to
// hear in another way.
func (s *source) listen(ctx context.Context, after int64, take func(revocation.Event) error) error {
	ctx, cut := context.WithCancelCause(ctx)
	defer cut(nil)
	patience := min(requestTimeout, s.o.StaleAfter/2)
	watchdog := time.AfterFunc(patience, func() { cut(errSilent) })
	defer watchdog.Stop()
	res, err := s.get(ctx, s.address, map[string]string{
		"Accept": "text/event-stream", "Last-Event-ID": strconv.FormatInt(after, 10), "Cache-Control": "no-cache",
	})
	if err != nil {
		return err
	}
	defer res.Body.Close()
	switch {
	case res.StatusCode == http.StatusGone:
		return errTooFar
	case res.StatusCode != http.StatusOK:
		return s.refused(res)
	case !isType(res, "text/event-stream"):
		return fmt.Errorf("%s answered with %q where a stream was asked for", s.address, res.Header.Get("Content-Type"))
	}
	r := bufio.NewReader(res.Body)
	for {
		e, err := revocation.ReadEvent(r)
		if err != nil {
			if cause := context.Cause(ctx); cause != nil {
				return cause
			}
			return err
		}
		watchdog.Reset(patience)
		if e.N < after {
			return fmt.Errorf("%w: it went back from %d to %d", revocation.ErrMalformed, after, e.N)
		}
		if err := take(e); err != nil {
			return err
		}
		after = e.N
	}
}

// get asks with a token, and once more with a new one if the first is not taken.
func (s *source) get(ctx context.Context, address string, header map[string]string) (*http.Response, error) {
	for try := 1; ; try++ {
		token, err := s.accessToken(ctx)
		if err != nil {
			return nil, err
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err != nil {
			return nil, err
		}
		for name, value := range header {
			req.Header.Set(name, value)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		res, err := s.client.Do(req)
		if err != nil || res.StatusCode != http.StatusUnauthorized || try == 2 {
			return res, err
		}
		res.Body.Close()
		s.forgetToken(token)
	}
}

// refused says what the answer was, and what may mend it.
func (s *source) refused(res *http.Response) error {
	hint := ""
	switch res.StatusCode {
	case http.StatusForbidden, http.StatusUnauthorized:
		hint = fmt.Sprintf(": grant the client the scope %s at the API %s", scope, s.address)
	case http.StatusNotFound:
		hint = ": is the issuer a Gatehouse server?"
	}
	return fmt.Errorf("%s answered %s%s", s.address, res.Status, hint)
}

func (s *source) accessToken(ctx context.Context) (string, error) {
	if s.o.Token != nil {
		return s.o.Token(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token != "" && s.o.Clock().Before(s.expires.Add(-tokenLeeway)) {
		return s.token, nil
	}
	token, life, err := s.fetchToken(ctx)
	if err != nil {
		return "", err
	}
	s.token, s.expires = token, s.o.Clock().Add(life)
	return token, nil
}

func (s *source) forgetToken(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token == token {
		s.token = ""
	}
}

// fetchToken gets a token by client credentials (RFC 6749 §4.4).
func (s *source) fetchToken(ctx context.Context) (token string, life time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	metadata, err := s.provider.Metadata(ctx)
	if err != nil {
		return "", 0, err
	}
	form := url.Values{"grant_type": {"client_credentials"}, "audience": {s.address}, "scope": {scope}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, metadata.TokenEndpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return "", 0, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	req.SetBasicAuth(url.QueryEscape(s.o.ClientID), url.QueryEscape(s.o.ClientSecret)) // RFC 6749 §2.3.1
	res, err := s.client.Do(req)
	if err != nil {
		return "", 0, err
	}
	defer res.Body.Close()
	body, err := readAll(res.Body, maxTokenBody)
	if err != nil {
		return "", 0, err
	}
	var answer struct {
		AccessToken string `json:"access_token"`
		ExpiresIn   int64  `json:"expires_in"`
		Error       string `json:"error"`
	}
	if err := jose.Decode(body, &answer); err != nil {
		return "", 0, fmt.Errorf("token endpoint answered %s: %w", res.Status, err)
	}
	if res.StatusCode != http.StatusOK || answer.AccessToken == "" {
		return "", 0, fmt.Errorf("token endpoint answered %s, %.64q: the client needs a grant with the scope %s at the API %s", res.Status, answer.Error, scope, s.address)
	}
	return answer.AccessToken, time.Duration(min(max(answer.ExpiresIn, 0), 86400)) * time.Second, nil
}

func isType(res *http.Response, want string) bool {
	got, _, err := mime.ParseMediaType(res.Header.Get("Content-Type"))
	return err == nil && got == want
}

func readAll(r io.Reader, limit int64) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(body)) > limit {
		err = fmt.Errorf("%w: an answer of more than %d bytes", revocation.ErrMalformed, limit)
	}
	return body, err
}
