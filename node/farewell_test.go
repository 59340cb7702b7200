package node

import (
	"testing"

	"github.com/metastate-p2p/metastate/protocol/roll"
)

// SPEC §9.3: who has left gets the checkpoint that says so, and for a day what
// follows; who is expelled gets nothing.
func TestWelcome(t *testing.T) {
	const day = 24 * 3600
	for standing, want := range map[roll.Standing][3]bool{ // at once, before the day is over, after it
		roll.Pending: {true, true, true}, roll.Full: {true, true, true}, roll.Suspended: {true, true, true},
		roll.Frozen: {true, true, true}, roll.Left: {true, true, false}, roll.Expelled: {false, false, false},
	} {
		m := &roll.Member{Spans: []roll.Span{{AsOf: 5, Standing: roll.Full}, {AsOf: 1000, Standing: standing}}}
		for i, at := range []int64{1000, 1000 + day - 1, 1000 + day} {
			if welcome(m, at) != want[i] {
				t.Errorf("%s at %d: %t", standing, at, !want[i])
			}
		}
	}
}
