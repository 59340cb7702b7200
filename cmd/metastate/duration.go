package main

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

// duration is a flag that reads "90s", "1h30m", "3d" or "1d12h": as Go does,
// with days of 24 hours in front.
type duration time.Duration

const (
	day         = 24 * time.Hour
	defaultWait = duration(30 * time.Second)
)

var errDuration = errors.New(`not a duration: write 30s, 10m, 72h or 3d`)

func (d *duration) String() string { return time.Duration(*d).String() }

// Type names the value in help.
func (d *duration) Type() string { return "DURATION" }

// Set reads a duration of at least 0.
func (d *duration) Set(s string) error {
	v, err := parseDuration(s)
	if err == nil {
		*d = duration(v)
	}
	return err
}

func parseDuration(s string) (time.Duration, error) {
	var days time.Duration
	if number, rest, ok := strings.Cut(s, "d"); ok {
		n, err := strconv.ParseUint(number, 10, 32)
		if err != nil || n > math.MaxInt64/uint64(day) {
			return 0, errDuration
		}
		days = time.Duration(n) * day
		if rest == "" {
			return days, nil
		}
		s = rest
	}
	v, err := time.ParseDuration(s)
	if err != nil || v < 0 || v > math.MaxInt64-days {
		return 0, errDuration
	}
	return days + v, nil
}
