package bundle_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/bundle"
)

// FuzzReader reads anything. What it yields undamaged is undamaged: it packs
// into a bundle that reads without a problem.
func FuzzReader(f *testing.F) {
	s := pack(f, community(f, 3), []byte("certificate"))
	f.Add(s.file)
	f.Add(s.file[:len(s.file)/2])
	f.Add(s.file[:40])
	f.Add(slices.Delete(slices.Clone(s.file), 300, 310))
	f.Add(slices.Concat(s.file, s.file))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := bundle.NewReader(bytes.NewReader(b))
		if err != nil {
			if !errors.Is(err, bundle.ErrNotCAR) && !errors.Is(err, bundle.ErrNotBundle) {
				t.Fatal(err)
			}
			return
		}
		var again bundle.Manifest
		var found []protocol.ID
		items, problems := contents(t, r)
		last := int64(-1)
		for _, it := range items {
			if it.Offset <= last || it.Offset >= int64(len(b)) {
				t.Fatalf("an item at byte %d after one at %d", it.Offset, last)
			}
			if last = it.Offset; it.Inner == nil {
				continue
			}
			payload, _, err := protocol.SplitInner(it.Inner)
			if err != nil || protocol.Sum(payload) != it.ID {
				t.Fatalf("record %s: %v", it.ID, err)
			}
			found = append(found, it.ID)
		}
		for _, p := range problems {
			if p.Reason == "" || p.Offset < 0 || p.Offset > int64(len(b)) {
				t.Fatalf("problem %+v", p)
			}
		}
		m, known := r.Manifest()
		again = bundle.Manifest{Metastate: m.Metastate, From: m.From, Records: uint64(len(found)), Digest: bundle.Digest(slices.Values(found))}
		again.Certificates = uint64(len(items) - len(found))
		if whole := known && len(problems) == 0; whole && again != m {
			t.Fatalf("no problem, but the manifest is %+v of %+v", m, again)
		}
		if !known && len(problems) == 0 {
			t.Fatal("no manifest and no problem")
		}
	})
}
