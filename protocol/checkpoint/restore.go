package checkpoint

import (
	"fmt"
	"slices"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/certificate"
	"github.com/metastate-p2p/metastate/protocol/merkle"
	"github.com/metastate-p2p/metastate/protocol/state"
)

// Restore makes the tip of a certified value, its state, and the set of covered
// control records. It requires that they are the value's.
func Restore(c certificate.Certificate, s *state.State, control merkle.Set) (Tip, error) {
	v, err := certificate.ParseValue(c.Value)
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
		era: v.Era(),
	}
	if !slices.Equal(t.Clerks(), v.Clerks) {
		return Tip{}, bad("the state has other clerks")
	}
	return t, nil
}
