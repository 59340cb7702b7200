package state_test

import (
	"testing"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/roll"
	"github.com/metastate-p2p/metastate/protocol/state/statetest"
)

// TestForkedTwice: of a device that forked its chain at two places nothing
// stands from the first on, in whatever order the ids come.
func TestForkedTwice(t *testing.T) {
	for salt := range int64(24) {
		c := newCrowd(t)
		c.w.Time += salt
		draw := func(fork bool) *protocol.Record {
			return c.w.Propose("dana", "x", "ordinary", 1e6, statetest.How{Fork: fork})
		}
		list := map[*protocol.Record]protocol.Rule{}
		for _, fork := range []bool{false, true, false, true} {
			c.w.Time += 100 // no two alike
			list[draw(fork)] = roll.RuleFork
		}
		c.rules(t, list, false)
		if t.Failed() {
			t.Fatalf("salt %d", salt)
		}
	}
}

// TestFinalChainStands: a late rival of what is final moves no chain back, so
// that no place in it can be taken again.
func TestFinalChainStands(t *testing.T) {
	c := newCrowd(t)
	draw := func(fork bool) *protocol.Record {
		c.w.Time++
		return c.w.Propose("dana", "x", "ordinary", 1e6, statetest.How{Fork: fork})
	}
	dev := statetest.Key("device/dana").Public()
	before := c.s.Roll().Device(dev).Chain.Next
	first := draw(false)
	rival := draw(true)
	c.made = []*protocol.Record{first}
	c.cover()
	next := c.rules(t, map[*protocol.Record]protocol.Rule{rival: roll.RuleFork}, false)
	if got := next.Roll().Device(dev).Chain; got.Next != before+1 || got.Head != first.ID() {
		t.Errorf("the chain is at %+v", got)
	}
}

// TestSuspendedClerkSignsNothing: neither with a device that did no wrong.
func TestSuspendedClerkSignsNothing(t *testing.T) {
	c := newCrowd(t)
	c.made = []*protocol.Record{c.w.Grant("alice", "alice/2", statetest.How{})}
	c.cover()
	for _, fork := range []bool{false, true} {
		c.w.Time++
		c.made = append(c.made, c.w.Propose("alice", "x", "ordinary", 1e6, statetest.How{Fork: fork}))
	}
	c.cover()
	if got := c.s.Roll().Member(c.w.Persona("alice")).Standing(); got != roll.Suspended {
		t.Fatalf("alice is %s", got)
	}
	if k := c.s.Roll().Clerks(); len(k) != 1 || k[0].Persona != c.w.Persona("bob") {
		t.Errorf("%v sign", k)
	}
}
