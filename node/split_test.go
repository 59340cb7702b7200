package node

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/certificate"
	"github.com/metastate-p2p/metastate/protocol/roll"
)

// forge has clerks sign what a home would propose, whoever else signed what, and
// makes it final there.
func (w *town) forge(at *home, clerks ...int) certificate.Certificate {
	w.t.Helper()
	l := at.community().ledger
	n, ok, err := l.propose(protocol.ID{})
	if err != nil || !ok {
		w.t.Fatal("nothing to make final: ", err)
	}
	cert := certificate.Certificate{Value: n.Encoded}
	s := protocol.Statement{Kind: protocol.AgreePrecommit, Height: n.Value.Height, Value: cert.ID(), ValidRound: -1}
	for i, k := range l.currentTip().Clerks() {
		for _, c := range clerks {
			if o := w.homes[c].community(); o.Persona() == k.Persona {
				cert.Signatures = append(cert.Signatures, certificate.Signature{Clerk: uint8(i), Sig: o.key.Sign(s.Bytes(l.metastate))})
			}
		}
	}
	if err := l.finalise(cert); err != nil {
		w.t.Fatal(err)
	}
	return cert
}

// split is a town of eight of whose four clerks 0 and 1 lie: they make a
// checkpoint with 2 on one side of a partition, and another with 3 on the other.
type split struct {
	*town
	common  protocol.Ref
	a       []*home
	x, y, z protocol.ID // proposals: of before the split, final on one side each; and of after it
}

func newSplit(t *testing.T, seed uint64) *split {
	w := newTown(t, 8, seed)
	w.panel = len(w.homes)
	s := &split{town: w}
	w.waits("four clerks", w.homes, func(h *home) bool { return slices.Equal(h.clerks(), []int{0, 1, 2, 3}) })
	w.waits("all equal", w.homes, func(h *home) bool {
		st := h.community().Status()
		return st.Provisional == 0 && st.Checkpoint == w.homes[0].community().Status().Checkpoint
	})
	for _, h := range w.homes[:4] {
		h.halt()
		h.halt = func() {}
	}
	s.common = w.homes[0].community().Snapshot().Ref
	for i, h := range w.homes {
		if h.community().Snapshot().Ref != s.common {
			t.Fatalf("home %d is not where others are", i)
		}
	}
	w.parts(0, 1, 0, 1, 0, 0, 1, 1)
	s.a = []*home{w.homes[0], w.homes[2], w.homes[4], w.homes[5]}
	s.x, s.y = s.proposes(4, "x"), s.proposes(6, "y")
	w.forge(w.homes[4], 0, 1, 2)
	w.forge(w.homes[6], 0, 1, 3)
	w.waits("a checkpoint of theirs", w.homes, func(h *home) bool { return h.community().Snapshot().Ref.Height == s.common.Height+1 })
	s.z = s.proposes(5, "z")
	w.waits("it is heard of", w.homes[4:5], func(h *home) bool { return h.community().Snapshot().Open[s.z] != nil })
	w.forge(w.homes[4], 0, 1, 2)
	w.waits("another", s.a, func(h *home) bool { return h.community().Snapshot().Ref.Height == s.common.Height+2 })
	w.parts()
	w.waits("all stopped", w.homes, func(h *home) bool { return h.community().Status().Trouble != "" })
	return s
}

func (w *town) proposes(i int, title string) protocol.ID {
	w.t.Helper()
	p, err := w.homes[i].community().Propose(w.ctx, ProposeRequest{Title: title, ClosesIn: time.Hour})
	if err != nil {
		w.t.Fatal(err)
	}
	return p.Proposal
}

func (h *home) follows(id protocol.ID) {
	h.t.Helper()
	if _, err := h.community().Follow(h.ctx, id.String()); err != nil {
		h.t.Fatalf("home %d: %v", h.i, err)
	}
}

func (h *home) persona() protocol.ID { return h.community().Persona() }

// titled reports whether a proposal of a title is final.
func (h *home) titled(title string) bool {
	for p := range h.community().Snapshot().Final.Decisions().Polls() {
		if p.Body.Title == title {
			return true
		}
	}
	return false
}

// Two of four clerks lie and make two final values for two halves. All nodes that
// hear of both stop and name the liars; more than half of the members go back to
// the last checkpoint in common and recall them from there; the others follow
// what these chose. Nothing that honest members did is lost.
func TestSplitIsResolvedByTheRoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSplit(t, 5)
		defer s.close()
		liars := []protocol.ID{s.homes[0].persona(), s.homes[1].persona()}
		s.waits("the liars are named", s.homes, func(h *home) bool {
			view := h.community().Snapshot().View.Roll()
			return view.Member(liars[0]).Standing() == roll.Suspended && view.Member(liars[1]).Standing() == roll.Suspended
		})
		s.homes[7].restart()
		if h := s.homes[7]; h.community().Status().Trouble == "" {
			t.Error("goes on after a restart")
		}
		back := []*home{s.homes[2], s.homes[3], s.homes[4], s.homes[6], s.homes[7]}
		for _, h := range back {
			h.follows(s.common.ID)
			if snap := h.community().Snapshot(); snap.Ref != s.common || snap.Trouble != nil {
				t.Fatalf("home %d: at %d, %v", h.i, snap.Ref.Height, snap.Trouble)
			}
		}
		for i, id := range map[int]protocol.ID{4: s.x, 6: s.y} {
			if s.homes[i].community().Snapshot().Open[id] == nil {
				t.Errorf("home %d does not hold its own proposal as not final", i)
			}
		}
		for _, h := range s.homes[2:4] {
			h.begin()
		}
		var in []protocol.ID
		for _, i := range []int{2, 3, 4, 6} {
			in = append(in, s.homes[i].persona())
		}
		four := s.homes[4]
		act := four.does(four.community().Recall(s.ctx, RecallRequest{Office: "clerk", Reason: "signed twice", Out: liars, In: in}))
		for _, i := range []int{2, 3, 6, 7} {
			h := s.homes[i]
			s.waits("the recall is known", []*home{h}, func(h *home) bool { return h.community().Snapshot().View.Roll().Motion(act) != nil })
			h.does(h.community().EndorseAct(s.ctx, act))
		}
		s.waits("the successors go on", back, func(h *home) bool { return slices.Equal(h.clerks(), []int{2, 3, 4, 6}) })
		for _, i := range []int{0, 1, 5} {
			h := s.homes[i]
			var chosen *Branch
			s.waits("the choice is seen", []*home{h}, func(h *home) bool {
				d, err := h.community().Dispute()
				if err != nil {
					t.Fatal(err)
				}
				for _, b := range d.Others {
					if b.Recall != nil && *b.Recall == act && b.Checked {
						chosen = &b
					}
				}
				return chosen != nil
			})
			if st := h.community().Status(); st.Trouble == "" || st.Checkpoint.Height < s.common.Height {
				t.Errorf("home %d did not wait for its person: %+v", i, st)
			}
			h.follows(chosen.Last.ID)
		}
		s.waits("all on one branch", s.homes, func(h *home) bool {
			st, first := h.community().Status(), s.homes[2].community().Status()
			return st.Trouble == "" && st.Provisional == 0 && st.Checkpoint == first.Checkpoint &&
				h.titled("x") && h.titled("y") && h.titled("z")
		})
		for _, h := range s.homes {
			if got := h.community().Snapshot().Final.Roll().Member(liars[0]).Standing(); got != roll.Suspended {
				t.Errorf("home %d: a liar is %s", h.i, got)
			}
		}
	})
}
