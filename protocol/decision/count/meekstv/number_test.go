package meekstv

import (
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

// drawn is a number from 0 to 1, often near an end.
func drawn(t *rapid.T, r *rule, name string) fraction {
	v := new(big.Int).SetBytes(rapid.SliceOfN(rapid.Byte(), 12, 12).Draw(t, name))
	switch v.Mod(v, new(big.Int).Add(r.unit, big.NewInt(1))); rapid.IntRange(0, 5).Draw(t, "end") {
	case 0:
		v.Mod(v, big.NewInt(3))
	case 1:
		v.Sub(r.unit, v.Mod(v, big.NewInt(3)))
	}
	return toFraction(v)
}

// TestArithmetic compares words of 64 bits with big integers.
func TestArithmetic(t *testing.T) {
	for _, r := range []*rule{guarded(), reference()} {
		rapid.Check(t, func(t *rapid.T) {
			a, b := drawn(t, r, "a"), drawn(t, r, "b")
			n := rapid.Uint64Range(1, 1<<36).Draw(t, "n")
			want, rest := new(big.Int).QuoRem(new(big.Int).Mul(a.big(), b.big()), r.unit, new(big.Int))
			if r.up && rest.Sign() > 0 {
				want.Add(want, big.NewInt(1))
			}
			many := new(big.Int).SetUint64(n)
			for what, x := range map[string]struct{ got, want *big.Int }{
				"product": {r.mul(a, b).big(), want},
				"sum":     {a.plus(b).big(), new(big.Int).Add(a.big(), b.big())},
				"rest":    {r.whole.minus(a).big(), new(big.Int).Sub(r.unit, a.big())},
				"times":   {a.times(n).big(), new(big.Int).Mul(a.big(), many)},
				"over":    {a.over(n).big(), new(big.Int).Quo(a.big(), many)},
				"back":    {toFraction(a.big()).big(), a.big()},
			} {
				if x.got.Cmp(x.want) != 0 {
					t.Fatalf("%s of %v and %v, %d: %v, want %v", what, a, b, n, x.got, x.want)
				}
			}
		})
	}
}

func TestNumbers(t *testing.T) {
	g, p := guarded(), reference()
	for what, x := range map[string]struct{ got, want string }{
		"half up":        {g.decimal(big.NewInt(1_500_000_000)), "0.000000000000000002"},
		"below half":     {g.decimal(big.NewInt(1_499_999_999)), "0.000000000000000001"},
		"one":            {g.decimal(g.unit), "1.000000000000000000"},
		"under nothing":  {g.decimal(big.NewInt(-2_000_000_000)), "-0.000000000000000002"},
		"nearly nothing": {g.decimal(big.NewInt(-1)), "0.000000000000000000"},
		"all digits":     {p.decimal(big.NewInt(12_345_678_901)), "12.345678901"},
		"cut off":        {g.ratio(big.NewInt(5), big.NewInt(1), big.NewInt(2)).String(), "2"},
		"rounded up":     {p.ratio(big.NewInt(5), big.NewInt(1), big.NewInt(2)).String(), "3"},
		"kept less":      {p.decimal(p.lower(p.whole, big.NewInt(1), big.NewInt(3)).big()), "0.333333334"},
		"kept at most":   {p.decimal(p.lower(p.whole, big.NewInt(3), big.NewInt(1)).big()), "1.000000000"},
		"kept of none":   {g.decimal(g.lower(g.whole, big.NewInt(3), new(big.Int)).big()), "1.000000000000000000"},
		"whole":          {p.ratio(big.NewInt(4), big.NewInt(1), big.NewInt(2)).String(), "2"},
	} {
		if x.got != x.want {
			t.Errorf("%s: %s, want %s", what, x.got, x.want)
		}
	}
	for diff, want := range map[int64]int{0: 0, 499_999_999: 0, -499_999_999: 0, 500_000_000: 1, -500_000_000: -1} {
		if got := g.cmp(new(big.Int).Add(g.unit, big.NewInt(diff)), g.unit); got != want {
			t.Errorf("%d apart: %d", diff, got)
		}
	}
	if p.cmp(big.NewInt(2), big.NewInt(1)) != 1 {
		t.Error("numbers without guard are equal though one is higher")
	}
}
