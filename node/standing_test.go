package node

import (
	"testing"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/checkpoint"
	"github.com/metastate-p2p/metastate/protocol/roll"
)

// A proof of standing holds with nothing else at hand, and with one byte changed
// it does not, or says the same: of signatures only the form can be another.
func TestProofOfStanding(t *testing.T) {
	w := newRealm(t)
	l := w.ledger()
	me := w.b.inception.ID()
	if _, err := l.proveStanding(me); AsError(err).Exit != ExitRefused {
		t.Errorf("at the first checkpoint: %v", err)
	}
	w.took(l, 1, w.proposal(l, "x"))
	h, _ := w.driver(l, w.device)
	h.turn()
	proof, err := l.proveStanding(me)
	if err != nil {
		t.Fatal(err)
	}
	verify := func(b []byte) (checkpoint.Shown, error) {
		s, err := checkpoint.ParseStanding(b)
		if err != nil {
			return checkpoint.Shown{}, err
		}
		return s.Verify()
	}
	shown, err := verify(proof)
	if err != nil || shown.Ref != l.currentTip().Ref() || len(shown.Clerks) != 1 || shown.Member.Standing() != roll.Full || !shown.Member.Holds(roll.Clerk) {
		t.Fatalf("%+v, %v", shown, err)
	}
	for i := range proof {
		proof[i] ^= 1
		if _, err := verify(proof); err == nil {
			t.Fatalf("byte %d of %d changed, and it holds", i, len(proof))
		}
		proof[i] ^= 1
	}
	nobody, err := l.proveStanding(protocol.ID{1})
	if err != nil {
		t.Fatal(err)
	}
	if shown, err := verify(nobody); err != nil || shown.Member != nil {
		t.Errorf("of who is not on the roll: %+v, %v", shown, err)
	}
}
