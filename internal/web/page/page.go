package page

import "strings"

// Page is one of the view structs of this package.
type Page interface {
	frame() Frame
	sheet() sheet
}

// sheet is what a view tells the renderer about itself.
type sheet struct {
	name   string            // template file, and prefix of the message ids
	args   map[string]string // values of the {placeholders} in messages
	focus  string            // id of the field that gets the focus when nothing is wrong
	script string            // file in scripts/ to run inline, "" for none
	wide   bool              // the page wants more room than a form
	// revisit: somebody who goes back to this page after it answered a POST shall see it again, not
	// the browser's question whether to send the form anew. Nothing on it is secret.
	revisit bool

	formAction     []string // replaces 'self' and Frame.FormAction when set
	frameAncestors string   // the one origin that may frame the page, "" for none
	refused        error    // why the page must not be shown at all
}

// Frame is what all pages share. The zero value is a page in English under the
// name Gatehouse.
type Frame struct {
	TenantName string // shown beside the mark; "" means Gatehouse
	Logo       string // path of the tenant's logo on this origin ("/…"); anything else is ignored (BR08)
	Accent     string // the tenant's colour as #rrggbb; anything else is ignored. Contrast is kept whatever the colour
	Lang       string // BCP 47 tag of the page's language; "" means en. Decides the direction of writing too

	// Post is the path every form of the page posts to ("/u/sign-in").
	Post string
	// Flow is the sealed authorization request, sent back as field "flow" by
	// every form. It may be 18 KB: that is why pages link to each other by
	// buttons (field "action") and not by links.
	Flow string
	// Hidden are further hidden fields of every form.
	Hidden []Field
	// FormAction lists redirect URIs to which a post of this page may end up
	// being redirected. Chromium applies form-action to each redirect after a
	// post, those that the application adds included, so only the scheme of an
	// entry is used; one that no redirect URI may have is ignored.
	FormAction []string

	Errors []Message // what is wrong with the last attempt, shown first and focused
	Notice Message   // something that went well or is worth knowing
}

// Field is one hidden form field.
type Field struct{ Name, Value string }

func (f Frame) frame() Frame { return f }

// Names of the form fields the pages send.
const (
	FieldFlow     = "flow"      // Frame.Flow, unchanged
	FieldAction   = "action"    // the button that was pressed, one of the Action constants
	FieldEmail    = "email"     // as typed
	FieldPassword = "password"  // as typed; new or current, as the page says
	FieldCode     = "code"      // as typed: may hold spaces or a hyphen between digits
	FieldToken    = "token"     // the one-time token of FirstAdmin, as typed
	FieldUserCode = "user_code" // the code a device shows, as typed
	FieldStarted  = "started"   // DeviceConfirm: the person started this; any value
)

// Values of field "action". Every submit button has one; the first button of a
// form is the one Enter presses.
const (
	ActionSignIn      = "sign_in"      // SignIn: credentials given; elsewhere: show the sign-in page
	ActionSignUp      = "sign_up"      // SignUp: address and password given; elsewhere: show the sign-up page
	ActionForgot      = "forgot"       // Forgot: address given; elsewhere: show that page
	ActionVerify      = "verify"       // CheckMail: code given
	ActionResend      = "resend"       // CheckMail, ForgotCode: send the code again
	ActionSetPassword = "set_password" // ForgotCode, SetPassword: new password given
	ActionAllow       = "allow"        // Consent
	ActionDeny        = "deny"         // Consent
	ActionSwitch      = "switch"       // Consent, SignedIn: continue as somebody else
	ActionContinue    = "continue"     // SignedIn: go on with the flow as this person
	ActionSignOut     = "sign_out"     // SignedIn, SignOut
	ActionStay        = "stay"         // SignOut: keep the session
	ActionRestart     = "restart"      // NoCookies: start the same request again
	ActionCreateAdmin = "create_admin" // FirstAdmin
	ActionLookUp      = "look_up"      // DeviceCode: code given
	ActionLetIn       = "let_in"       // DeviceConfirm
	ActionTurnAway    = "turn_away"    // DeviceConfirm
)

// direction tells how a language is written.
func direction(lang string) string {
	primary, _, _ := strings.Cut(strings.ToLower(lang), "-")
	switch primary {
	case "ar", "arc", "ckb", "dv", "fa", "he", "ps", "sd", "ug", "ur", "yi":
		return "rtl"
	}
	return "ltr"
}
