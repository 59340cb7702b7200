package state_test

import (
	"slices"
	"testing"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/certificate"
	"github.com/metastate-p2p/metastate/protocol/state"
	"github.com/metastate-p2p/metastate/protocol/state/statetest"
)

// TestMemberProof: every member's entry and every stranger's absence can be
// shown to who knows the state root, and nothing else can.
func TestMemberProof(t *testing.T) {
	c := newCrowd(t)
	root := c.s.Root()
	later, _ := c.s.Advance(state.Step{AsOf: c.s.AsOf() + 1})
	var members []protocol.ID
	for m := range c.s.Roll().Members() {
		members = append(members, m.Persona)
	}
	if len(members) != 4 {
		t.Fatalf("%d members", len(members))
	}
	strangers := []protocol.ID{{}, protocol.Sum(nil), c.poll, c.w.Genesis.ID()}
	for _, id := range append(slices.Clone(members), strangers...) {
		good := c.s.ProveMember(id)
		if err := state.VerifyMember(root, id, good); err != nil {
			t.Fatal(err)
		}
		if in := len(good.Entry) > 0; in != slices.Contains(members, id) {
			t.Fatal("the proof shows the contrary")
		}
		if state.VerifyMember(later.Root(), id, good) == nil {
			t.Error("holds for another state")
		}
		for _, other := range append(slices.Clone(members), strangers...) {
			if other != id && (len(good.Entry) > 0 || slices.Contains(members, other)) && state.VerifyMember(root, other, good) == nil {
				t.Error("holds for another persona")
			}
		}
		refuseChanged(t, root, id, good)
	}
}

func refuseChanged(t *testing.T, root [32]byte, id protocol.ID, good certificate.Entry) {
	t.Helper()
	bad := good
	if bad.Entry = nil; len(good.Entry) > 0 && state.VerifyMember(root, id, bad) == nil {
		t.Error("shows a member's absence")
	}
	bad.Entry = []byte{0xa0}
	if state.VerifyMember(root, id, bad) == nil {
		t.Error("shows another entry")
	}
	for i := range good.Sections {
		bad := good
		bad.Sections = slices.Clone(good.Sections)
		bad.Sections[i] ^= 1
		if state.VerifyMember(root, id, bad) == nil {
			t.Fatalf("holds with byte %d of the sections changed", i)
		}
	}
	bad = good
	bad.Sections = make([]byte, 1<<20)
	if state.VerifyMember(root, id, bad) == nil || state.VerifyMember(root, id, certificate.Entry{}) == nil {
		t.Error("holds without sections")
	}
	wire, err := good.Path.MarshalCBOR()
	if err != nil {
		t.Fatal(err)
	}
	for i := range wire {
		bad := good
		b := slices.Clone(wire)
		b[i] ^= 1
		if err := bad.Path.UnmarshalCBOR(b); err == nil && state.VerifyMember(root, id, bad) == nil {
			t.Fatalf("holds with byte %d of the path changed", i)
		}
	}
}

// TestRootSeesEverything: every fact of a state changes its root.
func TestRootSeesEverything(t *testing.T) {
	seen := map[[32]byte]string{}
	note := func(what string, s *state.State) {
		if was, ok := seen[s.Root()]; ok {
			t.Errorf("%s and %s have one root", what, was)
		}
		seen[s.Root()] = what
	}
	c := newCrowd(t)
	note("the crowd", c.s)
	empty, _ := c.s.Advance(state.Step{AsOf: c.s.AsOf()})
	note("a checkpoint over nothing", empty)
	later, _ := c.s.Advance(state.Step{AsOf: c.s.AsOf() + 1})
	note("a second later", later)
	c.recover("bob", "dana", "other")
	for what, r := range map[string]*protocol.Record{
		"an invite":     c.w.Invite("alice", "x", 1, statetest.Start+1e6, statetest.How{}),
		"a device":      c.w.Grant("dana", "dana/x", statetest.How{}),
		"a proposal":    c.w.Propose("bob", "x", "ordinary", 1e6, statetest.How{}),
		"a yes":         c.w.Ballot("dana", c.poll, "yes", statetest.How{}),
		"a no":          c.w.Ballot("dana", c.poll, "no", statetest.How{}),
		"a second yes":  c.w.Ballot("dana", c.poll, "yes", statetest.How{Seq: 2}),
		"another's":     c.w.Ballot("eve", c.poll, "yes", statetest.How{}),
		"no choice":     c.w.Ballot("eve", c.poll, "perhaps", statetest.How{}),
		"a recovery":    c.made[0],
		"a void record": c.w.Record("eve", "poetry", map[string]int{"x": 1}, statetest.How{}),
	} {
		s, _ := c.s.Advance(state.Step{Records: []*protocol.Record{r}, AsOf: c.s.AsOf()})
		note(what, s)
	}
	charter := statetest.Charter(t)
	charter.Suspend++
	s, err := state.Begin(statetest.New(t, charter, "alice", "bob").Genesis)
	if err != nil {
		t.Fatal(err)
	}
	note("another charter", s)
	s, _ = state.Begin(c.w.Genesis)
	note("the genesis", s)
}
