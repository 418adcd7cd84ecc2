package management

import (
	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
)

// logBody is an event of the record.
type logBody struct {
	LogID     string         `json:"log_id"`
	Date      string         `json:"date"`
	Type      audit.Type     `json:"type"`
	Actor     string         `json:"actor"`
	UserID    string         `json:"user_id"`
	ClientID  string         `json:"client_id"`
	IP        string         `json:"ip"`
	UserAgent string         `json:"user_agent"`
	Details   map[string]any `json:"details"`
}

// listLogs answers with events, newest first. The log_id of the last one is the from of the next
// page.
func listLogs(c *call) (answer, error) {
	take, err := c.query.number("take", 1, maxPerPage, 50)
	if err != nil {
		return answer{}, err
	}
	events, err := audit.List(c.ctx, c.tn, audit.Query{UserID: c.query.get("user_id"), Before: c.query.get("from"), Limit: take})
	if err != nil {
		return answer{}, err
	}
	items := []logBody{}
	for _, e := range events {
		items = append(items, logBody{e.ID, stamp(e.At), e.Type, e.Actor, e.UserID, e.ClientID, e.Address, e.UserAgent, e.Detail})
	}
	return ok(items)
}
