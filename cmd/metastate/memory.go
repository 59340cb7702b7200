package main

import (
	"math"
	"runtime/debug"
)

// Bounds of a node's memory, in bytes.
const (
	leastMemory  = 256 << 20 // no machine that runs a node has less to give
	memoryShare  = 4         // of a machine's, one part is the node's
	unknownShare = 1 << 30   // the part, where the machine doesn't say how much it has
)

// boundMemory has the collector work harder from a quarter of the machine's
// memory on, so that garbage never pushes other programs out. It is no limit to
// what the program needs. GOMEMLIMIT in the environment goes before it.
func boundMemory() {
	if debug.SetMemoryLimit(-1) == math.MaxInt64 {
		debug.SetMemoryLimit(max(leastMemory, machineMemory()/memoryShare))
	}
}
