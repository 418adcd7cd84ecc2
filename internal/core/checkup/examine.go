package checkup

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/backchannel"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// Facts are what an examination looks at.
type Facts struct {
	Issuer  string
	Client  *apps.Client
	Entries []Entry // of the client
	Strays  []Entry // of no client
	APIs    []string
	Untold  *Untold // what came of telling it of sign-outs lately; nil where that went well
}

// Untold is why the house could not tell an application of sign-outs.
type Untold struct {
	Failure backchannel.Failure
	Status  int64 // of the application's answer; 0 for none
	Count   int64 // sign-outs since the last that it was told of
	LastAt  time.Time
}

// Level says how much a finding matters.
type Level string

// The levels.
const (
	Wrong   Level = "wrong"   // it keeps something from working
	Look    Level = "look"    // it may be meant so
	Settled Level = "settled" // it was wrong, and is not any more
)

// Finding is one thing that an examination found.
type Finding struct {
	Level      Level
	Kind       Kind
	Title      string
	Sent       string // what came
	Registered string // the nearest of what would have been right
	Difference string // between the two
	Fix        string
	Command    []string // the words after "gatehouse" that do it
	Count      int64    // 0 for what is wrong with the settings alone
	LastAt     time.Time
}

// Last is when something last went well.
type Last struct {
	Kind  Kind
	Title string
	At    time.Time
}

// Report is the outcome: Seen is false where no request of the client is remembered.
type Report struct {
	Seen     bool
	Findings []Finding // the worst first, then the latest
	Lasts    []Last
}

// Examine says what is wrong with a client's configuration.
func Examine(f Facts) Report {
	e := &examination{Facts: f, last: map[Kind]time.Time{}}
	for _, entry := range f.Entries {
		if entry.LastAt.After(e.last[entry.Kind]) {
			e.last[entry.Kind] = entry.LastAt
		}
	}
	e.settings()
	e.nobodys()
	for _, entry := range f.Entries {
		e.entry(entry)
	}
	e.unredeemed()
	e.untold()
	rank := map[Level]int{Wrong: 0, Look: 1, Settled: 2}
	slices.SortStableFunc(e.findings, func(a, b Finding) int {
		if rank[a.Level] != rank[b.Level] {
			return rank[a.Level] - rank[b.Level]
		}
		return b.LastAt.Compare(a.LastAt)
	})
	r := Report{Seen: len(f.Entries) > 0, Findings: e.findings}
	for _, w := range wells() {
		if at, ok := e.last[w.kind]; ok {
			r.Lasts = append(r.Lasts, Last{w.kind, w.title, at})
		}
	}
	return r
}

type examination struct {
	Facts
	last     map[Kind]time.Time
	findings []Finding
}

func (e *examination) add(f Finding) { e.findings = append(e.findings, f) }

// update is the command that changes the client.
func (e *examination) update(flags ...string) []string {
	return append([]string{"client", "update", e.Client.ClientID}, flags...)
}

// settings finds what is wrong before anybody has asked for anything.
func (e *examination) settings() {
	c := e.Client
	if c.Disabled {
		e.add(Finding{Level: Wrong, Kind: Disabled, Title: "The client is disabled", Fix: "Everything it asks is refused.", Command: e.update("--no-disabled")})
	}
	if c.MayUse(oauth.GrantAuthorizationCode) && len(c.RedirectURIs) == 0 {
		e.add(Finding{Level: Wrong, Kind: RedirectURI, Title: "No callback is registered", Fix: "Nobody can sign in. Register where the browser returns to.", Command: e.update("--add-callback", "URL")})
	}
	if c.Type == apps.Machine && len(c.Grants) == 0 {
		e.add(Finding{Level: Wrong, Kind: APIGrant, Title: "It may call no API", Fix: "Say what it may do, and where.", Command: e.update("--add-grant", "IDENTIFIER=SCOPE")})
	}
	if c.Type != apps.SPA {
		return
	}
	for _, uri := range c.RedirectURIs {
		origin, ok := oauth.Origin(uri)
		if !ok {
			continue
		}
		if !c.HasWebOrigin(origin) {
			e.add(Finding{
				Level: Wrong, Kind: WebOrigin, Title: "Pages of " + origin + " can not call the house", Registered: strings.Join(c.WebOrigins, " "),
				Fix: "Its browser is kept from the token endpoint, and gets no message. Register the origin.", Command: e.update("--add-web-origin", origin),
			})
		}
		if strings.HasPrefix(origin, "https:") && strings.HasPrefix(e.Issuer, "http:") {
			e.add(Finding{Level: Wrong, Kind: WebOrigin, Title: origin + " is https, and the house is http", Fix: "Browsers keep an https page from calling http. Serve the house by https."})
		}
	}
}

