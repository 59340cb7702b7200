package main

import (
	"math"

	"golang.org/x/sys/unix"
)

// machineMemory is how many bytes the machine has.
func machineMemory() int64 {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return memoryShare * unknownShare
	}
	return int64(min(uint64(info.Totalram)*uint64(info.Unit), math.MaxInt64))
}
