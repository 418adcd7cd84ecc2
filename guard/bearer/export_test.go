package bearer

import "time"

// UsedProofs returns the memory of one process, made as small as a test needs.
func UsedProofs(now func() time.Time, most int) Replays { return &usedProofs{now: now, most: most} }
