package revocations_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
	"github.com/gatehouse-dev/gatehouse/internal/endpoint/revocations"
	"github.com/gatehouse-dev/gatehouse/internal/server/demo"
	"github.com/gatehouse-dev/gatehouse/internal/server/servertest"
	"github.com/gatehouse-dev/gatehouse/protocol/revocation"
)

// token gets an access token for the feed in the name of the API's own client.
func token(t testing.TB, node *servertest.Instance) string {
	t.Helper()
	tokens := node.PostForm(t, "/oauth/token", demo.Machine, "grant_type", "client_credentials", "audience", node.URL+"/revocations")
	if tokens.Error != "" {
		t.Fatalf("token: %s %s", tokens.Error, tokens.Description)
	}
	return tokens.AccessToken
}

func get(t testing.TB, node *servertest.Instance, token, query string, headers ...string) *http.Response {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, node.URL+revocations.Path+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	answer, err := (&http.Client{}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { answer.Body.Close() })
	return answer
}

func body(t testing.TB, r *http.Response) string {
	t.Helper()
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// revoke writes a rule on a node, as revoking an access token does.
func revoke(t testing.TB, node *servertest.Instance, jti string) {
	t.Helper()
	err := node.House.Tenant.DB.Write(t.Context(), func(tx *db.Tx) error { return node.House.Grants.RevokeToken(tx, jti) })
	if err != nil {
		t.Fatal(err)
	}
}

func digest(jti string) revocation.Digest { return revocation.DigestOf(revocation.Token, jti) }

func TestSnapshotAndPolls(t *testing.T) {
	node := servertest.New(t, servertest.Options{})
	bearer := token(t, node)
	revoke(t, node, "one")
	revoke(t, node, "two")
	answer := get(t, node, bearer, "")
	s, err := revocation.ParseSnapshot([]byte(body(t, answer)), 10)
	if err != nil || s.N != 2 || len(s.Rules) != 2 || s.Rules[0].Digest != digest("one") {
		t.Errorf("snapshot: %+v, %v", s, err)
	}
	if got := answer.Header.Get("Content-Type"); got != revocation.MediaTypeSnapshot || answer.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%s, %v", got, answer.Header)
	}
	for after, want := range map[string]int{"0": 2, "1": 1, "2": 0} {
		a, err := revocation.ParseAnswer([]byte(body(t, get(t, node, bearer, "?after="+after))))
		if err != nil || a.N != 2 || len(a.Rules) != want {
			t.Errorf("after %s: %+v, %v", after, a, err)
		}
	}
	ahead := get(t, node, bearer, "?after=99")
	if s, err := revocation.ParseSnapshot([]byte(body(t, ahead)), 10); err != nil || s.N != 2 {
		t.Errorf("who is ahead of the house got %+v, %v", s, err)
	}
}

func TestThreat_JW14_WhoMayReadTheFeed(t *testing.T) {
	node := servertest.New(t, servertest.Options{})
	good := token(t, node)
	management := node.PostForm(t, "/oauth/token", demo.Management, "grant_type", "client_credentials", "audience", node.House.Tenant.ManagementAudience()).AccessToken
	user, _ := node.TokensFor(t, demo.Administrator, demo.SPA, "audience", node.URL+"/revocations", "scope", "openid read:revocations")
	for name, c := range map[string]struct {
		token, query string
		headers      []string
		status       int
	}{
		"its client":          {good, "", nil, 200},
		"nobody":              {"", "", nil, 401},
		"garbage":             {"x.y.z", "", nil, 401},
		"of another audience": {management, "", nil, 401},
		"a person":            {user.AccessToken, "", nil, 403},
		"in the URL":          {"", "?access_token=" + good, nil, 401},
		"another parameter":   {good, "?after=1&x=1", nil, 400},
		"no number":           {good, "?after=x", nil, 400},
		"a signed number":     {good, "?after=%2B1", nil, 400},
		"two numbers":         {good, "?after=1&after=1", nil, 400},
		"number twice over":   {good, "?after=1", []string{"Last-Event-ID", "1"}, 400},
		"a stream of all":     {good, "", []string{"Accept", "text/event-stream"}, 400},
		"a stream from ahead": {good, "", []string{"Accept", "text/event-stream", "Last-Event-ID", "7"}, 410},
	} {
		answer := get(t, node, c.token, c.query, c.headers...)
		if answer.StatusCode != c.status {
			t.Errorf("%s: %d %v %s", name, answer.StatusCode, answer.Header, body(t, answer))
		}
		if challenged := strings.HasPrefix(answer.Header.Get("WWW-Authenticate"), "Bearer"); challenged != (c.status == 401 || c.status == 403) {
			t.Errorf("%s: %v", name, answer.Header)
		}
	}
	// What the client may do now counts, not what its token says.
	_, err := node.House.Admin().UpdateClient(t.Context(), node.House.Tenant, node.Content.Client(demo.Machine).ClientID, func(c *apps.Client) error {
		delete(c.Grants, node.URL+"/revocations")
		return nil
	}, audit.System())
	if err != nil {
		t.Fatal(err)
	}
	if answer := get(t, node, good, ""); answer.StatusCode != 403 {
		t.Errorf("after the grant was taken away: %d", answer.StatusCode)
	}
}

// stream listens from a number on.
func stream(t testing.TB, node *servertest.Instance, token, after string) *bufio.Reader {
	t.Helper()
	answer := get(t, node, token, "", "Accept", "text/event-stream", "Last-Event-ID", after)
	if answer.StatusCode != 200 || answer.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%d %v %s", answer.StatusCode, answer.Header, body(t, answer))
	}
	return bufio.NewReader(answer.Body)
}

