package checkpoint

import (
	"fmt"
	"iter"
	"slices"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/merkle"
	"github.com/metastate-p2p/metastate/protocol/state"
)

// Restore makes the tip of a certified value, its state, the set of covered
// control records, and the covered sets of open subjects. It requires that they
// are the value's. Of a subject that the value does not touch it cannot tell:
// the caller has its set from an earlier value.
func Restore(c Certificate, s *state.State, control merkle.Set, subjects iter.Seq2[protocol.ID, merkle.Set]) (Tip, error) {
	v, err := ParseValue(c.Value)
	if err != nil {
		return Tip{}, err
	}
	bad := func(what string) error { return fmt.Errorf("checkpoint: restoring height %d: %s", v.Height, what) }
	switch {
	case s.Root() != v.StateRoot:
		return Tip{}, fmt.Errorf("checkpoint: restoring height %d: %w", v.Height, ErrStateRoot)
	case s.Metastate() != v.Metastate || s.Height() != v.Height || s.AsOf() != v.AsOf:
		return Tip{}, bad("the state is of another checkpoint")
	case control.Root() != v.Control.Digest || uint64(control.Len()) != v.Control.Count:
		return Tip{}, bad("another set of control records")
	}
	t := Tip{
		ref: protocol.Ref{Height: v.Height, ID: c.ID()}, state: s, control: control, frontier: v.Control.Frontier,
	}
	if !slices.Equal(t.Clerks(), v.Clerks) {
		return Tip{}, bad("the state has other clerks")
	}
	for id, set := range subjects {
		t.subjects = t.subjects.Put(id, covered{set})
	}
	for _, touched := range v.Subjects {
		p := s.Decisions().Poll(touched.Subject)
		set := t.Covered(touched.Subject)
		if p != nil && !p.Phase.Closed() && (set.Root() != touched.Digest || uint64(set.Len()) != touched.Count) {
			return Tip{}, bad("another set of a subject's records")
		}
	}
	return t, nil
}
