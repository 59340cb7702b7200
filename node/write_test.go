package node

import (
	"testing"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/decision"
)

// Whose ballot was covered and void votes again: the place of that ballot is spent,
// and the next one has another.
func TestVotesAfterAVoidBallot(t *testing.T) {
	w := newRealm(t)
	l := w.ledger()
	poll := w.polling(1, l)[0].ID()
	void := w.ballot(l, poll, 0, "perhaps")
	w.took(l, 1, void)
	w.cover(l, l.tip.State().AsOf()+1, void)
	if p := l.tip.State().Decisions().Poll(poll); p.Phase != decision.Voting || p.Refused != 1 || p.Ballots.Len() != 0 {
		t.Fatalf("the vote is in %s, with %d refused", p.Phase, p.Refused)
	}
	l = w.reopen(l) // a restart finds the place spent, too
	r, err := l.write(w.b.inception.ID(), w.device.Public(), protocol.Ballot, poll, func(h protocol.Header) (*protocol.Record, error) {
		return protocol.Sign(h, decision.BallotBody{Choice: "yes"}, nil, w.device)
	})
	if err != nil {
		t.Fatal("who voted in a way that is void can't vote again:", err)
	}
	w.cover(l, l.tip.State().AsOf()+1, r)
	if v, ok := l.tip.State().Decisions().Poll(poll).Ballots.Get(w.b.inception.ID()); !ok || v.Ballot != r.ID() || v.Seq != 1 {
		t.Errorf("what counts is %+v", v)
	}
}
