package main

import "golang.org/x/sys/unix"

// harden keeps what this process writes from other users, and its memory out of
// core dumps and debuggers. Where the system does not allow a step the others
// still count, so errors are not fatal.
func harden() {
	unix.Umask(0o077)
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
}
