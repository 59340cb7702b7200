package node

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/metastate-p2p/metastate/node/internal/p2p"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/certificate"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
	"github.com/metastate-p2p/metastate/protocol/roll"
)

// clerks are the homes whose personas sign checkpoints as a home sees it.
func (h *home) clerks() (homes []int) {
	for _, c := range h.community().ledger.currentTip().Clerks() {
		homes = append(homes, slices.IndexFunc(h.homes, func(o *home) bool { return o.community().Persona() == c.Persona }))
	}
	slices.Sort(homes)
	return homes
}

func (h *home) does(r RecordRef, err error) protocol.ID {
	h.t.Helper()
	if err != nil {
		h.t.Fatalf("home %d: %v", h.i, err)
	}
	return r.Record
}

// waits lets time go by until all the homes agree that something is so.
func (w *town) waits(what string, homes []*home, so func(*home) bool) {
	w.t.Helper()
	for range 1200 {
		if !slices.ContainsFunc(homes, func(h *home) bool { return !so(h) }) {
			return
		}
		time.Sleep(time.Second)
	}
	for _, h := range homes {
		w.t.Logf("home %d: clerks %v, %+v", h.i, h.clerks(), h.community().Status())
	}
	w.t.Fatal("never: ", what)
}

// recalls has four of seven recall clerks 0 to 2 and put 4 to 6 in their place.
func (w *town) recalls() protocol.ID {
	who := func(list ...int) (ids []protocol.ID) {
		for _, i := range list {
			ids = append(ids, w.homes[i].community().Persona())
		}
		return ids
	}
	four := w.homes[4]
	act := four.does(four.community().Recall(w.ctx, RecallRequest{Office: "clerk", Reason: "refuse to cover", Out: who(0, 1, 2), In: who(4, 5, 6)}))
	for _, i := range []int{3, 5, 6} {
		h := w.homes[i]
		w.waits("the recall is known", []*home{h}, func(h *home) bool { return h.community().Snapshot().View.Roll().Motion(act) != nil })
		h.does(h.community().EndorseAct(w.ctx, act))
	}
	return act
}

// Clerks refuse to cover what the members want. More than half of the roll
// recalls them, and whom it names goes on from where they stopped.
func TestRecallOfClerksWhoRefuse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, 7, 1)
		w.panel = len(w.homes)
		defer w.close()
		w.waits("four clerks", w.homes, func(h *home) bool { return slices.Equal(h.clerks(), []int{0, 1, 2, 3}) })
		for _, h := range w.homes[:3] { // their ledgers go on, and they sign nothing
			h.halt()
			h.halt = func() {}
		}
		act := w.recalls()
		w.waits("new clerks", w.homes, func(h *home) bool { return slices.Equal(h.clerks(), []int{3, 4, 5, 6}) })
		if why, err := w.homes[4].community().Why(act.String()); err != nil || why.Verdict != "stands" || why.Because[len(why.Because)-1].Rule == roll.RuleMotion {
			t.Errorf("why the recall stands: %+v, %v", why, err)
		}
		v, err := certificate.ParseValue(w.lastCertificate(w.homes[0]).Value)
		if err != nil || v.Under() != act {
			t.Error("the checkpoint names no recall: ", err)
		}
		l := w.homes[0].community().book()
		for height, leads := range map[uint64]bool{1: false, v.Height - 1: false, v.Height: true} {
			ref, err := l.refAt(height)
			if err != nil {
				t.Fatal(err)
			}
			head, err := l.head(protocol.Ref{Height: height, ID: ref.ID})
			if err != nil || (head != nil) != leads {
				t.Errorf("a snapshot's head for who knows checkpoint %d of %d: %d bytes, %v", height, v.Height, len(head), err)
			}
		}
		p := w.homes[0].community()
		made, err := p.Propose(w.ctx, ProposeRequest{Title: "Thanks", ClosesIn: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		w.waits("a proposal is final", w.homes, func(h *home) bool {
			got, err := h.community().Proposal(made.Proposal.String())
			return err == nil && got.Final
		})
		if v, err := certificate.ParseValue(w.lastCertificate(w.homes[0]).Value); err != nil || !v.Under().IsZero() || v.Era() != act {
			t.Errorf("the checkpoint after it is of the era %s, %v", v.Era(), err)
		}
	})
}

func (w *town) lastCertificate(h *home) certificate.Certificate {
	l := h.community().ledger
	cert, _, err := l.certificateAt(l.currentTip().Ref().Height)
	if err != nil {
		w.t.Fatal(err)
	}
	return cert
}

