package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/config"
	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/shell"
	"github.com/gatehouse-dev/gatehouse/internal/server"
	"github.com/gatehouse-dev/gatehouse/internal/server/demo"
	"github.com/gatehouse-dev/gatehouse/internal/web/page"
)

// devCommand runs a house of development: no configuration, loopback only, with people,
// applications and an API to try.
type devCommand struct {
	Addr string `help:"Where to listen; loopback only. Port 0 picks a free one." default:"localhost:8080" placeholder:"HOST:PORT"`
	Data string `help:"Folder that keeps the database and what was printed." default:".gatehouse" placeholder:"DIR" type:"path"`
}

// Run serves until it is interrupted.
func (c *devCommand) Run(ctx context.Context, to streams) (err error) {
	log := slog.New(slog.NewTextHandler(to.Err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	listeners, port, err := listenLoopback(c.Addr)
	if err != nil {
		return err
	}
	defer closeAll(listeners)
	issuer, file := devIssuer(port), filepath.Join(c.Data, "dev.json")
	house, err := c.open(ctx, issuer, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, house.Close()) }()
	// The folder is ours now: what an earlier house wrote there must not be taken for what is running.
	if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}

	demos, err := startDemos(issuer, c.Data, log)
	if err != nil {
		return err
	}
	defer demos.close()
	content, err := demo.Seed(ctx, house, demos.clients())
	if err != nil {
		return err
	}
	if err := demos.serve(ctx, content); err != nil {
		return err
	}
	content.APIs[0].URL = demos.api.url()
	summary := devSummary{Issuer: issuer, Inbox: issuer[:len(issuer)-1] + server.PathInbox, Demos: demos.links(), Content: *content}
	house.Dev.Start, house.Dev.CheckCommand = summary.startPage(file), inHouse("app check", file)
	handler, err := house.Handler()
	if err != nil {
		return err
	}

	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	var work sync.WaitGroup
	work.Go(func() { house.Run(background) })
	defer work.Wait()
	defer stop()

	if err := writeJSON(file, summary); err != nil {
		return err
	}
	summary.print(to.Out, file)
	return serveAll(ctx, listeners, handler, house.EndStreams, log)
}

// open opens the house in the folder, or says what to do about the folder.
func (c *devCommand) open(ctx context.Context, issuer string, log *slog.Logger) (*server.House, error) {
	house, err := c.openFolder(ctx, issuer, log)
	switch {
	case errors.Is(err, db.ErrLocked):
		return nil, fmt.Errorf("--data %s: another gatehouse dev keeps its house there. Stop that one, or choose another folder with --data DIR", c.Data)
	case err != nil:
		return nil, fmt.Errorf("--data %s: %s\nChoose another folder with --data DIR; an empty one begins anew", c.Data, explain(err, flagOf))
	}
	return house, nil
}

func (c *devCommand) openFolder(ctx context.Context, issuer string, log *slog.Logger) (*server.House, error) {
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		return nil, err
	}
	masterKey, err := devMasterKey(filepath.Join(c.Data, "master.key"))
	if err != nil {
		return nil, err
	}
	settings := config.Default()
	settings.Issuer = issuer
	settings.Database.URL = config.NewSecret("sqlite:" + filepath.Join(c.Data, "gatehouse.db"))
	settings.MasterKeys = []config.Secret{masterKey}
	return server.Open(ctx, server.Options{Config: settings, Log: log, Dev: &server.Dev{}})
}

// listenLoopback listens on the same port of 127.0.0.1 and, where there is IPv6, ::1: browsers try
// either for localhost.
func listenLoopback(addr string) (listeners []net.Listener, port int, err error) {
	host, portName, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, 0, fmt.Errorf("--addr %s: must be HOST:PORT, such as localhost:8080", addr)
	}
	switch host {
	case "localhost", "127.0.0.1", "::1", "":
	default:
		return nil, 0, fmt.Errorf("--addr %s: gatehouse dev listens on loopback alone, because its passwords are printed; for anything else there is gatehouse serve", addr)
	}
	for range 10 {
		four, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", portName))
		if errors.Is(err, syscall.EADDRINUSE) {
			return nil, 0, fmt.Errorf("%w\nIs another gatehouse running? Choose another port with --addr localhost:PORT; port 0 picks one", err)
		}
		if err != nil {
			return nil, 0, fmt.Errorf("--addr %s: %w", addr, err)
		}
		port = four.Addr().(*net.TCPAddr).Port
		six, err := net.Listen("tcp6", fmt.Sprintf("[::1]:%d", port))
		if err == nil {
			return []net.Listener{four, six}, port, nil
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			return []net.Listener{four}, port, nil // a machine without IPv6
		}
		four.Close()
		if portName != "0" {
			return nil, 0, fmt.Errorf("%w\nChoose another port with --addr localhost:PORT; port 0 picks one", err)
		}
	}
	return nil, 0, errors.New("no port is free on both 127.0.0.1 and ::1")
}

// devIssuer is the address as browsers write it: they leave out the port that http has anyway.
func devIssuer(port int) string {
	if port == 80 {
		return "http://localhost/"
	}
	return fmt.Sprintf("http://localhost:%d/", port)
}

// devMasterKey reads the key that seals the data folder's secrets, making it at the first start.
func devMasterKey(path string) (config.Secret, error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		key := make([]byte, masterKeyBytes)
		rand.Read(key)
		raw = base64.StdEncoding.AppendEncode(nil, key)
		err = writeWhole(path, raw)
	}
	if err != nil {
		return config.Secret{}, err
	}
	if key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(raw))); err != nil || len(key) != masterKeyBytes {
		return config.Secret{}, fmt.Errorf("%s holds no master key, which is %d bytes in base64", path, masterKeyBytes)
	}
	return config.NewSecret(string(raw)), nil
}

