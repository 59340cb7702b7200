package secret

import (
	"bytes"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/metastate-p2p/metastate/protocol/decision/secret/group"
	"github.com/metastate-p2p/metastate/protocol/decision/secret/keygen"
)

// polls makes one poll for each shape and number of options, with one committee.
type polls struct {
	keys   *keygen.Keys
	shares []*keygen.Share
	made   map[string]*poll
}

func newPolls(t testing.TB) *polls {
	keys, shares := committee(t, 1)
	return &polls{keys, shares, map[string]*poll{}}
}

func (ps *polls) of(t testing.TB, s Shape, options int) *poll {
	name := nameOf(s, options)
	if ps.made[name] == nil {
		terms := termsOf(ps.keys, s, options)
		terms.Weighted = true
		ps.made[name] = pollOf(t, terms, ps.shares)
	}
	return ps.made[name]
}

// drawMarks draws marks that the shape allows.
func drawMarks(t *rapid.T, s Shape, options int) []uint8 {
	marks := make([]uint8, options)
	left := s.Top
	for i := range marks {
		switch s.Kind {
		case Approvals:
			marks[i] = rapid.Uint8Range(0, 1).Draw(t, "mark")
		case Scores:
			marks[i] = rapid.Uint8Range(0, uint8(s.Top)).Draw(t, "mark")
		case Quadratic:
			v := uint8(isqrt(rapid.Uint64Range(0, left).Draw(t, "mark")))
			marks[i], left = v, left-uint64(v)*uint64(v)
		case Ranking:
			marks[i] = rapid.Uint8Range(0, uint8(options)+2).Draw(t, "mark")
		}
	}
	if s.Kind == One {
		marks[rapid.IntRange(0, options-1).Draw(t, "choice")] = 1
	}
	return marks
}

// TestSumsAreWhatVotersSaid: for every kind, the opened sum of ballots is the sum
// of their marks, times weights, whoever opens it; replaced ballots leave nothing.
func TestSumsAreWhatVotersSaid(t *testing.T) {
	all := newPolls(t)
	shapes := []Shape{{One, 0}, {Approvals, 0}, {Scores, 3}, {Quadratic, 9}, {Ranking, 0}}
	rapid.Check(t, func(rt *rapid.T) {
		s := rapid.SampledFrom(shapes).Draw(rt, "shape")
		n := rapid.IntRange(2, 4).Draw(rt, "options")
		p := all.of(t, s, n)
		a, sums, weights := p.Empty(), make([]uint64, n), uint64(0)
		matrix := make([][]uint64, n)
		for i := range matrix {
			matrix[i] = make([]uint64, n)
		}
		ballots := rapid.IntRange(1, 3).Draw(rt, "ballots")
		for v := range ballots + 1 {
			by, marks := voterOf(byte(v)), drawMarks(rt, s, n)
			weight := rapid.Uint64Range(1, 50).Draw(rt, "weight")
			b, err := p.Verify(by, p.cast(t, by, marks...))
			if err != nil {
				rt.Fatalf("%v %v: %v", s, marks, err)
			}
			if a, err = p.Plus(a, b, weight); err != nil {
				rt.Fatal(err)
			}
			if v == ballots { // is replaced
				if a, err = p.Minus(a, b, weight); err != nil {
					rt.Fatal(err)
				}
				continue
			}
			weights += weight
			for i, m := range marks {
				sums[i] += weight * uint64(m)
				for j, other := range marks {
					if m != 0 && (m < other || other == 0) {
						matrix[i][j] += weight
					}
				}
			}
		}
		sealed := Sealed{[32]byte{9}, a}
		two := rapid.Permutation([]int{1, 2, 3, 4}).Draw(rt, "trustees")
		r := p.open(t, sealed, two[:2]...)
		if r.Ballots != uint64(ballots) || r.Weight != weights {
			rt.Errorf("%d ballots of weight %d, not %d of %d", r.Ballots, r.Weight, ballots, weights)
		}
		if s.Kind != Ranking && !slices.Equal(r.Sums, sums) {
			rt.Errorf("%v: opened %v, said was %v", s, r.Sums, sums)
		}
		if s.Kind == Ranking && !slices.EqualFunc(r.Matrix, matrix, slices.Equal) {
			rt.Errorf("opened %v, said was %v", r.Matrix, matrix)
		}
		other := p.open(t, sealed, two[2:]...)
		if !slices.Equal(r.Sums, other.Sums) || !slices.EqualFunc(r.Matrix, other.Matrix, slices.Equal) {
			rt.Errorf("other trustees open %v, not %v", other, r)
		}
	})
}

