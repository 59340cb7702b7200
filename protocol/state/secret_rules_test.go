package state_test

import (
	"bytes"
	bigendian "encoding/binary"
	"slices"
	"testing"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/charter"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/decision/committee"
	"github.com/metastate-p2p/metastate/protocol/roll"
	"github.com/metastate-p2p/metastate/protocol/state/statetest"
)

// longer than a device's grant lasts, seconds.
const tooLong = 200 * 24 * 3600

// closedVote is a vote that waits to be opened, with one ballot for each option.
func (u *urn) closedVote(change func(*decision.ProposeBody)) protocol.ID {
	u.t.Helper()
	id := u.ask("plurality", []string{"red", "green"}, 1000, change)
	u.key(id)
	u.do(u.cast(id, "alice", 0, "red"), u.cast(id, "bob", 0, "green"))
	u.after(1000)
	if u.poll(id).Phase != decision.Closed {
		u.t.Fatal("it is not closed")
	}
	return id
}

// SPEC §8.6 rules 7 and 8: a trustee's second acknowledgement is no other
// trustee's, nobody acknowledges what they did not know, and q of them are final
// before a share stands.
func TestAcknowledgements(t *testing.T) {
	u := newUrn(t)
	id := u.ask("plurality", []string{"red", "green"}, 1000, nil)
	u.key(id)
	u.do(u.cast(id, "alice", 0, "red"), u.cast(id, "bob", 0, "green"))
	soon := u.opens(id, "eve", nil) // cites a checkpoint of the open vote
	u.after(1000)
	u.do(soon)
	u.want(soon, decision.RulePhase)
	u.do(u.opens(id, "bob", nil))
	u.do(u.opens(id, "carol", nil))
	again := u.opens(id, "bob", nil)
	u.do(again)
	u.want(again, decision.RuleAck)
	if acks := u.poll(id).Secret.Acks; len(acks) != 2 {
		t.Errorf("two trustees acknowledged, and there are %v", acks)
	}
	early := u.opens(id, "bob", u.share(id, "bob"))
	u.do(early)
	u.want(early, decision.RulePhase)
	// The third comes in the same step as shares, which did not wait for it.
	third, first, second := u.opens(id, "dana", nil), u.opens(id, "bob", u.share(id, "bob")), u.opens(id, "carol", u.share(id, "carol"))
	u.do(third, first, second)
	u.want(third, decision.RuleAck)
	u.want(first, decision.RulePhase)
	u.want(second, decision.RulePhase)
	if p := u.poll(id); p.Phase != decision.Closed || len(p.Secret.Shares) != 0 {
		t.Errorf("it is in %s", p.Phase)
	}
}

// What a trustee says comes from the device that announced, as long as that
// lives: in making the key and in opening.
func TestTrusteesSpeakByOneDevice(t *testing.T) {
	u := newUrn(t)
	id := u.closedVote(nil)
	u.do(u.w.Grant("bob", "bob/phone", statetest.How{}))
	other := u.w.Record("bob/phone", protocol.Open, decision.OpenBody{Proposal: id, Set: make([]byte, 32)}, statetest.How{})
	u.do(other)
	u.want(other, decision.RulePower)
	u.after(tooLong)
	expired := u.opens(id, "bob", nil)
	u.do(expired)
	u.want(expired, decision.RulePower)
	if acks := u.poll(id).Secret.Acks; len(acks) != 0 {
		t.Errorf("acknowledged by %v", acks)
	}

	u = newUrn(t)
	id = u.ask("yes-no", nil, 1000, nil)
	u.after(tooLong)
	said := u.w.Record("bob", protocol.Trustee, decision.TrusteeBody{
		Committee: u.committee(id).ID, Stage: committee.Announce, Message: u.trustee(id, "bob").Announce().Bytes(),
	}, statetest.How{})
	u.do(said)
	u.want(said, decision.RulePower)
}

