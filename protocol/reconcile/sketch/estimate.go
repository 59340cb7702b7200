package sketch

import "math"

const (
	// MaxOctaves is the most octaves that are sampled: all there are.
	MaxOctaves = 12

	firstOctave = 5  // an octave k is the symbols from 2^k to 2^(k+1)
	samples     = 32 // of an octave that is sampled
	parts       = 16 // of an octave that came whole: one chance serves for all symbols of a part
)

// SampleSize is the number of bytes that the samples of so many octaves take.
func SampleSize(octaves int) int { return octaves * samples }

// SampledLen is how many symbols a sketch has at least whose first octaves can
// be sampled.
func SampledLen(octaves int) int {
	if octaves == 0 {
		return 0
	}
	return 1 << (firstOctave + octaves)
}

// OctavesOf is how many octaves of a sketch of n symbols can be sampled.
func OctavesOf(n int) (octaves int) {
	for octaves < MaxOctaves && SampledLen(octaves+1) <= n {
		octaves++
	}
	return octaves
}

// sampleAt is the index of sample j.
func sampleAt(j int) int {
	size := 1 << (firstOctave + j/samples)
	return size + j%samples*(size/samples)
}

// Samples are the last bytes of the checks of 32 symbols of each of the first
// octaves from the 32nd symbol on, evenly spread. They tell which symbols of
// two sketches are equal, and so how large the difference is about. The sketch
// has [SampledLen] symbols.
func Samples(symbols []Symbol, octaves int) []byte {
	b := make([]byte, SampleSize(octaves))
	for j := range b {
		b[j] = byte(symbols[sampleAt(j)].check)
	}
	return b
}

// Needed is how many symbols decode a difference of so many keys, four times in
// five.
func Needed(difference int) int {
	d := float64(difference)
	return int(math.Ceil(1.36*d + 1.8*math.Sqrt(d)))
}

// Estimate guesses the number of keys in the difference, between two bounds,
// from what the decoder was given and the samples of both sides: the number
// that makes it likeliest which symbols are zero and which are not.
func (d *Decoder) Estimate(one, other []byte, least, most int) int {
	seen := d.observe(one, other)
	lo, hi := math.Log(float64(max(least, 1))), math.Log(float64(max(least, most, 1)))
	const golden = 0.6180339887498949
	x, y := hi-golden*(hi-lo), lo+golden*(hi-lo)
	fx, fy := likelihood(seen, math.Exp(x)), likelihood(seen, math.Exp(y))
	for hi-lo > 0.005 {
		if fx < fy {
			lo, x, fx = x, y, fy
			y = lo + golden*(hi-lo)
			fy = likelihood(seen, math.Exp(y))
		} else {
			hi, y, fy = y, x, fx
			x = hi - golden*(hi-lo)
			fx = likelihood(seen, math.Exp(x))
		}
	}
	return int(math.Round(math.Exp((lo + hi) / 2)))
}

// An observation is in how many of some symbols, to which keys are mapped about
// equally often, two sketches seem equal, and in how many they differ.
type observation struct {
	misses        float64 // the logarithm of the chance that one key is mapped elsewhere
	hidden        float64 // the chance that a difference does not show
	equal, differ int
}

func (d *Decoder) observe(one, other []byte) (seen []observation) {
	misses := func(i float64) float64 { return math.Log1p(-1 / (1 + i/2)) }
	for k := 0; 1<<k < len(d.zero); k++ {
		size := max(1, 1<<k/parts)
		for from := 1 << k; from < min(2<<k, len(d.zero)); from += size {
			part := d.zero[from:min(from+size, len(d.zero))]
			o := observation{misses: misses(float64(from) + float64(len(part)-1)/2)}
			for _, zero := range part {
				o.count(zero)
			}
			seen = append(seen, o)
		}
	}
	for j := range min(len(one), len(other)) {
		if i := sampleAt(j); i >= len(d.zero) {
			o := observation{misses: misses(float64(i)), hidden: 1. / 256}
			o.count(one[j] == other[j])
			seen = append(seen, o)
		}
	}
	return seen
}

func (o *observation) count(equal bool) {
	if equal {
		o.equal++
	} else {
		o.differ++
	}
}

// likelihood is the logarithm of the chance to see this of so many keys.
func likelihood(seen []observation, keys float64) (sum float64) {
	for _, o := range seen {
		equal := math.Exp(keys * o.misses)
		equal += (1 - equal) * o.hidden
		sum += float64(o.equal)*math.Log(max(equal, 1e-300)) + float64(o.differ)*math.Log(max(1-equal, 1e-300))
	}
	return sum
}
