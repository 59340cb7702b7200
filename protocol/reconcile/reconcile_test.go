package reconcile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/metastate-p2p/metastate/protocol/merkle"
	"github.com/metastate-p2p/metastate/protocol/reconcile/sketch"
)

// node is what a test node holds: sets by name.
type node map[[32]byte]merkle.Set

func (n node) local() Local {
	var ix Index
	for name, s := range n {
		if s.Len() > 0 {
			ix = ix.Put(name, Summary{Set: name, Digest: s.Root(), Count: uint64(s.Len())})
		}
	}
	return Local{Index: ix, Open: func(name [32]byte) (Set, error) { return Mem(n[name]), nil }}
}

// sketched is what local is, with sketches.
func (n node) sketched() Local {
	l, x := n.local(), &Sketches{}
	l.Open = func(name [32]byte) (Set, error) { return x.Of(name, n[name]), nil }
	return l
}

// cost is what a session took.
type cost struct{ messages, bytes int }

// talk runs a session; edit, if there is one, changes replies on their way.
func talk(tb rapid.TB, i *Initiator, r *Responder, edit func([]byte) []byte) (c cost, err error) {
	tb.Helper()
	for {
		msg, err := i.Message()
		if msg == nil || err != nil {
			return c, err
		}
		reply, err := r.Respond(msg)
		if err != nil {
			return c, err
		}
		if len(msg) > MaxRequest || len(reply) > MaxReply {
			tb.Fatalf("a request of %d bytes, a reply of %d", len(msg), len(reply))
		}
		c.messages++
		c.bytes += len(msg) + len(reply)
		if edit != nil {
			reply = edit(reply)
		}
		if err := i.Receive(reply); err != nil {
			return c, err
		}
	}
}

func compare(tb rapid.TB, a, b node) ([]Diff, cost) {
	tb.Helper()
	i := NewInitiator(a.local(), [16]byte{1, 2, 3}, Limits{})
	c, err := talk(tb, i, NewResponder(b.local(), Limits{}), nil)
	if err != nil {
		tb.Fatal(err)
	}
	return i.Diffs(), c
}

// lacking returns the ids of a that b lacks.
func lacking(a, b merkle.Set) (out [][32]byte) {
	for id := range a.All() {
		if !b.Has(id) {
			out = append(out, id)
		}
	}
	return out
}

func difference(a, b node) (out []Diff) {
	names := maps.Clone(a)
	maps.Copy(names, b)
	for _, name := range slices.SortedFunc(maps.Keys(names), compareIDs) {
		d := Diff{Set: name, Need: lacking(b[name], a[name]), Have: lacking(a[name], b[name])}
		if len(d.Need)+len(d.Have) > 0 {
			out = append(out, d)
		}
	}
	return out
}

func sameDiffs(a, b []Diff) bool {
	return slices.EqualFunc(a, b, func(a, b Diff) bool {
		return a.Set == b.Set && slices.Equal(a.Need, b.Need) && slices.Equal(a.Have, b.Have)
	})
}

// idSource makes ids that look hashed, from a seed that rapid can shrink.
func idSource(seed uint64) func() [32]byte {
	var key [32]byte
	binary.BigEndian.PutUint64(key[:], seed)
	src := rand.NewChaCha8(key)
	return func() (id [32]byte) {
		_, _ = src.Read(id[:]) // never fails
		return id
	}
}

// drawPair draws two nodes that share much and differ in some; some ids are
// ground to share prefixes of up to so many bytes.
func drawPair(t *rapid.T, longest int) (a, b node) {
	a, b = node{}, node{}
	next := idSource(rapid.Uint64().Draw(t, "seed"))
	size := rapid.SampledFrom([]int{0, 1, 2, 40, 150})
	for range rapid.SampledFrom([]int{0, 1, 2, 12}).Draw(t, "sets") {
		name := next()
		if rapid.IntRange(0, 9).Draw(t, "zero name") == 0 {
			name = [32]byte{}
		}
		var sa, sb merkle.Set
		ground := rapid.IntRange(0, 3).Draw(t, "ground") == 0
		stem := next()
		id := func() [32]byte {
			id := next()
			if ground {
				copy(id[:rapid.IntRange(0, longest).Draw(t, "stem")], stem[:])
			}
			return id
		}
		for range size.Draw(t, "both") {
			both := id()
			sa, sb = sa.Add(both), sb.Add(both)
		}
		for range size.Draw(t, "only a") {
			sa = sa.Add(id())
		}
		for range size.Draw(t, "only b") {
			sb = sb.Add(id())
		}
		a[name], b[name] = sa, sb
	}
	return a, b
}

// What is found is the symmetric difference, whatever the two hold.
func TestFindsTheDifference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawPair(t, 31)
		got, _ := compare(t, a, b)
		if want := difference(a, b); !sameDiffs(got, want) {
			t.Fatalf("got %d sets that differ, want %d", len(got), len(want))
		}
	})
}

