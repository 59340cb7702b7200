package state_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/decision/count"
	"github.com/metastate-p2p/metastate/protocol/state"
	"github.com/metastate-p2p/metastate/protocol/state/statetest"
)

// Who loses is seen of every method: by the side of yes and no, or by what a ballot
// puts before all else. Abstaining, standing aside, rehearsals and votes in which
// nothing won are nobody's loss, nor what is long ago.
func TestLosses(t *testing.T) {
	u := newUrn(t)
	step := func(seconds int64, list ...*protocol.Record) {
		t.Helper()
		u.s, _ = u.s.Advance(state.Step{Records: list, AsOf: u.s.AsOf() + seconds})
		u.w.Cover(protocol.Ref{Height: u.s.Height(), ID: protocol.Sum(fmt.Append(nil, u.s.Height()))}, list...)
	}
	began := u.s.AsOf()
	for _, vote := range []struct {
		body  decision.ProposeBody
		says  map[string]string
		loses []string // besides these, everybody in says wins
		no    []string // takes no side
	}{
		{body: decision.ProposeBody{Method: "yes-no"}, says: map[string]string{"alice": "yes", "bob": "yes", "carol": "no", "dana": "abstain"}, loses: []string{"carol"}, no: []string{"dana"}},
		{body: decision.ProposeBody{Method: "yes-no"}, says: map[string]string{"alice": "no", "bob": "no", "carol": "yes"}, loses: []string{"carol"}},
		{body: decision.ProposeBody{Method: "yes-no", Rehearsal: true}, says: map[string]string{"alice": "yes", "carol": "no"}, no: []string{"alice", "carol"}},
		{body: decision.ProposeBody{Method: "consent"}, says: map[string]string{"alice": "consent", "bob": "object", "dana": "stand-aside"}, loses: []string{"alice"}, no: []string{"dana"}},
		{body: decision.ProposeBody{Method: "plurality", Options: []string{"a", "b"}}, says: map[string]string{"alice": "a", "bob": "a", "carol": "b"}, loses: []string{"carol"}},
		{body: decision.ProposeBody{Method: "approval", Options: []string{"a", "b", "c"}}, says: map[string]string{"alice": "a,b", "bob": "a", "carol": "c", "dana": "a,b,c"}, loses: []string{"carol"}, no: []string{"dana"}},
		{body: decision.ProposeBody{Method: "score", Options: []string{"a", "b"}, Params: count.Params{Top: 5}}, says: map[string]string{"alice": "a:5,b:4", "bob": "a:5", "carol": "a:1,b:2"}, loses: []string{"carol"}},
		{body: decision.ProposeBody{Method: "schulze", Options: []string{"a", "b", "c"}}, says: map[string]string{"alice": "b>a", "bob": "a=b>c", "carol": "c>b"}, loses: []string{"carol"}},
		{body: decision.ProposeBody{Method: "dhondt", Options: []string{"a", "b"}, Seats: 2}, says: map[string]string{"alice": "a", "bob": "a", "carol": "b", "dana": "a"}, loses: []string{"carol"}},
	} {
		b := vote.body
		b.Title, b.Class, b.Voting = "q", "ordinary", 1000
		r := u.w.Record("frank", protocol.Propose, b, statetest.How{})
		step(1, r)
		var list []*protocol.Record
		for name, choice := range vote.says {
			body := decision.BallotBody{Choice: choice}
			if choice == "object" {
				body.Reason = "harm"
			}
			list = append(list, u.w.Bulk(name, protocol.Ballot, r.ID(), body, statetest.How{}))
		}
		step(1, list...)
		before := u.s.Decisions().Losses(began)
		step(1000)
		p := u.poll(r.ID())
		if p.Result == nil || p.Result.Counted != uint64(len(vote.says)) {
			t.Fatalf("%s: in %s, %+v", b.Method, p.Phase, p.Result)
		}
		after := u.s.Decisions().Losses(began)
		for name := range vote.says {
			id, want := u.w.Persona(name), before[u.w.Persona(name)]
			if !slices.Contains(vote.no, name) {
				want.Votes++
			}
			if slices.Contains(vote.loses, name) {
				want.Lost++
			}
			if after[id] != want {
				t.Errorf("%s, %s says %s, the outcome is %s, %v: %+v, not %+v", b.Method, name, vote.says[name], p.Result.Outcome, p.Result.Winners, after[id], want)
			}
		}
	}
	if old := u.s.Decisions().Losses(u.s.AsOf() + 1); len(old) != 0 {
		t.Errorf("long ago: %v", old)
	}
}
