package node

import (
	"fmt"
	"time"
)

// inDays says how long seconds are, to a person: "7 days", "36 hours", "1 hour".
func inDays(seconds int64) string {
	d := time.Duration(seconds) * time.Second
	for _, u := range []struct {
		unit time.Duration
		name string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}, {time.Second, "second"}} {
		if n := d / u.unit; n > 0 && d%u.unit == 0 {
			return counted(int(n), u.name)
		}
	}
	return d.String()
}

// counted is a number of things: "1 day", "2 days".
func counted(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
