package merkle

import (
	"fmt"
	"runtime"
	"slices"
	"testing"
)

var sizes = []int{1e3, 1e5, 1e6}

func bySize(b *testing.B, f func(b *testing.B, s Set)) {
	for _, n := range sizes {
		var s Set
		b.Run(fmt.Sprintf("n=%d", n), func(b *testing.B) {
			if s.Len() == 0 {
				s = setOf(b, n)
				s.Root()
			}
			f(b, s)
		})
	}
}

// fresh returns the i-th of many keys that no set here holds.
func fresh(i int) [32]byte {
	return sumValue(fmt.Appendf(nil, "fresh %d", i))
}

// Lazy digests: an insertion alone, as in a batch.
func BenchmarkAdd(b *testing.B) {
	bySize(b, func(b *testing.B, s Set) {
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			s.Add(fresh(i))
			i++
		}
	})
}

// Eager digests, in effect: an insertion and the root it gives.
func BenchmarkAddRoot(b *testing.B) {
	bySize(b, func(b *testing.B, s Set) {
		i := 0
		for b.Loop() {
			s.Add(fresh(i)).Root()
			i++
		}
	})
}

// A thousand insertions with one root at the end, and with one after each.
func BenchmarkBatch(b *testing.B) {
	s := setOf(b, 1e5)
	s.Root()
	for _, eager := range []bool{false, true} {
		b.Run(fmt.Sprintf("eager=%v", eager), func(b *testing.B) {
			for b.Loop() {
				next := s
				for i := range 1000 {
					next = next.Add(fresh(i))
					if eager {
						next.Root()
					}
				}
				next.Root()
			}
		})
	}
}

func BenchmarkHas(b *testing.B) {
	bySize(b, func(b *testing.B, s Set) {
		i := 0
		for b.Loop() {
			s.Has(fresh(i))
			i++
		}
	})
}

func BenchmarkProve(b *testing.B) {
	bySize(b, func(b *testing.B, s Set) {
		i, size := 0, 0
		for b.Loop() {
			p, err := s.Prove(fresh(i)).MarshalCBOR()
			if err != nil {
				b.Fatal(err)
			}
			size += len(p)
			i++
		}
		b.ReportMetric(float64(size)/float64(i), "proof-bytes")
	})
}

func BenchmarkVerify(b *testing.B) {
	s := setOf(b, 1e5)
	root, key := s.Root(), fresh(0)
	p := s.Prove(key)
	for b.Loop() {
		if err := VerifyAbsent(root, key, p); err != nil {
			b.Fatal(err)
		}
	}
}

// Building from sorted keys and the first root, and what the set weighs.
func BenchmarkFromSorted(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprintf("n=%d", n), func(b *testing.B) {
			keys := numbered(n)
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			var s Set
			for b.Loop() {
				s, _ = SetFromSorted(slices.Values(keys))
				s.Root()
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(s.Len()), "bytes/key")
			runtime.KeepAlive(keys)
		})
	}
}
