package checkpoint

import "github.com/metastate-p2p/metastate/protocol"

// answer is what is known of a driver's judgement.
type answer uint8

const (
	unknown answer = iota
	asked
	yes
	no
)

// opinion is what the driver has said of a value.
type opinion struct {
	id         protocol.ID
	timeless   answer // holds for the height
	fresh      answer // holds for freshRound: the clock moves on
	freshRound uint32
}

// opinionOn returns the opinion on a value, a new one if there is none. The
// pointer holds until the next call.
func (m *Machine) opinionOn(id protocol.ID) *opinion {
	for i := range m.known {
		if m.known[i].id == id {
			return &m.known[i]
		}
	}
	m.known = append(m.known, opinion{id: id})
	return &m.known[len(m.known)-1]
}

// judge returns yes or no if the driver has said so, and asks it if it has not
// been asked.
func (m *Machine) judge(id protocol.ID, fresh bool) answer {
	if !m.follows(id) {
		return no
	}
	o := m.opinionOn(id)
	switch {
	case !fresh && o.timeless == unknown:
		o.timeless = asked
	case !fresh || o.timeless == no:
		return o.timeless
	case o.fresh == unknown || o.freshRound != m.at.round:
		o.fresh, o.freshRound = asked, m.at.round
	default:
		return o.fresh
	}
	m.emit(Judge{ID: id, Value: m.valueOf(id), Fresh: fresh})
	return asked
}

// follows reports whether a value names the one before it rightly, which needs
// no judge.
func (m *Machine) follows(id protocol.ID) bool {
	for _, b := range m.rounds {
		for _, pair := range b.slots[KindProposal-1] {
			for _, p := range pair {
				if p != nil && p.header.Value == id {
					return p.prev == m.cfg.Prev
				}
			}
		}
	}
	return true // the valid value, judged before
}

func (m *Machine) takeJudged(in Judged) Verdict {
	for i := range m.known {
		o := &m.known[i]
		if o.id != in.Value {
			continue
		}
		said := no
		if in.OK {
			said = yes
		}
		switch {
		case in.Fresh && o.fresh == asked:
			o.fresh = said
			if in.OK {
				o.timeless = yes // fresh is timeless and more
			}
			return Accepted
		case !in.Fresh && o.timeless == asked:
			o.timeless = said
			return Accepted
		}
	}
	return Unasked
}
