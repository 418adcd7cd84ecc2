package grants

import (
	"testing"
	"time"
)

// The rule of rotation at each of its edges.
func TestJudge(t *testing.T) {
	const overlap = 30 * time.Second
	reached := time.Date(2026, 11, 5, 12, 0, 0, 0, time.UTC)
	idle, end := reached.Add(7*24*time.Hour), reached.Add(30*24*time.Hour)
	live := Family{Terms: Terms{ClientID: "app"}, Generation: 5, ReachedAt: reached, IdleExpiresAt: idle, ExpiresAt: end}
	revoked := live
	revoked.RevokedAt = reached
	short := live // its absolute end comes before the idle one
	short.ExpiresAt = idle.Add(-time.Hour)

	for name, c := range map[string]struct {
		family     Family
		generation int64
		client     string
		at         time.Time
		want       verdict
	}{
		"current, at once":                    {live, 5, "app", reached, rotate},
		"current, in the overlap":             {live, 5, "app", reached.Add(overlap), rotate},
		"current, after the overlap":          {live, 5, "app", reached.Add(overlap + 1), rotate},
		"current, the moment before idle":     {live, 5, "app", idle.Add(-1), rotate},
		"current, idle":                       {live, 5, "app", idle, refuse},
		"current, the moment before the end":  {short, 5, "app", short.ExpiresAt.Add(-1), rotate},
		"current, at the end":                 {short, 5, "app", short.ExpiresAt, refuse},
		"predecessor, at once":                {live, 4, "app", reached, repeat},
		"predecessor, last moment of overlap": {live, 4, "app", reached.Add(overlap), repeat},
		"predecessor, after the overlap":      {live, 4, "app", reached.Add(overlap + 1), reuse},
		"predecessor, idle":                   {live, 4, "app", idle, reuse},
		"predecessor, at the end":             {live, 4, "app", end, reuse},
		"predecessor, a clock behind":         {live, 4, "app", reached.Add(-time.Second), repeat},
		"older, in the overlap":               {live, 3, "app", reached, reuse},
		"older, after the end":                {live, 1, "app", end.Add(time.Hour), reuse},
		"newer than the row":                  {live, 6, "app", reached, reuse},
		"another client, current":             {live, 5, "other", reached, refuse},
		"another client, predecessor":         {live, 4, "other", reached.Add(time.Hour), refuse},
		"another client, older":               {live, 1, "other", reached, refuse},
		"another client, newer":               {live, 9, "other", reached, refuse},
		"revoked, current":                    {revoked, 5, "app", reached, refuse},
		"revoked, predecessor":                {revoked, 4, "app", reached, refuse},
		"revoked, older":                      {revoked, 1, "app", reached, refuse},
	} {
		if got := judge(&c.family, Presented{Generation: c.generation}, c.client, overlap, c.at); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
		usable := c.want == rotate || c.want == repeat
		if got := c.family.Usable(Presented{Generation: c.generation}, c.client, overlap, c.at); got != usable {
			t.Errorf("%s: usable %v, want %v", name, got, usable)
		}
	}
}
