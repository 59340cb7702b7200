package node

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/decision"
)

// opens puts a secret question to the vote of a council and waits for it to open.
func (w *council) opens() protocol.ID {
	w.t.Helper()
	asker := w.homes[5].community()
	w.waits("all know the trustees", w.there(), func(h *home) bool {
		list, _ := decision.Trustees(h.community().Snapshot().Final.Roll())
		return len(list) == 4
	})
	ref, err := asker.Propose(w.ctx, ProposeRequest{Title: "Shall we?", ClosesIn: time.Hour, Secret: true})
	if err != nil {
		w.t.Fatal(err)
	}
	w.waits("it opens", w.there(), func(h *home) bool { p := h.poll(ref.Proposal); return p != nil && p.Phase == decision.Voting })
	return ref.Proposal
}

// checked is of how many open ballots the proofs were looked at.
func (l *ledger) checked(poll protocol.ID) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	election := l.tip.State().Decisions().Poll(poll).Secret.Election().ID()
	for _, r := range l.open {
		if _, known := r.Recall(election).(bool); known {
			n++
		}
	}
	return n
}

// A flood of ballots that prove nothing costs no look at proofs where they are by
// strangers. Of a member's in one place two are held, and looked at once: 130 in a
// vote at the most.
func TestFloodOfBallots(t *testing.T) {
	const many = 10_000
	synctest.Test(t, func(t *testing.T) {
		w := newCouncil(t)
		defer w.end()
		id := w.opens()
		w.homes[0].halt() // nothing more is made final: all stays open
		w.homes[0].halt = func() {}
		to, member := w.homes[2].community(), w.homes[1].community()
		l := to.ledger
		junk := bytes.Repeat([]byte{1}, l.currentTip().State().Decisions().Poll(id).Secret.Election().Size())
		ballot := func(key identity.SigningKey, seq uint64, at int64) []byte {
			r, err := protocol.Sign(protocol.Header{
				Metastate: to.id, Kind: protocol.Ballot, Persona: member.Persona(), Key: key.Public(), Seq: seq,
				Checkpoint: l.currentTip().Ref(), Subject: id, Time: at,
			}, decision.BallotBody{Ballot: junk}, nil, key)
			if err != nil {
				t.Fatal(err)
			}
			return r.Inner()
		}
		flood := func(n int, of func(i int) []byte) delivery {
			var list [][]byte
			for i := range n {
				list = append(list, of(i))
			}
			d, err := l.deliver(list)
			if err != nil {
				t.Fatal(err)
			}
			l.Snapshot()
			return d
		}
		stranger := identity.GenerateSigningKey()
		if d := flood(many, func(i int) []byte { return ballot(stranger, uint64(i%(protocol.MaxBulkSeq+1)), int64(i)) }); d.taken != 0 || l.checked(id) != 0 {
			t.Errorf("of strangers' %d are held, %d looked at", d.taken, l.checked(id))
		}
		if d := flood(many, func(i int) []byte { return ballot(member.key, 0, int64(i)) }); d.taken != 2 || l.checked(id) != 2 {
			t.Errorf("in one place %d are held, %d looked at", d.taken, l.checked(id))
		}
		const places = protocol.MaxBulkSeq + 1
		if d := flood(many, func(i int) []byte { return ballot(member.key, uint64(i%places), int64(i)) }); d.taken != 2*places-2 || l.checked(id) != 2*places {
			t.Errorf("in all places %d more are held, %d looked at", d.taken, l.checked(id))
		}
		if p := to.Snapshot().View.Decisions().Poll(id); p.Ballots.Len() != 0 {
			t.Errorf("%d count", p.Ballots.Len())
		}
	})
}

// What arrives together is looked at before the state judges it, whoever then asks.
func TestBallotsAreCheckedOnArrival(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newCouncil(t)
		defer w.end()
		id := w.opens()
		w.homes[0].halt()
		w.homes[0].halt = func() {}
		var inners [][]byte
		for _, i := range []int{1, 3, 5} {
			c := w.homes[i].community()
			r, err := c.Vote(w.ctx, id.String(), "yes")
			if err != nil {
				t.Fatal(err)
			}
			got, err := protocol.ParseID(r.Receipt)
			if err != nil {
				t.Fatal(err)
			}
			inner, err := c.stored(got)
			if err != nil {
				t.Fatal(err)
			}
			inners = append(inners, inner)
		}
		l := w.homes[2].community().ledger
		if d, err := l.deliver(inners); err != nil || d.taken != 3 || l.checked(id) != 3 {
			t.Errorf("%+v, %v: %d looked at", d, err, l.checked(id))
		}
		if n := w.homes[2].community().Snapshot().View.Decisions().Poll(id).Ballots.Len(); n != 3 {
			t.Errorf("%d count", n)
		}
	})
}

// In history, where each checkpoint covers one ballot, those that follow are looked
// at with the first.
func TestBallotsAreCheckedAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newCouncil(t)
		defer w.end()
		id := w.opens()
		h := w.homes[0]
		for n, i := range []int{0, 1, 2, 3} {
			if _, err := w.homes[i].community().Vote(w.ctx, id.String(), "no"); err != nil {
				t.Fatal(err)
			}
			w.waits("it is covered", []*home{h}, func(h *home) bool { return h.poll(id).Ballots.Len() == n+1 })
		}
		l := h.community().ledger
		s, err := l.stretchFrom(1)
		if err == nil {
			err = l.fill(s)
		}
		if err != nil {
			t.Fatal(err)
		}
		var ballots []*protocol.Record
		first := -1
		for i, step := range s.steps {
			for _, r := range step.records {
				if r.Kind() == protocol.Ballot {
					ballots = append(ballots, r)
					if first < 0 {
						first = i
					}
				}
			}
		}
		if len(ballots) != 4 {
			t.Fatalf("%d ballots in history", len(ballots))
		}
		tip, err := l.tipAt(uint64(first)) // before the step
		if err != nil {
			t.Fatal(err)
		}
		election := tip.State().Decisions().Poll(id).Secret.Election().ID()
		checkAhead(tip.State(), s.steps[first:])
		for i, r := range ballots {
			if holds, known := r.Recall(election).(bool); !known || !holds {
				t.Errorf("ballot %d: known %t, holds %t", i, known, holds)
			}
		}
	})
}
