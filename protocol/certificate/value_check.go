package certificate

import (
	"fmt"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
)

// check holds v to what the encoding alone can show. Errors wrap
// [ErrMalformed].
func (v *Value) check() error {
	bad := func(what string) error { return fmt.Errorf("%w: %s", ErrMalformed, what) }
	switch {
	case v.Version != Version:
		return bad("unknown version")
	case v.Metastate.IsZero():
		return bad("no metastate")
	case v.Height == 0:
		return bad("heights count from 1")
	case v.Prev.IsZero() != (v.Height == 1):
		return bad("the value before is named exactly when there is one")
	case v.AsOf <= 0 || v.AsOf > MaxAsOf:
		return bad("asOf out of range")
	case len(v.Subjects) > MaxSubjects || !rising(v.Subjects, func(s Subject) protocol.ID { return s.Subject }):
		return bad("subjects too many or not rising")
	case len(v.Closings) > MaxClosings || !rising(v.Closings, func(c Closing) protocol.ID { return c.Poll }):
		return bad("closings too many or not rising")
	case len(v.Recall) > 1 || len(v.Recall) == 1 && v.Recall[0].IsZero():
		return bad("more than one recall, or one without a name")
	case v.Height == 1 && !v.Last.IsZero() || len(v.Recall) == 1 && v.Last == v.Recall[0]:
		return bad("a last recall where there can be none")
	}
	for _, c := range v.Closings {
		if c.Result.IsZero() {
			return bad("a closing without a result")
		}
	}
	if !rising(v.Clerks, func(c Clerk) protocol.ID { return c.Persona }) {
		return bad("clerks not rising")
	}
	if err := CheckKeys(v.Clerks); err != nil {
		return err
	}
	return v.checkCover()
}

// checkCover holds the covered sets to their caps, as far as names of chunks
// can tell: all chunks of a set but its last are full.
func (v *Value) checkCover() error {
	heads := len(v.Control.Frontier)
	if heads == 0 || heads > MaxFrontier || !rising(v.Control.Frontier, itself) {
		return fmt.Errorf("%w: control heads none, too many or not rising", ErrMalformed)
	}
	least := leastCovered(v.Control.Chunks)
	if v.Control.Count < uint64(max(heads, least)) {
		return fmt.Errorf("%w: fewer control records than heads or newly covered", ErrMalformed)
	}
	if anyZero(v.Control.Chunks) {
		return fmt.Errorf("%w: a chunk without a name", ErrMalformed)
	}
	for _, s := range v.Subjects {
		n := leastCovered(s.Chunks)
		if n == 0 || s.Count < uint64(n) || anyZero(s.Chunks) {
			return fmt.Errorf("%w: a subject untouched, or with fewer records than newly covered", ErrMalformed)
		}
		least += n
	}
	if least > MaxNewlyCovered {
		return fmt.Errorf("%w: more than %d records newly covered", ErrMalformed, MaxNewlyCovered)
	}
	return nil
}

// leastCovered is the least number of ids that chunks can list.
func leastCovered(chunks []protocol.ID) int {
	if len(chunks) == 0 {
		return 0
	}
	return MaxChunk*(len(chunks)-1) + 1
}

func anyZero(ids []protocol.ID) bool {
	for _, id := range ids {
		if id.IsZero() {
			return true
		}
	}
	return false
}

// CheckKeys requires 1..MaxClerks clerks with distinct keys: one key counted
// twice would be a quorum of fewer. Errors wrap [ErrMalformed].
func CheckKeys(clerks []Clerk) error {
	if len(clerks) == 0 || len(clerks) > MaxClerks {
		return fmt.Errorf("%w: %d clerks, want 1..%d", ErrMalformed, len(clerks), MaxClerks)
	}
	seen := make(map[identity.PublicKey]bool, len(clerks))
	for _, c := range clerks {
		if c.Key.IsZero() || seen[c.Key] {
			return fmt.Errorf("%w: a clerk without a key of its own", ErrMalformed)
		}
		seen[c.Key] = true
	}
	return nil
}
