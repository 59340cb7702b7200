package node

import (
	"slices"
	"testing"
	"testing/synctest"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/roll"
)

// A clerk whom the members expelled, by acts that no checkpoint covers yet, does
// not try to take up the office again: each try is void, and brings on the next
// until the device may write nothing more.
func TestExpelledClerkTakesUpNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, 7, 1)
		defer w.close()
		w.waits("four clerks", w.homes, func(h *home) bool { return slices.Equal(h.clerks(), []int{0, 1, 2, 3}) })
		for _, h := range w.homes[:townClerks] { // their ledgers go on, and they sign nothing
			h.halt()
			h.halt = func() {}
		}
		cast := w.homes[1]
		who := cast.community().Persona()
		act := w.homes[0].does(w.homes[0].community().Expel(w.ctx, who, "disrupts the meetings"))
		for _, h := range w.homes[2:townClerks] { // with them all the others in that office
			w.waits("the act is known", []*home{h}, func(h *home) bool { return h.community().Snapshot().View.Roll().Motion(act) != nil })
			h.does(h.community().EndorseAct(w.ctx, act))
		}
		w.waits("it is known to whom it expels", []*home{cast}, func(h *home) bool {
			return h.community().Snapshot().View.Roll().Member(who).Standing() == roll.Expelled
		})
		if cast.community().Snapshot().Final.Roll().Member(who).Rank() != roll.RankClerk {
			t.Fatal("the expulsion is final already, and nothing is shown")
		}
		k := bookkeeper{Community: cast.community()}
		for range 3 {
			k.serve(&replica{ledger: cast.community().ledger})
		}
		for id, r := range cast.community().Snapshot().Open {
			if r.Kind() == protocol.Serve {
				t.Error("took up the office of clerk: ", id)
			}
		}
	})
}
