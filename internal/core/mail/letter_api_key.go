package mail

import (
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
)

// APIKeyLeaked tells the owner of an API key that somebody found it in public and that it was ended.
// shown is what may be shown of the key.
func APIKeyLeaked(tn *tenant.Tenant, to, name, shown string, at time.Time) (Message, error) {
	return letter{
		Subject: "An API key of yours was found in public",
		Opening: []string{
			"Your API key “" + name + "” (" + shown + ") was reported to us as found in public, and was ended on " + at.UTC().Format("2 January 2006 at 15:04 UTC") + ".",
			"Whatever used it does not work any more. Issue a new key for it, and keep that one out of code, logs and addresses.",
		},
		Closing: []string{"Look at what was done with the key before: whoever found it first may not have reported it."},
	}.message(tn, to)
}
