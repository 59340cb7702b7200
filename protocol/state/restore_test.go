package state_test

import (
	"iter"
	"testing"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/abroad"
	"github.com/metastate-p2p/metastate/protocol/charter"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/merkle"
	"github.com/metastate-p2p/metastate/protocol/roll"
	"github.com/metastate-p2p/metastate/protocol/state"
	"github.com/metastate-p2p/metastate/protocol/state/statetest"
)

func leavesOf(t merkle.Tree) iter.Seq2[[32]byte, []byte] {
	if t.Len() == 0 {
		return func(func([32]byte, []byte) bool) {}
	}
	parts, _ := t.Cut(1 << 40)
	return t.Leaves(parts[0])
}

// leaves are those of a state without motions and amendments.
func leaves(c *crowd) state.Leaves {
	r := c.s.Roll().Trees()
	polls, firsts, said, boards := c.s.Decisions().Trees()
	known, claims, pacts := c.s.Abroad().Trees()
	none := func(protocol.ID) *protocol.Record { return nil }
	return state.Leaves{
		Genesis: c.w.Genesis, Sections: c.s.Sections(), Charter: c.s.CharterBytes(),
		Roll: roll.Leaves{
			Members: leavesOf(r.Members), Devices: leavesOf(r.Devices), Invites: leavesOf(r.Invites),
			Motions: leavesOf(r.Motions), Offices: r.Offices, Act: none,
		},
		Abroad: abroad.Leaves{Known: leavesOf(known), Claims: leavesOf(claims), Pacts: leavesOf(pacts)},
		Decisions: decision.Leaves{
			Polls: leavesOf(polls), Firsts: leavesOf(firsts), Said: leavesOf(said), Committees: leavesOf(boards), Version: none,
			Covered: func(p protocol.ID) (merkle.Set, error) { return c.s.Decisions().Covered(p), nil },
			Ballots: func(p protocol.ID) iter.Seq2[[32]byte, []byte] { return leavesOf(c.s.Decisions().Poll(p).Ballots) },
		},
	}
}

// TestRestore: of its leaves a state is restored, and of no others. That it goes
// on alike is tested with snapshots (protocol/snapshot).
func TestRestore(t *testing.T) {
	c := newCrowd(t)
	s, err := state.Restore(leaves(c))
	if err != nil || s.Root() != c.s.Root() || s.Name() != c.s.Name() {
		t.Fatal(err)
	}
	other := *c.s.Charter()
	other.Suspend--
	none := func(func([32]byte, []byte) bool) {}
	for what, change := range map[string]func(*state.Leaves){
		"charter":  func(l *state.Leaves) { l.Charter = encoded(t, other) },
		"sections": func(l *state.Leaves) { l.Sections = l.Sections[1:] },
		"members":  func(l *state.Leaves) { l.Roll.Members = none },
		"devices":  func(l *state.Leaves) { l.Roll.Devices = none },
		"invites":  func(l *state.Leaves) { l.Roll.Invites = none },
		"polls":    func(l *state.Leaves) { l.Decisions.Polls = none },
		"motion": func(l *state.Leaves) {
			l.Roll.Motions = func(yield func([32]byte, []byte) bool) { yield([32]byte{1}, []byte{0xa0}) }
		},
		"leaf": func(l *state.Leaves) {
			l.Roll.Members = func(yield func([32]byte, []byte) bool) { yield([32]byte{1}, []byte{0xa0}) }
		},
		"offices": func(l *state.Leaves) { l.Roll.Offices = []byte{0xa0} },
		"genesis": func(l *state.Leaves) { l.Genesis = c.w.Invite("alice", "x", 1, 1, statetest.How{}) },
	} {
		l := leaves(c)
		change(&l)
		if _, err := state.Restore(l); err == nil {
			t.Errorf("other %s: restored", what)
		}
	}
}

func encoded(t *testing.T, c charter.Charter) []byte {
	b, err := dagcbor.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// FuzzSections: sections are read in one encoding only.
func FuzzSections(f *testing.F) {
	c := newCrowd(f)
	f.Add(c.s.Sections())
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := state.ParseSections(b)
		if err == nil && len(b) > state.MaxSections {
			t.Fatalf("%d bytes read: %v", len(b), s)
		}
	})
}
