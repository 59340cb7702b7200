package reconcile

import (
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/metastate-p2p/metastate/protocol/merkle"
	"github.com/metastate-p2p/metastate/protocol/reconcile/sketch"
)

// TestLawKept: a sketch led on through any versions is the one made from scratch.
func TestLawKept(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var x Sketches
		next := idSource(rapid.Uint64().Draw(t, "seed"))
		versions := []merkle.Set{{}}
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			s := rapid.SampledFrom(versions).Draw(t, "version")
			for range rapid.SampledFrom([]int{0, 1, 30, 200}).Draw(t, "added") {
				s = s.Add(next())
			}
			gone := rapid.SampledFrom([]int{0, 0, 1, 20, 1000}).Draw(t, "gone")
			for id := range s.All() {
				if gone--; gone < 0 {
					break
				}
				s = s.Delete(id)
			}
			versions = append(versions, s)
			n := rapid.SampledFrom([]int{0, 1, 64, 700}).Draw(t, "symbols")
			x.show([32]byte{}, s, n, 1, func(got []sketch.Symbol) {
				want := make([]sketch.Symbol, len(got))
				for id := range s.All() {
					sketch.Toggle(want, sketch.KeyOf(id))
				}
				if len(got) < n || !slices.Equal(got, want) {
					t.Fatalf("another sketch of %d symbols, %d wanted", len(got), n)
				}
			})
		}
	})
}

// What changes costs what changed; what does not, nothing; and nothing is done
// that may not cost anything.
func TestKeptIsCheap(t *testing.T) {
	var x Sketches
	_, b := large(5000, 2)
	s := b[[32]byte{1}]
	_, b = large(8193, 2)
	grown := b[[32]byte{1}]
	shown := func(name byte, s merkle.Set, n, spare int) (work int, ok bool) {
		work = x.show([32]byte{name}, s, n, spare, func([]sketch.Symbol) { ok = true })
		return work, ok
	}
	for _, c := range []struct {
		what     string
		set      merkle.Set
		n, spare int
		work     int
		ok       bool
	}{
		{"nothing may be spent", s, 1, 0, 0, false},
		{"made", s, 1, 1, 5000 + 8192, true},
		{"again, and nothing may be spent", s, 1, 0, 0, true},
		{"led on", s.Add([32]byte{1}).Add([32]byte{2}), 8192, 1, 2, true},
		{"led on, and nothing may be spent", s, 1, 0, 0, false},
		{"back", s, 1, 1, 2, true},
		{"longer than the set asks for", s, 8193, 1, 0, false},
		{"too long", s, sketch.MaxLen + 1, 1, 0, false},
		{"of nothing", merkle.Set{}, 1, 1, 0, false},
		{"of a set that grew", grown, 8193, 1, 8193 + 16384, true},
		{"of a set that shrank", merkle.Set{}.Add([32]byte{1}), 1, 1, 1 + leastSymbols, true},
	} {
		if work, ok := shown(1, c.set, c.n, c.spare); work != c.work || ok != c.ok {
			t.Errorf("%s: work %d, shown %v", c.what, work, ok)
		}
	}
	x.Forget([32]byte{1})
	if x.Forget([32]byte{7}); x.size != 0 || len(x.kept) != 0 {
		t.Errorf("%d symbols of %d sets are left", x.size, len(x.kept))
	}
}

// Sessions with different versions of a set, at once, each see their own.
func TestKeptForManySessions(t *testing.T) {
	var x Sketches
	var wg sync.WaitGroup
	next := idSource(8)
	var s merkle.Set
	for range 12 {
		for range 50 {
			s = s.Add(next())
		}
		mine := s
		want := make([]sketch.Symbol, 64)
		for id := range mine.All() {
			sketch.Toggle(want, sketch.KeyOf(id))
		}
		wg.Go(func() {
			for range 20 {
				x.show([32]byte{}, mine, 64, 1, func(got []sketch.Symbol) {
					if !slices.Equal(got[:64], want) {
						t.Error("a sketch of another version")
					}
				})
			}
		})
	}
	wg.Wait()
}

// All sketches together have a bound; the least recently used go first.
func TestKeptIsBounded(t *testing.T) {
	var x Sketches
	_, b := large(8193, 2)
	one := b[[32]byte{1}]
	for i := range byte(40) {
		x.show([32]byte{i}, one, 1<<14, 1, func([]sketch.Symbol) {})
		if work := x.show([32]byte{0}, one, 1, 1, func([]sketch.Symbol) {}); work > 0 {
			t.Fatal("what was used a moment ago is forgotten")
		}
		size := 0
		for _, k := range x.kept {
			size += len(k.symbols)
		}
		if size != x.size || size > keptSymbols {
			t.Fatalf("%d symbols, counted %d", size, x.size)
		}
	}
	if len(x.kept) != keptSymbols>>14 || x.kept[[32]byte{0}] == nil || x.kept[[32]byte{39}] == nil || x.kept[[32]byte{1}] != nil {
		t.Errorf("%d sketches are kept", len(x.kept))
	}
}

// While one set's sketch is at work, others are to be had.
func TestNobodyWaitsForOtherSets(t *testing.T) {
	var x Sketches
	one, shown := merkle.Set{}.Add([32]byte{1}), false
	x.show([32]byte{1}, one, 1, 1, func([]sketch.Symbol) {
		x.show([32]byte{2}, one, 1, 1, func([]sketch.Symbol) { shown = true })
	})
	if !shown {
		t.Error("no sketch")
	}
}
