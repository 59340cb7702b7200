package checkpoint_test

import (
	"errors"
	"testing"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/certificate"
	"github.com/metastate-p2p/metastate/protocol/checkpoint"
	"github.com/metastate-p2p/metastate/protocol/roll"
	"github.com/metastate-p2p/metastate/protocol/state/statetest"
)

// Two branches part, and one goes on by a recall. A clerk of both who signs the
// same heights on each, in the same rounds, is not shown to sign twice: all that
// is signed after the recall names it (SPEC §7.4 rule 1).
func TestEraLasts(t *testing.T) {
	c := newChain(t, "alice", "bob", "carol")
	common := c.tip
	quiet := func(asOf int64) checkpoint.Next {
		t.Helper()
		n, err := c.tip.Propose(nil, statetest.Start+asOf)
		if err != nil {
			t.Fatal(err)
		}
		c.agree(n, nil)
		c.tip = n.Tip
		return n
	}
	quiet(1)
	left := quiet(2)
	c.tip = common
	body := roll.RecallBody{
		Office: roll.Clerk, Reason: "lies", Out: []protocol.ID{c.w.Persona("alice")},
		In: []roll.Clerkship{{Persona: c.w.Persona("carol"), Key: statetest.Key("device/carol").Public()}},
	}
	act := c.w.Record("bob", protocol.Recall, body, statetest.How{})
	list := []*protocol.Record{
		act, c.w.Record("carol", protocol.Endorse, roll.EndorseBody{Act: act.ID()}, statetest.How{After: []*protocol.Record{act}}),
	}
	under, err := c.tip.ProposeUnder(act.ID(), list, statetest.Start+1)
	if err != nil {
		t.Fatal(err)
	}
	c.agree(under, list)
	c.tip = under.Tip
	chosen := quiet(2)
	if by := c.tip.Signers(); under.Value.Era() != act.ID() || by.Era != act.ID() || chosen.Value.Era() != act.ID() || !chosen.Value.Under().IsZero() {
		t.Fatalf("after the recall %s: %+v, %+v", act.ID(), by, chosen.Value)
	}
	carol := statetest.Key("device/carol")
	certs := make([]certificate.Certificate, 2)
	for i, n := range []checkpoint.Next{left, chosen} {
		s := protocol.Statement{
			Kind: protocol.AgreePrecommit, Height: n.Value.Height, Value: protocol.Sum(n.Encoded), ValidRound: -1, Era: n.Value.Era(),
		}
		sig := carol.Sign(s.Bytes(n.Value.Metastate))
		certs[i] = certificate.Certificate{Value: n.Encoded, Signatures: []certificate.Signature{{Sig: sig}}}
	}
	if e := checkpoint.Conflict(certs[0], certs[1]); len(e) != 0 {
		t.Errorf("evidence against who signed on both branches: %+v", e)
	}
	forged := chosen.Value
	forged.Last = protocol.ID{}
	if _, err := under.Tip.Apply(forged, nil); !errors.Is(err, checkpoint.ErrNotNext) {
		t.Errorf("a value that does not name the recall: %v", err)
	}
	again, err := checkpoint.Restore(certs[1], chosen.Tip.State(), chosen.Tip.Covered(protocol.ID{}))
	if err != nil || again.Signers().Era != act.ID() {
		t.Errorf("restored: %s, %v", again.Signers().Era, err)
	}
}
