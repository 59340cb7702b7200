package roll

import (
	"errors"
	"fmt"
	"iter"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
	"github.com/metastate-p2p/metastate/protocol/merkle"
)

// Trees are the roll's maps, and the preimage of the digest of offices: all of
// the roll that the state root covers.
type Trees struct {
	Members, Devices, Invites, Motions merkle.Tree
	Offices                            []byte
}

// Trees gives what [Restore] takes, but for the acts of motions.
func (s State) Trees() Trees {
	return Trees{
		Members: s.members, Devices: s.devices, Invites: s.invites, Motions: s.motions,
		Offices: dagcbor.Encode(s.offices()),
	}
}

type officesLeaf struct {
	Founders []founder   `cbor:"founders"`
	Clerks   []Clerkship `cbor:"clerks"`
	Eras     []Era       `cbor:"eras,omitempty"`
}

func (s State) offices() officesLeaf { return officesLeaf{s.founders, s.clerks, s.eras} }

// Leaves are the encoded entries of a roll, each map's by rising key, and the
// acts of motions, whose bodies no leaf has.
type Leaves struct {
	Members, Devices, Invites, Motions iter.Seq2[[32]byte, []byte]
	Offices                            []byte
	Clock                              int64
	Act                                func(protocol.ID) *protocol.Record
}

// Restore makes the roll of its leaves. Officers, timers and the number of
// members follow from them. The caller compares [State.Roots] with digests that
// it trusts; what Restore refuses is what rules could not go on from.
func Restore(l Leaves) (s State, err error) {
	var o officesLeaf
	if err := dagcbor.Unmarshal(l.Offices, &o); err != nil {
		return s, fmt.Errorf("roll: restoring the offices: %w", err)
	}
	s.founders, s.clerks, s.eras, s.clock = o.Founders, o.Clerks, o.Eras, l.Clock
	words := vocabulary{}
	if s.members, err = merkle.Decode(l.Members, words.member); err != nil {
		return s, fmt.Errorf("roll: restoring members: %w", err)
	}
	if s.devices, err = merkle.Decode(l.Devices, func(_ [32]byte, leaf []byte) (*Device, error) {
		var l deviceLeaf
		err := dagcbor.Unmarshal(leaf, &l)
		if err == nil && !s.members.Has(l.Persona) {
			err = errors.New("its persona is not on the roll")
		}
		return l.device(), err
	}); err != nil {
		return s, fmt.Errorf("roll: restoring devices: %w", err)
	}
	if s.invites, err = merkle.Decode(l.Invites, func(_ [32]byte, leaf []byte) (*Invite, error) {
		i := new(Invite)
		return i, dagcbor.Unmarshal(leaf, i)
	}); err != nil {
		return s, fmt.Errorf("roll: restoring invites: %w", err)
	}
	if s.motions, err = merkle.Decode(l.Motions, func(act [32]byte, leaf []byte) (*Motion, error) {
		return s.restoreMotion(l.Act(act), leaf)
	}); err != nil {
		return s, fmt.Errorf("roll: restoring motions: %w", err)
	}
	return s.reindexed(), nil
}

// reindexed is s with what follows from its maps.
func (s State) reindexed() State {
	for persona, m := range s.members.All() {
		if m.Standing() == Full {
			s.full++
		}
		if m.belongs() {
			s.belong++
		}
		if len(m.Offices()) > 0 {
			s.officers = append(s.officers, persona)
		}
		s.timers = s.timers.Move(persona, 0, m.due())
		s.matures = s.matures.Move(persona, 0, m.Keys.Recovery.due())
	}
	for act, m := range s.motions.All() {
		s.lapses = s.lapses.Move(act, 0, m.Expires)
	}
	return s
}

// vocabulary keeps one copy of each word that many entries have.
type vocabulary map[string]string

func (v vocabulary) one(s string) string {
	const most = 256 // rules and offices are few
	w, ok := v[s]
	if !ok && len(v) < most {
		v[s], w = s, s
	} else if !ok {
		w = s
	}
	return w
}

func (v vocabulary) member(persona [32]byte, leaf []byte) (*Member, error) {
	var l memberLeaf
	if err := dagcbor.Unmarshal(leaf, &l); err != nil {
		return nil, err
	}
	if len(l.Spans) == 0 || len(l.Spans) > maxSpans {
		return nil, fmt.Errorf("%d standings", len(l.Spans))
	}
	m := l.member(persona)
	for i, h := range m.Offices() {
		m.Offices()[i].Office = v.one(h.Office)
	}
	for i := range m.Because {
		m.Because[i].Rule = protocol.Rule(v.one(string(m.Because[i].Rule)))
	}
	return m, nil
}

type motionLeaf struct {
	Kind      protocol.Kind `cbor:"kind"`
	By        protocol.ID   `cbor:"by"`
	Height    uint64        `cbor:"height"`
	Expires   int64         `cbor:"expires"`
	Endorsers []protocol.ID `cbor:"endorsers"`
}

// restoreMotion joins a motion's leaf with what its act asks for.
func (s State) restoreMotion(act *protocol.Record, leaf []byte) (*Motion, error) {
	var l motionLeaf
	if err := dagcbor.Unmarshal(leaf, &l); err != nil {
		return nil, err
	}
	if act == nil || act.Kind() != l.Kind || act.Author() != l.By {
		return nil, errors.New("its act is missing or another")
	}
	if !s.members.Has(l.By) {
		return nil, errors.New("its author is not on the roll")
	}
	m := &Motion{Kind: l.Kind, By: l.By, Height: l.Height, Expires: l.Expires, Endorsers: l.Endorsers}
	var err error
	switch l.Kind {
	case protocol.Suspend, protocol.Expel:
		m.Restrict, err = protocol.Body[RestrictBody](act)
	case protocol.Appoint:
		m.Appoint, err = protocol.Body[AppointBody](act)
	case protocol.Recall:
		m.Recall, err = protocol.Body[RecallBody](act)
	default:
		err = fmt.Errorf("nobody endorses a %.20q", l.Kind)
	}
	return m, err
}
