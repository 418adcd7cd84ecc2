package management

import "github.com/gatehouse-dev/gatehouse/internal/core/backchannel"

// LogoutReceipt is what came of telling an application that a session has ended.
type LogoutReceipt struct {
	ID        string            `json:"id"`
	ClientID  string            `json:"client_id"`
	UserID    string            `json:"user_id"`
	SessionID string            `json:"session_id"`
	Cause     string            `json:"cause"`
	State     backchannel.State `json:"state"`
	Attempts  int64             `json:"attempts"`
	// HTTPStatus is that of the last answer; 0 if the last attempt got none.
	HTTPStatus    int64               `json:"http_status"`
	Error         backchannel.Failure `json:"error,omitempty"`
	CreatedAt     string              `json:"created_at"`
	LastAttemptAt string              `json:"last_attempt_at,omitempty"`
	NextAttemptAt string              `json:"next_attempt_at,omitempty"`
	DoneAt        string              `json:"done_at,omitempty"`
}

// ShowLogoutReceipt returns what is shown of a receipt.
func ShowLogoutReceipt(r backchannel.Receipt) LogoutReceipt {
	return LogoutReceipt{
		ID: r.ID, ClientID: r.ClientID, UserID: r.UserID, SessionID: r.SID, Cause: r.Cause, State: r.State, Attempts: r.Attempts,
		HTTPStatus: r.Status, Error: r.Failure, CreatedAt: stamp(r.CreatedAt), LastAttemptAt: stamp(r.TriedAt),
		NextAttemptAt: stamp(r.NextAt), DoneAt: stamp(r.DoneAt),
	}
}

func listLogoutReceipts(c *call) (answer, error) {
	p, err := c.query.paging()
	if err != nil {
		return answer{}, err
	}
	receipts, total, err := c.Logouts.Receipts(c.ctx, c.tn, backchannel.Query{
		ClientID: c.query.get("client_id"), UserID: c.query.get("user_id"), SID: c.query.get("session_id"), Offset: p.offset, Limit: p.limit,
	})
	if err != nil {
		return answer{}, err
	}
	var items []LogoutReceipt
	for _, r := range receipts {
		items = append(items, ShowLogoutReceipt(r))
	}
	return list(p, "logout_receipts", items, total)
}
