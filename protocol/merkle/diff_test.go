package merkle

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// walkDiff gathers a difference: the keys taken away, and those added.
func walkDiff(t *rapid.T, a, b Set) (gone, come [][32]byte) {
	var last *[32]byte
	for key, has := range a.Diff(b) {
		if last != nil && bytes.Compare(last[:], key[:]) >= 0 {
			t.Fatalf("%x after %x", key, *last)
		}
		last = &key
		if has {
			come = append(come, key)
		} else {
			gone = append(gone, key)
		}
	}
	return gone, come
}

func without(a, b Set) (keys [][32]byte) {
	for key := range a.All() {
		if !b.Has(key) {
			keys = append(keys, key)
		}
	}
	return keys
}

// TestLawDiff: of any two sets, made from one another or not, Diff yields what
// one of them lacks, in order, and the direction.
func TestLawDiff(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		change := func(s Set) Set {
			for range rapid.IntRange(0, 40).Draw(t, "changes") {
				if key := keyGen().Draw(t, "key"); rapid.Bool().Draw(t, "put") {
					s = s.Add(key)
				} else {
					s = s.Delete(key)
				}
			}
			return s
		}
		a := change(Set{})
		b := change(a)
		if rapid.IntRange(0, 3).Draw(t, "unrelated") == 0 {
			b = change(Set{})
		}
		gone, come := walkDiff(t, a, b)
		if !slices.Equal(gone, without(a, b)) || !slices.Equal(come, without(b, a)) {
			t.Fatalf("%d gone and %d come, of %d and %d", len(gone), len(come), len(without(a, b)), len(without(b, a)))
		}
	})
}

// A difference can be broken off.
func TestDiffStops(t *testing.T) {
	a, b := Set{}, Set{}
	for i := range 20 {
		a, b = a.Add(fresh(i)), b.Add(fresh(i+10))
	}
	for want := range 20 {
		n := 0
		for range a.Diff(b) {
			if n++; n > want {
				break
			}
		}
		if n != want+1 {
			t.Fatalf("%d keys came where %d were wanted", n, want+1)
		}
	}
}

// What two versions share is passed over: that is what makes a difference cheap.
func TestDiffPassesOverWhatIsShared(t *testing.T) {
	var s Set
	for i := range 1 << 14 {
		s = s.Add(fresh(i))
	}
	now := s
	for i := range 20 {
		now = now.Add(fresh(1<<20 + i)).Delete(fresh(97 * i))
	}
	changes := 0
	d := differ{yield: func([32]byte, bool) bool { changes++; return true }}
	d.visit(s.m.tree(), now.m.tree())
	if changes != 40 || d.visits > 40*20 {
		t.Errorf("%d changes, %d visits", changes, d.visits)
	}
}

// TestLawNearest: no key shares a longer prefix than the nearest, which is the
// key itself if the set has it.
func TestLawNearest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s Set
		for range rapid.IntRange(0, 30).Draw(t, "size") {
			s = s.Add(keyGen().Draw(t, "key"))
		}
		keys := rapid.SliceOfN(keyGen(), 0, 20).Draw(t, "keys")
		got := s.Nearest(keys)
		if s.Len() == 0 {
			if got != nil {
				t.Fatal("near keys in an empty set")
			}
			return
		}
		for i, key := range keys {
			if !s.Has(got[i]) {
				t.Fatalf("%x is not in the set", got[i])
			}
			for other := range s.All() {
				if criticalBit(&other, &key) > criticalBit(&got[i], &key) {
					t.Fatalf("%x is nearer to %x than %x", other, key, got[i])
				}
			}
		}
	})
}

func BenchmarkNearest(b *testing.B) {
	bySize(b, func(b *testing.B, s Set) {
		r := rand.New(rand.NewPCG(1, 2))
		keys := make([][32]byte, 1000)
		for b.Loop() {
			for i := range keys {
				binary.BigEndian.PutUint64(keys[i][:], r.Uint64())
			}
			s.Nearest(keys)
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/key")
	})
}

func BenchmarkDiff(b *testing.B) {
	bySize(b, func(b *testing.B, s Set) {
		now := s
		r := rand.New(rand.NewPCG(1, 2))
		for range 1000 {
			var key [32]byte
			for i := 0; i < 32; i += 8 {
				binary.BigEndian.PutUint64(key[i:], r.Uint64())
			}
			now = now.Add(key)
		}
		for b.Loop() {
			for range s.Diff(now) {
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/change")
	})
}
