package reconcile

import (
	"fmt"

	"github.com/metastate-p2p/metastate/protocol/reconcile/sketch"
)

const (
	// firstRun is how many symbols are asked for at first where nothing says
	// that more are due: a dozen differences decode of them. With more sets than
	// are listed at once it is fewer, and samples come later, as most of those
	// that differ differ in little.
	firstRun    = 32
	firstOfMany = 8
	maxRuns     = 32 // questions about one sketch

	// maxSymbols bounds the symbols that all runs under way have asked for, 6 MiB:
	// sets past it are searched by ranges.
	maxSymbols = 1 << 18
)

// A run is the search of one set's difference by sketches.
type run struct {
	from, n int // symbols asked for
	octaves int // sampled, in this question
	later   int // to be sampled in the next
	limit   int // symbols to be asked for at most
	asked   int // questions
	decoder sketch.Decoder
	samples [2][]byte // the responder's, the initiator's own
}

// sketch queues the first question about a set's sketch, if that is how to find
// what the set differs in: the initiator has own ids and the responder a.count.
// Sets whose sizes are far apart differ in most ids, and ranges do as well.
func (i *Initiator) sketch(src source, a ask, own uint64) (bool, error) {
	limit := min(i.budget.limits.Symbols, lengthOf(min(own, a.count)))
	least := sketch.Needed(int(min(distance(own, a.count), sketch.MaxLen)))
	if a.count <= ListMax || own == 0 || least > limit {
		return false, nil
	}
	r := &run{limit: limit, octaves: sketch.OctavesOf(limit)}
	first := firstRun
	if i.local.Index.Len() > namesMax {
		first, r.octaves, r.later = firstOfMany, 0, r.octaves
	}
	held := false
	err := i.budget.sketch(src.set, limit, func([]sketch.Symbol) { held = true })
	if err != nil || !held || !i.ask(r, max(least, first)) {
		return false, err
	}
	a.op, a.run = opSketch, r
	i.todo = append(i.todo, a)
	return true, nil
}

// ask prepares a run's question for symbols up to so many, false if that would
// be too much.
func (i *Initiator) ask(r *run, to int) bool {
	r.from = r.decoder.Len()
	r.n = min(to, r.limit) - r.from
	r.n = min(r.n, (maxSymbolBytes-sketch.SampleSize(r.octaves))/sketch.SymbolSize)
	r.asked++
	if r.asked > maxRuns || i.symbols+r.n > maxSymbols {
		r.n = 0
		return false
	}
	i.symbols += r.n
	return true
}

func (r *run) question() []uint64 {
	return []uint64{uint64(r.from), uint64(r.n), uint64(r.octaves)}
}

// onSketch takes in symbols of the responder's sketch. What can't be found in
// this way is looked for by ranges.
func (i *Initiator) onSketch(src source, a ask, got []byte) error {
	own, _ := i.local.Index.Get(*a.set)
	found, more, err := i.peel(src, a, own.Count, got)
	if more && err == nil {
		i.todo = append(i.todo, a)
		return nil
	}
	i.symbols -= a.run.from + a.run.n // the run ends, and with it what it holds
	switch {
	case err != nil:
		return err
	case found:
		return i.settle(src, a, own.Count)
	}
	return i.descend(src, ask{set: a.set, count: a.count}, own.Count)
}

// peel decodes what is there, and prepares the next question if more would help.
func (i *Initiator) peel(src source, a ask, own uint64, got []byte) (found, more bool, err error) {
	r := a.run
	if len(got) == 0 {
		return false, false, nil
	}
	symbols := r.n * sketch.SymbolSize
	if len(got) != symbols+sketch.SampleSize(r.octaves) {
		return false, false, malformed("%d bytes of a sketch of which %d symbols were asked for", len(got), r.n)
	}
	theirs, err := sketch.Parse(got[:symbols])
	if err != nil {
		return false, false, fmt.Errorf("reconcile: %w: %w", ErrProtocol, err)
	}
	held := false
	err = i.budget.sketch(src.set, r.limit, func(mine []sketch.Symbol) {
		held = true
		if r.octaves > 0 {
			r.samples = [2][]byte{got[symbols:], sketch.Samples(mine, r.octaves)}
		}
		r.decoder.Add(theirs, mine[r.from:r.from+r.n])
	})
	r.octaves, r.later = r.later, 0
	d := &r.decoder
	if err != nil || !held || d.Decoded() || d.Failed() {
		return held && d.Decoded(), false, err
	}
	if r.octaves > 0 {
		return false, i.ask(r, 2*d.Len()), nil
	}
	guess := d.Estimate(r.samples[0], r.samples[1], int(distance(own, a.count)), int(min(own+a.count, sketch.MaxLen)))
	if sketch.Needed(guess*3/4) > r.limit || d.Len() == r.limit {
		return false, false, nil // the guess may well be a fifth too high
	}
	return false, i.ask(r, max(sketch.Needed(guess), d.Len()+d.Len()/16+16)), nil
}

// settle records what was decoded, if it can be true: the sets are known to
// differ, and by how many ids one is larger.
func (i *Initiator) settle(src source, a ask, own uint64) error {
	keys := a.run.decoder.Keys()
	ids, err := lookUp(src.set, keys)
	if err != nil {
		return err
	}
	var need [][16]byte
	var have [][32]byte
	for n, id := range ids {
		if id == nil {
			need = append(need, keys[n])
		} else {
			have = append(have, *id)
		}
	}
	if len(keys) == 0 || own+uint64(len(need)) != a.count+uint64(len(have)) {
		return i.descend(src, ask{set: a.set, count: a.count}, own)
	}
	d := i.diff(*a.set, len(keys))
	d.Keys = append(d.Keys, need...)
	d.Have = append(d.Have, have...)
	return nil
}

// lookUp returns, for each key, an id of the set with that key, nil if there is
// none.
func lookUp(set Set, keys [][16]byte) ([]*[32]byte, error) {
	padded := make([][32]byte, len(keys))
	for n, k := range keys {
		copy(padded[n][:], k[:])
	}
	near, err := set.Nearest(padded)
	if err != nil {
		return nil, fmt.Errorf("reconcile: reading a set: %w", err)
	}
	out := make([]*[32]byte, len(keys))
	for n := range near {
		if sketch.KeyOf(near[n]) == keys[n] {
			out[n] = &near[n]
		}
	}
	return out, nil
}

func distance(a, b uint64) uint64 { return max(a, b) - min(a, b) }