// nobodys finds what was asked in nobody's name, and may have been this client's.
func (e *examination) nobodys() {
	told := func(origin string) bool {
		return slices.ContainsFunc(e.Entries, func(entry Entry) bool { return entry.Kind == WebOrigin && entry.Sent == origin })
	}
	for _, stray := range e.Strays {
		f := Finding{Level: Look, Kind: stray.Kind, Sent: stray.Sent, Count: stray.Count, LastAt: stray.LastAt}
		switch {
		case stray.Kind == UnknownClient && len(e.Entries) == 0:
			f.Title = "Requests came with a client id that nobody has"
			f.Fix = "If they are this application's, its client id is mistyped, or that of another house."
		case stray.Kind == PageOrigin && e.Client.Type == apps.SPA && whole(stray.Sent) && sameHouse(stray.Sent, e.Client.RedirectURIs) && !told(stray.Sent):
			f.Kind, f.Title = WebOrigin, "A page of "+stray.Sent+" was kept from the token endpoint"
			f.Fix, f.Command = "No client registered this origin. If it is this one's, register it.", e.update("--add-web-origin", stray.Sent)
		default:
			continue
		}
		e.add(f)
	}
}

// entry finds what an entry means, under the settings of now.
func (e *examination) entry(entry Entry) {
	f := Finding{Level: Wrong, Kind: entry.Kind, Sent: entry.Sent, Count: entry.Count, LastAt: entry.LastAt}
	since := func(kinds ...Kind) { // it went well later, so it is settled
		for _, k := range kinds {
			if e.last[k].After(entry.LastAt) {
				f.Level = Settled
			}
		}
	}
	settledIf := func(now bool) {
		if now {
			f.Level = Settled
		}
	}
	c := e.Client
	switch entry.Kind {
	case RedirectURI:
		f.Title = "The redirect_uri is not registered"
		e.address(&f, "--add-callback", c.RedirectURIs)
		settledIf(whole(f.Sent) && oauth.MatchRedirectURI(c.RedirectURIs, f.Sent, c.Type == apps.Native))
	case RedirectMissing:
		f.Title, f.Fix = "A request came without redirect_uri, and the client has no default", "Send one, or set the default."
		if len(c.RedirectURIs) > 0 {
			f.Command = e.update("--default-redirect-uri", c.RedirectURIs[0])
		}
		settledIf(c.DefaultRedirectURI != "")
	case MessageOrigin, WebOrigin:
		f.Title = "The origin is not registered for calls by script"
		e.address(&f, "--add-web-origin", c.WebOrigins)
		settledIf(c.HasWebOrigin(f.Sent))
	case LogoutURL:
		f.Title = "The address after the logout is not registered, so people end on a page of the house"
		e.address(&f, "--add-logout-url", c.LogoutURLs)
		settledIf(whole(f.Sent) && oauth.MatchLogoutURI(c.LogoutURLs, f.Sent))
	case ResponseType:
		f.Title = "It asks for a response_type that is not open to it"
		if f.Sent == "" { // none that there is
			f.Fix = "No token travels in a URL. The implicit grant is deprecated and not offered: use response_type=code with PKCE."
			since(Authorized)
			break
		}
		f.Fix = "Use response_type=code. For id_token by form_post, as express-openid-connect does by default, a regular web client needs the profile oidc-basic."
		if c.Type == apps.RegularWeb {
			f.Command = e.update("--profile", string(apps.OIDCBasic))
		}
		e.doubt(&f)
		settledIf(c.MayAskFor(oauth.ResponseTypeIDToken))
	case PKCE:
		f.Title, f.Fix = "It sends no PKCE", "Turn PKCE (S256) on in the SDK."
		if f.Sent != "" {
			f.Title, f.Fix = "Its PKCE is not S256", "Send the code_challenge of BASE64URL(SHA256(code_verifier)), with code_challenge_method=S256."
			since(Authorized)
			break
		}
		if c.Confidential() {
			f.Fix += " If it has none, such as passport-auth0, the profile oidc-basic does without."
			f.Command = e.update("--profile", string(apps.OIDCBasic))
		}
		e.doubt(&f)
		settledIf(!c.RequiresPKCE())
		since(Authorized)
	case Audience:
		e.audience(&f)
		settledIf(slices.Contains(e.APIs, f.Sent))
	case ScopeDropped:
		f.Level, f.Title = Look, "It asks for scopes that it does not get"
		f.Fix = "They are left out, silently: no such permission at the API it named, or no refresh tokens there. gatehouse api show says what there is."
		if c.Type == apps.Machine {
			f.Fix = "They are left out: no such permission at the API, or not among what it may do there. gatehouse api show says the one, gatehouse client show the other."
		}
	case LoginRequired:
		e.silent(&f)
		since(AuthorizedSilently)
	case ClientSecret:
		f.Title, f.Fix = "The client secret is wrong", "Put in the right one: without spaces, of this client. If it is lost, make another; the old one ends at once."
		f.Command = []string{"client", "rotate-secret", c.ClientID}
		since(CodeRedeemed, Refreshed, Credentials, Exchanged)
	case AuthMethod:
		e.authMethod(&f)
		since(CodeRedeemed, Refreshed, Credentials, Exchanged)
	case GrantType:
		f.Title = "It may not use this grant type"
		f.Fix = "If it should, let it."
		if f.Sent == "password" || f.Sent == "implicit" {
			f.Fix = "It is deprecated and not offered: use authorization_code with PKCE."
		} else if whole(f.Sent) {
			f.Command = e.update("--add-grant-type", f.Sent)
		}
		if !c.Confidential() {
			e.doubt(&f)
		}
		settledIf(c.MayUse(f.Sent))
	case Code:
		f.Title, f.Fix = "A code was invalid, expired or used before", "A code is good once, for a minute. Look whether the callback runs twice (React StrictMode, a proxy that repeats)."
		since(CodeRedeemed)
	case CodeRedirectURI:
		f.Title, f.Fix = "The redirect_uri at the token endpoint is not the one of the authorization request", "Send the same, byte for byte, in both."
		since(CodeRedeemed)
	case CodeVerifier:
		f.Title, f.Fix = "The code_verifier does not fit", "Keep the verifier of each sign-in until its callback: a session that was lost, or one cookie for two tabs, mixes them up."
		since(CodeRedeemed)
	case RefreshToken:
		f.Level, f.Title = Look, "A refresh token was unknown, expired or revoked"
		f.Fix = "Normal after a sign-out or a long pause: the application must ask to sign in again."
		since(Refreshed)
	case RefreshReused:
		f.Title = "A refresh token was used again after its successor, so the family was revoked"
		f.Fix = "Either it was stolen, or two copies of the application share it (processes without a common store, a restored backup). Refresh in one place; the audit log says who."
		since(Refreshed)
	case APIGrant:
		f.Title, f.Fix = "It asks for an API it has no grant for", "Say what it may do there."
		if !slices.Contains(e.APIs, f.Sent) {
			e.audience(&f)
		} else if whole(f.Sent) {
			f.Command = e.update("--add-grant", f.Sent+"=SCOPE")
		}
		_, has := c.Grants[f.Sent]
		settledIf(has)
	case PolledTooFast:
		f.Level, f.Title, f.Fix = Look, "It asks for the device's tokens too fast", "Wait as many seconds as interval says, and five more after each slow_down."
		since(DeviceApproved)
	case Disabled:
		f.Title = "It asked while it was disabled"
		settledIf(!c.Disabled)
	case Refused:
		f.Level, f.Title = Look, "It was refused otherwise"
		since(Authorized, CodeRedeemed, Refreshed, Credentials)
	default:
		return // it went well
	}
	if f.Level == Settled {
		f.Command = nil
	}
	e.add(f)
}

