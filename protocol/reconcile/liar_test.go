package reconcile

import (
	"bytes"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/metastate-p2p/metastate/protocol/merkle"
	"github.com/metastate-p2p/metastate/protocol/reconcile/sketch"
)

// lies are sketches that a liar may answer with: of the questions, or nil to
// say the truth.
func lies() map[string]func(answer) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	var stranger [32]byte
	return map[string]func(answer) []byte{
		"none":   func(answer) []byte { return nil },
		"zeros":  func(a answer) []byte { return make([]byte, len(a.Sketch)) },
		"random": func(a answer) []byte { b := make([]byte, len(a.Sketch)); fill(r, b); return b },
		"a key that nobody has": func(a answer) []byte {
			symbols, err := sketch.Parse(a.Sketch[:len(a.Sketch)/sketch.SymbolSize*sketch.SymbolSize])
			if err != nil {
				return nil
			}
			fill(r, stranger[:])
			sketch.Toggle(symbols, sketch.KeyOf(stranger))
			return append(sketch.Append(nil, symbols), a.Sketch[len(symbols)*sketch.SymbolSize:]...)
		},
		"one symbol again and again": func(a answer) []byte {
			return append(bytes.Repeat(a.Sketch[:sketch.SymbolSize], len(a.Sketch)/sketch.SymbolSize), a.Sketch[:len(a.Sketch)%sketch.SymbolSize]...)
		},
	}
}

func fill(r *rand.Rand, b []byte) {
	for i := range b {
		b[i] = byte(r.Uint32())
	}
}

// TestLiarsSketch: whatever a peer says its sketch is, the difference is found by
// ranges, at the cost of a few messages more.
func TestLiarsSketch(t *testing.T) {
	a, b := large(5000, 300)
	_, plain := compare(t, a, b)
	for name, lie := range lies() {
		i := NewInitiator(a.sketched(), [16]byte{1, 2, 3}, Limits{})
		told := 0
		c, err := talk(t, i, NewResponder(b.sketched(), Limits{}), func(msg []byte) []byte {
			r, err := parseReply(msg)
			if err != nil {
				t.Fatal(err)
			}
			for n, a := range r.Answers {
				if len(a.Sketch) > 0 {
					r.Answers[n].Sketch = lie(a)
					told++
				}
			}
			return encode(t, r)
		})
		if err != nil || told == 0 {
			t.Errorf("%s: %v, after %d lies", name, err, told)
			continue
		}
		if !sameDiffs(whole(t, i.Diffs(), b.local()), difference(a, b)) {
			t.Errorf("%s: a wrong difference", name)
		}
		if c.messages > plain.messages+10 || c.bytes > plain.bytes+8192*sketch.SymbolSize {
			t.Errorf("%s: %+v, by ranges alone %+v", name, c, plain)
		}
	}
}

