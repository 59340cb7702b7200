package bench

import (
	"fmt"
	"runtime"

	"github.com/metastate-p2p/metastate/protocol/roll"
)

// weighRoll measures how much of the heap a roll keeps: members, devices,
// invites, motions and the digests over them. Nothing else may hold any of it.
// A heap is weighed once, as it can be let go of once.
func weighRoll(r *report, kept roll.State) {
	members := 0
	for range kept.Members() {
		members++
	}
	kept.Roots()
	with := heap()
	runtime.KeepAlive(kept)
	kept = roll.State{}
	bytes := with - heap()
	r.barred(fmt.Sprintf("rollMegabytes%d", members), fmt.Sprintf("memory of a roll of %d members", members), "MB", "≤ 100 for 100000", bytes/1e6)
}

// heap is how many bytes are in use, and reachable.
func heap() float64 {
	runtime.GC()
	runtime.GC() // what finalisers and pools let go of
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}