// address says how an address differs from those that are registered, and offers to register it
// where it can be the application's own.
func (e *examination) address(f *Finding, flag string, registered []string) {
	if f.Sent == "" {
		f.Fix = "Several came, each something else."
		return
	}
	if f.Registered, f.Difference = nearest(f.Sent, registered); f.Registered == "" {
		f.Registered = strings.Join(registered, " ")
	}
	near := append(slices.Clone(e.Client.RedirectURIs), registered...)
	switch {
	case f.Difference == "http in place of https" && e.Client.Confidential():
		f.Fix = "It takes itself for http, which can not be registered but for this machine: behind a proxy that ends TLS, tell it its own address (a base URL, or to trust the proxy)."
	case !whole(f.Sent) || oauth.ValidateRedirectURI(f.Sent, e.Client.Type == apps.Native) != nil:
		f.Fix = "Register exactly what the application sends, if it is its own."
	case !sameHouse(f.Sent, near):
		f.Level, f.Fix = Look, "Anybody can send a request in the name of this client: register it only if you know the address."
	default:
		f.Fix = "If it is the application's own, register it:"
		f.Command = e.update(flag, f.Sent)
	}
}

// audience says which API was meant.
func (e *examination) audience(f *Finding) {
	f.Title, f.Fix = "The audience is no API of this house", "It is compared byte for byte. Correct it in the application, or register the API."
	if f.Registered, f.Difference = nearest(f.Sent, e.APIs); f.Registered == "" && whole(f.Sent) && strings.Contains(f.Sent, ":") {
		f.Command = []string{"api", "create", f.Sent}
	}
}

