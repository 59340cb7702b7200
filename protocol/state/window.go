package state

import (
	"slices"

	"github.com/metastate-p2p/metastate/protocol"
)

// A firstOf is the first checkpoint of a day, in the form [day, height]. Days
// are of checkpoint time, counted from 1970.
type firstOf [2]uint64

const secondsPerDay = 24 * 60 * 60

// slide is the window of the checkpoint at a height and time: the first of each
// of the last days that had any (SPEC §6.3).
func slide(window []firstOf, height uint64, asOf int64) []firstOf {
	day := uint64(asOf / secondsPerDay)
	from := slices.IndexFunc(window, func(f firstOf) bool { return f[0]+protocol.WindowDays >= day })
	if from < 0 {
		from = len(window)
	}
	window = slices.Clone(window[from:])
	if n := len(window); n == 0 || window[n-1][0] < day {
		window = append(window, firstOf{day, height})
	}
	return window
}

// validWindow reports whether a window can be that of a checkpoint.
func validWindow(window []firstOf, height uint64, asOf int64) bool {
	if len(window) == 0 {
		return height == 0
	}
	for i := 1; i < len(window); i++ {
		if window[i-1][0] >= window[i][0] || window[i-1][1] >= window[i][1] {
			return false
		}
	}
	first, last := window[0], window[len(window)-1]
	return first[1] > 0 && first[0]+protocol.WindowDays >= last[0] &&
		last[1] <= height && last[0] == uint64(asOf/secondsPerDay)
}

// Oldest is the height of the oldest checkpoint that a control record may cite:
// the one that was the latest when the window began.
func (s *State) Oldest() uint64 {
	if len(s.window) == 0 {
		return 0
	}
	return s.window[0][1] - 1
}
