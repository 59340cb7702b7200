package node

import (
	"maps"
	"slices"
	"time"

	"github.com/metastate-p2p/metastate/protocol/certificate"
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

// called reports whether others are at work on this height, while this clerk is
// not: more of them than may be dishonest, or one with a proposal that is good,
// or one who contradicts itself, which is to be shown. One alone could keep all
// in rounds with nothing to cover, whose timeouts grow, so that what is written
// then would wait. Who calls alone may hold what this clerk lacks: it asks for
// that. Votes for the height before that come when it is decided, as some always
// do, begin nothing.
func (h *heightDriver) called(inputs []letter) (here bool) {
	faulty, _ := certificate.Quorum(len(h.clerks))
	for _, l := range inputs {
		msg, ok := l.in.(checkpoint.Received)
		if !ok {
			continue
		}
		switch at := msg.Message.Header(); {
		case at.Height < h.height:
			h.help(at.Height)
		case at.Height > h.height:
			h.ahead()
		case at.Era != h.era:
		default:
			if len(h.callers) < faulty && h.callers[at.Clerk] == nil {
				h.ahead()
			}
			here = h.calls(msg.Message) || len(h.callers) > faulty || h.isGood(msg.Message) || here
		}
	}
	return here
}

// calls notes a message of this height, and reports whether its clerk said
// something else before.
func (h *heightDriver) calls(m *checkpoint.Message) (contradicts bool) {
	at := m.Header()
	said := h.callers[at.Clerk]
	for _, o := range said {
		was := o.Header()
		if was.Kind == at.Kind && was.Round == at.Round {
			contradicts = contradicts || was != at
		}
	}
	if len(said) < maxSaid && !slices.ContainsFunc(said, func(o *checkpoint.Message) bool { return o.Header() == at }) {
		h.callers[at.Clerk] = append(said, m)
	}
	return contradicts
}

// maxSaid is how many messages of a clerk are kept before a height begins here.
const maxSaid = 16

// heard are the messages that came before the height began.
func (h *heightDriver) heard() (list []letter) {
	for _, clerk := range slices.Sorted(maps.Keys(h.callers)) {
		for _, m := range h.callers[clerk] {
			list = append(list, letter{in: checkpoint.Received{Message: m}})
		}
	}
	clear(h.callers)
	return list
}

// isGood reports whether a message proposes what this clerk would vote for.
func (h *heightDriver) isGood(m *checkpoint.Message) bool {
	if m.Header().Kind != checkpoint.KindProposal {
		return false
	}
	ok, known := h.ledger.judge(m.ProposedValue(), true, h.began)
	return ok && known
}

// mayBegin reports whether a checkpoint is worth making now.
func (h *heightDriver) mayBegin(tip checkpoint.Tip) bool {
	return h.pause() <= 0 && h.ledger.hasWork()
}