func TestSizes(t *testing.T) {
	for _, x := range []struct {
		shape   Shape
		options int
		want    int
	}{
		{Shape{One, 0}, 3, 384},
		{Shape{One, 0}, 5, 640},
		{Shape{One, 0}, 64, 8192},
		{Shape{Approvals, 0}, 5, 960},
		{Shape{Scores, 10}, 64, MaxBallot},
		{Shape{Quadratic, 100}, 5, 5568},
		{Shape{Ranking, 0}, 8, 30976},
	} {
		p := newPoll(t, x.shape, x.options)
		if body := p.cast(t, voterOf(1), anyMarks(x.shape, x.options)...); p.Size() != x.want || len(body) != x.want {
			t.Errorf("%v of %d options: %d bytes, announced %d, want %d", x.shape, x.options, len(body), p.Size(), x.want)
		}
	}
}

func anyMarks(s Shape, options int) []uint8 {
	marks := make([]uint8, options)
	marks[0] = 1
	return marks
}

func TestTermsRefused(t *testing.T) {
	keys, _ := committee(t, 1)
	for what, terms := range map[string]Terms{
		"no keys":         {Shape: Shape{One, 0}, Options: []string{"a"}, Least: 1},
		"no least":        {Keys: keys, Shape: Shape{One, 0}, Options: []string{"a"}},
		"no options":      termsOf(keys, Shape{One, 0}, 0),
		"65 options":      termsOf(keys, Shape{One, 0}, 65),
		"9 to rank":       termsOf(keys, Shape{Ranking, 0}, 9),
		"1 to rank":       termsOf(keys, Shape{Ranking, 0}, 1),
		"no highest":      termsOf(keys, Shape{Scores, 0}, 2),
		"scores to 11":    termsOf(keys, Shape{Scores, 11}, 2),
		"no credits":      termsOf(keys, Shape{Quadratic, 0}, 2),
		"10,001 credits":  termsOf(keys, Shape{Quadratic, 10_001}, 2),
		"too many bytes":  termsOf(keys, Shape{Quadratic, 10_000}, 8),
		"a top of one":    termsOf(keys, Shape{One, 1}, 2),
		"no kind":         termsOf(keys, Shape{}, 2),
		"an unknown kind": termsOf(keys, Shape{"irv", 0}, 2),
	} {
		if _, err := NewElection(terms); err == nil {
			t.Errorf("an election with %s is taken", what)
		}
	}
}

func TestMarksRefused(t *testing.T) {
	for _, x := range []struct {
		shape Shape
		bad   [][]uint8
	}{
		{Shape{One, 0}, [][]uint8{{0, 0, 0}, {1, 1, 0}, {2, 0, 0}, {1, 0}, {1, 0, 0, 0}, nil}},
		{Shape{Approvals, 0}, [][]uint8{{2, 0, 0}, {1, 1}}},
		{Shape{Scores, 5}, [][]uint8{{6, 0, 0}, {255, 0, 0}}},
		{Shape{Quadratic, 9}, [][]uint8{{3, 1, 0}, {4, 0, 0}, {2, 2, 2}}},
		{Shape{Ranking, 0}, [][]uint8{{1, 2}, nil}},
	} {
		p := newPoll(t, x.shape, 3)
		for _, marks := range x.bad {
			if _, _, err := p.Encrypt(voterOf(1), marks, seedOf(1)); err == nil {
				t.Errorf("%v: marks %v are taken", x.shape, marks)
			}
		}
	}
}

