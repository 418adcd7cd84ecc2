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

// listLogs answers with events, newest first, all or those of the user whom the path names. A part
// is asked for by page, or by the log_id of the last event of the part before, which is its from:
// that stays right while new events come.
func listLogs(c *call) (answer, error) {
	if sort := c.query.get("sort"); sort != "" && sort != "date:-1" {
		return answer{}, badQuery("Query validation error: sort can only be date:-1.")
	}
	q := audit.Query{UserID: c.query.get("user_id"), Before: c.query.get("from")}
	if c.id != "" {
		q.UserID = c.id
	}
	p, err := c.query.without("from").paging()
	if err != nil {
		return answer{}, err
	}
	if q.Before != "" && p.offset > 0 {
		return answer{}, badQuery("Query validation error: page excludes from.")
	}
	p.next = false
	q.Offset, q.Limit = p.offset, p.limit
	events, err := audit.List(c.ctx, c.tn, q)
	if err != nil {
		return answer{}, err
	}
	var total int64
	if p.totals {
		if total, err = audit.Count(c.ctx, c.tn, q.UserID); err != nil {
			return answer{}, err
		}
	}
	var items []logBody
	for _, e := range events {
		items = append(items, logBody{e.ID, stamp(e.At), e.Type, e.Actor, e.UserID, e.ClientID, e.Address, e.UserAgent, e.Detail})
	}
	return list(p, "logs", items, total)
}
