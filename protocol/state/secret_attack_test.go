package state_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/decision/committee"
	"github.com/metastate-p2p/metastate/protocol/roll"
	"github.com/metastate-p2p/metastate/protocol/state"
	"github.com/metastate-p2p/metastate/protocol/state/statetest"
)

// on is the urn on a branch of its own.
func (u *urn) on(s *state.State) *urn {
	branch := *u
	crowd := *u.crowd
	crowd.s = s
	branch.crowd = &crowd
	branch.verdicts = map[protocol.ID]protocol.Verdict{}
	return &branch
}

// sees is what a branch is after a step, without what it does to the world that
// both branches share.
func (u *urn) sees(seconds int64, list ...*protocol.Record) {
	next, verdicts := u.s.Advance(state.Step{Records: list, AsOf: u.s.AsOf() + seconds})
	u.s = next
	for _, v := range verdicts {
		u.verdicts[v.Record] = v
	}
}

// Two sides of a partition close one vote over different ballots. With one trustee
// who lies to both, the others each acknowledging the closing they saw first, one
// side opens and the other never does: nobody learns the difference of two sums.
func TestTwoClosings(t *testing.T) {
	u := newUrn(t)
	id := u.ask("yes-no", nil, 1000, nil)
	u.key(id)
	u.do(u.cast(id, "alice", 0, "yes"), u.cast(id, "bob", 0, "no"))
	frank := u.cast(id, "frank", 0, "yes")
	here, there := u.on(u.s), u.on(u.s)
	here.sees(1, frank)
	there.sees(1)
	here.sees(1000)
	there.sees(1000)
	if a, b := here.poll(id), there.poll(id); a.Phase != decision.Closed || b.Phase != decision.Closed || a.Sealed().Set == b.Sealed().Set {
		t.Fatal("they close over the same ballots, or not at all")
	}
	acks := func(side *urn, names ...string) {
		for _, name := range names {
			side.w.Cover(protocol.Ref{Height: side.s.Height(), ID: protocol.ID{1}})
			side.sees(1, side.opens(id, name, nil))
		}
	}
	acks(here, "bob", "carol", "eve") // eve lies
	acks(there, "dana", "eve")
	opening := func(side *urn, names ...string) {
		var list []*protocol.Record
		for _, name := range names {
			list = append(list, side.opens(id, name, side.share(id, name)))
		}
		side.sees(1, list...)
	}
	opening(there, "eve", "dana", "carol", "bob")
	if p := there.poll(id); p.Phase != decision.Closed || len(p.Secret.Shares) != 0 {
		t.Errorf("two acknowledgements of four open a second closing: %s", p.Phase)
	}
	// What was given for the other closing is no share of this one: neither is the
	// sum without frank's ballot.
	foreign := there.share(id, "carol")
	lie := here.opens(id, "carol", foreign)
	here.sees(1, lie)
	here.want(lie, decision.RuleBadShare)
	opening(here, "bob", "eve")
	if p := here.poll(id); p.Result == nil || !slices.Equal(votes(p)[:2], []uint64{2, 1}) {
		t.Errorf("with q acknowledgements it is not opened: %s", p.Phase)
	}
}

// A closed vote is sealed: nothing that comes later, by whoever and however
// backdated, changes what trustees open, and no other checkpoint closes it again.
func TestSealedOnce(t *testing.T) {
	u := newUrn(t)
	id := u.ask("plurality", []string{"red", "green"}, 1000, nil)
	u.key(id)
	u.do(u.cast(id, "alice", 0, "red"), u.cast(id, "bob", 0, "green"))
	open := u.w.Time
	u.w.Time = statetest.Start // claims to be of long ago, and cites what was final while the vote was open
	backdated, again := u.cast(id, "dana", 0, "red"), u.cast(id, "alice", 1, "green")
	u.w.Time = open
	u.after(1000)
	sealed, root := u.poll(id).Sealed().Set, u.s.Height()
	if list := u.s.Decisions().JustClosed(); len(list) != 1 {
		t.Fatal("it is not closed")
	}
	u.do(backdated, again)
	u.want(backdated, decision.RuleNotOpen)
	u.want(again, decision.RuleNotOpen)
	for range 3 {
		u.after(1000)
		if list := u.s.Decisions().JustClosed(); len(list) != 0 {
			t.Fatal("it is closed again")
		}
	}
	if p := u.poll(id); p.Sealed().Set != sealed || p.Secret.Height != root {
		t.Error("it is sealed anew")
	}
	u.acknowledge(id)
	u.do(u.opens(id, "bob", u.share(id, "bob")), u.opens(id, "carol", u.share(id, "carol")))
	if p := u.poll(id); p.Result == nil || !slices.Equal(votes(p), []uint64{1, 1}) || p.Sealed().Set != sealed {
		t.Errorf("%+v", p.Result)
	}
}

// Who came when the vote was open already has no ballot in it, and neither has a
// stranger; nobody's proof is even looked at for that.
func TestSecretBallotOfNobody(t *testing.T) {
	u := newUrn(t)
	id := u.ask("yes-no", nil, 1000, nil)
	u.key(id)
	i := u.w.Invite("alice", "later", 2, statetest.Start+1e6, statetest.How{})
	u.do(i)
	u.do(u.w.Admit("alice", "gil", "later", i.ID(), statetest.How{}))
	u.w.Admit("alice", "mallory", "later", i.ID(), statetest.How{}) // which no checkpoint covers
	late, stranger := u.cast(id, "gil", 0, "yes"), u.cast(id, "mallory", 0, "yes")
	u.do(late, stranger)
	u.want(late, decision.RuleElector)
	u.want(stranger, decision.RulePower)
	if p := u.poll(id); p.Ballots.Len() != 0 || p.Secret.Sum().Ballots() != 0 {
		t.Error("they count")
	}
	if e := u.poll(id).Secret.Election().ID(); late.Recall(e) != nil || stranger.Recall(e) != nil {
		t.Error("their proofs were checked, which costs a thousand times more than to refuse them")
	}
}

