package page

import "strconv"

// SignIn asks for e-mail address and password. Posts ActionSignIn with email
// and password, or ActionForgot or ActionSignUp with whatever was typed.
type SignIn struct {
	Frame
	ClientName string // the application the person came from, "" if none
	Email      string // what is filled in already: login_hint or the last attempt
	NoSignUp   bool   // the tenant lets nobody sign up by themselves
	DevUsers   []DevUser
}

// DevUser is a demo account, shown by a development server only.
type DevUser struct{ Email, Password, Note string }

func (p SignIn) sheet() sheet {
	focus := "email"
	if p.Email != "" {
		focus = "password"
	}
	return sheet{name: "signin", revisit: true, args: args("client", p.ClientName), focus: focus}
}

// SignUp asks for an address and a password to make an account of. Posts
// ActionSignUp, or ActionSignIn to go back.
type SignUp struct {
	Frame
	ClientName        string
	Email             string
	MinPasswordLength int // in characters; said before anybody types
}

func (p SignUp) sheet() sheet {
	return sheet{name: "signup", revisit: true, args: args("client", p.ClientName, "min", count(p.MinPasswordLength)), focus: "email"}
}

// CheckMail asks for the code that was mailed to finish signing up. It reads
// the same whether or not the address was free (PW05). Posts ActionVerify with
// code, ActionResend, or ActionSignUp to give another address.
type CheckMail struct {
	Frame
	Email   string
	Minutes int // how long the code is good
}

func (p CheckMail) sheet() sheet {
	return sheet{name: "checkmail", revisit: true, args: args("email", p.Email, "minutes", count(p.Minutes)), focus: "code"}
}

// Forgot asks for the address to mail a reset code to. Posts ActionForgot, or
// ActionSignIn to go back.
type Forgot struct {
	Frame
	Email string
}

func (p Forgot) sheet() sheet { return sheet{name: "forgot", revisit: true, focus: "email"} }

// ForgotCode asks for the mailed code and the new password at once. It reads
// the same whether or not the address is known (PW05). Posts ActionSetPassword
// with code and password, ActionResend, or ActionSignIn to go back.
type ForgotCode struct {
	Frame
	Email             string
	Minutes           int // how long the code is good
	MinPasswordLength int
}

func (p ForgotCode) sheet() sheet {
	return sheet{name: "forgotcode", revisit: true, args: args("email", p.Email, "minutes", count(p.Minutes), "min", count(p.MinPasswordLength)), focus: "code"}
}

// SetPassword lets a person whom an administrator gave a link choose a
// password. Showing it consumes nothing (EM01); only its post does. The link's
// token goes into Frame.Hidden. Posts ActionSetPassword with password.
type SetPassword struct {
	Frame
	Email             string // whose password it will be
	MinPasswordLength int
}

func (p SetPassword) sheet() sheet {
	return sheet{name: "setpassword", args: args("email", p.Email, "min", count(p.MinPasswordLength)), focus: "password"}
}

// FirstAdmin creates the first administrator. Posts ActionCreateAdmin with
// token (as printed on the server's terminal), email and password.
type FirstAdmin struct {
	Frame
	Email             string
	MinPasswordLength int
}

func (p FirstAdmin) sheet() sheet {
	return sheet{name: "firstadmin", args: args("min", count(p.MinPasswordLength)), focus: "token"}
}

// Consent asks whether an application may do what it asked for. Posts
// ActionAllow, ActionDeny or ActionSwitch.
type Consent struct {
	Frame
	ClientName string
	ClientHost string // where the answer will be sent, as host name, so that a borrowed name is noticed; "" for none
	ThirdParty bool   // not run by the tenant: the page says that nobody vouches for it
	Email      string // who is about to allow it
	Scopes     []Scope
}

// Scope is one thing an application asks for.
type Scope struct {
	Name        string // the scope's value
	Description string // for people; "" uses the catalogue's sentence for standard scopes, or the name
	API         string // whose permission it is, "" for identity scopes
}

func (p Consent) sheet() sheet {
	return sheet{name: "consent", args: args("client", p.ClientName, "email", p.Email, "host", p.ClientHost)}
}

// SignedIn is what a signed-in person sees where nothing is to be done, say on
// a bookmarked sign-in page. Posts ActionSignOut, ActionSwitch, and
// ActionContinue when ClientName is set.
type SignedIn struct {
	Frame
	Email      string
	ClientName string // the application of a flow that can go on, "" if none
	AccountURL string // link to the account page, "" for none
}

func (p SignedIn) sheet() sheet {
	return sheet{name: "signedin", args: args("email", p.Email, "client", p.ClientName)}
}

// SignOut asks whether the person really wants to sign out. Posts
// ActionSignOut or ActionStay.
type SignOut struct {
	Frame
	Email      string
	ClientName string // the application that asked for it, "" if none
}

func (p SignOut) sheet() sheet {
	return sheet{name: "signout", args: args("email", p.Email, "client", p.ClientName)}
}

// SignedOut says that the session has ended.
type SignedOut struct {
	Frame
	ReturnURL  string // a registered place to go on to, "" for none
	ClientName string // whose place that is
}

func (p SignedOut) sheet() sheet {
	return sheet{name: "signedout", args: args("client", p.ClientName)}
}

func args(pairs ...string) map[string]string {
	m := make(map[string]string, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return m
}

func count(n int) string { return strconv.Itoa(n) }