func next(t testing.TB, r *bufio.Reader) revocation.Event {
	t.Helper()
	e, err := revocation.ReadEvent(r)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// A rule is sent as soon as it is committed, in order; a beat says that there is none.
func TestStream(t *testing.T) {
	node := servertest.New(t, servertest.Options{})
	revoke(t, node, "one")
	revoke(t, node, "two")
	r := stream(t, node, token(t, node), "1")
	if e := next(t, r); e.N != 2 || len(e.Rules) != 1 || e.Rules[0].Digest != digest("two") {
		t.Errorf("first: %+v", e)
	}
	revoke(t, node, "three")
	if e := nextRules(t, r); e.N != 3 || len(e.Rules) != 1 || e.Rules[0].Digest != digest("three") {
		t.Errorf("then: %+v", e)
	}
	if err := node.House.Watch(t.Context()); err != nil {
		t.Fatal(err)
	}
	if e := next(t, r); e.N != 3 || len(e.Rules) != 0 {
		t.Errorf("a beat: %+v", e)
	}
}

// nextRules passes over beats.
func nextRules(t testing.TB, r *bufio.Reader) revocation.Event {
	t.Helper()
	for {
		if e := next(t, r); len(e.Rules) > 0 {
			return e
		}
	}
}

// A node that can not make sure that it knows every rule does not say that there is none.
func TestThreat_DB14_NoBeatWithoutTheDatabase(t *testing.T) {
	node := servertest.New(t, servertest.Options{})
	r := stream(t, node, token(t, node), "0")
	next(t, r)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := node.House.Watch(gone); err == nil {
		t.Fatal("watched without a database")
	}
	revoke(t, node, "one")
	if e := next(t, r); len(e.Rules) != 1 {
		t.Errorf("heard %+v before the rule", e)
	}
}

// The right of a reader is looked at again while it listens.
func TestThreat_TK11_StreamsEndWithTheRight(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, node *servertest.Instance){
		"the token expires": func(_ *testing.T, node *servertest.Instance) { node.Clock.Advance(11 * time.Minute) },
		"the client is disabled": func(t *testing.T, node *servertest.Instance) {
			_, err := node.House.Admin().UpdateClient(t.Context(), node.House.Tenant, node.Content.Client(demo.Machine).ClientID, func(c *apps.Client) error {
				c.Disabled = true
				return nil
			}, audit.System())
			if err != nil {
				t.Fatal(err)
			}
		},
		"the house leaves": func(_ *testing.T, node *servertest.Instance) { node.House.EndStreams() },
	} {
		t.Run(name, func(t *testing.T) {
			node := servertest.New(t, servertest.Options{})
			bearer := token(t, node)
			r := stream(t, node, bearer, "0")
			next(t, r)
			end(t, node)
			if name == "the house leaves" {
				if answer := get(t, node, bearer, "", "Accept", "text/event-stream", "Last-Event-ID", "0"); answer.StatusCode != 503 {
					t.Errorf("a house that leaves takes new readers: %d", answer.StatusCode)
				}
			} else {
				revoke(t, node, "secret")
			}
			if e, err := revocation.ReadEvent(r); err != io.EOF {
				t.Errorf("heard %+v, %v", e, err)
			}
		})
	}
}

// A stream lives for as long as its reader reads, whatever the server gives to other answers.
func TestStreamOutlivesTheServersTimeouts(t *testing.T) {
	node := servertest.New(t, servertest.Options{})
	handler, err := node.House.Handler()
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(handler)
	server.Config.ReadTimeout, server.Config.WriteTimeout = time.Hour, time.Hour
	door := &door{Listener: server.Listener}
	server.Listener = door
	server.Start()
	defer server.Close()
	defer node.House.EndStreams()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+revocations.Path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = strings.TrimPrefix(node.URL, "http://")
	r.Header = http.Header{"Authorization": {"Bearer " + token(t, node)}, "Accept": {"text/event-stream"}, "Last-Event-ID": {"0"}}
	answer, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	events := bufio.NewReader(answer.Body)
	next(t, events)
	for i := range 3 {
		read, write := door.deadlines()
		if !read.IsZero() || write.After(time.Now().Add(time.Hour/2)) {
			t.Errorf("the connection ends by the server's timeouts: no reading after %v, no writing after %v", read, write)
		}
		revoke(t, node, string(rune('a'+i)))
		nextRules(t, events)
	}
}

// door lets connections in, and remembers the deadlines of the last.
type door struct {
	net.Listener
	mu          sync.Mutex
	read, write time.Time
}

// Accept implements net.Listener.
func (d *door) Accept() (net.Conn, error) {
	conn, err := d.Listener.Accept()
	return &guest{conn, d}, err
}

func (d *door) deadlines() (read, write time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.read, d.write
}

type guest struct {
	net.Conn
	door *door
}

// SetReadDeadline implements net.Conn.
func (g *guest) SetReadDeadline(t time.Time) error {
	g.door.mu.Lock()
	g.door.read = t
	g.door.mu.Unlock()
	return g.Conn.SetReadDeadline(t)
}

// SetWriteDeadline implements net.Conn.
func (g *guest) SetWriteDeadline(t time.Time) error {
	g.door.mu.Lock()
	g.door.write = t
	g.door.mu.Unlock()
	return g.Conn.SetWriteDeadline(t)
}
