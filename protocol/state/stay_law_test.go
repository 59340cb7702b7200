package state_test

import (
	"crypto/sha256"
	"testing"

	"pgregory.net/rapid"

	"github.com/metastate-p2p/metastate/protocol/merkle"
	"github.com/metastate-p2p/metastate/protocol/state"
)

// imprint digests all leaves of a state, encoded anew: roots are kept from when
// they were first computed, and would not show that an entry changed since.
func imprint(s *state.State) [32]byte {
	h := sha256.New()
	r := s.Roll().Trees()
	polls, firsts, said, boards := s.Decisions().Trees()
	trees := []merkle.Tree{r.Members, r.Devices, r.Invites, r.Motions, polls, firsts, said, boards}
	for p := range s.Decisions().Polls() {
		trees = append(trees, p.Ballots)
	}
	for _, t := range trees {
		for key, leaf := range leavesOf(t) {
			h.Write(key[:])
			sum := sha256.Sum256(leaf)
			h.Write(sum[:])
		}
	}
	h.Write(r.Offices)
	return [32]byte(h.Sum(nil))
}

// TestLawStatesStay: no step changes a state that was there before it, though
// states share nearly all that they hold.
func TestLawStatesStay(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c := newCrowd(t)
		var states []*state.State
		var was [][32]byte
		for range rapid.IntRange(1, 5).Draw(rt, "checkpoints") {
			states, was = append(states, c.s), append(was, imprint(c.s))
			for range rapid.IntRange(1, 12).Draw(rt, "records") {
				c.write(rt)
			}
			view, _ := c.s.Advance(state.Step{Records: c.made, Provisional: true})
			states, was = append(states, view), append(was, imprint(view))
			c.coverIn(rapid.SampledFrom([]int64{3600, 40 * 24 * 3600}).Draw(rt, "gap"))
		}
		for i, s := range states {
			if imprint(s) != was[i] {
				rt.Fatalf("state %d of %d is another since", i, len(states))
			}
		}
	})
}