func TestAggregates(t *testing.T) {
	p, other := newPoll(t, Shape{Scores, 10}, 2), newPoll(t, Shape{Scores, 9}, 2)
	b, err := p.Verify(voterOf(1), p.cast(t, voterOf(1), 10, 1))
	if err != nil {
		t.Fatal(err)
	}
	c, err := p.Verify(voterOf(2), p.cast(t, voterOf(2), 0, 1))
	if err != nil {
		t.Fatal(err)
	}
	plus := func(p *poll, a Aggregate, b *Ballot, w uint64) Aggregate {
		t.Helper()
		out, err := p.Plus(a, b, w)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	one := plus(p, p.Empty(), b, 1)
	bc, cb := plus(p, one, c, 1), plus(p, plus(p, p.Empty(), c, 1), b, 1)
	if bc.Digest() != cb.Digest() || bc.Digest() == one.Digest() || bc.Ballots() != 2 || bc.weight != 2 {
		t.Error("the sum depends on the order, or not on the ballots")
	}
	back, err := p.Minus(bc, c, 1)
	if err != nil || back.Digest() != one.Digest() {
		t.Error("a ballot that is taken away leaves something", err)
	}
	for what, try := range map[string]func() (Aggregate, error){
		"weight 0":                    func() (Aggregate, error) { return p.Plus(one, c, 0) },
		"weight 2":                    func() (Aggregate, error) { return p.Plus(one, c, 2) },
		"another election's sum":      func() (Aggregate, error) { return p.Plus(other.Empty(), c, 1) },
		"another election's ballot":   func() (Aggregate, error) { return other.Plus(other.Empty(), c, 1) },
		"a ballot off from nothing":   func() (Aggregate, error) { return p.Minus(p.Empty(), c, 1) },
		"more weight off than was on": func() (Aggregate, error) { return p.Minus(one, c, 2) },
	} {
		if got, err := try(); err == nil || got.Ballots() > 1 {
			t.Errorf("taken: %s", what)
		}
	}
	terms := p.terms
	terms.Weighted = true
	w := pollOf(t, terms, p.shares)
	b, err = w.Verify(voterOf(1), w.cast(t, voterOf(1), 10, 1))
	if err != nil {
		t.Fatal(err)
	}
	full := plus(w, w.Empty(), b, MaxTotal/10)
	if _, err := w.Plus(w.Empty(), b, 0); err == nil {
		t.Error("a ballot of weight 0 is counted")
	}
	for _, weight := range []uint64{1, MaxTotal / 10, math.MaxUint64 / 10, math.MaxUint64} {
		if _, err := w.Plus(full, b, weight); err == nil {
			t.Errorf("%d more are taken than can be opened", weight)
		}
	}
}

// TestAggregateDigest: the digest of a sum is that of one field, its encoding
// (SPEC §8.5 rule 15, §8.6 rule 6).
func TestAggregateDigest(t *testing.T) {
	p := newPoll(t, Shape{Scores, 10}, 2)
	sum := p.sum(t, []uint8{1, 2}, []uint8{3, 4}).Sum
	encoded := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, 2), 2)
	for _, c := range sum.sums {
		encoded = c.Append(encoded)
	}
	eid := p.ID()
	var all []byte
	for _, field := range [][]byte{[]byte("metastate/secret/v1/ristretto255-sha512"), []byte("aggregate"), eid[:], encoded} {
		all = append(binary.BigEndian.AppendUint32(all, uint32(len(field))), field...)
	}
	want := sha512.Sum512(all)
	if got := sum.Digest(); !bytes.Equal(got[:], want[:32]) {
		t.Errorf("the digest is %x, not %x", got, want[:32])
	}
}

