package state_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/state/statetest"
)

// SPEC §8.1 rule 9: of more minority reports than a decision carries those with the
// lowest ids stand, whatever their authors write after them to have them come first.
func TestDissentsByRisingID(t *testing.T) {
	c := statetest.Charter(t)
	for i := range c.Classes {
		if c.Classes[i].Name == "ordinary" {
			c.Classes[i].Contest = 1000
		}
	}
	u := newUrnUnder(t, c)
	door := u.w.Invite("alice", "wide", 99, statetest.Start+1e6, statetest.How{})
	u.do(door)
	var names []string
	var joined []*protocol.Record
	for i := range decision.MaxDissents + 1 {
		names = append(names, fmt.Sprintf("m%d", i))
		joined = append(joined, u.w.Admit("alice", names[i], "wide", door.ID(), statetest.How{}))
	}
	u.do(joined...)
	poll := u.w.Propose("frank", "q", "ordinary", 100, statetest.How{})
	u.do(poll)
	var ballots []*protocol.Record
	for _, name := range names {
		ballots = append(ballots, u.w.Bulk(name, protocol.Ballot, poll.ID(), decision.BallotBody{Choice: "yes"}, statetest.How{}))
	}
	u.do(ballots...)
	u.after(100)
	if p := u.poll(poll.ID()); p.Phase != decision.Contest {
		t.Fatalf("it is in %s", p.Phase)
	}
	by := map[protocol.ID]string{}
	var said []*protocol.Record
	for _, name := range names {
		r := u.w.Record(name, protocol.Dissent, decision.WordsBody{Proposal: poll.ID(), Text: "no"}, statetest.How{})
		by[r.ID()] = name
		said = append(said, r)
	}
	slices.SortFunc(said, func(a, b *protocol.Record) int { return a.ID().Compare(b.ID()) })
	last := said[len(said)-1]
	all := said
	for range 32 { // one of these has a low id, and comes after the author's dissent
		all = append(all, u.w.Record(by[last.ID()], protocol.Delegate, decision.DelegateBody{}, statetest.How{}))
	}
	u.do(all...)
	for _, r := range said[:decision.MaxDissents] {
		u.want(r, decision.RuleDissent)
	}
	u.want(last, decision.RulePower)
}
