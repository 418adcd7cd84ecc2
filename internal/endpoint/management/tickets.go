package management

import (
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/core/people"
	"github.com/gatehouse-dev/gatehouse/internal/core/signin"
)

// maxTicket is how long a link may be good for.
const maxTicket = 30 * 24 * time.Hour

// passwordTicket makes a link under which a user chooses a password. It works once; no
// administrator learns the password.
func passwordTicket(c *call) (answer, error) {
	var in struct {
		UserID string `json:"user_id"`
		TTL    *int64 `json:"ttl_sec"`
		Mail   bool   `json:"send_email"`
	}
	if err := c.decode(&in); err != nil {
		return answer{}, err
	}
	if !people.PlausibleID(in.UserID) {
		return answer{}, fault.Field("user_id", "is missing or no id of a user")
	}
	var valid time.Duration
	if err := setSeconds("ttl_sec", &valid, in.TTL); err != nil {
		return answer{}, err
	}
	if valid > maxTicket {
		return answer{}, fault.Field("ttl_sec", "must be at most %d", seconds(maxTicket))
	}
	if err := c.outrankUser(in.UserID); err != nil {
		return answer{}, err
	}
	link, err := c.SignIn.IssuePasswordLink(c.ctx, c.tn, signin.Link{
		UserID: in.UserID, Valid: valid, Mail: in.Mail, URL: func(token string) string { return c.PasswordLink(c.tn, token) },
	}, c.by())
	if err != nil {
		return answer{}, named(err, "user")
	}
	return created(map[string]string{"ticket": link})
}
