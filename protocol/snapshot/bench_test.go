package snapshot_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/snapshot"
	"github.com/metastate-p2p/metastate/protocol/state"
	"github.com/metastate-p2p/metastate/protocol/state/statetest"
)

// BenchmarkRestore restores metastates of many members and reports the bytes
// that are transferred and what the roll takes in memory afterwards. With
// -short the largest, which takes minutes to sign, is left out.
func BenchmarkRestore(b *testing.B) {
	for _, size := range []int{1e3, 1e4, 1e5} {
		if testing.Short() && size > 1e3 {
			continue
		}
		var x *sample
		b.Run(fmt.Sprintf("members=%d", size), func(b *testing.B) {
			if x == nil {
				x = newSample(b, size)
			}
			b.ReportAllocs()
			for b.Loop() {
				x.restore(b)
			}
			var bytes int
			for _, part := range x.parts {
				bytes += len(part)
			}
			b.ReportMetric(float64(bytes), "bytes-sent")
			b.ReportMetric(float64(len(x.parts)), "chunks")
			b.ReportMetric(float64(len(x.manifest)), "bytes-manifest")
			b.ReportMetric(x.memory(b), "MB-state")
		})
	}
}

// A sample is a snapshot without the metastate that it was taken of.
type sample struct {
	genesis  *protocol.Record
	chain    *snapshot.Chain
	manifest []byte
	parts    map[protocol.ID][]byte
	size     uint64
}

func newSample(b *testing.B, size int) *sample {
	c := newChain(b, quick(b), "alice")
	at := int64(statetest.Start)
	for door := range size / 1000 {
		label := fmt.Sprint("door", door)
		invite := c.w.Invite("alice", label, 1000, at+1e6, statetest.How{})
		batch := []*protocol.Record{invite}
		for n := range 1000 {
			batch = append(batch, c.w.Admit("alice", fmt.Sprint(label, "/", n), label, invite.ID(), statetest.How{}))
		}
		if rest := c.cover(at, batch); len(rest) > 0 {
			b.Fatalf("%d left", len(rest))
		}
		clear(c.records)
	}
	s := c.make()
	return &sample{c.w.Genesis, c.lineage(), s.Manifest(), c.parts(s), c.tip.State().Roll().Size()}
}

func (x *sample) restore(b *testing.B) *state.State {
	r, err := snapshot.Open(x.genesis, x.chain, x.manifest)
	if err != nil {
		b.Fatal(err)
	}
	for name, part := range x.parts {
		if err := r.Add(name, part); err != nil {
			b.Fatal(err)
		}
	}
	tip, err := r.Finish()
	if err != nil {
		b.Fatal(err)
	}
	if tip.State().Roll().Size() != x.size {
		b.Fatal("another roll")
	}
	return tip.State()
}

// memory is what a restored state takes, in MB (10^6 bytes).
func (x *sample) memory(b *testing.B) float64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&before)
	s := x.restore(b)
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(s)
	return (float64(after.HeapAlloc) - float64(before.HeapAlloc)) / 1e6
}
