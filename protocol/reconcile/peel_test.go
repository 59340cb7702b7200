package reconcile

import (
	"errors"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/metastate-p2p/metastate/protocol/merkle"
	"github.com/metastate-p2p/metastate/protocol/reconcile/sketch"
)

// whole returns diffs with the ids that their keys are of, which another node
// holds: what a session knows once it has fetched them.
func whole(tb rapid.TB, diffs []Diff, other Local) []Diff {
	tb.Helper()
	out := slices.Clone(diffs)
	for n, d := range out {
		if len(d.Keys) == 0 {
			continue
		}
		list, err := ParseWanted(AppendWanted(nil, []Wanted{{d.Set, d.Keys}}))
		if err != nil {
			tb.Fatal(err)
		}
		ids, err := other.Find(list)
		if err != nil || len(ids) != len(d.Keys) {
			tb.Fatalf("%d ids of %d keys: %v", len(ids), len(d.Keys), err)
		}
		d.Need, d.Keys = slices.SortedFunc(slices.Values(append(slices.Clone(d.Need), ids...)), compareIDs), nil
		out[n] = d
	}
	return out
}

// TestLawSketchesFindTheDifference: with sketches on both sides or one, what is
// found is the symmetric difference, too.
func TestLawSketchesFindTheDifference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawPair(t, sketch.KeySize/2) // equal keys are the matter of TestGroundIDs
		la, lb := a.local(), b.local()
		if rapid.IntRange(0, 4).Draw(t, "a sketched") > 0 {
			la = a.sketched()
		}
		if rapid.IntRange(0, 4).Draw(t, "b sketched") > 0 {
			lb = b.sketched()
		}
		limits := Limits{Symbols: rapid.SampledFrom([]int{0, 0, 0, -1, 10, 100}).Draw(t, "symbols")}
		i := NewInitiator(la, [16]byte{1}, limits)
		if _, err := talk(t, i, NewResponder(lb, Limits{}), nil); err != nil {
			t.Fatal(err)
		}
		if want := difference(a, b); !sameDiffs(whole(t, i.Diffs(), lb), want) {
			t.Fatalf("got %d sets that differ, want %d", len(i.Diffs()), len(want))
		}
	})
}

func compareSketched(tb rapid.TB, a, b node) ([]Diff, cost) {
	tb.Helper()
	i := NewInitiator(a.sketched(), [16]byte{1, 2, 3}, Limits{})
	lb := b.sketched()
	c, err := talk(tb, i, NewResponder(lb, Limits{}), nil)
	if err != nil {
		tb.Fatal(err)
	}
	return whole(tb, i.Diffs(), lb), c
}

// Differences cost what they are many, not what the sets hold.
func TestSketchesAreShort(t *testing.T) {
	for _, c := range []struct{ n, d, messages, bytes int }{
		{30_000, 2, 3, 2000},
		{30_000, 100, 7, 100*53 + 1024}, // the worst of twenty runs, not the median
		{60_000, 5_000, 7, 5_000*46 + 1024},
		{20_000, 40_000, 60, 40_000*90 + 1024}, // ranges
	} {
		a, b := large(c.n, c.d)
		got, cost := compareSketched(t, a, b)
		if !sameDiffs(got, difference(a, b)) {
			t.Errorf("n=%d d=%d: a wrong difference", c.n, c.d)
		}
		if cost.messages > c.messages || cost.bytes > c.bytes {
			t.Errorf("n=%d d=%d: %+v", c.n, c.d, cost)
		}
	}
}

// A set that lacks nothing but what came last is level in one question: the
// counts tell how many symbols are needed at least.
func TestOneSided(t *testing.T) {
	_, b := large(5000, 2)
	a := node{{1}: b[[32]byte{1}]}
	for id := range b[[32]byte{1}].From([32]byte{0xf0}) {
		a[[32]byte{1}] = a[[32]byte{1}].Delete(id)
	}
	if got, cost := compareSketched(t, a, b); !sameDiffs(got, difference(a, b)) || cost.messages > 4 || cost.bytes > 24*500 {
		t.Errorf("%d sets differ, %+v, of %d ids", len(got), cost, len(got[0].Need))
	}
}

// collided makes two nodes that differ in ids which no sketch can tell apart,
// beside others: an id with the same key as one that both have, and two with
// one key.
func collided() (a, b node) {
	a, b = large(3000, 20)
	name := [32]byte{1}
	twin := func(id [32]byte) [32]byte { id[31] ^= 1; return id }
	sa, sb := a[name], b[name]
	for id := range sa.All() {
		if sb.Has(id) {
			sb = sb.Add(twin(id))
			break
		}
	}
	odd := [32]byte{1, 2, 3}
	sa = sa.Add(odd).Add(twin(odd))
	return node{name: sa}, node{name: sb}
}

