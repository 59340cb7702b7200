//go:build unix && !linux

package main

import "golang.org/x/sys/unix"

// harden keeps what this process writes from other users, and its memory out of
// core dumps.
func harden() {
	unix.Umask(0o077)
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
}
