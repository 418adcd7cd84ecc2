package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"github.com/gatehouse-dev/gatehouse/examples/tvshows"
	"github.com/gatehouse-dev/gatehouse/guard/revocation"
	"github.com/gatehouse-dev/gatehouse/internal/base/id"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/server"
	"github.com/gatehouse-dev/gatehouse/internal/server/demo"
)

// demos are the TV Shows API and the application in its three forms. Each listens on a port of its
// own and reaches the house by HTTP, as an application on another machine would.
type demos struct {
	issuer string
	data   string
	log    *slog.Logger
	api    *demoServer
	forms  []*demoServer
	closer io.Closer

	revocations *revocation.Feed
}

type demoServer struct {
	form string // as package tvshows names it; "api" for the API
	name string
	typ  apps.Type

	listeners []net.Listener
	port      int
}

// url is the origin of a demo, under the name that its cookies and redirect URIs are for.
func (d *demoServer) url() string {
	return fmt.Sprintf("http://localhost:%d", d.port)
}

// startDemos takes the ports. Nothing is served yet: the house has to know them first.
func startDemos(issuer, data string, log *slog.Logger) (*demos, error) {
	d := &demos{issuer: issuer, data: data, log: log, api: &demoServer{form: "api", name: "TV Shows API"}, forms: []*demoServer{
		{form: "static", name: "Static site", typ: apps.SPA},
		{form: "rendered", name: "Server-rendered", typ: apps.RegularWeb},
		{form: "server", name: "Custom server", typ: apps.RegularWeb},
	}}
	for _, s := range d.all() {
		var err error
		if s.listeners, s.port, err = listenLoopback("localhost:0"); err != nil {
			d.close()
			return nil, err
		}
	}
	return d, nil
}

func (d *demos) all() []*demoServer { return append([]*demoServer{d.api}, d.forms...) }

func clientName(s *demoServer) string { return "Demo: " + s.name }

// clients are what the house must register.
func (d *demos) clients() []demo.Extra {
	var out []demo.Extra
	for _, s := range d.forms {
		redirects, logouts, origins := tvshows.Callbacks(s.form, s.url())
		out = append(out, demo.Extra{
			Name: clientName(s), Type: s.typ, RedirectURIs: redirects, LogoutURLs: logouts, WebOrigins: origins,
			BackchannelLogoutURI: tvshows.BackchannelLogout(s.form, s.url()),
		})
	}
	return out
}

// trustSilence is how long the demos believe what they know of sign-outs while the house says nothing. A
// machine of development sleeps, and is stopped in a debugger, for longer than the usual seconds.
const trustSilence = time.Minute

// serve begins to answer, now that the house knows the clients. Until ctx ends the demos follow what the
// house takes back, as the machine client of the demo.
func (d *demos) serve(ctx context.Context, content *demo.Content) (err error) {
	worker := content.Client(demo.Machine)
	d.revocations, err = revocation.Follow(ctx, revocation.Options{
		Issuer: d.issuer, ClientID: worker.ClientID, ClientSecret: worker.ClientSecret, StaleAfter: trustSilence, Logger: d.log,
	})
	if err != nil {
		return err
	}
	origins := []string{}
	for _, c := range content.Clients {
		origins = append(origins, c.WebOrigins...)
	}
	api, err := tvshows.NewAPI(tvshows.APIOptions{Issuer: d.issuer, Audience: demo.Audience, AllowedOrigins: origins, Logger: d.log})
	if err != nil {
		return err
	}
	serveDemo(d.api, api, d.log)
	for _, s := range d.forms {
		handler, err := d.form(s, content.Client(clientName(s)))
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		serveDemo(s, handler, d.log)
	}
	return nil
}

func (d *demos) form(s *demoServer, client demo.Client) (handler http.Handler, err error) {
	o := tvshows.Options{
		Issuer: d.issuer, Audience: demo.Audience, BaseURL: s.url(), APIURL: d.api.url(),
		Client:      tvshows.Client{ClientID: client.ClientID, ClientSecret: client.ClientSecret},
		Secret:      hex.EncodeToString(id.Hash("cookie of " + s.form + " " + client.ClientSecret + client.ClientID)),
		Revocations: d.revocations,
		DataFile:    filepath.Join(d.data, "demo-sessions.db"), InboxURL: d.issuer + server.PathInbox[1:], Logger: d.log,
	}
	for _, other := range d.forms {
		if other != s {
			o.Others = append(o.Others, tvshows.Link{Name: other.name, URL: other.url()})
		}
	}
	o.Others = append(o.Others, tvshows.Link{Name: "Start page", URL: d.issuer})
	switch s.form {
	case "static":
		return tvshows.NewStatic(o)
	case "rendered":
		return tvshows.NewRendered(o)
	default:
		handler, d.closer, err = tvshows.NewServer(o)
		return handler, err
	}
}

func serveDemo(d *demoServer, h http.Handler, log *slog.Logger) {
	s := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
	for _, l := range d.listeners {
		go s.Serve(l) // ends with its listener
	}
}

// links are the forms, for the start page and dev.json.
func (d *demos) links() []devDemo {
	var out []devDemo
	for _, s := range d.forms {
		out = append(out, devDemo{Name: s.name, URL: s.url() + "/", kind: s.form})
	}
	return out
}

func (d *demos) close() {
	for _, s := range d.all() {
		closeAll(s.listeners)
	}
	if d.revocations != nil {
		d.revocations.Close()
	}
	if d.closer != nil {
		d.closer.Close()
	}
}
