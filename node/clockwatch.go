package node

import (
	"fmt"
	"sync"
	"time"
)

// Bounds of what is taken for a clock that is right. A quorum of clerks signs no
// checkpoint whose time is over 60 s from their clocks (SPEC §7.3 rule 3); what
// is gossiped arrives within seconds of its making.
const (
	clockBehind  = 2 * time.Minute
	clockAhead   = 5 * time.Minute
	clockSamples = 16
)

// A clockwatch compares this computer's clock with the times of checkpoints as
// they come in. No peer is believed: a quorum signed each time, and who passes a
// checkpoint on can only delay it.
type clockwatch struct {
	mu   sync.Mutex
	late []time.Duration // guarded by mu: how much later the last ones came than their time says
}

// note takes down a checkpoint that has just been gossiped, and is the latest.
func (w *clockwatch) note(asOf int64, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.late) >= clockSamples {
		w.late = append(w.late[:0], w.late[1:]...)
	}
	w.late = append(w.late, now.Sub(time.Unix(asOf, 0)))
}

// judge compares the clock with the checkpoints heard, the latest one held, and
// the times at which so many of all members' devices signed their bindings.
// signed are these times, one each member.
func (w *clockwatch) judge(now time.Time, latest int64, signed []int64) Check {
	w.mu.Lock()
	defer w.mu.Unlock()
	const remedy = "set this computer's clock, or have the system set it from the network; then start the node again"
	behind := time.Unix(latest, 0).Sub(now)
	for _, d := range w.late {
		behind = max(behind, -d)
	}
	ahead, count := time.Duration(0), 0 // members whose clocks say it is later than here
	for _, at := range signed {
		if time.Unix(at, 0).Sub(now) > clockBehind {
			count++
		}
	}
	if len(w.late) > 0 {
		ahead = w.late[0]
		for _, d := range w.late {
			ahead = min(ahead, d)
		}
	}
	switch {
	case behind > clockBehind:
		return Check{Name: "clock", Detail: fmt.Sprintf("this computer's clock is at least %s behind the clerks'", InDays(behind.Round(time.Minute))), Remedy: remedy}
	case count >= 2 && 3*count > len(signed): // one member's clock proves nothing
		return Check{Name: "clock", Detail: fmt.Sprintf("by the clocks of %d of %d members it is later than this computer's clock says", count, len(signed)), Remedy: remedy}
	case len(w.late) >= 2 && ahead > clockAhead:
		return Check{Name: "clock", Detail: fmt.Sprintf("this computer's clock seems to be %s ahead of the clerks'", InDays(ahead.Round(time.Minute))), Remedy: remedy}
	case len(w.late) == 0 && len(signed) == 0:
		return Check{Name: "clock", Pass: true, Detail: "there is nothing yet to compare this computer's clock with"}
	case len(w.late) == 0:
		return Check{Name: "clock", Pass: true, Detail: "this computer's clock is not behind; whether it is ahead shows at the next checkpoint"}
	}
	return Check{Name: "clock", Pass: true, Detail: "this computer's clock agrees with the clerks'"}
}