// A rehearsal of a second calls the trustees of the whole term. Whoever is slower
// than that is waited for as for any other vote, and has a part in the key.
func TestRehearsalHurriesNobody(t *testing.T) {
	c := statetest.Charter(t)
	for i := range c.Classes {
		if c.Classes[i].Name == "ordinary" {
			c.Classes[i].Voting = 86400
		}
	}
	u := newUrnUnder(t, c)
	id := u.ask("yes-no", nil, 1, func(b *decision.ProposeBody) { b.Rehearsal = true })
	announce := func(names ...string) (list []*protocol.Record) {
		for _, name := range names {
			list = append(list, u.w.Record(name, protocol.Trustee, decision.TrusteeBody{
				Committee: u.committee(id).ID, Stage: committee.Announce, Message: u.trustee(id, name).Announce().Bytes(),
			}, statetest.How{}))
		}
		return list
	}
	u.do(announce("bob", "carol", "dana")...)
	u.after(3600)
	u.do(announce("eve")...)
	k := u.committee(id)
	if k.Stage != committee.Commit || k.Trustees[k.Number(u.w.Persona("eve"))-1].Announcement == nil {
		t.Errorf("an hour later it is at %s, and eve has no part", k.Stage)
	}
}

// What trustees acknowledged on one branch, clerks who lie can cover on another, which
// closed over other ballots. There it is worth nothing: else who was away would give
// their share of the second sum, and the difference of the two would be open.
func TestAcknowledgementsOfAnotherBranch(t *testing.T) {
	u := newUrn(t)
	id := u.ask("yes-no", nil, 1000, nil)
	u.key(id)
	u.do(u.cast(id, "alice", 0, "yes"), u.cast(id, "bob", 0, "no"))
	frank := u.cast(id, "frank", 0, "yes")
	here, there := u.on(u.s), u.on(u.s)
	here.sees(1, frank)
	there.sees(1)
	here.sees(1000)
	there.sees(1000)
	u.w.Cover(protocol.Ref{Height: here.s.Height(), ID: protocol.ID{1}})
	acks := []*protocol.Record{here.opens(id, "bob", nil), here.opens(id, "carol", nil), here.opens(id, "eve", nil)}
	here.sees(1, acks...)
	there.sees(1, acks...)
	for _, r := range acks {
		here.want(r, decision.RuleAck)
		there.want(r, decision.RulePhase)
	}
	if given := there.poll(id).Secret.Acks; len(given) != 0 {
		t.Errorf("trustees %v are taken at their word for a closing that they did not see", given)
	}
	neither := there.w.Record("dana", protocol.Open, decision.OpenBody{Proposal: id}, statetest.How{})
	there.sees(1, neither)
	there.want(neither, decision.RuleMalformed)
}

// everything is a node that holds whatever is asked about.
type everything struct{ u *urn }

func (everything) Header(protocol.ID) (protocol.Header, bool) { return protocol.Header{}, false }
func (everything) Covered(protocol.ID) bool                   { return true }
func (everything) Began() uint64                              { return 0 }
func (e everything) CheckpointID(height uint64) (protocol.ID, bool) {
	return protocol.Sum(fmt.Append(nil, height)), height > 0 && height <= e.u.s.Height()
}

// No officer keeps a vote shut, or a key from being made, by suspending trustees:
// what is asked of them is taken all the same, as long as it is asked.
func TestSuspendedTrusteeIsHeard(t *testing.T) {
	u := newUrn(t)
	id := u.ask("yes-no", nil, 1000, nil)
	u.do(u.w.Record("alice", protocol.Suspend, roll.RestrictBody{Persona: u.w.Persona("carol"), Reason: "harm"}, statetest.How{}))
	if got := u.s.Roll().Member(u.w.Persona("carol")).Standing(); got != roll.Suspended {
		t.Fatal("she is", got)
	}
	taken := func(r *protocol.Record, want bool) {
		t.Helper()
		if err := u.s.Receive(r, everything{u}); (err == nil) != want || err != nil && !errors.Is(err, state.ErrRefused) {
			t.Errorf("%s at height %d: %v", r.Kind(), u.s.Height(), err)
		}
		if want {
			u.do(r)
		}
	}
	say := decision.TrusteeBody{Committee: u.committee(id).ID, Stage: committee.Announce, Message: u.trustee(id, "carol").Announce().Bytes()}
	taken(u.w.Record("carol", protocol.Trustee, say, statetest.How{}), true)
	taken(u.w.Propose("carol", "x", "ordinary", 1000, statetest.How{}), false)
	u.trustees = []string{"bob", "dana", "eve"}
	u.key(id)
	open := func(want bool) { // in the place of what was refused
		t.Helper()
		body := decision.OpenBody{Proposal: id, Set: make([]byte, 32)}
		if want {
			set := u.poll(id).Sealed().Set
			body.Set = set[:]
		}
		taken(u.w.Record("carol", protocol.Open, body, statetest.How{Fork: true}), want)
	}
	open(false)
	u.do(u.cast(id, "alice", 0, "yes"), u.cast(id, "bob", 0, "no"))
	u.after(1000)
	open(true)
	u.acknowledge(id)
	u.do(u.opens(id, "bob", u.share(id, "bob")))
	taken(u.opens(id, "carol", u.share(id, "carol")), true)
	if p := u.poll(id); p.Result == nil {
		t.Fatalf("with her share it is in %s", p.Phase)
	}
	taken(u.opens(id, "carol", nil), false)
}