// Ids that were ground against the sketch cost ranges, no more.
func TestGroundIDs(t *testing.T) {
	a, b := collided()
	for _, p := range [][2]node{{a, b}, {b, a}} {
		got, _ := compareSketched(t, p[0], p[1])
		for n := range got {
			for _, d := range difference(p[0], p[1]) {
				// What has no key of its own is found later, by the digests.
				if extra := slices.DeleteFunc(slices.Clone(got[n].Need), func(id [32]byte) bool { return slices.Contains(d.Need, id) }); len(extra) > 0 {
					t.Errorf("%d ids needed that are not", len(extra))
				}
			}
		}
		i := NewInitiator(p[0].sketched(), [16]byte{}, Limits{Symbols: -1})
		if _, err := talk(t, i, NewResponder(p[1].sketched(), Limits{}), nil); err != nil || !sameDiffs(i.Diffs(), difference(p[0], p[1])) {
			t.Errorf("ranges alone do not find it: %v", err)
		}
	}
}

// Answers about a sketch that fit no question end the session.
func TestSketchRefused(t *testing.T) {
	a, b := large(500, 20)
	for name, edit := range map[string]func(*answer) bool{
		"a symbol too few": func(a *answer) bool {
			if len(a.Sketch) == 0 {
				return false
			}
			a.Sketch = a.Sketch[sketch.SymbolSize:]
			return true
		},
		"a byte too many": func(a *answer) bool {
			if len(a.Sketch) == 0 {
				return false
			}
			a.Sketch = append(slices.Clone(a.Sketch), 0)
			return true
		},
		"not asked for": func(a *answer) bool { a.Sketch = make([]byte, sketch.SymbolSize); return true },
	} {
		done := false
		_, err := talk(t, NewInitiator(a.sketched(), [16]byte{}, Limits{}), NewResponder(b.sketched(), Limits{}), func(msg []byte) []byte {
			r, err := parseReply(msg)
			if err != nil {
				t.Fatal(err)
			}
			for n := range r.Answers {
				if !done {
					done = edit(&r.Answers[n])
				}
			}
			return encode(t, r)
		})
		if !done || !errors.Is(err, ErrProtocol) {
			t.Errorf("%s: told %v, %v", name, done, err)
		}
	}
}

// Questions about a sketch that a responder refuses, and the fullest it takes.
func TestSketchQuestions(t *testing.T) {
	_, b := large(9000, 2)
	name := [32]byte{1}
	ask := func(groups ...group) []byte {
		return encode(t, request{Version: version, Salt: repeat(saltSize, 0), Groups: groups})
	}
	one := func(q ...uint64) group { return group{Name: name[:], Sketch: q} }
	const most = maxSymbolBytes / sketch.SymbolSize
	for what, msg := range map[string][]byte{
		"of the index":    ask(group{Sketch: []uint64{0, 1, 0}}),
		"two numbers":     ask(one(0, 1)),
		"no symbols":      ask(one(0, 0, 1)),
		"past the end":    ask(one(sketch.MaxLen-1, 2, 0)),
		"from past it":    ask(one(sketch.MaxLen, 1, 0)),
		"a huge number":   ask(one(2, ^uint64(0), 0)),
		"a huge from":     ask(one(^uint64(0), 2, 0)),
		"octaves":         ask(one(0, 1, sketch.MaxOctaves+1)),
		"too many":        ask(one(0, most+1, 0)),
		"with samples":    ask(one(0, most, 1)),
		"in two groups":   ask(one(0, most, 0), one(0, 1, 0)),
		"with a full one": ask(one(0, 1, 0), group{Name: name[:], Splits: make([][]byte, MaxRequest/splitCost)}),
	} {
		if _, err := NewResponder(b.sketched(), Limits{}).Respond(msg); !errors.Is(err, ErrProtocol) {
			t.Errorf("%s: %v", what, err)
		}
	}
	splits := make([][]byte, (MaxRequest-baseCost-groupCost-sketchCost)/splitCost)
	full := group{Name: name[:], Splits: splits, Sketch: []uint64{0, most - 12, 9}}
	if reply, err := NewResponder(b.sketched(), Limits{}).Respond(ask(full)); err != nil || len(reply) > MaxReply || len(reply) < maxSymbolBytes {
		t.Errorf("the fullest request has a reply of %d bytes: %v", len(reply), err)
	}
}

// A responder makes no more sketches than its limits allow: who asks for many
// gets none, and ranges.
func TestSketchWork(t *testing.T) {
	a, b := subjects(0), subjects(0)
	next := idSource(5)
	for range 30 {
		var s merkle.Set
		for range 100 {
			s = s.Add(next())
		}
		name := next()
		a[name], b[name] = s, s.Add(next())
	}
	work := 0
	lb := b.sketched()
	open := lb.Open
	lb.Open = func(name [32]byte) (Set, error) {
		s, err := open(name)
		return counted{s, &work}, err
	}
	i := NewInitiator(a.sketched(), [16]byte{}, Limits{})
	if _, err := talk(t, i, NewResponder(lb, Limits{Work: 1000}), nil); err != nil || !sameDiffs(whole(t, i.Diffs(), lb), difference(a, b)) {
		t.Errorf("a wrong difference: %v", err)
	}
	if work < 1000 || work > 1000+300 {
		t.Errorf("work %d of 1000", work)
	}
	i = NewInitiator(a.sketched(), [16]byte{}, Limits{Work: 1})
	if _, err := talk(t, i, NewResponder(b.sketched(), Limits{}), nil); err != nil || !sameDiffs(whole(t, i.Diffs(), b.local()), difference(a, b)) {
		t.Errorf("an initiator that may not work: %v", err)
	}
}

