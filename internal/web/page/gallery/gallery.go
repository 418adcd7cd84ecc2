// Package gallery holds one sample of every state of every hosted page. Tests
// render it for golden files, crawl it for headers, and check it in a real
// browser; nothing else imports it.
package gallery

import (
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/web/page"
)

// Sample is one page in one state.
type Sample struct {
	Name   string // a file name
	Status int
	Page   page.Page
}

// Options are the renderer's options the samples are made for.
func Options() page.Options {
	return page.Options{Dev: true, InboxURL: "/u/inbox", StartURL: "/"}
}

// Samples returns all of them, freshly made.
func Samples() []Sample {
	at := time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)
	frame := page.Frame{
		TenantName: "TV Shows", Post: "/u/sign-in", Flow: "c2VhbGVk",
		FormAction: []string{"http://localhost:3000/callback"},
	}
	with := func(change func(*page.Frame)) page.Frame {
		f := frame
		change(&f)
		return f
	}
	wrong := func(errors ...page.Message) page.Frame {
		return with(func(f *page.Frame) { f.Errors = errors })
	}
	users := []page.DevUser{
		{Email: "ada@example.com", Password: "correct horse battery", Note: "may read and write shows"},
		{Email: "ben@example.com", Password: "correct horse battery", Note: "lacks read:shows: meets the 403"},
		{Email: "admin@example.com", Password: "correct horse battery", Note: "administrator"},
	}
	const long = "The Remarkably Long-Named Association of Donaudampfschifffahrtsgesellschaftskapitänsmützen Enthusiasts"
	const longMail = "a.person.with.a.remarkably.long.address.that.goes.on@subdomain.of.a.rather.long.example.org"
	consent := page.Consent{
		Frame: frame, ClientName: "Watchlist", ClientHost: "watchlist.example", ThirdParty: true, Email: "ada@example.com",
		Scopes: []page.Scope{
			{Name: "openid"},
			{Name: "profile"},
			{Name: "email"},
			{Name: "read:shows", Description: "Read the list of shows", API: "https://api/tv-shows"},
			{Name: "offline_access"},
		},
	}
	longConsent := consent
	longConsent.ClientName, longConsent.Email = long, longMail
	longConsent.Scopes = append([]page.Scope{{Name: "urn:example:a-scope-nobody-described:" + "read-and-write-and-everything-in-between"}}, consent.Scopes...)
	device := with(func(f *page.Frame) { f.Post, f.FormAction = "/device", nil })
	onDevice := func(errors ...page.Message) page.Frame {
		f := device
		f.Errors = errors
		return f
	}
	deviceConfirm := page.DeviceConfirm{
		Frame: device, ClientName: "Watchlist", Email: "ada@example.com", UserCode: "WDJB-MJHT", Scopes: consent.Scopes,
		Network: "198.51.100.7", Place: page.PlaceHere,
	}
	elsewhere := deviceConfirm
	elsewhere.Frame, elsewhere.ClientName, elsewhere.ThirdParty, elsewhere.Email = onDevice(page.ErrStarted), long, true, longMail
	elsewhere.Network, elsewhere.Place, elsewhere.Minutes = "2001:db8:1:2::/64", page.PlaceElsewhere, 4
	mistake := page.ErrorPage{
		Frame: page.Frame{TenantName: "TV Shows"}, Code: "invalid_request", Ref: "0195a1b2c3d4",
		Description: "The redirect_uri is not registered for this client.", Parameter: "redirect_uri",
		Expected: []string{"http://localhost:3000", "http://localhost:3000/callback", "http://localhost:5173"},
		Got:      "http://localhost:3000/callback/",
		Fix:      "Send one of the registered URIs, byte for byte, or register this one:",
		Command:  "gatehouse client update Vn3yQ8dLr2TzKp5WxHbJmGc7Fs4AeRu9 --add-callback http://localhost:3000/callback/",
	}
	mail := page.InboxMail{
		Frame: page.Frame{TenantName: "TV Shows"}, InboxURL: "/u/inbox", From: "TV Shows <no-reply@localhost>", To: "ada@example.com",
		Subject: "Your code is 491 736", When: at, Code: "491736",
		Text: "Hello,\n\nyour code is 491736. It is good for 10 minutes.\n\nIf you did not ask for it, see http://localhost:8080/help, or simply do nothing.\n",
	}

	return []Sample{
		{"signin", 200, page.SignIn{Frame: frame, ClientName: "Watchlist", DevUsers: users}},
		{"signin-prefilled", 200, page.SignIn{Frame: with(func(f *page.Frame) { f.Notice = page.NoticeSignInAgain }), ClientName: "Watchlist", Email: "ada@example.com"}},
		{"signin-error", 422, page.SignIn{Frame: wrong(page.ErrCredentials), ClientName: "Watchlist", Email: "ada@example.com"}},
		{"signin-long", 200, page.SignIn{Frame: with(func(f *page.Frame) { f.TenantName = long }), ClientName: long, Email: longMail}},
		{"signin-rtl", 422, page.SignIn{Frame: with(func(f *page.Frame) {
			f.Lang, f.TenantName, f.Errors = "he", "תוכניות טלוויזיה", []page.Message{page.ErrCredentials}
		}), ClientName: "רשימת צפייה", Email: "ada@example.com", DevUsers: users}},
		{"signin-accent", 200, page.SignIn{Frame: with(func(f *page.Frame) { f.Accent = "#ffb000"; f.TenantName = "Bees & Honey" }), NoSignUp: true}},
		{"signup", 200, page.SignUp{Frame: frame, ClientName: "Watchlist", MinPasswordLength: 12}},
		{"signup-error", 422, page.SignUp{Frame: wrong(page.ErrEmail, page.ErrPasswordShort), ClientName: "Watchlist", Email: "ada@", MinPasswordLength: 12}},
		{"checkmail", 200, page.CheckMail{Frame: frame, Email: "ada@example.com", Minutes: 10}},
		{"checkmail-error", 422, page.CheckMail{Frame: wrong(page.ErrCode), Email: longMail, Minutes: 10}},
		{"forgot", 200, page.Forgot{Frame: frame, Email: "ada@example.com"}},
		{"forgotcode", 200, page.ForgotCode{Frame: with(func(f *page.Frame) { f.Notice = page.NoticeCodeResent }), Email: "ada@example.com", Minutes: 10, MinPasswordLength: 12}},
		{"forgotcode-error", 422, page.ForgotCode{Frame: wrong(page.ErrCode, page.ErrPasswordGuessed), Email: "ada@example.com", Minutes: 10, MinPasswordLength: 12}},
		{"setpassword", 200, page.SetPassword{Frame: with(func(f *page.Frame) { f.Hidden = []page.Field{{Name: "ticket", Value: "dGlja2V0"}} }), Email: "ada@example.com", MinPasswordLength: 12}},
		{"firstadmin", 200, page.FirstAdmin{Frame: frame, MinPasswordLength: 15}},
		{"firstadmin-error", 422, page.FirstAdmin{Frame: wrong(page.ErrToken), Email: "root@example.com", MinPasswordLength: 15}},
		{"consent", 200, consent},
		{"consent-long", 200, longConsent},
		{"devicecode", 200, page.DeviceCode{Frame: device, Email: "ada@example.com"}},
		{"devicecode-prefilled", 200, page.DeviceCode{Frame: device, Email: "ada@example.com", UserCode: "WDJB-MJHT", Prefilled: true}},
		{"devicecode-error", 422, page.DeviceCode{Frame: onDevice(page.ErrUserCode), Email: "ada@example.com", UserCode: "WDJB-MJHX"}},
		{"devicecode-expired", 422, page.DeviceCode{Frame: onDevice(page.ErrUserCodeExpired), Email: longMail, UserCode: "WDJB-MJHT"}},
		{"devicecode-used", 422, page.DeviceCode{Frame: onDevice(page.ErrUserCodeUsed), Email: "ada@example.com", UserCode: "WDJB-MJHT"}},
		{"deviceconfirm", 200, deviceConfirm},
		{"deviceconfirm-elsewhere", 422, elsewhere},
		{"devicedone", 200, page.DeviceDone{Frame: page.Frame{TenantName: "TV Shows"}, ClientName: "Watchlist"}},
		{"devicedenied", 200, page.DeviceDenied{Frame: page.Frame{TenantName: "TV Shows"}}},
		{"signedin", 200, page.SignedIn{Frame: frame, Email: "ada@example.com", AccountURL: "/account"}},
		{"signedin-flow", 200, page.SignedIn{Frame: frame, Email: "ada@example.com", ClientName: "Watchlist"}},
		{"signout", 200, page.SignOut{Frame: frame, Email: "ada@example.com", ClientName: "Watchlist"}},
		{"signedout", 200, page.SignedOut{Frame: page.Frame{TenantName: "TV Shows"}, ReturnURL: "http://localhost:3000/", ClientName: "Watchlist"}},
		{"signedout-astray", 200, page.SignedOut{Frame: page.Frame{TenantName: "TV Shows", Notice: page.NoticeAstray}}},
		{"error-details", 400, mistake},
		{"error-plain", 500, page.ErrorPage{Frame: page.Frame{TenantName: "TV Shows"}, Code: "server_error", Ref: "0195a1b2c3d4"}},
		{"nocookies", 400, page.NoCookies{Frame: frame}},
		{"limit", 429, page.LimitReached{Frame: frame, Minutes: 12}},
		{"formpost", 200, page.FormPost{Frame: page.Frame{TenantName: "TV Shows"}, ClientName: "Watchlist", Action: "http://localhost:3000/callback", Fields: []page.Field{{Name: "code", Value: "c0de"}, {Name: "state", Value: "st4te"}}}},
		{"webmessage", 200, page.WebMessage{Frame: page.Frame{TenantName: "TV Shows"}, TargetOrigin: "http://localhost:3000", Response: map[string]string{"code": "c0de", "state": "st4te"}}},
		{"inbox", 200, page.Inbox{Frame: frame, Mails: []page.MailSummary{
			{URL: "/u/inbox/2", To: "ada@example.com", Subject: "Your code is 491 736", Preview: "Hello, your code is 491736. It is good for 10 minutes.", When: at},
			{URL: "/u/inbox/1", To: longMail, Subject: "You already have an account", Preview: "Somebody, probably you, tried to sign up with this address again.", When: at.Add(-time.Hour)},
		}}},
		{"inbox-empty", 200, page.Inbox{Frame: frame}},
		{"inboxmail", 200, mail},
		{"devstart", 200, page.DevStart{
			Frame: page.Frame{TenantName: "Gatehouse"}, Issuer: "http://localhost:8080/", InboxURL: "/u/inbox", AppCommand: "gatehouse app create --data .gatehouse", DataFile: ".gatehouse/dev.json",
			Demos: []page.Demo{
				{Name: "Static page", Kind: "static", URL: "http://localhost:41001/"},
				{Name: "Server-rendered", Kind: "rendered", URL: "http://localhost:41002/"},
				{Name: "Custom server", Kind: "server", URL: "http://localhost:41003/"},
			},
			Users: users,
			Clients: []page.DevClient{
				{Name: "Single-page app", Type: "spa", ClientID: "Vn3yQ8dLr2TzKp5WxHbJmGc7Fs4AeRu9", RedirectURIs: []string{"http://localhost:3000", "http://localhost:5173"}},
				{Name: "Regular web app", Type: "regular_web", ClientID: "Zk4RwT7nMx2PqLs9DvHbYc6JgFa3EuKt", ClientSecret: "wJ5tPz8KqRm3XvNc7LbYdHs2GfTa9EuQ", RedirectURIs: []string{"http://localhost:8000/callback"}},
				{Name: "Watchlist", Type: "regular_web", ThirdParty: true, ClientID: "Hs2GfTa9EuQwJ5tPz8KqRm3XvNc7LbYd", ClientSecret: "Jm3XvNc7LbYdHs2GfTa9EuQwJ5tPz8Kq", RedirectURIs: []string{"http://localhost:8000/callback"}},
			},
			APIs: []page.DevAPI{{Audience: "https://api/tv-shows", Permissions: []string{"read:shows", "write:shows"}}},
		}},
	}
}
