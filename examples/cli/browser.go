package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"net"
	"net/http"
	"os/exec"
	"runtime"
	"time"

	"golang.org/x/oauth2"
)

//go:embed closing.html
var closingPage string

// answer is what came back to the redirect URI.
type answer struct {
	code string
	err  error
}

// byBrowser signs in by the browser of this machine (RFC 8252). The answer comes to a port of the
// loopback interface that the system chooses: the house lets native clients have any port of
// http://127.0.0.1/callback. Whoever else may see the code lacks the verifier.
func (p *program) byBrowser(ctx context.Context) (*oauth2.Token, error) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	config := p.house.Config
	config.RedirectURL = fmt.Sprintf("http://%s/callback", listener.Addr())
	state, verifier := oauth2.GenerateVerifier(), oauth2.GenerateVerifier()

	answers := make(chan answer, 1)
	server := &http.Server{Handler: p.callback(state, answers), ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = server.Serve(listener) }() // until it is shut down
	defer func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = server.Shutdown(last) // lets the closing page arrive
	}()

	address := config.AuthCodeURL(state, oauth2.SetAuthURLParam("audience", p.house.audience), oauth2.S256ChallengeOption(verifier))
	if !p.open || openBrowser(address) != nil {
		fmt.Fprintf(p.out, "Open this in your browser:\n\n  %s\n\n", address)
	}
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case a := <-answers:
		if a.err != nil {
			return nil, a.err
		}
		return config.Exchange(ctx, a.code, oauth2.VerifierOption(verifier))
	}
}

// callback takes the first answer that is to our own question, and shows a page to close.
func (p *program) callback(state string, answers chan<- answer) http.Handler {
	page := template.Must(template.New("closing").Parse(closingPage))
	mux := http.NewServeMux()
	mux.HandleFunc("GET /callback", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if q.Get("state") != state || q.Get("iss") != p.house.issuer { // somebody else's answer (RFC 9207)
			http.Error(w, "This is not the answer to what was asked.", http.StatusBadRequest)
			return
		}
		a := answer{code: q.Get("code")}
		if a.code == "" {
			a.err = errors.New("the house says: " + q.Get("error_description"))
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Referrer-Policy", "no-referrer") // the address has a code in it
		_ = page.Execute(w, a.err)
		select {
		case answers <- a:
		default: // a reload
		}
	})
	return mux
}

func openBrowser(address string) error {
	switch runtime.GOOS {
	case "darwin":
		return exec.Command("open", address).Start()
	case "windows":
		return exec.Command("rundll32", "url.dll,FileProtocolHandler", address).Start()
	}
	return exec.Command("xdg-open", address).Start()
}