// counted adds up the work that sketches are.
type counted struct {
	Set
	work *int
}

func (c counted) Sketch(n, spare int, f func([]sketch.Symbol)) (int, error) {
	work, err := c.Set.Sketch(n, spare, f)
	*c.work += work
	return work, err
}

// Few of a thousand sets that differ cost little with sketches, too.
func TestFewOfManySketched(t *testing.T) {
	a := node{}
	next := idSource(4)
	for range 200 {
		var s merkle.Set
		for range 60 {
			s = s.Add(next())
		}
		a[next()] = s
	}
	b := maps.Clone(a)
	for name := range b {
		if b[name] = b[name].Add(next()); len(difference(a, b)) == 5 {
			break
		}
	}
	if got, c := compareSketched(t, a, b); !sameDiffs(got, difference(a, b)) || c.messages > 5 || c.bytes > 8000 {
		t.Errorf("%d sets differ, %+v", len(got), c)
	}
}

// Many sets that each lack some cost little more than their names.
func TestManySetsLackSome(t *testing.T) {
	a, b := node{}, node{}
	next := idSource(9)
	for range 50 {
		var s merkle.Set
		for range 400 {
			s = s.Add(next())
		}
		name := next()
		a[name] = s
		for range 10 {
			s = s.Add(next())
		}
		b[name] = s
	}
	for _, p := range [][2]node{{a, b}, {b, a}} {
		_, plain := compare(t, p[0], p[1])
		got, c := compareSketched(t, p[0], p[1])
		if !sameDiffs(got, difference(p[0], p[1])) || c.messages > 12 || c.bytes > 50*(10*46+400) || 2*c.bytes > plain.bytes {
			t.Errorf("%d sets differ, %+v, by ranges alone %+v", len(got), c, plain)
		}
	}
}

// Who gives no sketches is asked for ranges.
func TestNoSketchesGiven(t *testing.T) {
	a, b := large(1000, 10)
	work := 0
	lb := b.sketched()
	open := lb.Open
	lb.Open = func(name [32]byte) (Set, error) {
		s, err := open(name)
		return counted{s, &work}, err
	}
	i := NewInitiator(a.sketched(), [16]byte{}, Limits{})
	if _, err := talk(t, i, NewResponder(lb, Limits{Symbols: -1}), nil); err != nil || work > 0 || !sameDiffs(i.Diffs(), difference(a, b)) {
		t.Errorf("work %d, or a wrong difference: %v", work, err)
	}
}

// Of sets of any two sizes nobody asks for a longer sketch than the responder
// has.
func TestNoLongerSketchIsAskedFor(t *testing.T) {
	sizes := []int{1, 33, 70, 129, 1000, 1500, 4000}
	asked := 0
	for _, n := range sizes {
		for _, m := range sizes {
			all, _ := large(n+m, 0)
			a, b := node{{1}: merkle.Set{}}, node{{1}: merkle.Set{}}
			for id := range all[[32]byte{1}].All() {
				if a[[32]byte{1}].Len() < n {
					a[[32]byte{1}] = a[[32]byte{1}].Add(id)
				}
				if b[[32]byte{1}].Len() < m && b[[32]byte{1}].Len() <= a[[32]byte{1}].Len()+m/9 {
					b[[32]byte{1}] = b[[32]byte{1}].Add(id)
				}
			}
			lb := b.sketched()
			open := lb.Open
			lb.Open = func(name [32]byte) (Set, error) {
				s, err := open(name)
				return measured{s, func(long int) {
					if asked++; long > lengthOf(uint64(m)) {
						t.Errorf("of %d and %d ids: %d symbols", n, m, long)
					}
				}}, err
			}
			i := NewInitiator(a.sketched(), [16]byte{}, Limits{})
			if _, err := talk(t, i, NewResponder(lb, Limits{}), nil); err != nil || !sameDiffs(whole(t, i.Diffs(), lb), difference(a, b)) {
				t.Errorf("of %d and %d ids: a wrong difference: %v", n, m, err)
			}
		}
	}
	if asked == 0 {
		t.Error("no sketch was asked for")
	}
}

// measured tells how long the sketches are that are asked for.
type measured struct {
	Set
	tell func(n int)
}

func (m measured) Sketch(n, spare int, f func([]sketch.Symbol)) (int, error) {
	m.tell(n)
	return m.Set.Sketch(n, spare, f)
}
