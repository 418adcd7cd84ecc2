package guard

import (
	"context"
	"time"
)

// RevocationsKept is how long what was taken back is remembered, which is as long
// as any access token lives. A credential that lives for longer, as sessions do, must be asked
// about at least as often, or end: nobody could tell any more that it was taken back.
const RevocationsKept = time.Hour

// Revocations knows which credentials were taken back before their time:
// because their owner signed out, was banned, changed the password, or because
// the key that signed them is not trusted any more. Package revocation has one
// that follows the feed of a Gatehouse server and answers from memory. Schemes
// take one as an option and ask it at every request.
type Revocations interface {
	// Check says whether the credential of p still stands. token is what was
	// presented, empty if the scheme has no text an issuer would understand.
	//
	// cleared is what the last Check of this very credential returned, zero
	// before the first: a scheme that keeps it spares Check nearly all of its
	// work while nothing has been taken back.
	//
	// The error is an *Error: InvalidToken when the credential has ended,
	// Unavailable when that cannot be known at the moment.
	Check(ctx context.Context, p *Principal, token string, cleared uint64) (uint64, error)
}
