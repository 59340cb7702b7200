package state_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/charter"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/roll"
	"github.com/metastate-p2p/metastate/protocol/state"
	"github.com/metastate-p2p/metastate/protocol/state/statetest"
)

// TestLateFounder: a founding key that was forgotten brings in a clerk while the
// office has a seat, and a member otherwise: never more clerks than can sign.
func TestLateFounder(t *testing.T) {
	for seats, want := range map[uint64]int{3: roll.RankClerk, 2: roll.RankMember} {
		c := statetest.Charter(t)
		for i := range c.Offices {
			c.Offices[i].Seats = seats
		}
		w := statetest.New(t, c, "alice", "bob", "carol")
		s, err := state.Begin(w.Genesis)
		if err != nil {
			t.Fatal(err)
		}
		s, _ = s.Advance(state.Step{Records: append([]*protocol.Record{w.Genesis}, append(w.Founder("alice", 0), w.Founder("bob", 1)...)...), AsOf: statetest.Start})
		w.Cover(protocol.Ref{Height: 1, ID: protocol.Sum(fmt.Append(nil, 1))})
		s, _ = s.Advance(state.Step{Records: w.Founder("carol", 2), AsOf: statetest.Start + 1})
		m := s.Roll().Member(w.Persona("carol"))
		if m.Rank() != want || uint64(len(s.Roll().Clerks())) > seats {
			t.Errorf("%d seats: rank %d, %d clerks", seats, m.Rank(), len(s.Roll().Clerks()))
		}
	}
}

// TestManyElected: while few of thirteen elected clerks serve, those whose term the
// election ended sign along, but never more than a checkpoint has signatures for.
func TestManyElected(t *testing.T) {
	c := statetest.Charter(t)
	clerk := slices.IndexFunc(c.Offices, func(o charter.Office) bool { return o.Name == roll.Clerk })
	c.Offices[clerk].Term = 90 * 24 * 3600
	founders := make([]string, 13)
	for i := range founders {
		founders[i] = fmt.Sprint("f", i)
	}
	w := statetest.New(t, c, founders...)
	s, err := state.Begin(w.Genesis)
	if err != nil {
		t.Fatal(err)
	}
	x := &crowd{w: w, s: s, made: w.Founding(founders...)}
	x.cover()
	door := w.Invite("f0", "door", 20, statetest.Start+1e6, statetest.How{})
	x.made = []*protocol.Record{door}
	body := decision.ProposeBody{
		Title: "all new", Method: "plurality", Seats: 13, Class: "election", Voting: 48 * 3600,
		Act: &decision.Act{Kind: decision.Elect, Office: roll.Clerk},
	}
	for i := range 13 {
		name := fmt.Sprint("new", i)
		x.made = append(x.made, w.Admit("f0", name, "door", door.ID(), statetest.How{After: []*protocol.Record{door}}))
		body.Options = append(body.Options, w.Persona(name).String())
	}
	x.cover()
	p := w.Record("f0", protocol.Propose, body, statetest.How{})
	x.made = []*protocol.Record{p}
	x.cover()
	pass := func(hours int64) {
		x.s, _ = x.s.Advance(state.Step{AsOf: x.s.AsOf() + hours*3600})
	}
	pass(80)
	for i := range 13 {
		by := fmt.Sprint("new", i)
		x.made = append(x.made, w.Ballot(by, p.ID(), w.Persona(by).String(), statetest.How{}))
	}
	x.cover()
	pass(60)
	pass(60)
	if got := x.s.Roll().Holders(roll.Clerk); len(got) != 13 || len(x.s.Roll().Clerks()) != 13 {
		t.Fatalf("%d hold the office, %d sign", len(got), len(x.s.Roll().Clerks()))
	}
	serve := func(i int) {
		x.made = []*protocol.Record{w.Record(fmt.Sprint("new", i), protocol.Serve, roll.ServeBody{}, statetest.How{})}
		x.cover()
	}
	serve(0)
	before := x.s.Roll().Clerks()
	late, _ := x.s.Advance(state.Step{AsOf: x.s.AsOf() + 100*24*3600})
	if got := late.Roll().Clerks(); !slices.Equal(got, before) {
		t.Errorf("%d sign once the terms of all are over", len(got))
	}
	for i := range 7 {
		if i > 0 {
			serve(i)
		}
		n, want := len(x.s.Roll().Clerks()), 13
		if i == 6 {
			want = 7 // more than half of those who hold the office
		}
		if n != want {
			t.Fatalf("%d of those elected serve, and %d sign", i+1, n)
		}
	}
}