const masterKeyBytes = 32

// serveAll serves one handler on all listeners until ctx ends, then lets requests finish.
func serveAll(ctx context.Context, listeners []net.Listener, handler http.Handler, leaving func(), log *slog.Logger) error {
	s := &http.Server{
		Handler: handler, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 60 * time.Second, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	s.RegisterOnShutdown(leaving)
	failed := make(chan error, len(listeners))
	for _, l := range listeners {
		go func() { failed <- s.Serve(l) }()
	}
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return s.Shutdown(drain)
}

func closeAll(listeners []net.Listener) {
	for _, l := range listeners {
		l.Close()
	}
}

// devSummary is what a newcomer needs, for programs in dev.json and for people on the terminal.
type devSummary struct {
	Issuer string    `json:"issuer"`
	Inbox  string    `json:"inbox"`
	Demos  []devDemo `json:"demos"`
	demo.Content
}

type devDemo struct {
	Name string `json:"name"`
	URL  string `json:"url"`
	kind string
}

func (s devSummary) startPage(file string) page.DevStart {
	p := page.DevStart{Frame: page.Frame{TenantName: "Gatehouse"}, Issuer: s.Issuer, InboxURL: server.PathInbox, AppCommand: ownApplication(file), DataFile: file}
	for _, d := range s.Demos {
		p.Demos = append(p.Demos, page.Demo{Name: d.Name, Kind: d.kind, URL: d.URL})
	}
	for _, u := range s.Users {
		p.Users = append(p.Users, page.DevUser{Email: u.Email, Password: u.Password, Note: u.Note})
	}
	for _, c := range s.Clients {
		p.Clients = append(p.Clients, page.DevClient{Name: c.Name, Type: c.Type, ThirdParty: c.ThirdParty, ClientID: c.ClientID, ClientSecret: c.ClientSecret, RedirectURIs: c.RedirectURIs})
	}
	for _, a := range s.APIs {
		p.APIs = append(p.APIs, page.DevAPI{Audience: a.Audience, Permissions: a.Permissions})
	}
	return p
}

// print writes a short summary, in colour on a terminal.
func (s devSummary) print(out io.Writer, file string) {
	bold, dim, reset := "", "", ""
	if f, ok := out.(*os.File); ok && os.Getenv("NO_COLOR") == "" {
		if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			bold, dim, reset = "\x1b[1;32m", "\x1b[2m", "\x1b[0m"
		}
	}
	type row struct{ label, value, note string }
	const tab = 48 // what is longer keeps no other note away
	block := func(rows ...row) {
		width := 0
		for _, r := range rows {
			if len(r.value) <= tab {
				width = max(width, len(r.value))
			}
		}
		for _, r := range rows {
			fmt.Fprintf(out, "  %-10s %s%s%s%s  %s%s%s\n", r.label, bold, r.value, reset, strings.Repeat(" ", max(width-len(r.value), 0)), dim, r.note, reset)
		}
		fmt.Fprintln(out)
	}
	fmt.Fprintf(out, "\n  Gatehouse is open.\n\n")
	places := []row{{"start", s.Issuer, "everything below, in one picture"}, {"inbox", s.Inbox, "every mail the house writes"}}
	for _, d := range s.Demos {
		places = append(places, row{"demo", d.URL, d.Name})
	}
	block(places...)
	longest := 0
	for _, u := range s.Users {
		longest = max(longest, len(u.Email))
	}
	var people []row
	for _, u := range s.Users {
		people = append(people, row{"sign in", fmt.Sprintf("%-*s  %s", longest, u.Email, u.Password), u.Note})
	}
	block(people...)
	yours := []row{{"issuer", s.Issuer, "the domain or issuer of your SDK"}, {"audience", s.APIs[0].Audience, "the API that your access tokens are for"}}
	for _, c := range s.Clients[:2] {
		yours = append(yours, row{"client", c.ClientID, c.Name + ", " + c.Type})
	}
	block(append(yours, row{"yours", ownApplication(file), "a client, and the code for your own application"})...)
	fmt.Fprintf(out, "  %sAll of it, with secrets, is in %s. Press Ctrl+C to close.%s\n\n", dim, file, reset)
}

// command is how somebody calls this program who has just called it: from its source with go run, which
// leaves nothing on the path, or by its name.
func command() string {
	if _, err := exec.LookPath("gatehouse"); err != nil && strings.Contains(os.Args[0], "go-build") {
		return "go run ./cmd/gatehouse"
	}
	return "gatehouse"
}

// ownApplication is the command that makes a client for one's own application, in the house that wrote file.
func ownApplication(file string) string { return inHouse("app create", file) }

// inHouse is a verb on the house that wrote file.
func inHouse(verb, file string) string {
	return command() + " " + verb + " --data " + shell.Quote(nearby(filepath.Dir(file)))
}

// nearby names a folder as somebody would who is where the command runs.
func nearby(dir string) string {
	here, err := os.Getwd()
	if err != nil {
		return dir
	}
	if short, err := filepath.Rel(here, dir); err == nil && filepath.IsLocal(short) {
		return short
	}
	return dir
}

func writeJSON(path string, v any) error {
	raw, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return writeWhole(path, append(raw, '\n'))
}

// writeWhole writes a file that only its owner can read, whole or not at all.
func writeWhole(path string, raw []byte) error {
	if err := os.WriteFile(path+".new", raw, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
