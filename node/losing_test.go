package node

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/metastate-p2p/metastate/protocol/decision"
)

func TestIsLosing(t *testing.T) {
	for l, want := range map[decision.Loss]bool{
		{Votes: 4, Lost: 4}: false, {Votes: 5, Lost: 3}: false, {Votes: 5, Lost: 4}: true, {Votes: 10, Lost: 7}: true, {Votes: 100, Lost: 69}: false,
	} {
		if isLosing(l) != want {
			t.Errorf("%+v: %t", l, !want)
		}
	}
}

// The status names who loses vote after vote, from the fifth on, and nobody else.
func TestStatusNamesWhoLoses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newCouncil(t)
		defer w.end()
		loser := w.homes[5].community()
		for i := range 5 {
			if got := loser.Status().Losing; len(got) != 0 {
				t.Fatalf("after %d votes: %+v", i, got)
			}
			ref, err := w.homes[0].community().Propose(w.ctx, ProposeRequest{Title: "Again?", ClosesIn: 10 * time.Minute})
			if err != nil {
				t.Fatal(err)
			}
			w.waits("it opens", w.there(), func(h *home) bool { p := h.poll(ref.Proposal); return p != nil && p.Phase == decision.Voting })
			for n, choice := range map[int]string{0: "yes", 1: "yes", 5: "no"} {
				if _, err := w.homes[n].community().Vote(w.ctx, ref.Proposal.String(), choice); err != nil {
					t.Fatal(err)
				}
			}
			w.waits("it is over", w.there(), func(h *home) bool { return h.poll(ref.Proposal).Result != nil })
		}
		for _, h := range w.there() {
			if got := h.community().Status().Losing; len(got) != 1 || got[0].Persona != loser.Persona() || got[0].Votes != 5 || got[0].Lost != 5 {
				t.Errorf("home %d: %+v", h.i, got)
			}
		}
	})
}
