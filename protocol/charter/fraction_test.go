package charter

import (
	"encoding/json"
	"math"
	"math/big"
	"testing"

	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"
)

// Group Income #1377: 67 % of 6 needs 5, 66 % needs 4.
func TestFractionNeeds(t *testing.T) {
	for _, tt := range []struct {
		f           string
		whole, want uint64
	}{
		{f: "67%", whole: 6, want: 5},
		{f: "66%", whole: 6, want: 4},
		{f: "2/3", whole: 6, want: 4},
		{f: "1/2", whole: 7, want: 4},
		{f: "1/1", whole: 150, want: 150},
		{f: "0/1", whole: 150, want: 0},
		{f: "1/3", whole: 0, want: 0},
		{f: "1/1", whole: math.MaxUint64, want: math.MaxUint64},
		{f: "3/2", whole: math.MaxUint64, want: math.MaxUint64},
		{f: "7/5", whole: 13176245766935394011, want: math.MaxUint64}, // and a remainder
		{f: "1/0", whole: 3, want: math.MaxUint64},
		{f: "0/0", whole: 0, want: math.MaxUint64},
	} {
		f, err := ParseFraction(tt.f)
		if err != nil {
			t.Fatal(err)
		}
		if got := f.Needs(tt.whole); got != tt.want {
			t.Errorf("%s of %d needs %d, want %d", tt.f, tt.whole, got, tt.want)
		}
	}
}

func TestFractionNeverReachedOverZero(t *testing.T) {
	if f := (Fraction{0, 0}); f.AtLeast(1, 1) || f.Exceeds(1, 1) || f.AtLeast(0, 0) {
		t.Error("a fraction with denominator 0 is reached")
	}
}

func anyUint() *rapid.Generator[uint64] {
	return rapid.OneOf(rapid.Uint64(), rapid.Uint64Range(0, 200), rapid.Uint64Range(math.MaxUint64-200, math.MaxUint64))
}

// Law: comparisons are those of math/big; Needs is the least that suffices.
func TestFractionLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := Fraction{anyUint().Draw(t, "num"), max(1, anyUint().Draw(t, "den"))}
		part, whole := anyUint().Draw(t, "part"), anyUint().Draw(t, "whole")
		mul := func(a, b uint64) *big.Int {
			return new(big.Int).Mul(new(big.Int).SetUint64(a), new(big.Int).SetUint64(b))
		}
		cmp := mul(part, f.Den).Cmp(mul(f.Num, whole))
		if f.AtLeast(part, whole) != (cmp >= 0) || f.Exceeds(part, whole) != (cmp > 0) {
			t.Fatalf("%d of %d against %v: big says %d", part, whole, f, cmp)
		}
		up := new(big.Int).Add(mul(f.Num, whole), new(big.Int).SetUint64(f.Den-1))
		want := up.Div(up, new(big.Int).SetUint64(f.Den))
		if !want.IsUint64() {
			want.SetUint64(math.MaxUint64)
		}
		if got := f.Needs(whole); got != want.Uint64() {
			t.Fatalf("%v of %d needs %d, big says %v", f, whole, got, want)
		}
	})
}

// Law: Class.Needs is the least yes that passes.
func TestClassNeeds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		den := rapid.Uint64Range(1, 200).Draw(t, "den")
		c := Class{Threshold: Fraction{rapid.Uint64Range(1, den).Draw(t, "num"), den}, Strict: rapid.Bool().Draw(t, "strict")}
		whole := rapid.Uint64Range(0, 300).Draw(t, "whole")
		n := c.Needs(whole)
		if n == 0 || !c.Passes(n, whole) || c.Passes(n-1, whole) {
			t.Fatalf("%+v of %d: %d is not the least that passes", c, whole, n)
		}
	})
}

// Nothing passes without a yes, though 0 of 0 is at least any fraction.
func TestClassPassesNeedsAYes(t *testing.T) {
	c := Class{Threshold: Fraction{2, 3}}
	if c.Passes(0, 0) || !c.Passes(1, 1) {
		t.Error("0 of 0 passes, or 1 of 1 does not")
	}
	if n := (Class{Strict: true}).Needs(3); n != math.MaxUint64 {
		t.Errorf("a class without a threshold needs %d", n)
	}
	simple := Class{Threshold: Fraction{1, 2}, Strict: true}
	if simple.Passes(3, 6) || !simple.Passes(4, 6) {
		t.Error("a tie passes, or a majority does not")
	}
}

func TestFractionText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := Fraction{anyUint().Draw(t, "num"), anyUint().Draw(t, "den")}
		y, err := yaml.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		j, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		var fromY, fromJ Fraction
		if err := yaml.Unmarshal(y, &fromY); err != nil || fromY != f {
			t.Fatalf("YAML %s reads as %v: %v", y, fromY, err)
		}
		if err := json.Unmarshal(j, &fromJ); err != nil || fromJ != f {
			t.Fatalf("JSON %s reads as %v: %v", j, fromJ, err)
		}
	})
	if f, err := ParseFraction("67%"); err != nil || f != (Fraction{67, 100}) {
		t.Errorf("67%% is %v, %v", f, err)
	}
	for _, s := range []string{"", "/", "1/", "/2", "%", "2", "0.5", "-1/2", "+1/2", "1/-2", "01/2", "1/02", " 1/2", "1 /2", "1/2/3", "1/2%", "66.7%", "0x1/2", "1_0/20", "18446744073709551616/1"} {
		if f, err := ParseFraction(s); err == nil {
			t.Errorf("%q reads as %v", s, f)
		}
	}
}

func TestSeconds(t *testing.T) {
	for s, want := range map[string]int64{"0": 0, "72h": MaxSuspend, "30d": 30 * day, "1d12h": 36 * hour, "2w": 14 * day, "90m": 5400, "3600s": 3600, "0h": 0, "1w1d1h1m1s": week + day + hour + minute + 1} {
		if got, err := parseSeconds(s); err != nil || got != want {
			t.Errorf("%q is %d, %v; want %d", s, got, err, want)
		}
	}
	for _, s := range []string{"", "5", "h", "1h1h", "1m1h", "1.5h", "-1h", "1h ", "01h", "1y", "1H", "1099511627777s", "99999999999999999999d", "1099511627776w", "1h5"} {
		if got, err := parseSeconds(s); err == nil {
			t.Errorf("%q reads as %d", s, got)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.OneOf(rapid.Int64Range(0, maxSeconds), rapid.Map(rapid.Int64Range(0, 400), func(d int64) int64 { return d * day })).Draw(t, "n")
		if got, err := parseSeconds(formatSeconds(n)); err != nil || got != n {
			t.Fatalf("%d is written %q and read %d: %v", n, formatSeconds(n), got, err)
		}
	})
}
