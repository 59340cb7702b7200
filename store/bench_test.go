package store

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
	"time"
)

// fsyncBound is how many appends of size bytes, each with its fsync, this disk
// takes in a second: what no durable store can exceed.
func fsyncBound(b *testing.B, size int) float64 {
	f, err := os.Create(filepath.Join(b.TempDir(), "plain"))
	must(b, err)
	defer f.Close()
	buf := make([]byte, size)
	n, start := 0, time.Now()
	for ; time.Since(start) < 300*time.Millisecond; n++ {
		_, err := f.Write(buf)
		must(b, err)
		must(b, f.Sync())
	}
	return float64(n) / time.Since(start).Seconds()
}

func BenchmarkAppend(b *testing.B) {
	for _, batch := range []int{1, 1024} {
		b.Run(fmt.Sprintf("batch=%d", batch), func(b *testing.B) {
			bound := fsyncBound(b, batch*300) * float64(batch)
			s := mustOpen(b, b.TempDir())
			var n uint64
			for b.Loop() {
				b.StopTimer()
				its := items(n, n+uint64(batch), 300)
				n += uint64(batch)
				b.StartTimer()
				must(b, s.Append(its...))
			}
			rate := float64(n) / b.Elapsed().Seconds()
			b.ReportMetric(rate, "records/s")
			b.ReportMetric(bound, "fsync-bound-records/s")
			b.ReportMetric(rate/bound, "of-bound")
		})
	}
}

func BenchmarkGet(b *testing.B) {
	s := mustOpen(b, b.TempDir())
	its := items(0, 50_000, 300)
	must(b, s.Append(its...))
	i := 0
	for b.Loop() {
		_, err := s.Get(its[i*7919%len(its)].ID)
		must(b, err)
		i++
	}
}

// BenchmarkOpen opens a closed store of 100k records and reports what it costs
// in memory.
func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	s := mustOpen(b, dir)
	for n := uint64(0); n < 100_000; n += 5000 {
		must(b, s.Append(items(n, n+5000, 300)...))
	}
	must(b, s.Close())
	debug.FreeOSMemory()
	before := residentMB()
	for b.Loop() {
		s, err := Open(Config{Dir: dir, Key: testKey})
		must(b, err)
		b.StopTimer()
		debug.FreeOSMemory()
		b.ReportMetric(before, "rss-before-MB")
		b.ReportMetric(residentMB(), "rss-open-MB")
		must(b, s.Close())
		b.StartTimer()
	}
}

// residentMB is this process's anonymous resident memory, 0 where unknown.
func residentMB() float64 {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		var kb float64
		if n, _ := fmt.Sscanf(line, "RssAnon: %f kB", &kb); n == 1 {
			return kb / 1024
		}
	}
	return 0
}
