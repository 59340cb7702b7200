package store

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/metastate-p2p/metastate/protocol"
)

// Each finds what is held, in order of arrival, whatever the order asked for.
func TestEach(t *testing.T) {
	s := mustOpen(t, t.TempDir())
	all := items(0, 900, 200)
	must(t, s.Append(all[:1]...))
	must(t, s.Append(all[1:500]...))
	must(t, s.Append(all[500:]...))
	ids := []protocol.ID{protocol.Sum([]byte("nobody's"))}
	for i := range all {
		if i%3 != 0 {
			ids = append(ids, all[len(all)-1-i].ID)
		}
	}
	pruned := all[1].ID // in ids: its place from the end is 898
	_, _, err := s.Prune([]protocol.ID{pruned})
	must(t, err)
	var got [][]byte
	for inner, err := range s.Each(ids) {
		must(t, err)
		got = append(got, inner)
	}
	var want [][]byte
	for _, it := range all {
		if slices.Contains(ids, it.ID) && it.ID != pruned {
			want = append(want, it.Inner)
		}
	}
	if !slices.EqualFunc(got, want, bytes.Equal) || !slices.Contains(ids, pruned) {
		t.Fatalf("%d records of %d, or in another order", len(got), len(want))
	}
	must(t, s.write([]row{{key: key(rowPack, be64(s.ix.packOf(500)))}}))
	n := 0
	for _, err = range s.Each(ids) {
		n++
	}
	if d, ok := errors.AsType[*DamagedError](err); !ok || d.ID != all[501].ID || n <= 300 {
		t.Fatalf("after %d: %v", n, err)
	}
}

// Two records with one hash are told apart.
func TestSameHash(t *testing.T) {
	s := mustOpen(t, t.TempDir())
	its := items(0, 40, 120)
	must(t, s.Append(its[:20]...))
	absent := its[30].ID
	for _, id := range []protocol.ID{absent, its[7].ID} {
		s.ix.places.add(uint32(s.ix.hash(id)), 3) // as if record 3 had their hash
	}
	if _, err := s.Get(absent); !errors.Is(err, ErrNotFound) {
		t.Errorf("a record that is not held: %v", err)
	}
	if b, err := s.Get(its[7].ID); err != nil || !bytes.Equal(b, its[7].Inner) {
		t.Errorf("a record that is: %v", err)
	}
	must(t, s.Append(its...))
	holds(t, s, its)
	// Where one of them is damaged, the other is not.
	must(t, s.write([]row{{key: key(rowPack, be64(0))}}))
	if _, err := s.Get(absent); err != nil {
		t.Errorf("a record whose neighbour by hash is damaged: %v", err)
	}
	if _, err := s.Get(its[7].ID); !isDamaged(err) {
		t.Errorf("a damaged record: %v", err)
	}
}
