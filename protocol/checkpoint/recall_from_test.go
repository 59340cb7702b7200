package checkpoint_test

import (
	"testing"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/roll"
	"github.com/metastate-p2p/metastate/protocol/state/statetest"
)

// Two checkpoints of one height have been made. A recall that names the other as
// the one to follow is not covered after this one, where its step could not tell.
func TestRecallFromAnotherBranch(t *testing.T) {
	other := protocol.Sum([]byte("another"))
	for what, x := range map[string]struct{ named, cites, ripe bool }{
		"that names the other branch": {true, false, false},
		"that names this one":         {true, true, true},
		"that names none":             {false, false, true},
	} {
		c := newChain(t, "alice")
		ref := c.tip.Ref()
		if !x.cites {
			ref.ID = other
		}
		body := roll.RecallBody{Office: "clerk", Reason: "chosen", Out: []protocol.ID{c.w.Persona("alice")}}
		if x.named {
			body.From = ref.ID
		}
		r := c.w.Record("alice", protocol.Recall, body, statetest.How{Ref: ref})
		if got := c.tip.Ripe(r, nil); got != x.ripe {
			t.Errorf("a recall %s can be covered: %t", what, got)
		}
	}
}
