package node

import (
	"time"

	"github.com/metastate-p2p/metastate/protocol/checkpoint"
)

// How a clerk paces checkpoints (SPEC §7.4 rule 13).
const (
	gather  = 150 * time.Millisecond // from a checkpoint to the next, alone: to let records arrive together
	spacing = 500 * time.Millisecond // from the beginning of a height to that of the next, with others
	watch   = time.Second            // look at the clock for deadlines at least this often
)

// nextLook is how long nothing can fall due by the clock.
func (h *heightDriver) nextLook() time.Duration {
	d := watch
	if at, ok := h.ledger.currentTip().State().NextDeadline(); ok {
		d = min(d, max(time.Until(time.Unix(at, 0)), 10*time.Millisecond))
	}
	if wait := h.pause(); wait > 0 {
		d = min(d, wait)
	}
	return d
}

// pause is how long to wait before a checkpoint may begin: so that records
// gather, and checkpoints are not many. With others the pace is from beginning
// to beginning, as agreeing takes its time, too.
func (h *heightDriver) pause() time.Duration {
	if len(h.clerks) > 1 {
		return time.Until(h.paced.Add(spacing))
	}
	return time.Until(h.began.Add(gather))
}

// called reports whether another clerk is at work on this height, while this one
// is not. Votes for the height before that come when it is decided, as some
// always do, begin nothing: clerks would go through round after round with
// nothing to cover, and be in the midst of one when there is.
func (h *heightDriver) called(inputs []letter) (here bool) {
	for _, l := range inputs {
		msg, ok := l.in.(checkpoint.Received)
		if !ok {
			continue
		}
		switch at := msg.Message.Header().Height; {
		case at == h.height:
			here = true
		case at < h.height:
			h.help(at)
		default:
			h.ahead()
		}
	}
	return here
}

// mayBegin reports whether a checkpoint is worth making now.
func (h *heightDriver) mayBegin(tip checkpoint.Tip) bool {
	return h.pause() <= 0 && h.ledger.hasWork()
}