// TestLawLiarsSketch: lies in any replies about sketches, of any sort, hide
// nothing and invent nothing, and cost bounded messages and memory.
func TestLawLiarsSketch(t *testing.T) {
	a, b := large(3000, 200)
	want := difference(a, b)
	_, plain := compare(t, a, b)
	all := lies()
	names := slices.Sorted(maps.Keys(all))
	rapid.Check(t, func(t *rapid.T) {
		i := NewInitiator(a.sketched(), [16]byte{1, 2, 3}, Limits{})
		c, err := talk(t, i, NewResponder(b.sketched(), Limits{}), func(msg []byte) []byte {
			r, err := parseReply(msg)
			if err != nil {
				t.Fatal(err)
			}
			for n, a := range r.Answers {
				if len(a.Sketch) == 0 || rapid.IntRange(0, 2).Draw(t, "honest") == 0 {
					continue
				}
				if rapid.Bool().Draw(t, "a bit") {
					r.Answers[n].Sketch[rapid.IntRange(0, len(a.Sketch)-1).Draw(t, "at")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
				} else {
					r.Answers[n].Sketch = all[rapid.SampledFrom(names).Draw(t, "lie")](a)
				}
			}
			return encode(t, r)
		})
		if err != nil || !sameDiffs(whole(t, i.Diffs(), b.local()), want) {
			t.Fatalf("a wrong difference: %v", err)
		}
		if c.messages > plain.messages+maxRuns || c.bytes > plain.bytes+2*4096*sketch.SymbolSize || i.symbols != 0 {
			t.Fatalf("%+v, %d symbols held; by ranges alone %+v", c, i.symbols, plain)
		}
	})
}

// stubborn is a set whose sketch is another's but for a symbol that never
// decodes.
type stubborn struct {
	Set
	other Set
}

func (s stubborn) Sketch(n, spare int, f func([]sketch.Symbol)) (int, error) {
	return s.other.Sketch(n, spare, func(symbols []sketch.Symbol) {
		odd, err := sketch.Parse(bytes.Repeat([]byte{7}, sketch.SymbolSize))
		if err != nil {
			panic(err) // whole symbols
		}
		f(append(odd, symbols[1:]...))
	})
}

// mirror is a set that says it has another's sketch.
type mirror struct {
	Set
	other Set
}

func (m mirror) Sketch(n, spare int, f func([]sketch.Symbol)) (int, error) {
	return m.other.Sketch(n, spare, f)
}

// Sets whose digests differ do differ, whatever their sketches say.
func TestMirroredSketch(t *testing.T) {
	a, b := large(1000, 10)
	la, lb := a.sketched(), b.sketched()
	open := lb.Open
	lb.Open = func(name [32]byte) (Set, error) {
		other, err := la.Open(name)
		s, _ := open(name)
		return mirror{s, other}, err
	}
	i := NewInitiator(a.sketched(), [16]byte{}, Limits{})
	if _, err := talk(t, i, NewResponder(lb, Limits{}), nil); err != nil || !sameDiffs(i.Diffs(), difference(a, b)) {
		t.Errorf("a wrong difference: %v", err)
	}
}

// A peer whose sketch looks as if a little more would decode it is left in time.
func TestStubbornSketch(t *testing.T) {
	a, b := large(12_000, 10)
	_, plain := compare(t, a, b)
	la, lb := a.sketched(), b.sketched()
	open := lb.Open
	lb.Open = func(name [32]byte) (Set, error) {
		other, err := la.Open(name)
		s, _ := open(name)
		return stubborn{s, other}, err
	}
	i := NewInitiator(a.sketched(), [16]byte{1, 2, 3}, Limits{})
	c, err := talk(t, i, NewResponder(lb, Limits{}), nil)
	if err != nil || !sameDiffs(whole(t, i.Diffs(), b.local()), difference(a, b)) {
		t.Errorf("a wrong difference: %v", err)
	}
	if c.messages > plain.messages+maxRuns || c.messages < plain.messages+maxRuns/2 || i.symbols != 0 {
		t.Errorf("%d messages, by ranges alone %d; %d symbols held", c.messages, plain.messages, i.symbols)
	}
}

// A peer that claims large differences of many sets makes the initiator hold no
// more symbols than it may.
func TestSymbolsHeldAreBounded(t *testing.T) {
	a := node{}
	next := idSource(6)
	for range 60 {
		a[next()] = merkle.Set{}.Add(next()).Add(next())
	}
	claim := func(count uint64) Local { // sets of so many ids, as far as it is told
		l := a.local()
		for name, sum := range l.Index.All() {
			sum.Count = count
			l.Index = l.Index.Put(name, sum)
		}
		open := l.Open
		l.Open = func(name [32]byte) (Set, error) {
			s, err := open(name)
			return blank{s}, err
		}
		return l
	}
	i, most := NewInitiator(claim(16_000), [16]byte{}, Limits{}), 0
	if _, err := talk(t, i, NewResponder(claim(26_000), Limits{}), func(b []byte) []byte {
		most = max(most, i.symbols)
		return b
	}); !errors.Is(err, ErrProtocol) {
		t.Errorf("counts that are not true: %v", err)
	}
	if most > maxSymbols || most < maxSymbols/2 {
		t.Errorf("%d symbols held", most)
	}
}

// A blank set has a sketch of nothing, of any length.
type blank struct{ Set }

func (blank) Sketch(n, _ int, f func([]sketch.Symbol)) (int, error) {
	f(make([]sketch.Symbol, n))
	return 0, nil
}
