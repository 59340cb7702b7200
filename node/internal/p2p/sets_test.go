package p2p

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/reconcile"
	"github.com/metastate-p2p/metastate/protocol/reconcile/sketch"
)

// apart makes two replicas that share n records of one set, and of which each
// holds some that the other lacks, of some 300 bytes.
func apart(n, onlyI, onlyR int) (i, r *MemReplica) {
	i, r = NewMemReplica("b", secretA), NewMemReplica("b", secretA)
	pad := strings.Repeat("x", 200)
	for k := range n + onlyI + onlyR {
		body := fmt.Sprint("record ", k, pad)
		if k < n+onlyI {
			i.Add(plane, body)
		}
		if k < n || k >= n+onlyI {
			r.Add(plane, body)
		}
	}
	return i, r
}

// framesOf is how many frames of a type a side sent, and their bytes.
func framesOf(log []byte, typ byte) (n, size int) {
	for len(log) >= 5 {
		l := 5 + int(log[0])<<24 + int(log[1])<<16 + int(log[2])<<8 + int(log[3])
		if log[4] == typ {
			n, size = n+1, size+l
		}
		log = log[l:]
	}
	return n, size
}

// TestRepairIsShort: to make two replicas equal takes little more than the
// records that either lacks, of 2000 or so that they hold.
func TestRepairIsShort(t *testing.T) {
	for _, c := range [][2]int{{0, 150}, {150, 0}, {60, 60}, {500, 700}} {
		synctest.Test(t, func(t *testing.T) {
			i, r := apart(2000, c[0], c[1])
			o := converse(t, i, r, nil)
			if o.errI != nil || o.errR != nil {
				t.Fatal(o.errI, o.errR)
			}
			equalReplicas(t, i, r)
			_, come := framesOf(o.fromR.Bytes(), batchFrame)
			_, gone := framesOf(o.fromI.Bytes(), batchFrame)
			all := o.fromI.Len() + o.fromR.Len()
			if most := (come+gone)*5/4 + 2048; all > most {
				t.Errorf("%d bytes for %d of records, at most %d", all, come+gone, most)
			}
			asks, _ := framesOf(o.fromI.Bytes(), reconcileStep)
			if wants, _ := framesOf(o.fromI.Bytes(), wantStep); asks > 6 || wants > 0 {
				t.Errorf("%d questions, and %d times whole ids were wanted", asks, wants)
			}
		})
	}
}

// A misled replica's sketches hide one of its records behind another that nobody
// has: what ids would do that members ground.
type misled struct {
	*MemReplica
	hidden, shown protocol.ID
}

func (m misled) Under(secret [32]byte) (Holdings, func(), error) {
	return misled{m.in(secret), m.hidden, m.shown}, func() {}, nil
}

func (m misled) Snapshot() (reconcile.Local, error) {
	l, err := m.MemReplica.Snapshot()
	open := l.Open
	l.Open = func(name [32]byte) (reconcile.Set, error) {
		s, err := open(name)
		return misledSet{s, m}, err
	}
	return l, err
}

type misledSet struct {
	reconcile.Set
	by misled
}

func (s misledSet) Sketch(n, spare int, f func([]sketch.Symbol)) (int, error) {
	return s.Set.Sketch(n, spare, func(symbols []sketch.Symbol) {
		symbols = append([]sketch.Symbol{}, symbols...)
		sketch.Toggle(symbols, sketch.KeyOf(s.by.hidden))
		sketch.Toggle(symbols, sketch.KeyOf(s.by.shown))
		f(symbols)
	})
}

// TestMisledSketchesCostRanges: a record that sketches hide is found in the same
// session, since digests say that something is.
func TestMisledSketchesCostRanges(t *testing.T) {
	for _, more := range []int{0, 20} {
		for _, initiator := range []bool{true, false} {
			synctest.Test(t, func(t *testing.T) {
				i, r := apart(300, more, more)
				content := append(make([]byte, 32), "hidden"...)
				m := misled{r, protocol.Sum(content), protocol.ID{1, 2, 3}}
				r.Add(plane, "hidden")
				var a, b Replica = i, m
				if initiator {
					a, b = m, i
				}
				o := converse(t, a, b, nil)
				if o.errI != nil || o.errR != nil {
					t.Fatal(o.errI, o.errR)
				}
				equalReplicas(t, i, r)
			})
		}
	}
}

// TestSetsChangeMeanwhile: whatever comes to either side between the frames of a
// session, the next makes them equal, with all that came.
func TestSetsChangeMeanwhile(t *testing.T) {
	for seed := range uint64(30) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			i, r := apart(rng.IntN(400), rng.IntN(80), rng.IntN(80))
			added := 0
			_ = converse(t, i, r, func(_ bool, _ int, f []byte) []byte {
				for range rng.IntN(3) {
					if added++; rng.IntN(2) == 0 {
						i.Add(protocol.ID{byte(rng.IntN(2))}, fmt.Sprint("late ", added))
					} else {
						r.Add(protocol.ID{byte(rng.IntN(2))}, fmt.Sprint("late ", added))
					}
				}
				return f
			})
			before := i.Counts()[0]
			if o := converse(t, i, r, nil); o.errI != nil || o.errR != nil {
				t.Fatal(o.errI, o.errR)
			}
			equalReplicas(t, i, r)
			if added == 0 || i.Counts()[0] < before {
				t.Errorf("%d records came meanwhile", added)
			}
			for n := 1; n <= added; n++ {
				if body := fmt.Sprint("late ", n); !i.Has(body) || !r.Has(body) {
					t.Errorf("%q is lost", body)
				}
			}
		})
	}
}

// Keys are wanted in steps, none of them lost.
func TestWantedInSteps(t *testing.T) {
	var diffs []reconcile.Diff
	n := 0
	for set := range byte(5) {
		d := reconcile.Diff{Set: [32]byte{set}}
		for range int(set) * 7 {
			n++
			d.Keys = append(d.Keys, [16]byte{byte(n)})
		}
		diffs = append(diffs, d)
	}
	for _, most := range []int{1, 7, 10, n, 1000} {
		got, steps := map[[2]byte]bool{}, 0
		for part := range wanted(diffs, most) {
			steps++
			in := 0
			for _, w := range part {
				in += len(w.Keys)
				for _, k := range w.Keys {
					got[[2]byte{w.Set[0], k[0]}] = true
				}
			}
			if in == 0 || in > most {
				t.Errorf("%d keys in a step of at most %d", in, most)
			}
		}
		if len(got) != n || steps != (n+most-1)/most {
			t.Errorf("%d of %d keys in %d steps of %d", len(got), n, steps, most)
		}
	}
}
