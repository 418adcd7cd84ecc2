package oidclogin

import (
	"cmp"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard/internal/cookies"
	"github.com/gatehouse-dev/gatehouse/protocol/jose"
)

const (
	// transactionLife is how long somebody may take to sign in.
	transactionLife = 10 * time.Minute
	// maxTransactions bounds the flows one browser has under way, and
	// maxTransactionsSize their cookies' bytes. More would fill the Cookie header
	// until servers refuse it, and anybody can send a browser to the login route.
	maxTransactions     = 5
	maxTransactionsSize = 5500
	// maxTransactionSize is how much of that one may take. One that would be longer
	// forgets where to go on.
	maxTransactionSize = 3400
	flowIDLength       = 8
)

// transaction is one sign-in under way: everything the callback needs to know
// that it was this browser, and this application, that asked. It exists only
// sealed, in a cookie of its own, and is good for one callback.
type transaction struct {
	Issuer      string `json:"iss"`
	State       string `json:"state"`
	Nonce       string `json:"nonce"`
	Verifier    string `json:"verifier"`
	RedirectURI string `json:"redirect_uri"`
	ReturnTo    string `json:"return_to"`
	Started     int64  `json:"started"` // seconds
	// MaxAge and ACR are what this sign-in has to reach; nil and empty if anything
	// will do.
	MaxAge *int     `json:"max_age,omitempty"` // seconds
	ACR    []string `json:"acr,omitempty"`
}

// expectation is what the ID token at the end of the flow has to show. The time
// the person took does not count against them.
func (t transaction) expectation(now time.Time) expectation {
	e := expectation{nonce: t.Nonce, acr: t.ACR}
	if t.MaxAge != nil {
		allowed := *t.MaxAge + int(max(0, now.Unix()-t.Started))
		e.maxAge = &allowed
	}
	return e
}

// newTransaction begins a flow. The state starts with a short id that names the
// flow's cookie, the rest of it is the secret.
func (l *Login) newTransaction(returnTo string) transaction {
	return transaction{
		Issuer:      l.options.Issuer,
		State:       rand.Text()[:flowIDLength] + "." + secret(),
		Nonce:       secret(),
		Verifier:    secret(),
		RedirectURI: l.callbackURL(),
		ReturnTo:    returnTo,
		Started:     l.now().Unix(),
	}
}

// secret returns 260 random bits in 52 characters, which every value of a flow
// may consist of.
func secret() string { return rand.Text() + rand.Text() }

func (t transaction) expired(now time.Time) bool {
	age := now.Sub(time.Unix(t.Started, 0))
	return age < -time.Minute || age > transactionLife
}

func (l *Login) transactionCookiePrefix() string {
	return cookies.Name(l.options.CookieName+"_login_", l.secure)
}

func (l *Login) transactionCookie(name string) cookies.Cookie {
	return cookies.Cookie{Name: name, Secure: l.secure}
}

// saveTransaction puts the transaction into a cookie and removes abandoned ones.
func (l *Login) saveTransaction(h http.Header, r *http.Request, t transaction) error {
	name := l.transactionCookiePrefix() + t.State[:flowIDLength]
	value, err := l.sealTransaction(name, t)
	if err == nil && len(value) > maxTransactionSize {
		t.ReturnTo = "/"
		value, err = l.sealTransaction(name, t)
	}
	if err != nil {
		return err
	}
	l.pruneTransactions(h, r, len(value))
	return l.transactionCookie(name).Set(h, r, value, transactionLife)
}

func (l *Login) sealTransaction(name string, t transaction) (string, error) {
	plain, err := json.Marshal(t)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(l.transactions.Seal(l.place(name), plain)), nil
}

// place binds a sealed transaction to its cookie and to this application.
func (l *Login) place(cookieName string) string { return cookieName + "\n" + l.app }

var errNoTransaction = errors.New("no sign-in under way in this browser has this state")

// takeTransaction returns the transaction that state belongs to and removes its
// cookie, whatever comes of it: one cookie, one callback.
func (l *Login) takeTransaction(h http.Header, r *http.Request, state string) (transaction, error) {
	flow, _, ok := strings.Cut(state, ".")
	if !ok || len(flow) != flowIDLength || strings.Trim(flow, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") != "" {
		return transaction{}, errNoTransaction
	}
	name := l.transactionCookiePrefix() + flow
	l.transactionCookie(name).Clear(h, r)
	t, err := l.readTransaction(r, name)
	if err != nil {
		return transaction{}, err
	}
	if subtle.ConstantTimeCompare([]byte(t.State), []byte(state)) != 1 {
		return transaction{}, errNoTransaction
	}
	return t, nil
}

func (l *Login) readTransaction(r *http.Request, name string) (t transaction, err error) {
	value, _ := l.transactionCookie(name).Get(r)
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(value)
	if err != nil {
		return t, errNoTransaction
	}
	plain, err := l.transactions.Open(l.place(name), sealed)
	if err != nil {
		return t, errNoTransaction
	}
	if err := jose.Decode(plain, &t); err != nil {
		return t, errNoTransaction
	}
	if t.expired(l.now()) || t.Issuer != l.options.Issuer || t.State == "" || t.Nonce == "" || t.Verifier == "" {
		return transaction{}, errNoTransaction
	}
	return t, nil
}

// pruneTransactions clears the cookies of flows that are over, and of the
// oldest beyond the bounds, counting the one of this size that is about to begin.
func (l *Login) pruneTransactions(h http.Header, r *http.Request, size int) {
	type flow struct {
		name    string
		size    int
		started int64
	}
	var alive []flow
	prefix := l.transactionCookiePrefix()
	for _, c := range r.Cookies() {
		if !strings.HasPrefix(c.Name, prefix) {
			continue
		}
		t, err := l.readTransaction(r, c.Name)
		if err != nil {
			l.transactionCookie(c.Name).Clear(h, r)
			continue
		}
		alive = append(alive, flow{c.Name, len(c.Value), t.Started})
	}
	slices.SortFunc(alive, func(a, b flow) int { return cmp.Compare(b.started, a.started) })
	for i, f := range alive {
		if size += f.size; i >= maxTransactions-1 || size > maxTransactionsSize {
			l.transactionCookie(f.name).Clear(h, r)
		}
	}
}
