package snapshot_test

import (
	"bytes"
	"testing"

	"github.com/metastate-p2p/metastate/protocol/snapshot"
)

// FuzzManifest: whatever a peer sends as a manifest, opening it ends in an error
// or is the one that was made, and what is read is written the same.
func FuzzManifest(f *testing.F) {
	c := rich(f)
	s := c.snapshot()
	chain := c.lineage()
	f.Add(s.Manifest())
	f.Add(snapshot.Without(s.Manifest(), snapshot.Ballots))
	f.Add([]byte{0xa6, 0x61, 'c', 0x40})
	f.Fuzz(func(t *testing.T, b []byte) {
		if again, ok := snapshot.Again(b); ok && !bytes.Equal(again, b) {
			t.Fatal("a manifest with two encodings")
		}
		r, err := snapshot.Open(c.w.Genesis, chain, b)
		if err != nil {
			return
		}
		if r.Ref() != c.tip.Ref() {
			t.Fatal("another checkpoint was opened")
		}
		for _, name := range r.Missing() {
			if part, err := s.Get(name); err == nil && r.Add(name, part) != nil {
				return
			}
		}
	})
}

// FuzzChunk: whatever a peer sends as a chunk, only what was made is taken.
func FuzzChunk(f *testing.F) {
	c := rich(f)
	s := c.snapshot()
	chain, parts := c.lineage(), c.parts(s)
	names := sortedNames(parts)
	for i, name := range names {
		f.Add(uint16(i), parts[name])
	}
	f.Fuzz(func(t *testing.T, i uint16, b []byte) {
		name := names[int(i)%len(names)]
		r, err := snapshot.Open(c.w.Genesis, chain, s.Manifest())
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Add(name, b); err == nil && !bytes.Equal(b, parts[name]) {
			t.Fatal("took another chunk for the one it named")
		}
	})
}
