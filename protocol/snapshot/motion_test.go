package snapshot_test

import (
	"bytes"
	"testing"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/roll"
	"github.com/metastate-p2p/metastate/protocol/state/statetest"
)

// TestMotionsGoOn: an act that waited when the snapshot was taken does what its
// record says once enough have endorsed it.
func TestMotionsGoOn(t *testing.T) {
	for _, kind := range []protocol.Kind{protocol.Suspend, protocol.Expel, protocol.Recall, protocol.Appoint} {
		c := newChain(t, quick(t), "alice", "bob", "carol")
		var body any = restrict(c, "alice")
		switch kind {
		case protocol.Recall:
			body = recall(c, "alice", "bob")
		case protocol.Appoint:
			body = roll.AppointBody{Office: "registrar", Personas: []protocol.ID{c.w.Persona("alice")}}
		}
		act := c.w.Record("bob", kind, body, statetest.How{})
		c.cover(statetest.Start, []*protocol.Record{act})
		if c.tip.State().Roll().Motion(act.ID()) == nil {
			t.Fatalf("%s: no motion", kind)
		}
		s := c.snapshot()
		tip := c.fill(s, c.open(s), inOrder)
		endorse := []*protocol.Record{c.w.Record("carol", protocol.Endorse, roll.EndorseBody{Act: act.ID()}, statetest.How{})}
		want, err := c.tip.Propose(endorse, statetest.Start)
		if err != nil {
			t.Fatal(err)
		}
		got, err := tip.Propose(endorse, statetest.Start)
		if err != nil {
			t.Fatal(err)
		}
		if want.Tip.State().Roll().Motion(act.ID()) != nil {
			t.Fatalf("%s: still waits", kind)
		}
		if !bytes.Equal(got.Encoded, want.Encoded) {
			t.Errorf("%s: another value after the snapshot", kind)
		}
	}
}
