package charter

import (
	"errors"
	"math"
	"math/bits"
	"strconv"
	"strings"
)

// A Fraction is compared exactly, in integers. In YAML and JSON it is the text
// "2/3"; "67%" is read as 67/100. It is not reduced: 2/4 stays 2/4.
//
// The methods are total. A fraction with denominator 0 is reached by nothing.
type Fraction struct {
	Num uint64 `cbor:"num"`
	Den uint64 `cbor:"den"`
}

// unreachable is the answer of Needs where no number suffices.
const unreachable = math.MaxUint64

// cmp compares part/whole with f, as part·den with num·whole in 128 bits.
func (f Fraction) cmp(part, whole uint64) int {
	lh, ll := bits.Mul64(part, f.Den)
	rh, rl := bits.Mul64(f.Num, whole)
	if lh == rh {
		lh, rh = ll, rl
	}
	switch {
	case lh < rh:
		return -1
	case lh > rh:
		return 1
	}
	return 0
}

// AtLeast reports whether part/whole ≥ f. Nothing of nothing is at least any
// fraction, since 0 ≥ 0; see [Class.Passes] for votes.
func (f Fraction) AtLeast(part, whole uint64) bool {
	return f.Den != 0 && f.cmp(part, whole) >= 0
}

// Exceeds reports whether part/whole > f.
func (f Fraction) Exceeds(part, whole uint64) bool {
	return f.cmp(part, whole) > 0 // never with denominator 0, as 0 exceeds nothing
}

// Needs returns the smallest part with part/whole ≥ f: ⌈whole·num/den⌉. If
// that is no uint64, it returns the largest one.
func (f Fraction) Needs(whole uint64) uint64 {
	hi, lo := bits.Mul64(f.Num, whole)
	if hi >= f.Den { // den 0, or a quotient of more than 64 bits
		return unreachable
	}
	n, rem := bits.Div64(hi, lo, f.Den)
	if rem != 0 && n != unreachable {
		n++
	}
	return n
}

// String returns the text form, "2/3".
func (f Fraction) String() string {
	return strconv.FormatUint(f.Num, 10) + "/" + strconv.FormatUint(f.Den, 10)
}

// MarshalText gives the text form.
func (f Fraction) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// MarshalYAML gives the text form.
func (f Fraction) MarshalYAML() (any, error) { return f.String(), nil }

// UnmarshalText reads the text form, as [ParseFraction] does. YAML and JSON
// use it too.
func (f *Fraction) UnmarshalText(b []byte) (err error) {
	*f, err = ParseFraction(string(b))
	return err
}

var errFraction = errors.New(`not a fraction: write it as "2/3", or as whole percent like "67%"`)

// ParseFraction reads "2/3", or "67%" as 67/100. It takes digits without sign,
// spaces or leading zeros, so that a fraction has one text.
func ParseFraction(s string) (Fraction, error) {
	num, den, ok := strings.Cut(s, "/")
	if !ok {
		num, ok = strings.CutSuffix(s, "%")
		den = "100"
	}
	n, err1 := parseUint(num)
	d, err2 := parseUint(den)
	if !ok || err1 != nil || err2 != nil {
		return Fraction{}, errFraction
	}
	return Fraction{n, d}, nil
}

var errNumber = errors.New("not a whole number: write digits only, like 12")

// parseUint reads decimal digits without sign or leading zeros.
func parseUint(s string) (uint64, error) {
	if s == "" || len(s) > 1 && s[0] == '0' || s[0] < '0' || s[0] > '9' {
		return 0, errNumber
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0, errNumber
	}
	return n, nil
}
