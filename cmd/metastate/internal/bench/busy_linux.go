package bench

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// busy is how long f, which starts no goroutine, keeps a processor busy: time
// that other programs take from it does not count. The garbage of what came
// before is collected first.
func busy(f func() error) (time.Duration, error) {
	runtime.GC()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var from, to unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &from); err != nil {
		return 0, err
	}
	if err := f(); err != nil {
		return 0, err
	}
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &to); err != nil {
		return 0, err
	}
	return max(time.Duration(to.Nano()-from.Nano()), time.Nanosecond), nil
}
