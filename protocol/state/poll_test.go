package state_test

import (
	"fmt"
	"testing"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/state"
	"github.com/metastate-p2p/metastate/protocol/state/statetest"
)

// TestMorePollsThanOneCheckpointCloses: the polls that one checkpoint has no
// room to close take no ballots after their deadline, no view closes them, and
// the next checkpoint does.
func TestMorePollsThanOneCheckpointCloses(t *testing.T) {
	c := newCrowd(t)
	const voting = 10_000
	var polls []*protocol.Record
	for i := range decision.MaxClosings + 1 {
		by := []string{"bob", "dana", "eve"}[i/decision.MaxPolls]
		polls = append(polls, c.w.Propose(by, fmt.Sprint("question ", i), "ordinary", voting, statetest.How{}))
	}
	opened, _ := c.s.Advance(state.Step{Records: polls, AsOf: c.s.AsOf()})
	last := opened.AsOf() + voting
	before, _ := opened.Advance(state.Step{AsOf: last - 1})
	for _, p := range polls {
		if before.Decisions().Poll(p.ID()).Phase != decision.Voting {
			t.Fatalf("is %s a second before the deadline", before.Decisions().Poll(p.ID()).Phase)
		}
	}
	s, _ := before.Advance(state.Step{AsOf: last})
	var left *protocol.Record
	for _, p := range polls {
		if s.Decisions().Poll(p.ID()).Phase == decision.Voting {
			if left != nil {
				t.Fatal("two polls are left open")
			}
			left = p
		}
	}
	if left == nil || len(s.Decisions().JustClosed()) != decision.MaxClosings {
		t.Fatalf("closed %d, left %v", len(s.Decisions().JustClosed()), left)
	}
	if at, ok := s.NextDeadline(); !ok || at > last {
		t.Error("nothing calls for the next checkpoint")
	}
	c.s = s
	late := c.w.Ballot("bob", left.ID(), "yes", statetest.How{})
	c.rules(t, map[*protocol.Record]protocol.Rule{late: decision.RuleNotOpen}, false)
	view, _ := s.Advance(state.Step{Provisional: true})
	if p := view.Decisions().Poll(left.ID()); p.Phase != decision.Voting || p.Result != nil {
		t.Errorf("a view makes it %s", p.Phase)
	}
	next, _ := s.Advance(state.Step{Records: []*protocol.Record{late}, AsOf: last})
	if p := next.Decisions().Poll(left.ID()); !p.Phase.Closed() || p.Result.Counted != 0 || len(next.Decisions().JustClosed()) != 1 {
		t.Errorf("the next checkpoint makes it %s", p.Phase)
	} else if tally, err := next.Decisions().Tally(left.ID(), next.Charter(), next.Roll()); err != nil || tally != p.Result || tally.Height != next.Height() {
		t.Errorf("counted again once closed: %+v, %v", tally, err)
	}
}

// TestBallotsRefused: a ballot that says more than a choice, or nothing, is no
// ballot; and a poll counts those it did not take, but not those replaced.
func TestBallotsRefused(t *testing.T) {
	c := newCrowd(t)
	vote := func(by, choice string, seq uint64) *protocol.Record {
		return c.w.Ballot(by, c.poll, choice, statetest.How{Seq: seq})
	}
	c.rules(t, map[*protocol.Record]protocol.Rule{
		c.w.Bulk("bob", protocol.Ballot, c.poll, map[string]any{"choice": "yes", "zzzzzzzz": 1}, statetest.How{}): decision.RuleMalformed,
		c.w.Bulk("dana", protocol.Ballot, c.poll, map[string]any{"choice": 7}, statetest.How{}):                   decision.RuleMalformed,
		vote("eve", "", 0): decision.RuleChoice,
	}, false)
	refused := func(want uint64) {
		t.Helper()
		if got := c.s.Decisions().Poll(c.poll).Refused; got != want {
			t.Errorf("%d refused, want %d", got, want)
		}
	}
	c.made = []*protocol.Record{vote("bob", "yes", 3), vote("bob", "no", 2), vote("eve", "perhaps", 1)}
	c.cover()
	refused(1) // eve's; bob's earlier one is replaced
	c.made = []*protocol.Record{vote("bob", "no", 1)}
	c.cover()
	refused(1)
	c.made = []*protocol.Record{vote("bob", "no", 3)}
	c.cover()
	refused(2)
	c.made = []*protocol.Record{vote("dana", "yes", 0), vote("dana", "no", 0)}
	c.cover()
	refused(4) // neither of two with one number
	if v, ok := c.s.Decisions().Poll(c.poll).Ballots.Get(c.w.Persona("bob")); !ok || v.Seq != 3 || v.Choice != "yes" {
		t.Errorf("bob's is %+v", v)
	}
}

// TestProposalsRefused: what can't be voted on, or says more than a proposal,
// is none; and the text stays in the record, whose state it would fill.
func TestProposalsRefused(t *testing.T) {
	c := newCrowd(t)
	good := decision.ProposeBody{Title: "Shall we?", Text: "It would be good.", Method: "yes-no", Class: "ordinary", Voting: 10_000}
	nameless, oracle := good, good
	nameless.Title, oracle.Method = "", "oracle"
	propose := func(body any) *protocol.Record {
		return c.w.Record("bob", protocol.Propose, body, statetest.How{})
	}
	c.rules(t, map[*protocol.Record]protocol.Rule{
		propose(nameless): decision.RuleMalformed,
		propose(oracle):   decision.RuleMalformed,
		propose(map[string]any{
			"title": "Shall we?", "method": "yes-no", "class": "ordinary", "voting": 10_000, "zzzzzzzz": 1,
		}): decision.RuleMalformed,
	}, false)
	r := propose(good)
	next := c.rules(t, map[*protocol.Record]protocol.Rule{r: decision.RuleOpen}, true)
	if p := next.Decisions().Poll(r.ID()); p.Body.Text != "" || p.Body.Title != good.Title {
		t.Errorf("keeps %+v", p.Body)
	}
}