// While the roll recalls them, the clerks make another checkpoint on their side
// of a partition. Who followed the roll goes on and takes theirs for void; who
// followed them stops, says so, and keeps both.
func TestRecallRacesTheClerks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, 7, 2)
		w.panel = len(w.homes)
		defer w.close()
		w.waits("four clerks", w.homes, func(h *home) bool { return slices.Equal(h.clerks(), []int{0, 1, 2, 3}) })
		w.waits("all equal", w.homes, func(h *home) bool {
			st := h.community().Status()
			return st.Provisional == 0 && st.Checkpoint == w.homes[0].community().Status().Checkpoint
		})
		theirs, ours := w.homes[:3], w.homes[3:]
		w.parts(0, 0, 0, 1, 1, 1, 1)
		height := w.homes[0].community().Status().Checkpoint.Height
		if _, err := w.homes[0].community().Propose(w.ctx, ProposeRequest{Title: "Us", ClosesIn: time.Hour}); err != nil {
			t.Fatal(err)
		}
		w.waits("a checkpoint of theirs", theirs, func(h *home) bool { return h.titled("Us") })
		w.recalls()
		w.waits("new clerks", ours, func(h *home) bool { return slices.Equal(h.clerks(), []int{3, 4, 5, 6}) })
		w.parts()
		w.waits("they stopped", theirs, func(h *home) bool { return h.community().Status().Trouble != "" })
		for _, h := range theirs {
			if n := len(h.community().store.PrivateKeys(privDisputed)); n < 1 {
				t.Errorf("home %d keeps %d certificates", h.i, n)
			}
		}
		made, err := w.homes[4].community().Propose(w.ctx, ProposeRequest{Title: "Thanks", ClosesIn: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		w.waits("ours goes on", ours, func(h *home) bool {
			got, err := h.community().Proposal(made.Proposal.String())
			return err == nil && got.Final && h.community().Status().Trouble == ""
		})
		for _, h := range theirs {
			var d Dispute
			w.waits("the choice is seen", []*home{h}, func(h *home) bool {
				d, _ = h.community().Dispute()
				return len(d.Others) == 1 && d.Others[0].Checked
			})
			if d.Others[0].Recall == nil || d.Common.Height != height {
				t.Errorf("home %d is shown %+v", h.i, d)
			}
			h.follows(d.Others[0].Last.ID)
		}
		w.waits("all on one branch", w.homes, func(h *home) bool {
			st := h.community().Status()
			return st.Trouble == "" && st.Provisional == 0 && st.Checkpoint == w.homes[4].community().Status().Checkpoint && h.titled("Us")
		})
	})
}

// signsTwice has a home's device precommit two values at one height, as one of
// the clerks in force or under a recall.
func (h *home) signsTwice(era protocol.ID, clerks []certificate.Clerk) {
	type message struct {
		Clerk  uint8       `cbor:"c"`
		Era    protocol.ID `cbor:"e,omitzero"`
		Height uint64      `cbor:"h"`
		Round  uint32      `cbor:"r"`
		Sig    []byte      `cbor:"s"`
		Kind   uint8       `cbor:"t"`
		Value  protocol.ID `cbor:"v"`
	}
	c := h.community()
	tip := c.ledger.currentTip()
	m := message{Height: tip.Ref().Height + 1, Kind: protocol.AgreePrecommit, Era: era}
	m.Clerk = uint8(slices.IndexFunc(clerks, func(k certificate.Clerk) bool { return k.Persona == c.Persona() }))
	for i := range byte(2) {
		m.Value = protocol.ID{31: i + 1}
		sig := c.key.Sign(protocol.Statement{Kind: m.Kind, Height: m.Height, Value: m.Value, ValidRound: -1, Era: era}.Bytes(c.id))
		m.Sig = sig[:]
		b, err := dagcbor.Marshal(m)
		if err != nil {
			h.t.Fatal(err)
		}
		h.spread(p2p.Agreement, agreementPart(uint64(i), partMessage, b))
	}
}

// A clerk signs two values: any of the others proves it to all, and the clerk
// loses the office.
func TestClerkWhoSignsTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, 6, 3)
		defer w.close()
		w.waits("four clerks", w.homes, func(h *home) bool { return slices.Equal(h.clerks(), []int{0, 1, 2, 3}) })
		w.homes[2].signsTwice(protocol.ID{}, w.homes[2].community().ledger.currentTip().Clerks())
		w.waits("the clerk is out", w.homes, func(h *home) bool { return slices.Equal(h.clerks(), []int{0, 1, 3}) })
		for _, h := range w.homes {
			if m := h.community().Snapshot().Final.Roll().Member(w.homes[2].community().Persona()); m.Standing() != roll.Suspended {
				t.Errorf("home %d: %s", h.i, m.Standing())
			}
		}
		for _, i := range []int{0, 1, 3} { // all of them: who signed last goes on as caretaker
			if _, err := w.homes[i].community().Resign(w.ctx, roll.Clerk); err != nil {
				t.Fatal(err)
			}
			w.waits("the clerk has resigned", w.homes, func(h *home) bool {
				return !h.community().Snapshot().Final.Roll().Member(w.homes[i].community().Persona()).Holds(roll.Clerk)
			})
		}
		why, err := w.homes[5].community().Why(roll.Clerk)
		if last := w.homes[3].community().Persona(); err != nil || why.Verdict != "vacant" || len(why.Because) != 1 || why.Because[0].Record != last {
			t.Errorf("who signs: %+v, %v", why, err)
		}
	})
}

// A successor signs two values under the recall: that is brought before the
// members once the recall is carried out, and they lose the office.
func TestSuccessorWhoSignsTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, 7, 4)
		w.panel = len(w.homes)
		defer w.close()
		w.waits("four clerks", w.homes, func(h *home) bool { return slices.Equal(h.clerks(), []int{0, 1, 2, 3}) })
		for _, h := range w.homes[:3] {
			h.halt()
			h.halt = func() {}
		}
		act := w.recalls()
		for _, h := range w.homes[5:] { // so that nothing is decided meanwhile
			h.halt()
			h.halt = func() {}
		}
		var successors []certificate.Clerk
		w.waits("the successors begin", w.homes[4:5], func(h *home) bool {
			era, list, ready := h.community().ledger.recall()
			successors = list
			return era == act && ready
		})
		time.Sleep(2 * watch)
		w.homes[5].signsTwice(act, successors)
		time.Sleep(2 * watch)
		w.homes[6].begin()
		w.waits("the successor is out", w.homes, func(h *home) bool { return slices.Equal(h.clerks(), []int{3, 4, 6}) })
		for _, h := range w.homes {
			if m := h.community().Snapshot().Final.Roll().Member(w.homes[5].community().Persona()); m.Standing() != roll.Suspended {
				t.Errorf("home %d: %s", h.i, m.Standing())
			}
		}
	})
}
