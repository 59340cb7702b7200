package sketch

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// keysOf makes n keys that look hashed.
func keysOf(seed uint64, n int) []Key {
	var s [32]byte
	binary.BigEndian.PutUint64(s[:], seed)
	src := rand.NewChaCha8(s)
	out := make([]Key, n)
	for i := range out {
		_, _ = src.Read(out[i][:]) // never fails
	}
	return out
}

func sketchOf(n int, keys ...Key) []Symbol {
	s := make([]Symbol, n)
	for _, k := range keys {
		Toggle(s, k)
	}
	return s
}

func sorted(keys []Key) []Key {
	return slices.SortedFunc(slices.Values(keys), func(a, b Key) int { return bytes.Compare(a[:], b[:]) })
}

// exactPlaces follows SPEC §9.3 with arithmetic that rounds to 53 bits after
// each operation, whatever the processor does.
func exactPlaces(check uint64, below int) (out []int) {
	f := func() *big.Float { return new(big.Float).SetPrec(53).SetMode(big.ToNearestEven) }
	for at := 0; at < below; {
		out = append(out, at)
		check *= 0xda942042e4dd58b5
		u := f().SetUint64(check>>11 + 1)
		stretch := f().Quo(f().SetInt64(1<<53), u)
		stretch = f().Sqrt(stretch)
		stretch = f().Sub(stretch, f().SetInt64(1))
		x := f().Mul(f().Add(f().SetInt64(int64(at)), f().SetFloat64(1.5)), stretch)
		step, rounded := x.Int64()
		if rounded == big.Below {
			step++
		}
		at += int(max(1, step))
	}
	return out
}

func placesBelow(check uint64, n int) (out []int) {
	for p := placesOf(check); p.at < n; p.next() {
		out = append(out, p.at)
	}
	return out
}

// TestPlacesAreExact: the places of a key are those of SPEC §9.3 to the last
// bit, on every processor.
func TestPlacesAreExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := rapid.Uint64().Draw(t, "check")
		if got, want := placesBelow(c, MaxLen), exactPlaces(c, MaxLen); !slices.Equal(got, want) {
			t.Fatalf("places %v, want %v", got, want)
		}
	})
	for _, c := range []uint64{0, 1, 1 << 63, ^uint64(0)} {
		got := placesBelow(c, MaxLen)
		if !slices.Equal(got, exactPlaces(c, MaxLen)) || !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != len(got) {
			t.Errorf("places of %x: %v", c, got)
		}
	}
	// The inverse of the multiplier makes a state whose next is all ones: the
	// shortest step there is, which must still be one.
	inverse := uint64(1)
	for range 6 {
		inverse *= 2 - 0xda942042e4dd58b5*inverse
	}
	if p := placesOf(^uint64(0) * inverse); true {
		if p.next(); p.at != 1 {
			t.Errorf("the shortest step is %d", p.at)
		}
	}
}

// TestLawToggle: a sketch depends on the set alone, its beginning not on its
// length, and a key taken out leaves nothing.
func TestLawToggle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 300).Draw(t, "length")
		keys := keysOf(rapid.Uint64().Draw(t, "seed"), rapid.IntRange(0, 60).Draw(t, "keys"))
		out := rapid.IntRange(0, len(keys)).Draw(t, "taken out")
		mixed := rapid.Permutation(append(slices.Clone(keys), keys[:out]...)).Draw(t, "order")
		got, want := sketchOf(n, mixed...), sketchOf(2*n, keys[out:]...)[:n]
		if !slices.Equal(got, want) {
			t.Fatal("another sketch of the same set")
		}
		parsed, err := Parse(Append(nil, got))
		if err != nil || !slices.Equal(parsed, got) {
			t.Fatalf("the encoding is not read back: %v", err)
		}
	})
}

