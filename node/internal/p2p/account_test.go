package p2p

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"

	"github.com/metastate-p2p/metastate/protocol/reconcile"
)

// What making sketches for a peer may cost is counted over its sessions, and for
// each peer by itself. Who used it up is served ranges, for more bytes, until
// enough time has passed.
func TestSketchesCostTheirPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		costs := newAccounts()
		i, r := apart(3000, 0, 2)
		n := 0
		meet := func() (answers int) {
			for range 100 {
				n++
				r.Add(plane, fmt.Sprint("new ", n))
			}
			r.sketches.Forget(plane)
			o := talk(t, i, r, costs, meddle(nil))
			if o.errI != nil || o.errR != nil {
				t.Fatal(o.errI, o.errR)
			}
			equalReplicas(t, i, r)
			_, answers = framesOf(o.fromR.Bytes(), reconcileStep)
			return answers
		}
		sketched := meet()
		mine := account{costs.sketching.of(idI.String())}
		if spent := sketchBurst - mine.left(); spent < 3000 || spent > 8000 {
			t.Errorf("a sketch of 3000 records costs %d", spent)
		}
		mine.spend(int64(mine.left()))
		if ranges := meet(); ranges < sketched*3/2 {
			t.Errorf("without any left %d bytes, as against %d", ranges, sketched)
		}
		mine.spend(3 * sketchBurst) // at once, by sketches under way
		time.Sleep(sketchRefill * 5 / 2)
		if mine.left() > 0 {
			t.Error("what was spent over the limit is forgotten")
		}
		account{costs.sketching.of("another")}.spend(sketchBurst)
		time.Sleep(sketchRefill)
		if again := meet(); again > sketched*6/5 {
			t.Errorf("later %d bytes, as against %d", again, sketched)
		}
	})
}

// A full table of peers has no account for more.
func TestNobodysAccount(t *testing.T) {
	costs := newAccounts()
	for n := range maxRateEntries {
		account{costs.sketching.of(fmt.Sprint(n))}.spend(sketchBurst)
	}
	nobody := account{costs.sketching.of("one more")}
	if nobody.spend(1); nobody.left() > 0 || !errors.Is(nobody.wait(t.Context()), errSpent) {
		t.Error("a peer past the table has an account")
	}
}

// A newcomer who needs more than its share of what a node sends gets it over
// several sessions, of which each goes on where the last ended.
func TestSharesAreEnough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		costs := newAccounts()
		costs.sending = newRates(rate.Limit(1000), 1<<20)
		i, r := apart(0, 0, 12_000)
		sessions := 0
		for look(i) != look(r) {
			if sessions++; sessions > 9 {
				t.Fatal("no end of it")
			}
			before := i.Counts()[0]
			o := talk(t, i, r, costs, meddle(nil))
			if errors.Is(o.errI, ErrPeer) || errors.Is(o.errR, ErrPeer) || i.Counts()[0] == before {
				t.Fatalf("%v, %v; from %d to %d records", o.errI, o.errR, before, i.Counts()[0])
			}
			if look(i) != look(r) && !errors.Is(o.errR, errSpent) {
				t.Fatalf("not over, %v", o.errR)
			}
			time.Sleep(time.Hour)
		}
		if sessions < 3 {
			t.Errorf("%d sessions for 5 MB at 1 each", sessions)
		}
	})
}

// A node gives no more than a peer's share either.
func TestGivenWithinShares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		costs := newAccounts()
		i, r := apart(0, 100, 0)
		share := account{costs.sending.of(idR.String())}
		share.spend(2 * sendBurst)
		if o := talk(t, i, r, costs, meddle(nil)); !errors.Is(o.errI, errSpent) || o.xI.sent > 0 {
			t.Errorf("%d frames are given, %v", o.xI.sent, o.errI)
		}
		time.Sleep(sendRefill + time.Second)
		if o := talk(t, i, r, costs, meddle(nil)); o.errI != nil || o.errR != nil {
			t.Error(o.errI, o.errR)
		}
		equalReplicas(t, i, r)
		if share.left() > sendBurst-100*200 {
			t.Error("what is given costs nothing")
		}
	})
}

// What a node sends to a peer is counted over all its sessions, and a step that
// nothing comes of counts, too.
func TestStepsCostTheirPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		costs := newAccounts()
		_, r := pair()
		step := reframe(overviewStep, overview{}.encode())
		for n := 1; n <= 3; n++ {
			x := underA(newWire(&tape{r: bytes.NewReader(bytes.Repeat(step, 5))}), "p", r, costs)
			if err := x.respond(t.Context()); err != nil {
				t.Fatal(err)
			}
			if spent := sendBurst - (account{costs.sending.of("p")}).left(); spent < 5*n*stepCost || spent > 5*n*(stepCost+200) {
				t.Errorf("%d steps cost %d", 5*n, spent)
			}
		}
	})
}

// Who asks for the same record many times in a step gets it once.
func TestWantedOnce(t *testing.T) {
	r := NewMemReplica("b", secretA)
	r.Add(plane, "x")
	r.Add(plane, "y")
	var ids [][32]byte
	for id := range r.records {
		ids = append(ids, id)
	}
	ids = slices.Concat(ids, ids, ids)
	keys := reconcile.Wanted{Set: plane}
	for _, id := range ids {
		keys.Keys = append(keys.Keys, [16]byte(id[:]))
	}
	for what, step := range map[string][]byte{
		"want": reframe(wantStep, encodeIDs(ids)),
		"keys": reframe(keysStep, reconcile.AppendWanted(nil, []reconcile.Wanted{keys})),
	} {
		all := append(reframe(overviewStep, overview{}.encode()), step...)
		x := underA(newWire(&tape{r: bytes.NewReader(all)}), "p", r, newAccounts())
		if err := x.respond(t.Context()); err != nil || x.sent != 2 {
			t.Errorf("%s: %d records of 2 are sent: %v", what, x.sent, err)
		}
	}
}
