package roll

import "github.com/metastate-p2p/metastate/protocol"

// A Move is where somebody who leaves takes standing and share: to a metastate
// that was founded from a checkpoint of this one, as a persona there
// (SPEC §5.8).
type Move struct {
	Metastate protocol.ID `cbor:"m"`
	Persona   protocol.ID `cbor:"p"`
	Height    uint64      `cbor:"h"` // of the checkpoint here that the other was founded from
}

// A Moved is a move that was made. It is kept for ever, so that nobody makes a
// second.
type Moved struct {
	Metastate protocol.ID `cbor:"m"`
	Persona   protocol.ID `cbor:"p"`
	Height    uint64      `cbor:"h"`
	// Share says that the persona was a member at that height, suspended or not, and
	// so has a share in what is split.
	Share bool `cbor:"s,omitempty"`
}

// moves is what the departures of a persona that stand in the batch move, nil if
// nothing, or if they contradict each other. Only who was a member can, and once.
func (f *fold) moves(persona protocol.ID) *Moved {
	m := f.Base.Member(persona)
	if m.Moved != nil || m.Standing() != Full && m.Standing() != Suspended {
		return m.Moved
	}
	var to *Move
	for _, r := range f.byAuthor[persona] {
		if r.Kind() != protocol.Leave || !f.verdicts[r.ID()].Stands {
			continue
		}
		body, err := protocol.Body[LeaveBody](r)
		if err != nil || body.To == nil || !f.possible(*body.To, r.Header().Metastate) {
			continue
		}
		if to != nil && *to != *body.To {
			return nil
		}
		to = body.To
	}
	if to == nil {
		return nil
	}
	then := m.StandingAt(to.Height)
	return &Moved{to.Metastate, to.Persona, to.Height, then == Full || then == Suspended}
}

// possible reports whether a move can lead anywhere: to another metastate, that
// was founded from a checkpoint that is final here.
func (f *fold) possible(to Move, here protocol.ID) bool {
	return !to.Metastate.IsZero() && to.Metastate != here && !to.Persona.IsZero() && to.Height > 0 && to.Height < f.Step.Height
}