// doubt is for what anybody can send in the name of a client that works without: a stranger must not be able
// to have a client made less strict.
func (e *examination) doubt(f *Finding) {
	for _, k := range []Kind{CodeRedeemed, Refreshed, DeviceApproved, Exchanged} {
		if _, works := e.last[k]; works {
			f.Level, f.Command = Look, nil
			f.Fix = "Anybody can send such a request in the name of this client, which gets its tokens without. If it was the application: " + f.Fix
			return
		}
	}
}

// authMethod says how the client is to authenticate.
func (e *examination) authMethod(f *Finding) {
	switch {
	case !e.Client.Confidential():
		f.Title, f.Fix = "It sends a secret, and is a public client", "Take the secret out of the application: everybody who has it can read it. If it runs on a server, make it a regular web client."
	case f.Sent == string(oauth.AuthNone):
		f.Title, f.Fix = "It sends no client secret", "Give the application its secret; nothing that runs in a browser or on a device may have one."
	default:
		f.Title, f.Fix = "It sends its secret in a way it is not registered for", "Let it use both."
		f.Command = e.update("--auth-method", string(oauth.AuthBasic), "--auth-method", string(oauth.AuthPost))
	}
}

// silent says why prompt=none may never find anybody.
func (e *examination) silent(f *Finding) {
	f.Level, f.Title = Look, "Silent sign-in (prompt=none) finds nobody"
	f.Fix = "Normal for people who are signed out."
	if _, ever := e.last[AuthorizedSilently]; ever {
		return
	}
	f.Fix += " It never found anybody:"
	for _, uri := range e.Client.RedirectURIs {
		origin, ok := oauth.Origin(uri)
		if ok && site(origin) != site(e.Issuer) {
			f.Fix += " browsers hold back the cookies of the house in frames of " + origin + ", which is another site. Use refresh tokens (useRefreshTokens), or names under one domain; on one machine localhost on both sides."
			return
		}
	}
	f.Fix += " let it use refresh tokens (useRefreshTokens), which needs no cookie."
}

// untold: people signed out, and the application does not know.
func (e *examination) untold() {
	u := e.Untold
	if u == nil || e.Client.BackchannelLogoutURI == "" {
		return
	}
	e.add(Finding{
		Level: Wrong, Kind: BackchannelLogout, Title: "It could not be told of a sign-out", Registered: e.Client.BackchannelLogoutURI, Count: u.Count, LastAt: u.LastAt,
		Fix: whyUntold(u) + " What came of each:", Command: []string{"client", "logouts", e.Client.ClientID},
	})
}

func whyUntold(u *Untold) string {
	switch u.Failure {
	case backchannel.Rejected:
		return fmt.Sprintf("It answered %d: its own log says why. Many SDKs do so while they keep no sessions in a store, and have nothing to end.", u.Status)
	case backchannel.Redirected:
		return fmt.Sprintf("It answered %d, which leads elsewhere, where the house does not go: register where that is.", u.Status)
	case backchannel.TimedOut:
		return "It did not answer in time."
	case backchannel.AddressRefused:
		return "Its address is none that the house calls: one of the inner network, or not https."
	}
	return "Nothing answered there that the house could speak to: look whether it runs, can be reached from the house, and has a certificate that is trusted."
}

// unredeemed: people sign in, and nobody comes for the tokens.
func (e *examination) unredeemed() {
	authorized, ok := e.last[Authorized]
	if !ok {
		return
	}
	for _, k := range []Kind{CodeRedeemed, ClientSecret, AuthMethod, Code, CodeRedirectURI, CodeVerifier, WebOrigin} {
		if _, said := e.last[k]; said {
			return
		}
	}
	if e.Client.Type == apps.RegularWeb && e.Client.Profile == apps.OIDCBasic {
		return // it may ask for an ID token alone
	}
	f := Finding{
		Level: Wrong, Kind: Code, Title: "People sign in, and no code is ever redeemed", LastAt: authorized,
		Fix: "Look whether something answers at the callback, and can reach the token endpoint of the house.",
	}
	if e.Client.Type == apps.SPA {
		f.Fix = "Look at the browser's console: a page whose origin is not registered is kept from the token endpoint."
	}
	e.add(f)
}
