package meekstv

import (
	"math/big"
	"math/bits"
	"strings"
)

// A fraction is a number from 0 to 1, or as many of them as there are ballots, in
// units of the last digit: below 2^90 for the former, below 2^126 for the latter.
type fraction struct{ hi, lo uint64 }

func (a fraction) zero() bool { return a.hi|a.lo == 0 }

func (a fraction) plus(b fraction) fraction {
	lo, carry := bits.Add64(a.lo, b.lo, 0)
	hi, _ := bits.Add64(a.hi, b.hi, carry)
	return fraction{hi, lo}
}

func (a fraction) minus(b fraction) fraction {
	lo, borrow := bits.Sub64(a.lo, b.lo, 0)
	hi, _ := bits.Sub64(a.hi, b.hi, borrow)
	return fraction{hi, lo}
}

// times is a for n ballots.
func (a fraction) times(n uint64) fraction {
	hi, lo := bits.Mul64(a.lo, n)
	return fraction{hi + a.hi*n, lo}
}

// over is a part of a in n, cut off.
func (a fraction) over(n uint64) fraction {
	hi, rest := a.hi/n, a.hi%n
	lo, _ := bits.Div64(rest, a.lo, n)
	return fraction{hi, lo}
}

func (a fraction) big() *big.Int {
	v := new(big.Int).SetUint64(a.hi)
	return v.Or(v.Lsh(v, 64), new(big.Int).SetUint64(a.lo))
}

func toFraction(v *big.Int) fraction {
	var lo, hi big.Int
	lo.And(v, new(big.Int).SetUint64(^uint64(0)))
	hi.Rsh(v, 64)
	return fraction{hi.Uint64(), lo.Uint64()}
}

// A rule is how a method computes.
type rule struct {
	digits uint     // after the point
	guard  uint     // of these, how many only guard the others
	omega  *big.Int // a surplus up to that is none
	up     bool     // what is cut off counts as one more of the last digit
	five   uint64   // 5 to the digits
	unit   *big.Int // 10 to the digits: one vote
	whole  fraction // the same
	near   *big.Int // numbers that differ by less are equal; nil: only equal ones
}

func power(base, n uint) *big.Int {
	return new(big.Int).Exp(big.NewInt(int64(base)), big.NewInt(int64(n)), nil)
}

// guarded is the rule of the parametric method: 18 digits, 9 that guard them,
// and an omega of 10^-9.
func guarded() *rule {
	return &rule{
		whole: toFraction(power(10, 27)), digits: 27, guard: 9, omega: power(10, 18), five: power(5, 27).Uint64(), unit: power(10, 27),
		near: new(big.Int).Div(power(10, 9), big.NewInt(2)),
	}
}

// reference is the PR Foundation's: 9 digits, rounded up, and an omega of 10^-6.
func reference() *rule {
	return &rule{whole: toFraction(power(10, 9)), digits: 9, omega: power(10, 3), up: true, five: power(5, 9).Uint64(), unit: power(10, 9)}
}

// mul multiplies numbers from 0 to 1: the product of 192 bits is divided by 10 to
// the digits, as 2 and 5 to them.
func (r *rule) mul(a, b fraction) fraction {
	h0, w0 := bits.Mul64(a.lo, b.lo)
	h1, l1 := bits.Mul64(a.lo, b.hi)
	h2, l2 := bits.Mul64(a.hi, b.lo)
	w1, c1 := bits.Add64(h0, l1, 0)
	w1, c2 := bits.Add64(w1, l2, 0)
	w2 := a.hi*b.hi + h1 + h2 + c1 + c2
	x0, x1, x2 := w0>>r.digits|w1<<(64-r.digits), w1>>r.digits|w2<<(64-r.digits), w2>>r.digits
	hi, rest := bits.Div64(x2%r.five, x1, r.five)
	lo, rest := bits.Div64(rest, x0, r.five)
	p := fraction{hi, lo}
	if r.up && (rest != 0 || w0&(1<<r.digits-1) != 0) {
		p = p.plus(fraction{0, 1})
	}
	return p
}

// ratio is a·b/c of numbers that are not negative, rounded as the rule says.
func (r *rule) ratio(a, b, c *big.Int) *big.Int {
	p, rest := new(big.Int).QuoRem(new(big.Int).Mul(a, b), c, new(big.Int))
	if r.up && rest.Sign() != 0 {
		p.Add(p, big.NewInt(1))
	}
	return p
}

// lower is what an elected option keeps that kept a part for these votes and is
// to have the quota. What is cut off may leave it less than that, though it kept
// everything: more it can't keep.
func (r *rule) lower(keep fraction, quota, votes *big.Int) fraction {
	if votes.Sign() == 0 {
		return keep
	}
	part := r.ratio(r.ratio(keep.big(), quota, r.unit), r.unit, votes)
	if part.Cmp(r.unit) > 0 {
		return r.whole
	}
	return toFraction(part)
}

// cmp compares: guarded numbers are equal that differ by less than half a unit
// of the last digit that guards none.
func (r *rule) cmp(a, b *big.Int) int {
	if r.near != nil && new(big.Int).Sub(a, b).CmpAbs(r.near) < 0 {
		return 0
	}
	return a.Cmp(b)
}

// decimal writes a number without the digits that guard, rounded half up.
func (r *rule) decimal(v *big.Int) string {
	unit := power(10, r.guard)
	v = new(big.Int).Add(v, new(big.Int).Rsh(unit, 1))
	v.Div(v, unit)
	sign := ""
	if v.Sign() < 0 {
		sign, v = "-", v.Neg(v)
	}
	text, digits := v.String(), int(r.digits-r.guard)
	if len(text) <= digits {
		text = strings.Repeat("0", digits+1-len(text)) + text
	}
	return sign + text[:len(text)-digits] + "." + text[len(text)-digits:]
}
