package page

// ErrorPage says that a request cannot be served. People see a calm sentence,
// Code and Ref. The rest is for the developer of the application and shown by
// a development server, or when Operator is set.
type ErrorPage struct {
	Frame
	Code     string // the wire's error code: invalid_request, access_denied, …
	Ref      string // finds the request in the log; "" for none
	Operator bool   // the viewer is signed in to the console: show everything

	Description string   // the error_description
	Parameter   string   // what is wrong, say redirect_uri; "" if it is no single parameter
	Expected    []string // what would have been accepted
	Got         string   // what came
	Fix         string   // what to do about it
	Command     string   // the command that does it, "" for none
}

func (p ErrorPage) sheet() sheet {
	return sheet{name: "error", args: args("code", p.Code, "ref", p.Ref)}
}

// NoCookies says that the browser sent no cookie back. Posts ActionRestart,
// when Frame.Post is set.
type NoCookies struct{ Frame }

func (p NoCookies) sheet() sheet { return sheet{name: "nocookies"} }

// LimitReached says that there were too many attempts (status 429). Render
// sets Retry-After by Minutes. Posts ActionForgot or ActionSignIn, when
// Frame.Post is set.
type LimitReached struct {
	Frame
	Minutes int // until the next attempt is worth it, at least 1
}

func (p LimitReached) sheet() sheet {
	return sheet{name: "limit", args: args("minutes", count(max(p.Minutes, 1)))}
}
