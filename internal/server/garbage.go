package server

import "runtime/debug"

// How much garbage may stand beside what is in use, in percent of it. A house keeps little and
// throws away much, so collecting half as often as Go would costs a few megabytes and saves a tenth
// of the work.
const (
	gcPercent     = 200
	gcPercentOfGo = 100
)

// CollectGarbageLess is for a process that is a house and nothing else. What the operator says by
// GOGC stands.
func CollectGarbageLess() {
	if before := debug.SetGCPercent(gcPercent); before != gcPercentOfGo {
		debug.SetGCPercent(before)
	}
}
