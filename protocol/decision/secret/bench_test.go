package secret

import (
	"fmt"
	"testing"

	"github.com/metastate-p2p/metastate/protocol/decision/secret/group"
)

// kinds are shapes of ballots, each with marks of one.
var kinds = []struct {
	shape Shape
	marks []uint8
}{
	{Shape{One, 0}, []uint8{0, 0, 1}},
	{Shape{One, 0}, []uint8{0, 0, 1, 0, 0}},
	{Shape{Approvals, 0}, []uint8{1, 0, 1, 1, 0}},
	{Shape{Scores, 5}, []uint8{0, 5, 3, 1, 2}},
	{Shape{Scores, 10}, []uint8{0, 10, 3, 1, 2}},
	{Shape{Quadratic, 100}, []uint8{9, 0, 3, 1, 2}},
	{Shape{Ranking, 0}, []uint8{2, 1, 3, 2, 0}},
	{Shape{Ranking, 0}, []uint8{2, 1, 3, 2, 0, 5, 6, 7}},
}

func nameOf(s Shape, options int) string { return fmt.Sprintf("%s/top=%d/%d", s.Kind, s.Top, options) }

func BenchmarkEncrypt(b *testing.B) {
	for _, k := range kinds {
		b.Run(nameOf(k.shape, len(k.marks)), func(b *testing.B) {
			p := newPoll(b, k.shape, len(k.marks))
			for b.Loop() {
				p.cast(b, voterOf(1), k.marks...)
			}
			b.ReportMetric(float64(p.Size()), "bytes/ballot")
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	for _, k := range kinds {
		b.Run(nameOf(k.shape, len(k.marks)), func(b *testing.B) {
			p := newPoll(b, k.shape, len(k.marks))
			body := p.cast(b, voterOf(1), k.marks...)
			for b.Loop() {
				if _, err := p.Verify(voterOf(1), body); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ballots/s")
			b.ReportMetric(float64(p.Size()), "bytes/ballot")
		})
	}
}

func BenchmarkLogarithm(b *testing.B) {
	const n = 1_000_000
	p := group.Base(group.Number(n))
	for b.Loop() {
		if got, err := newLogs(n, 1).of(p); err != nil || got != n {
			b.Fatal(got, err)
		}
	}
}
