package store

import (
	"bytes"
	"encoding/binary"
	"flag"
	"os"
	"testing"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
)

func TestMain(m *testing.M) {
	if role := os.Getenv(childRole); role != "" {
		os.Exit(child(role))
	}
	// Every step of the model works on a real disk: a few long runs by default,
	// before the command line's own choice is read.
	for name, value := range map[string]string{"rapid.checks": "8", "rapid.steps": "15"} {
		if err := flag.Set(name, value); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

var testKey = bytes.Repeat([]byte{7}, 32)

// item is the n-th record, of some size bytes, in one of four sets.
func item(n uint64, size int) Item {
	payload := make([]byte, max(size-80, 8))
	for i := range payload {
		payload[i] = byte(n*31 + uint64(i)*uint64(i))
	}
	binary.BigEndian.PutUint64(payload, n)
	inner, err := dagcbor.Marshal([][]byte{payload, bytes.Repeat([]byte{byte(n)}, 64)})
	if err != nil {
		panic(err)
	}
	it := Item{ID: protocol.Sum(payload), Inner: inner}
	if n%4 != 0 {
		it.Set = protocol.Sum([]byte{byte(n % 4)})
	}
	return it
}

func items(from, to uint64, size int) (its []Item) {
	for n := from; n < to; n++ {
		its = append(its, item(n, size))
	}
	return its
}

func mustOpen(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := Open(Config{Dir: dir, Key: testKey})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// holds checks that s has exactly the records given, in that order.
func holds(t testing.TB, s *Store, want []Item) {
	t.Helper()
	if s.Len() != uint64(len(want)) {
		t.Fatalf("Len = %d, want %d", s.Len(), len(want))
	}
	n := 0
	for e, err := range s.Log(0) {
		must(t, err)
		if e.Seq != uint64(n) || e.ID != want[n].ID || e.Set != want[n].Set {
			t.Fatalf("log entry %d is %v", n, e)
		}
		n++
	}
	if n != len(want) {
		t.Fatalf("log has %d entries, want %d", n, len(want))
	}
	sets := map[protocol.ID]int{}
	for _, it := range want {
		sets[it.Set]++
		got, err := s.Get(it.ID)
		if err != nil || !bytes.Equal(got, it.Inner) {
			t.Fatalf("Get(%s): %v", it.ID, err)
		}
	}
	if len(s.Sets()) != len(sets) {
		t.Fatalf("%d sets, want %d", len(s.Sets()), len(sets))
	}
	for set, n := range sets {
		var last protocol.ID
		for id, err := range s.Set(set) {
			must(t, err)
			if bytes.Compare(id[:], last[:]) <= 0 {
				t.Fatal("a set is not in id order")
			}
			last = id
			n--
		}
		if n != 0 {
			t.Fatalf("set %s: %d entries missing", set, n)
		}
	}
}

// exchanged are the rows of a pack and its list in which two records have
// changed places.
func exchanged(t testing.TB, s *Store, a, b uint64) []row {
	t.Helper()
	start := s.ix.packOf(a)
	places, err := s.list(start)
	must(t, err)
	inners := make([][]byte, len(places))
	for i, p := range places {
		inners[i], err = s.Get(p.id)
		must(t, err)
	}
	inners[a-start], inners[b-start] = inners[b-start], inners[a-start]
	x, y := places[a-start], places[b-start]
	x.seq, y.seq = b, a
	places[a-start], places[b-start] = y, x
	rows, _ := s.rows.tagger().packs(places, inners)
	return rows
}