// large returns two nodes with one set of n ids each, d of them scattered
// differences, half on either side.
func large(n, d int) (a, b node) {
	next := idSource(7)
	ids := make([][32]byte, n+d/2)
	for i := range ids {
		ids[i] = next()
	}
	build := func(ids [][32]byte) node {
		ids = slices.Clone(ids)
		slices.SortFunc(ids, compareIDs)
		s, err := merkle.SetFromSorted(slices.Values(ids))
		if err != nil {
			panic(err) // random ids are distinct
		}
		return node{{1}: s}
	}
	return build(ids[:n]), build(ids[d/2:])
}

func TestLargeSets(t *testing.T) {
	for _, c := range []struct{ n, d, messages int }{{30_000, 20, 8}, {30_000, 10_000, 40}, {20_000, 40_000, 60}} {
		a, b := large(c.n, c.d)
		got, cost := compare(t, a, b)
		if !sameDiffs(got, difference(a, b)) {
			t.Errorf("n=%d d=%d: a wrong difference", c.n, c.d)
		}
		if cost.messages > c.messages {
			t.Errorf("n=%d d=%d: %d messages", c.n, c.d, cost.messages)
		}
	}
}

// subjects returns a node with n sets of three ids.
func subjects(n int) node {
	next := idSource(3)
	out := node{}
	for range n {
		out[next()] = merkle.Set{}.Add(next()).Add(next()).Add(next())
	}
	return out
}

// Two equal nodes part after one short message, however many sets they have.
func TestEqualNodes(t *testing.T) {
	a := subjects(1000)
	if d, c := compare(t, a, a); len(d) != 0 || c.messages != 1 || c.bytes > 80 {
		t.Errorf("%d sets differ, %+v", len(d), c)
	}
}

// Few of a thousand sets that differ cost little.
func TestFewSetsDiffer(t *testing.T) {
	a := subjects(1000)
	b := maps.Clone(a)
	for name := range b {
		if b[name] = b[name].Add([32]byte{9}); len(difference(a, b)) == 5 {
			break
		}
	}
	d, c := compare(t, a, b)
	if !sameDiffs(d, difference(a, b)) || c.messages > 6 || c.bytes > 8000 {
		t.Errorf("%d sets differ, %+v", len(d), c)
	}
}

// broken is a set on a failing disk.
type broken struct{ Set }

var errDisk = errors.New("disk on fire")

func (b broken) Range(p [32]byte, n int) ([32]byte, uint64, error) { return [32]byte{}, 0, errDisk }

func (b broken) Nearest([][32]byte) ([][32]byte, error) { return nil, errDisk }

func (b broken) Sketch(int, int, func([]sketch.Symbol)) (int, error) { return 0, errDisk }

func (b broken) Under([32]byte, int) iter.Seq2[[32]byte, error] {
	return func(yield func([32]byte, error) bool) { yield([32]byte{}, errDisk) }
}

// Local failures are reported as such and not blamed on the peer.
func TestLocalFailure(t *testing.T) {
	for _, n := range []int{3, 300} {
		a, b := large(n, n)
		bad := func(n node) Local {
			l := n.local()
			l.Open = func([32]byte) (Set, error) { return broken{}, nil }
			return l
		}
		_, err := talk(t, NewInitiator(bad(a), [16]byte{}, Limits{}), NewResponder(b.local(), Limits{}), nil)
		if !errors.Is(err, errDisk) || errors.Is(err, ErrProtocol) {
			t.Errorf("initiator, n=%d: %v", n, err)
		}
		_, err = talk(t, NewInitiator(a.local(), [16]byte{}, Limits{}), NewResponder(bad(b), Limits{}), nil)
		if !errors.Is(err, errDisk) || errors.Is(err, ErrProtocol) {
			t.Errorf("responder, n=%d: %v", n, err)
		}
	}
}

// BenchmarkBytes prints what a search costs in bytes and round trips.
func BenchmarkBytes(b *testing.B) {
	for _, c := range []struct{ n, d int }{{1e5, 1}, {1e5, 100}, {1e5, 10_000}} {
		b.Run(fmt.Sprintf("n=%d/d=%d", c.n, c.d), func(b *testing.B) {
			x, y := large(c.n, max(2, c.d))
			if c.d == 1 {
				y = node{{1}: x[[32]byte{1}].Add([32]byte{1})}
			}
			x.local()
			y.local()
			var spent cost
			for b.Loop() {
				_, spent = compare(b, x, y)
			}
			b.ReportMetric(float64(spent.bytes)/float64(c.d), "bytes/difference")
			b.ReportMetric(float64(spent.bytes), "bytes")
			b.ReportMetric(float64(spent.messages), "roundtrips")
		})
	}
}
