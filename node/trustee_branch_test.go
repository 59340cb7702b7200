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
	acks := sign(protocol.Open, protocol.ID{}, decision.OpenBody{Proposal: poll.ID(), Set: make([]byte, 32)})
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

// A trustee who announced, and was off from then until the vote had closed, finds
// its share in what the others dealt, and opens the vote with it.
func TestTrusteeCatchesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newCouncil(t)
		defer w.end()
		w.mu.Lock()
		w.side[offTrustee] = 0
		w.mu.Unlock()
		w.works(offTrustee)
		late := w.homes[3]
		w.work[3]()
		w.waits("all know the trustees", w.homes, func(h *home) bool {
			list, _ := decision.Trustees(h.community().Snapshot().Final.Roll())
			return len(list) == 4
		})
		ref, err := w.homes[0].community().Propose(w.ctx, ProposeRequest{Title: "Shall we?", ClosesIn: time.Hour, Secret: true})
		if err != nil {
			t.Fatal(err)
		}
		id := ref.Proposal
		w.waits("keys are announced", []*home{late}, func(h *home) bool { return h.stage(id) == committee.Announce })
		if err := late.community().trusteeTurn(late.community().ledger); err != nil {
			t.Fatal(err)
		}
		w.waits("it opens", w.homes, func(h *home) bool { p := h.poll(id); return p != nil && p.Phase == decision.Voting })
		for _, h := range w.homes[:4] {
			if _, err := h.community().Vote(w.ctx, id.String(), "no"); err != nil {
				t.Fatal(err)
			}
		}
		w.waits("all are counted", w.homes, func(h *home) bool { return h.poll(id).Ballots.Len() == 4 })
		w.work[offTrustee]()
		time.Sleep(2 * time.Hour)
		if p := w.homes[0].poll(id); p.Phase != decision.Closed || len(p.Secret.Acks) != 2 {
			t.Fatalf("with two of four it is in %s, %d acknowledged it", p.Phase, len(p.Secret.Acks))
		}
		w.works(3)
		w.waits("it is opened", w.homes, func(h *home) bool { return h.poll(id).Result != nil })
		said := w.homes[0].said(late)
		if said["announce"] != 1 || said["commit"]+said["deal"]+said["confirm"] != 0 || said["acknowledge"] != 1 {
			t.Errorf("who was off wrote %v", said)
		}
		if tally, err := late.community().Tally(id.String()); err != nil || tally.Votes["no"] != 4 || tally.Outcome != "rejected" {
			t.Errorf("%+v, %v", tally, err)
		}
	})
}

// Whose store was rebuilt from damaged files opens no vote that had closed before:
// it may have acknowledged another closing. It does its part in the next.
func TestTrusteeOfARebuiltStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newCouncil(t)
		defer w.end()
		vote := func(id protocol.ID) {
			for _, i := range []int{0, 2, 3} {
				if _, err := w.homes[i].community().Vote(w.ctx, id.String(), "yes"); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(2 * time.Hour)
		}
		first := w.opens()
		w.work[1]()
		vote(first)
		now := []byte(time.Now().UTC().Format(time.RFC3339))
		if err := w.homes[1].community().store.PutPrivate(privUncertain, now); err != nil {
			t.Fatal(err)
		}
		w.homes[1].restart()
		w.works(1)
		time.Sleep(time.Hour)
		if p := w.homes[0].poll(first); len(p.Secret.Acks) != 2 || w.homes[0].said(w.homes[1])["acknowledge"] != 0 {
			t.Errorf("%d acknowledged it", len(p.Secret.Acks))
		}
		second := w.opens()
		vote(second)
		if r := w.homes[0].poll(second).Result; r == nil || r.Votes[0].N != 3 {
			t.Errorf("the next vote: %+v", r)
		}
	})
}
