package keygen

import "testing"

// BenchmarkKeys: what a committee of 31 costs each of those who check it, for each
// deal and at the end.
func BenchmarkKeys(b *testing.B) {
	x := newBoard(b, 1, MaxFaults)
	in, committed := x.deals[0].Bytes(), x.deals[0].Commitment()
	b.Run("deal", func(b *testing.B) {
		for b.Loop() {
			if _, err := ParseDeal(x.roster, 1, committed, in); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(len(in)), "bytes/deal")
	})
	b.Run("keys", func(b *testing.B) {
		for b.Loop() {
			x.keys(b, x.deals...)
		}
	})
	b.Run("share", func(b *testing.B) {
		k := x.keys(b, x.deals...)
		for b.Loop() {
			if _, err := x.trustees[0].Share(k); err != nil {
				b.Fatal(err)
			}
		}
	})
}
