package roll

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/metastate-p2p/metastate/protocol"
)

// TestTimers holds timers to a plain sorted list, and every earlier version to
// what it was.
func TestTimers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var timers Timers
		at := map[byte]int64{} // by subject
		for range rapid.IntRange(1, 30).Draw(t, "moves") {
			was := drain(timers)
			of, to := rapid.ByteRange(0, 5).Draw(t, "of"), rapid.SampledFrom([]int64{0, 1, 255, 256, 1 << 40}).Draw(t, "to")
			before := timers
			timers = timers.Move(protocol.ID{0: of}, at[of], to)
			if at[of] = to; to == 0 {
				delete(at, of)
			}
			var want []int64
			for _, x := range at {
				want = append(want, x)
			}
			slices.Sort(want)
			if got := drain(timers); !slices.Equal(got, want) {
				t.Fatalf("got %v, want %v", got, want)
			}
			if !slices.Equal(drain(before), was) {
				t.Fatal("an earlier version changed")
			}
		}
	})
}

// drain lists the times in the order in which they fall due.
func drain(timers Timers) (times []int64) {
	for {
		at, of, ok := timers.Next()
		if !ok {
			return times
		}
		times = append(times, at)
		timers = timers.Move(of, at, 0)
	}
}