// TestLawDecode: what is decoded is the difference, however the symbols come.
func TestLawDecode(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		count := func(name string) int { return rapid.SampledFrom([]int{0, 1, 3, 40}).Draw(t, name) }
		both, a, b := count("both"), count("only a"), count("only b")
		keys := keysOf(rapid.Uint64().Draw(t, "seed"), both+a+b)
		const n = 512
		sa, sb := sketchOf(n, keys[:both+a]...), sketchOf(n, slices.Concat(keys[:both], keys[both+a:])...)
		var d Decoder
		for d.Len() < n && !(d.Len() > 0 && d.Decoded()) {
			to := min(n, d.Len()+rapid.IntRange(1, 200).Draw(t, "step"))
			d.Add(sa[d.Len():to], sb[d.Len():to])
		}
		if !d.Decoded() || d.Failed() || !slices.Equal(sorted(d.Keys()), sorted(keys[both:])) {
			t.Fatalf("%d of %d keys of %d symbols", len(d.Keys()), a+b, d.Len())
		}
	})
}

// What is needed is about what the estimate says and the constants promise.
func TestSizes(t *testing.T) {
	for _, n := range []int{1, 10, 100, 1000, 20_000} {
		const runs = 20
		enough, mean := 0, 0.
		for run := range runs {
			s := sketchOf(1<<15, keysOf(uint64(n*runs+run), n)...)
			zero := make([]Symbol, len(s))
			var d Decoder
			d.Add(s[:32], zero[:32])
			octaves := OctavesOf(len(s))
			mean += float64(d.Estimate(Samples(s, octaves), Samples(zero, octaves), 1, 1<<20)) / runs
			var all Decoder
			if to := Needed(n); to <= len(s) {
				all.Add(s[:to], zero[:to])
			}
			if all.Decoded() {
				enough++
			}
		}
		if enough < runs/2 {
			t.Errorf("%d of %d differences of %d are decoded of the symbols needed", enough, runs, n)
		}
		if ratio := mean / float64(n); n >= 100 && (ratio < 0.85 || ratio > 1.15) {
			t.Errorf("%d differences are estimated as %.0f", n, mean)
		}
	}
}

// The estimate keeps to what is known otherwise.
func TestEstimateWithinBounds(t *testing.T) {
	s := sketchOf(64, keysOf(1, 500)...)
	var d Decoder
	d.Add(s, make([]Symbol, 64))
	for _, c := range [][2]int{{700, 900}, {3, 20}, {5, 5}, {0, 0}, {9, 2}} {
		if got := d.Estimate(nil, nil, c[0], c[1]); got < max(1, c[0])-1 || got > max(c[0], c[1], 1)+1 {
			t.Errorf("an estimate of %d between %d and %d", got, c[0], c[1])
		}
	}
}

func TestOctaves(t *testing.T) {
	for n, want := range map[int]int{0: 0, 32: 0, 63: 0, 64: 1, 127: 1, 128: 2, MaxLen: MaxOctaves, 2 * MaxLen: MaxOctaves} {
		if got := OctavesOf(n); got != want {
			t.Errorf("%d octaves of %d symbols, want %d", got, n, want)
		}
	}
	for octaves := range MaxOctaves + 1 {
		if got := Samples(make([]Symbol, SampledLen(octaves)), octaves); len(got) != SampleSize(octaves) {
			t.Errorf("%d samples of %d octaves", len(got), octaves)
		}
	}
}

// hostile is what a liar may send in place of a sketch.
func hostile(t testing.TB) map[string][]Symbol {
	k := keysOf(2, 3)
	one := symbolOf(k[0])
	alone := func(n int, at ...int) []Symbol {
		s := make([]Symbol, n)
		for _, i := range at {
			s[i] = one
		}
		return s
	}
	random := make([]Symbol, 1000)
	r := rand.New(rand.NewPCG(3, 4))
	for i := range random {
		random[i] = Symbol{r.Uint64(), r.Uint64(), r.Uint64()}
	}
	everywhere := make([]Symbol, 1000)
	for i := range everywhere {
		everywhere[i] = one
	}
	singles := make([]Symbol, 1000)
	for i, k := range keysOf(5, len(singles)) {
		singles[i] = symbolOf(k)
	}
	stray := 0
	for p := placesBelow(one.check, 100); slices.Contains(p, stray); {
		stray++
	}
	return map[string][]Symbol{
		"random":                     random,
		"one key in every symbol":    everywhere,
		"a key in each symbol":       singles,
		"a key where it is not":      alone(100, stray),
		"a key missing from a place": alone(100, placesBelow(one.check, 100)[1:]...),
	}
}

