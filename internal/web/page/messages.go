package page

// Message is the id of a sentence in the catalogue (messages/en.json). Ids are
// stable: translations and tests are keyed on them. An id that the catalogue
// lacks is shown as a general sentence, never as the id.
type Message string

// What can be wrong. The page shows it beside the field it belongs to.
const (
	ErrCredentials     Message = "error.credentials"      // one answer for every failed sign-in (PW05)
	ErrEmail           Message = "error.email"            // not an e-mail address
	ErrPasswordMissing Message = "error.password_missing" // nothing typed
	ErrPasswordShort   Message = "error.password_short"   // shorter than MinPasswordLength
	ErrPasswordLong    Message = "error.password_long"    // more than 1024 bytes
	ErrPasswordGuessed Message = "error.password_guessed" // on the list of breached ones, or made of the address
	ErrCode            Message = "error.code"             // wrong, expired or used: one answer
	ErrCodeAttempts    Message = "error.code_attempts"    // the code was tried too often; a new one is needed
	ErrToken           Message = "error.token"            // FirstAdmin: wrong or used
	ErrLink            Message = "error.link"             // SetPassword: the link is used or too old
	ErrUserCode        Message = "error.user_code"        // no device shows this code
	ErrUserCodeExpired Message = "error.user_code_expired"
	ErrUserCodeUsed    Message = "error.user_code_used" // somebody has decided about it before
	ErrStarted         Message = "error.started"        // the person has not said that they started it
)

// What is worth knowing.
const (
	NoticeCodeResent      Message = "notice.code_resent"
	NoticePasswordChanged Message = "notice.password_changed"
	NoticeRestarted       Message = "notice.restarted"     // the page was too old and starts over
	NoticeSignInAgain     Message = "notice.sign_in_again" // the application wants a fresh sign-in
	NoticeOtherPerson     Message = "notice.other_person"  // the application wants another account than the one that is signed in
	NoticeDevice          Message = "notice.device"        // a device waits to be let in
	NoticeAstray          Message = "notice.astray"        // SignedOut: the application asked for an address that is not its own
)

// fieldOf tells which field a message is about, "" if about none.
func fieldOf(m Message) string {
	switch m {
	case ErrEmail:
		return FieldEmail
	case ErrPasswordMissing, ErrPasswordShort, ErrPasswordLong, ErrPasswordGuessed:
		return FieldPassword
	case ErrCode, ErrCodeAttempts:
		return FieldCode
	case ErrToken:
		return FieldToken
	case ErrUserCode, ErrUserCodeExpired, ErrUserCodeUsed:
		return FieldUserCode
	case ErrStarted:
		return FieldStarted
	}
	return ""
}
