package p2p

import (
	"testing"
	"time"
)

func TestPulse(t *testing.T) {
	var p pulse
	start := time.Unix(1_800_000_000, 0)
	for _, c := range []struct{ ms, beat, rate int }{
		{0, 0, 0},
		{10, 3, 15},
		{190, 4, 35},
		{210, 1, 35}, // the whole beat before
		{390, 9, 50}, // the one under way, which has more
		{500, 0, 50},
		{620, 0, 0},
		{9000, 2, 10}, // after a rest
	} {
		now := start.Add(time.Duration(c.ms) * time.Millisecond)
		p.beat(c.beat, now)
		if got := p.rate(now); got != c.rate {
			t.Errorf("after %d ms: %d a second, want %d", c.ms, got, c.rate)
		}
	}
}
