//go:build unix

package gossipbench

import (
	"syscall"
	"time"
)

// spent is the processor time that this process has had.
func spent() time.Duration {
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