// TestHostileSymbols: lies are not decoded, and cost no more than symbols do.
func TestHostileSymbols(t *testing.T) {
	for name, s := range hostile(t) {
		var d Decoder
		for range 3 {
			d.Add(s, make([]Symbol, len(s)))
		}
		if d.Decoded() || d.spent > visits*d.Len()+visits+1 || len(d.Keys()) > d.Len() {
			t.Errorf("%s: decoded %v, %d visits and %d keys of %d symbols", name, d.Decoded(), d.spent, len(d.Keys()), d.Len())
		}
	}
}

// A key that stands where it is not mapped to ends decoding: nothing that comes
// later could mend that.
func TestStrayKeyFails(t *testing.T) {
	s := sketchOf(100, keysOf(11, 500)...) // none of which stands alone
	one := symbolOf(keysOf(12, 1)[0])
	for i := range s {
		if !slices.Contains(placesBelow(one.check, len(s)), i) {
			s[i] = one
			break
		}
	}
	var d Decoder
	if d.Add(s, make([]Symbol, len(s))); !d.Failed() {
		t.Error("decoding goes on")
	}
}

// A key comes out once; when it is seen again, something lied.
func TestNoKeyTwice(t *testing.T) {
	k := keysOf(6, 1)[0]
	s := sketchOf(40, k)
	var d Decoder
	d.Add(s, make([]Symbol, 40))
	if !d.Decoded() || len(d.Keys()) != 1 {
		t.Fatal("one key is not decoded")
	}
	again := make([]Symbol, 1) // where k is mapped, this takes it in once more
	if slices.Contains(placesBelow(symbolOf(k).check, 41), 40) {
		again[0] = Symbol{}
	} else {
		again[0] = symbolOf(k)
	}
	if d.Add(again, make([]Symbol, 1)); !d.Failed() || d.Decoded() || len(d.Keys()) != 1 {
		t.Errorf("a key came out %d times", len(d.Keys()))
	}
}

// Keys may be ground that are mapped to unusually many symbols; there is an end
// to the patience with them.
func TestVisitsAreBounded(t *testing.T) {
	s := sketchOf(40, keysOf(6, 3)...)
	d := Decoder{spent: visits * 41}
	if d.Add(s, make([]Symbol, 40)); !d.Failed() || d.Decoded() {
		t.Error("a decoder that has spent its visits goes on")
	}
}

func TestParseRefuses(t *testing.T) {
	if _, err := Parse(make([]byte, SymbolSize+1)); !errors.Is(err, ErrSize) {
		t.Errorf("half a symbol: %v", err)
	}
}

// FuzzDecoder: whatever symbols come, decoding ends, within its bound.
func FuzzDecoder(f *testing.F) {
	for _, s := range hostile(f) {
		f.Add(Append(nil, s), uint16(7))
	}
	f.Add(Append(nil, sketchOf(60, keysOf(9, 30)...)), uint16(20))
	f.Fuzz(func(t *testing.T, b []byte, cut uint16) {
		s, err := Parse(b[:min(len(b), 1<<16)/SymbolSize*SymbolSize])
		if err != nil {
			t.Fatal(err)
		}
		at := min(int(cut), len(s))
		var d Decoder
		d.Add(s[:at], make([]Symbol, at))
		d.Estimate(b, b, 1, 1000)
		d.Add(s[at:], make([]Symbol, len(s)-at))
		if d.spent > visits*d.Len()+visits+1 || len(d.Keys()) > d.Len() {
			t.Fatalf("%d visits, %d keys of %d symbols", d.spent, len(d.Keys()), d.Len())
		}
		if d.Decoded() && !slices.Equal(sketchOf(len(s), d.Keys()...), s) {
			t.Fatal("decoded to keys that do not make these symbols")
		}
	})
}

func BenchmarkToggle(b *testing.B) {
	s, keys := make([]Symbol, MaxLen), keysOf(1, 1<<12)
	for i := 0; b.Loop(); i++ {
		Toggle(s, keys[i%len(keys)])
	}
}
