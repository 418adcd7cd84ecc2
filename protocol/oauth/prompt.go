package oauth

import "strings"

// Prompt is the prompt parameter (OpenID Connect Core §3.1.2.1, Initiating
// User Registration §4.1).
type Prompt struct {
	None          bool // show nothing: answer at once or fail
	Login         bool // authenticate again
	Consent       bool // ask for consent again
	SelectAccount bool // let the person choose an account
	Create        bool // begin with sign-up
}

// parsePrompt reads a space-delimited list. none stands alone; a value nobody
// knows is refused, as ignoring it would skip what the client relies on.
func parsePrompt(s string) (p Prompt, err *Error) {
	for _, value := range strings.Fields(s) {
		switch value {
		case "none":
			p.None = true
		case "login":
			p.Login = true
		case "consent":
			p.Consent = true
		case "select_account":
			p.SelectAccount = true
		case "create":
			p.Create = true
		default:
			return Prompt{}, NewError(InvalidRequest, "prompt has an unknown value.").
				WithHint("Known are none, login, consent, select_account and create.")
		}
	}
	if p.None && p != (Prompt{None: true}) {
		return Prompt{}, NewError(InvalidRequest, "prompt=none excludes other values.")
	}
	return p, nil
}

// String is the wire form.
func (p Prompt) String() string {
	var values []string
	for _, v := range []struct {
		set  bool
		name string
	}{{p.None, "none"}, {p.Login, "login"}, {p.Consent, "consent"}, {p.SelectAccount, "select_account"}, {p.Create, "create"}} {
		if v.set {
			values = append(values, v.name)
		}
	}
	return strings.Join(values, " ")
}
