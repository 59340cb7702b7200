package audit_test

import (
	"testing"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/state/statetest"
)

var bySealed = decision.ProposeBody{
	Method: "plurality", Options: []string{"red", "green", "blue", "black", "white"}, Voting: 1000, Secret: decision.SecretBody{Least: 2},
}

// secretVote is a town with a secret vote from beginning to end: a revote, a
// copied ballot, and a trustee who gives a wrong share.
func secretVote(tb testing.TB) (t *town, id protocol.ID, liar *protocol.Record) {
	tb.Helper()
	t = newTown(tb)
	id = t.ask(bySealed)
	t.key(id, nil)
	first := t.seal(id, "bob", 0, "green")
	stolen, err := protocol.Body[decision.BallotBody](first)
	if err != nil {
		tb.Fatal(err)
	}
	t.do(t.seal(id, "alice", 0, "red"), first, t.seal(id, "carol", 0, "blue"))
	t.do(t.seal(id, "alice", 1, "blue"), t.w.Bulk("frank", protocol.Ballot, id, stolen, statetest.How{Seq: 1}))
	t.after(1000)
	var acks []*protocol.Record
	for _, name := range t.trustees {
		acks = append(acks, t.opens(id, name, nil))
	}
	t.do(acks...)
	lie := t.share(id, "eve")
	lie[3] ^= 1
	liar = t.opens(id, "eve", lie)
	t.do(liar, t.opens(id, "bob", t.share(id, "bob")))
	t.do(t.opens(id, "carol", t.share(id, "carol")))
	if r := t.poll(id).Result; r == nil || r.Winners[0] != "blue" {
		tb.Fatalf("%+v", r)
	}
	t.do()
	return t, id, liar
}

// openVote is a town with an open vote by yes and no.
func openVote(tb testing.TB) (*town, protocol.ID) {
	tb.Helper()
	t := newTown(tb)
	id := t.ask(decision.ProposeBody{Method: "yes-no", Voting: 1000})
	t.do(t.w.Ballot("alice", id, "yes", statetest.How{}), t.w.Ballot("bob", id, "no", statetest.How{}))
	t.do(t.w.Ballot("bob", id, "yes", statetest.How{Seq: 1}), t.w.Ballot("carol", id, "maybe", statetest.How{}), t.w.Ballot("dana", id, "no", statetest.How{}))
	t.after(1000)
	t.do()
	if r := t.poll(id).Result; r == nil || r.Outcome != "passed" {
		tb.Fatalf("%+v", r)
	}
	return t, id
}