// TestOpening: what a ballot is made from tells what it says, for every kind, and
// nothing else does.
func TestOpening(t *testing.T) {
	for _, k := range kinds {
		p := newPoll(t, k.shape, len(k.marks))
		body, o, err := p.Encrypt(voterOf(1), k.marks, seedOf(5))
		if err != nil {
			t.Fatal(err)
		}
		want, err := p.layout.normal(k.marks)
		if err != nil {
			t.Fatal(err)
		}
		if marks, err := p.Open(voterOf(1), body, o); err != nil || !slices.Equal(marks, want) {
			t.Errorf("%v: opens as %v, %v", k.shape, marks, err)
		}
		if again, o2, err := p.Encrypt(voterOf(1), k.marks, seedOf(5)); err != nil || o2 != o || !bytes.Equal(again, body) {
			t.Errorf("%v: the same again is another ballot: %v", k.shape, err)
		}
		if k.shape.Kind != One {
			continue
		}
		bad := o
		bad[31] ^= 1
		if _, err := p.Open(voterOf(1), body, bad); err == nil {
			t.Error("another opening is taken")
		}
		if _, err := p.Open(Voter{[32]byte{1}, 4}, body, o); err == nil {
			t.Error("the opening of another seq is taken")
		}
		if _, err := p.Open(voterOf(1), body[1:], o); err == nil {
			t.Error("a ballot that is none is opened")
		}
		for at := len(body) - 1; at >= 0; at -= 31 {
			spoilt := bytes.Clone(body)
			spoilt[at] ^= 2
			if _, err := p.Open(voterOf(1), spoilt, o); err == nil {
				t.Errorf("opened, though byte %d is another", at)
			}
		}
	}
}

// TestOneSeedTwoBallots: a seed that is used twice does not tell the difference of
// two ballots.
func TestOneSeedTwoBallots(t *testing.T) {
	p := newPoll(t, Shape{Approvals, 0}, 2)
	a, o, err := p.Encrypt(voterOf(1), []uint8{1, 0}, seedOf(5))
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		by    Voter
		marks []uint8
	}{{voterOf(1), []uint8{0, 0}}, {voterOf(2), []uint8{1, 0}}, {Voter{[32]byte{1}, 4}, []uint8{1, 0}}} {
		b, o2, err := p.Encrypt(x.by, x.marks, seedOf(5))
		if err != nil || o2 == o {
			t.Fatal("one opening for two ballots", err)
		}
		for i := range 2 {
			if bytes.Equal(a[64*i:64*i+32], b[64*i:64*i+32]) {
				t.Errorf("ciphertext %d has the same randomness in another ballot", i)
			}
		}
	}
}

func TestErase(t *testing.T) {
	p := newPoll(t, Shape{One, 0}, 2)
	_, o, err := p.Encrypt(voterOf(1), []uint8{1, 0}, seedOf(5))
	if err != nil || o == (Opening{}) {
		t.Fatal("no opening", err)
	}
	o.Erase()
	s := []group.Scalar{group.Number(3)}
	eraseAll(s)
	if o != (Opening{}) || s[0] != (group.Scalar{}) {
		t.Error("a secret is left")
	}
}

func TestLogarithms(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bound := rapid.Uint64Range(0, 5000).Draw(t, "bound")
		n := rapid.Uint64Range(0, bound+300).Draw(t, "n")
		got, err := newLogs(bound, rapid.IntRange(1, 64).Draw(t, "times")).of(group.Base(group.Number(n)))
		if (err == nil) != (n <= bound) || err == nil && got != n {
			t.Errorf("%d within %d is %d, %v", n, bound, got, err)
		}
	})
	for bound := range uint64(30) {
		for n := range bound + 20 {
			if got, err := newLogs(bound, 1).of(group.Base(group.Number(n))); (err == nil) != (n <= bound) {
				t.Errorf("%d within %d is %d, %v", n, bound, got, err)
			}
		}
	}
	if _, err := newLogs(100, 1).of(group.Base(group.Integer(-1))); !errors.Is(err, errLog) {
		t.Errorf("−1 is found: %v", err)
	}
	if n := uint64(1_000_003); func() bool {
		got, err := newLogs(2*n, 1).of(group.Base(group.Number(n)))
		return err != nil || got != n
	}() {
		t.Error("a million is not found")
	}
}