// A trustee without a voice is none when a vote calls its committee.
func TestSuspendedTrustee(t *testing.T) {
	u := newUrn(t)
	act := u.w.Record("frank", protocol.Suspend, roll.RestrictBody{Persona: u.w.Persona("eve"), Reason: "harm"}, statetest.How{})
	list := []*protocol.Record{act}
	for _, name := range []string{"alice", "bob", "carol", "dana"} { // who one officer suspends keeps a voice
		list = append(list, u.w.Record(name, protocol.Endorse, roll.EndorseBody{Act: act.ID()}, statetest.How{After: list[:1]}))
	}
	u.do(list...)
	if m := u.s.Roll().Member(u.w.Persona("eve")); m.Voice() || !m.Holds(charter.OfficeTrustee) {
		t.Fatalf("eve is %s, with %v", m.Standing(), m.Offices())
	}
	body := decision.ProposeBody{Title: "q", Method: "yes-no", Class: "ordinary", Voting: 1000, Secret: decision.SecretBody{Least: 1}}
	r := u.w.Record("frank", protocol.Propose, body, statetest.How{})
	u.do(r)
	u.want(r, decision.RulePower)
}

// SPEC §8.2: a secret ballot says nothing in the open, is cast by nobody for
// somebody else, and is no ballot of an open vote.
func TestSecretBallotSaysNothing(t *testing.T) {
	c := statetest.Charter(t)
	c.Assist = charter.Assist{Office: "trustee", Cap: 9}
	u := newUrnUnder(t, c)
	id := u.ask("yes-no", nil, 1000, nil)
	u.key(id)
	sealed, err := protocol.Body[decision.BallotBody](u.cast(id, "bob", 0, "yes"))
	if err != nil {
		t.Fatal(err)
	}
	reasoned, assisted := sealed, sealed
	reasoned.Reason = "because"
	assisted.For = u.w.Persona("frank")
	open := u.w.Propose("frank", "in the open", "ordinary", 1000, statetest.How{})
	u.do(open)
	both := decision.BallotBody{Choice: "yes", Ballot: sealed.Ballot}
	for _, x := range []struct {
		poll protocol.ID
		body decision.BallotBody
	}{{id, reasoned}, {id, assisted}, {open.ID(), both}} {
		r := u.w.Bulk("bob", protocol.Ballot, x.poll, x.body, statetest.How{})
		u.do(r)
		u.want(r, decision.RuleMalformed)
		if n := u.poll(x.poll).Ballots.Len(); n != 0 {
			t.Errorf("%d ballots count", n)
		}
	}
}

// SPEC §8.6 rule 6: shares are of this proposal, closed at this height over these
// ballots. The lot is drawn of that set, which nobody knows before (rule 8).
func TestSealedSet(t *testing.T) {
	u := newUrn(t)
	for range 4 { // with one, another lot might fall the same
		u.drawsLot(u.closedVote(func(b *decision.ProposeBody) { b.Tie = decision.TieLot }))
	}
}

// drawsLot opens a vote that is tied.
func (u *urn) drawsLot(id protocol.ID) {
	u.t.Helper()
	p := u.poll(id)
	root, _, _ := p.Closing()
	set := protocol.Sum(slices.Concat([]byte("metastate/sealed/1"), id[:], bigendian.BigEndian.AppendUint64(nil, u.s.Height()), root[:]))
	if got := p.Sealed().Set; got != set {
		u.t.Errorf("the sealed set is %x, want %x", got, set)
	}
	u.acknowledge(id)
	u.do(u.opens(id, "bob", u.share(id, "bob")), u.opens(id, "carol", u.share(id, "carol")))
	first := slices.MinFunc(p.Options, func(a, b string) int {
		draw := func(option string) []byte {
			h := protocol.Sum(slices.Concat([]byte("metastate/lot/1"), id[:], set[:], []byte(option)))
			return h[:]
		}
		return bytes.Compare(draw(a), draw(b))
	})
	if r := u.poll(id).Result; r == nil || !r.Tied || !slices.Equal(r.Winners, []string{first}) {
		u.t.Errorf("%+v, want %s by lot", r, first)
	}
}
