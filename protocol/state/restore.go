package state

import (
	"errors"
	"fmt"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/abroad"
	"github.com/metastate-p2p/metastate/protocol/certificate"
	"github.com/metastate-p2p/metastate/protocol/charter"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/roll"
)

// MaxSections is the longest encoding of the map of sections, in bytes.
const MaxSections = certificate.MaxSections

// Sections are what a state root is made of (SPEC §6.3).
type Sections struct {
	Height  uint64
	AsOf    int64
	Charter protocol.ID // SHA-256 of the charter's encoding
	Clock   int64       // of [roll.State.Clock]
	Firsts  [32]byte    // root of the map of first votes
	Polls   [32]byte
	Said    [32]byte // root of the map of what members said that lasts
	Boards  [32]byte // root of the map of committees of trustees
	Roll    roll.Roots
	Abroad  abroad.Roots

	window []firstOf
}

// Sections is the encoding whose SHA-256 is the state root.
func (s *State) Sections() []byte { return s.sections() }

// ParseSections reads a map of sections. Its SHA-256 says of which state.
func ParseSections(b []byte) (s Sections, err error) {
	if len(b) > MaxSections {
		return s, errors.New("state: parsing sections: too long")
	}
	var w sections
	if err := dagcbor.Unmarshal(b, &w); err != nil {
		return s, fmt.Errorf("state: parsing sections: %w", err)
	}
	if s.window = w.Window; !validWindow(w.Window, w.Height, w.AsOf) {
		return Sections{}, errors.New("state: parsing sections: no window of the checkpoints that records may cite")
	}
	s.Height, s.AsOf, s.Charter, s.Clock = w.Height, w.AsOf, w.Charter, w.Clock
	for _, d := range []struct {
		to   *[32]byte
		from []byte
	}{
		{&s.Firsts, w.Firsts},
		{&s.Polls, w.Polls},
		{&s.Said, w.Said},
		{&s.Boards, w.Boards},
		{&s.Roll.Members, w.Members},
		{&s.Roll.Devices, w.Devices},
		{&s.Roll.Invites, w.Invites},
		{&s.Roll.Motions, w.Motions},
		{&s.Roll.Offices, w.Offices},
		{&s.Abroad.Known, w.Abroad},
		{&s.Abroad.Claims, w.Claims},
		{&s.Abroad.Pacts, w.Pacts},
	} {
		if len(d.from) != len(d.to) {
			return Sections{}, errors.New("state: parsing sections: a digest of another length")
		}
		copy(d.to[:], d.from)
	}
	return s, nil
}

// CharterBytes is the encoding of the charter in force, which its section names.
func (s *State) CharterBytes() []byte { return dagcbor.Encode(s.charter) }

// Leaves are what a state is restored of.
type Leaves struct {
	Genesis   *protocol.Record
	Sections  []byte
	Charter   []byte
	Roll      roll.Leaves // the clock is taken from the sections
	Abroad    abroad.Leaves
	Decisions decision.Leaves // the height is taken from the sections
}

// Restore makes the state that has these leaves. It goes on as the state that
// they were taken from does, and its root is SHA-256 of the sections: leaves of
// another state are refused.
func Restore(l Leaves) (*State, error) {
	s, err := Begin(l.Genesis)
	if err != nil {
		return nil, err
	}
	sec, err := ParseSections(l.Sections)
	if err != nil {
		return nil, err
	}
	c := new(charter.Charter)
	if protocol.Sum(l.Charter) != sec.Charter {
		return nil, errors.New("state: restoring: another charter")
	}
	if err := dagcbor.Unmarshal(l.Charter, c); err != nil {
		return nil, fmt.Errorf("state: restoring the charter: %w", err)
	}
	s.charter, s.charterID, s.height, s.asOf = c, sec.Charter, sec.Height, sec.AsOf
	s.window, l.Roll.Clock = sec.window, sec.Clock
	if s.roll, err = roll.Restore(l.Roll); err != nil {
		return nil, fmt.Errorf("state: %w", err)
	}
	if s.abroad, err = s.abroad.Restore(l.Abroad); err != nil {
		return nil, fmt.Errorf("state: %w", err)
	}
	l.Decisions.Height = sec.Height
	if s.decisions, err = decision.Restore(l.Decisions); err != nil {
		return nil, fmt.Errorf("state: %w", err)
	}
	if s.Root() != protocol.Sum(l.Sections) {
		return nil, errors.New("state: restoring: the leaves are not those of the sections")
	}
	return s, nil
}
