package node

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/decision/committee"
)

// A trustee who acknowledged a closing of a vote on another branch says nothing of
// this one's, also if without it nobody opens the vote.
func TestTrusteeOfAnotherBranch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newCouncil(t)
		defer w.end()
		id := w.opens()
		l := w.homes[1].community().ledger
		x := duty{committee: l.currentTip().State().Decisions().Committee(w.homes[1].poll(id).Secret.Committee)}
		k, err := l.trusteeSecret(x)
		if err == nil {
			err = l.choose(k, x.committee.ID, id, [32]byte{1})
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range []int{0, 2, 3} {
			if _, err := w.homes[i].community().Vote(w.ctx, id.String(), "yes"); err != nil {
				t.Fatal(err)
			}
		}
		acks := func(h *home) []uint64 { return h.poll(id).Secret.Acks }
		time.Sleep(time.Hour)
		w.waits("the others acknowledge", w.there(), func(h *home) bool { return len(acks(h)) == 2 })
		w.restarts(1)
		time.Sleep(time.Hour)
		if said := w.homes[0].said(w.homes[1]); len(acks(w.homes[0])) != 2 || said["acknowledge"] != 0 || said["share"] != 0 {
			t.Errorf("%d acknowledged it; who did on another branch wrote %v", len(acks(w.homes[0])), said)
		}
	})
}

// What a trustee wrote, and a secret ballot, are made for what was final where they
// were written: on another branch, or later, they are not said again. Of the ballot
// the person is told.
func TestSecretVotesAreNotSaidAgain(t *testing.T) {
	w := newRealm(t)
	l := w.ledger()
	poll := w.polling(1, l)[0]
	h := protocol.Header{
		Metastate: l.metastate, Persona: w.b.inception.ID(), Key: w.device.Public(), Checkpoint: l.tip.Ref(), Time: 1,
		Parents: []protocol.ID{w.b.grant.ID()},
	}
	sign := func(kind protocol.Kind, subject protocol.ID, body any) *protocol.Record {
		h := h
		if h.Kind, h.Subject = kind, subject; !subject.IsZero() {
			h.Parents = nil
		}
		r, err := protocol.Sign(h, body, nil, w.device)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	says := sign(protocol.Trustee, protocol.ID{}, decision.TrusteeBody{Stage: committee.Announce})
	acks := sign(protocol.Open, protocol.ID{}, decision.OpenBody{Proposal: poll.ID()})
	ballot := sign(protocol.Ballot, poll.ID(), decision.BallotBody{Ballot: []byte("sealed")})
	held := len(l.open)
	for _, r := range []*protocol.Record{says, acks, ballot} {
		if again, err := l.sayAgain(r, w.device); err == nil || again != nil {
			t.Errorf("%s: %v is said again", r.Kind(), again)
		}
	}
	if open := sign(protocol.Ballot, poll.ID(), decision.BallotBody{Choice: "yes"}); len(l.open) != held {
		t.Errorf("%d more are held", len(l.open)-held)
	} else if again, err := l.sayAgain(open, w.device); err != nil || again == nil {
		t.Error("an open ballot is not said again:", err)
	}
	told := l.lapses()
	if len(told) != 1 || told[0].Record != ballot.ID().String() || told[0].Why == "" {
		t.Errorf("the person is told %+v", told)
	}
	l.lapsed = []*protocol.Record{says, acks}
	if list := l.renewed(w.device); len(list) != 0 || len(l.lapses()) != 1 {
		t.Errorf("%d signed anew", len(list))
	}
}
