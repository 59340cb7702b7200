package snapshot_test

import (
	"testing"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/abroad"
	"github.com/metastate-p2p/metastate/protocol/certificate"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/state/statetest"
)

// TestSnapshotOfFork: what is known of other metastates is restored, and a pact.
func TestSnapshotOfFork(t *testing.T) {
	anchor := abroad.Anchor{
		Metastate: protocol.Sum([]byte("parent")), Height: 3, ID: protocol.Sum([]byte("value")),
		Clerks: []certificate.Clerk{{Persona: protocol.Sum([]byte("clerk")), Key: statetest.Key("clerk").Public()}},
	}
	c := chainOf(t, statetest.NewFork(t, quick(t), &anchor, "alice"), "alice")
	at := int64(statetest.Start)
	p := c.w.Record("alice", protocol.Propose, decision.ProposeBody{
		Title: "x", Text: "terms", Method: "yes-no", Class: "charter", Voting: 3600,
		Act: &decision.Act{Kind: decision.Pact, Pact: &abroad.Offer{With: anchor, Terms: protocol.Sum([]byte("terms"))}},
	}, statetest.How{})
	c.cover(at, []*protocol.Record{p})
	c.cover(at, []*protocol.Record{c.w.Ballot("alice", p.ID(), "yes", statetest.How{})})
	for range 3 { // the vote, the contest, the exit
		at += 3600
		c.cover(at, nil)
	}
	s := c.snapshot()
	tip, err := c.restore(s.Manifest(), c.parts(s))
	if err != nil {
		t.Fatal(err)
	}
	there := tip.State().Abroad()
	if k := there.Known(anchor.Metastate); k == nil || k.Height != 3 || tip.State().Root() != c.tip.State().Root() {
		t.Errorf("known is %v", k)
	}
	n := 0
	for range there.Pacts() {
		n++
	}
	if n != 1 {
		t.Errorf("%d pacts", n)
	}
}
