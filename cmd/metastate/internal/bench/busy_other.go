//go:build !linux

package bench

import "time"

// busy is how long f takes: what other programs take of it counts, too.
func busy(f func() error) (time.Duration, error) { return timed(f) }
