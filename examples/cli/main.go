// Command cli lists TV shows on the terminal. It signs a person in by their browser, on this machine
// or on any other, keeps the tokens in the person's configuration folder, and renews them when they
// are old. Everything about OAuth is golang.org/x/oauth2.
//
//	go run . [-device] [login | logout]
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"golang.org/x/oauth2"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "shows:", err)
		os.Exit(1)
	}
}

// program is the command with all it was told.
type program struct {
	house  *house
	store  store
	device bool // sign in by a code that is typed on any device
	open   bool // open the browser, not only say where to go
	out    io.Writer
}

func run(ctx context.Context, args []string, out io.Writer) error {
	folder, err := os.UserConfigDir()
	if err != nil {
		return err
	}
	flags := flag.NewFlagSet("shows", flag.ContinueOnError)
	device := flags.Bool("device", false, "sign in with a code, in a browser on any device")
	noOpen := flags.Bool("no-open", false, "say where to go in place of opening the browser")
	dev := flags.String("dev", filepath.Join("..", "..", ".gatehouse", "dev.json"), "what `gatehouse dev` wrote down")
	tokens := flags.String("tokens", filepath.Join(folder, "gatehouse-shows", "tokens.json"), "where to keep the tokens")
	if err := flags.Parse(args); err != nil {
		return err
	}
	// No request hangs forever. The library finds its HTTP client in the context.
	ctx = context.WithValue(ctx, oauth2.HTTPClient, &http.Client{Timeout: 30 * time.Second})
	h, err := findHouse(ctx, *dev)
	if err != nil {
		return err
	}
	p := program{house: h, store: store(*tokens), device: *device, open: !*noOpen, out: out}
	switch flags.Arg(0) {
	case "":
		return p.shows(ctx)
	case "login":
		_, err := p.signIn(ctx)
		return err
	case "logout":
		return p.signOut(ctx)
	}
	return fmt.Errorf("there is no command %q, but login and logout", flags.Arg(0))
}

// shows calls the API, and signs in first if nobody is.
func (p *program) shows(ctx context.Context) error {
	token, err := p.store.load()
	if errors.Is(err, os.ErrNotExist) {
		token, err = p.signIn(ctx)
	}
	if err != nil {
		return err
	}
	// The source renews a token that is about to expire, and the new one is kept.
	client := oauth2.NewClient(ctx, p.store.keeping(token, p.house.TokenSource(ctx, token)))
	resp, err := client.Get(p.house.apiURL + "/shows")
	if refused := (*oauth2.RetrieveError)(nil); errors.As(err, &refused) && refused.ErrorCode == "invalid_grant" {
		return errors.Join(errors.New("you are signed out: run it again to sign in"), p.store.forget())
	}
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var list struct {
		Shows []struct {
			Title string
			Year  int
		}
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the API answers %s: %s", resp.Status, resp.Header.Get("WWW-Authenticate"))
	}
	if err := json.NewDecoder(resp.Body).Decode(&list); err != nil {
		return err
	}
	for _, show := range list.Shows {
		fmt.Fprintf(p.out, "%d  %s\n", show.Year, show.Title)
	}
	return nil
}

// signIn signs in one way or the other and keeps the tokens.
func (p *program) signIn(ctx context.Context) (token *oauth2.Token, err error) {
	if p.device {
		token, err = p.byDevice(ctx)
	} else {
		token, err = p.byBrowser(ctx)
	}
	if err != nil {
		return nil, err
	}
	fmt.Fprintln(p.out, "You are signed in.")
	return token, p.store.save(token)
}

// signOut revokes the refresh token, with which the access tokens die, too. What is on this machine
// goes even if the house can not be reached.
func (p *program) signOut(ctx context.Context) error {
	token, err := p.store.load()
	if errors.Is(err, os.ErrNotExist) {
		fmt.Fprintln(p.out, "Nobody was signed in.")
		return nil
	}
	if err != nil {
		return err
	}
	if err := errors.Join(p.house.revoke(ctx, token.RefreshToken), p.store.forget()); err != nil {
		return err
	}
	fmt.Fprintln(p.out, "You are signed out.")
	return nil
}
