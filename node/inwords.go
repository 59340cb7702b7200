package node

import (
	"fmt"
	"time"
)

// InDays says how long a duration is, to a person: "7 days", "36 hours", "1 hour".
func InDays(d time.Duration) string {
	for _, u := range []struct {
		unit time.Duration
		name string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}, {time.Second, "second"}} {
		if n := d / u.unit; n > 0 && d%u.unit == 0 {
			return Counted(int(n), u.name)
		}
	}
	return d.String()
}

// Counted is a number of things: "1 day", "2 days".
func Counted(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
