package main

import (
	"testing"
	"time"
)

func TestDurations(t *testing.T) {
	for s, want := range map[string]time.Duration{
		"0": 0, "0s": 0, "90s": 90 * time.Second, "1h30m": 90 * time.Minute, "250ms": 250 * time.Millisecond,
		"3d": 72 * time.Hour, "0d": 0, "1d12h": 36 * time.Hour, "2d0.5h": 48*time.Hour + 30*time.Minute, "106751d": 106751 * day,
	} {
		var d duration
		if err := d.Set(s); err != nil || time.Duration(d) != want {
			t.Errorf("%q is %v, %v", s, time.Duration(d), err)
		}
	}
	for _, s := range []string{"", "d", "-3d", "3", "3 d", "1.5d", "3d12", "12h3d", "3dd", "-1h", "1d-1h", "106752d", "106751d24h", "9999999999999999999d", "soon"} {
		d := duration(7)
		if err := d.Set(s); err == nil || d != 7 {
			t.Errorf("%q is taken for %v", s, time.Duration(d))
		}
	}
}

func FuzzDuration(f *testing.F) {
	for _, s := range []string{"3d", "1d12h", "106751d23h", "-1h", "d", "1h"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if d, err := parseDuration(s); err == nil && d < 0 {
			t.Errorf("%q is %v", s, d)
		}
	})
}
