package secret

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/metastate-p2p/metastate/protocol/decision/secret/group"
)

// A Result is what a sum says.
type Result struct {
	Ballots uint64
	Weight  uint64     // of all ballots; their number unless the election is weighted
	Sums    []uint64   // of each option's marks; nil for rankings
	Matrix  [][]uint64 // of rankings: the weight that has option i above option j
}

// Result opens a sealed sum with the shares of at least K trustees, of which it
// takes those with the lowest numbers.
func (e *Election) Result(s Sealed, shares []*Share) (Result, error) {
	if err := e.check(s); err != nil {
		return Result{}, err
	}
	shares = slices.SortedFunc(slices.Values(shares), func(a, b *Share) int { return cmp.Compare(a.trustee, b.trustee) })
	shares = slices.CompactFunc(shares, func(a, b *Share) bool { return a.trustee == b.trustee })
	of, k := e.sealed(s), e.terms.Keys.K()
	if len(shares) < k {
		return Result{}, fmt.Errorf("secret: shares of %d trustees, %d are needed", len(shares), k)
	}
	shares = shares[:k]
	for _, x := range shares {
		if x.of != of {
			return Result{}, fmt.Errorf("secret: the share of trustee %d is of another sum", x.trustee)
		}
	}
	lambda := lagrange(shares)
	logs := newLogs(s.Sum.weight*e.layout.top, len(s.Sum.sums))
	var opened []uint64
	for i, c := range s.Sum.sums {
		factors := make([]group.Point, k)
		for j, x := range shares {
			factors[j] = x.factors[i]
		}
		n, err := logs.of(c.B.Sub(group.VarTimeCombine(lambda, factors)))
		if err != nil {
			return Result{}, fmt.Errorf("secret: position %d: %w", i, err)
		}
		opened = append(opened, n)
	}
	return e.result(s.Sum, opened), nil
}

// lagrange are the factors by which values of a polynomial at the trustees' numbers
// are its value at 0.
func lagrange(shares []*Share) (out []group.Scalar) {
	for _, a := range shares {
		over, under := group.Number(1), group.Number(1)
		for _, b := range shares {
			if a != b {
				over = over.Mul(group.Integer(int64(b.trustee)))
				under = under.Mul(group.Integer(int64(b.trustee - a.trustee)))
			}
		}
		out = append(out, over.Mul(under.Inverse()))
	}
	return out
}

func (e *Election) result(a Aggregate, opened []uint64) Result {
	r := Result{Ballots: a.ballots, Weight: a.weight}
	if e.layout.shape.Kind != Ranking {
		r.Sums = opened
		return r
	}
	for range e.layout.options {
		r.Matrix = append(r.Matrix, make([]uint64, e.layout.options))
	}
	for i := range r.Matrix {
		for j := i + 1; j < len(r.Matrix); j++ {
			r.Matrix[i][j], r.Matrix[j][i] = opened[0], opened[1]
			opened = opened[2:]
		}
	}
	return r
}

// logs finds the number that a multiple of the generator is, by a table of small
// ones and giant steps (Shanks).
type logs struct {
	bound uint64
	size  uint64             // of the table
	small map[[8]byte]uint32 // by the first bytes of the encoding
	step  group.Point        // size times the generator
}

var errLog = errors.New("it is no number that so many ballots could give")

// newLogs is for numbers up to bound, of which so many are looked for.
func newLogs(bound uint64, times int) *logs {
	n := min(isqrt(bound*uint64(times))+1, bound+1)
	l := &logs{bound: bound, size: n, small: make(map[[8]byte]uint32, n)}
	for i := range n {
		enc := l.step.Bytes()
		l.small[[8]byte(enc[:])] = uint32(i)
		l.step = l.step.Add(group.Generator())
	}
	return l
}

func (l *logs) of(p group.Point) (uint64, error) {
	rest := p
	for giant := uint64(0); giant <= l.bound; giant += l.size {
		enc := rest.Bytes()
		if i, ok := l.small[[8]byte(enc[:])]; ok {
			n := giant + uint64(i)
			if n <= l.bound && group.Base(group.Number(n)).Equal(p) {
				return n, nil
			}
		}
		rest = rest.Sub(l.step)
	}
	return 0, errLog
}
