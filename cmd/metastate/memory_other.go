//go:build !linux

package main

// machineMemory is how many bytes the machine is taken to have.
func machineMemory() int64 { return memoryShare * unknownShare }
