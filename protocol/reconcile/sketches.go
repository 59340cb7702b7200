package reconcile

import (
	"math/bits"
	"sync"

	"github.com/metastate-p2p/metastate/protocol/merkle"
	"github.com/metastate-p2p/metastate/protocol/reconcile/sketch"
)

const (
	leastSymbols = 64
	// keptSymbols bounds the sketches of a node together: 6 MiB.
	keptSymbols = 1 << 18
)

// Sketches keeps the sketches of a node's sets, one of each set's last version
// that was asked for, so that no session builds one. A sketch is made when first
// asked for and later led on by what the set changed in, in either direction.
// It is not stored: it is made again from the ids, which a node reads when it
// starts, at some 0.4 µs each; to write it with every record would touch some
// twenty places of it each time.
//
// A sketch has as many symbols as the set has ids, within limits; the least
// recently used are forgotten beyond 6 MiB. A version of a set stays in memory
// while its sketch is kept. Who asks for one set's sketch does not wait while
// another's is made. The zero Sketches is ready, and safe for concurrent use.
type Sketches struct {
	mu   sync.Mutex
	kept map[[32]byte]*kept // guarded by mu, by the sets' names
	size int                // guarded by mu: symbols in all
	turn uint64             // guarded by mu: counts uses
}

// A kept sketch is of some version of a set, of length symbols.
type kept struct {
	length int
	used   uint64 // guarded by the mu of Sketches

	mu      sync.Mutex      // held while it is made, led on or read; taken without the mu of Sketches
	set     merkle.Set      // guarded by mu
	symbols []sketch.Symbol // guarded by mu; nil until it is made
}

// Of returns a version of the set of that name as a [Set] with a sketch.
func (x *Sketches) Of(name [32]byte, s merkle.Set) Set { return sketched{mem{s}, name, x} }

// Forget drops the sketch of a set, and with it the version it was of.
func (x *Sketches) Forget(name [32]byte) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.drop(name)
}

// drop is Forget. The caller holds mu.
func (x *Sketches) drop(name [32]byte) {
	if k := x.kept[name]; k != nil {
		x.size -= k.length
		delete(x.kept, name)
	}
}

type sketched struct {
	mem
	name [32]byte
	from *Sketches
}

func (s sketched) Sketch(n, spare int, f func([]sketch.Symbol)) (work int, err error) {
	return s.from.show(s.name, s.s, n, spare, f), nil
}

// show is [Set.Sketch] of a version of a set. No sketch is made of nothing, nor
// a longer one than the set's size asks for: who asks for that wants the work
// done, not the answer.
func (x *Sketches) show(name [32]byte, s merkle.Set, n, spare int, f func([]sketch.Symbol)) (work int) {
	length := lengthOf(uint64(s.Len()))
	if s.Len() == 0 || n > length {
		return 0
	}
	k := x.use(name, length, spare > 0)
	if k == nil {
		return 0
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.symbols != nil && k.set == s:
	case spare <= 0:
		return 0
	case k.symbols != nil:
		for id := range k.set.Diff(s) {
			sketch.Toggle(k.symbols, sketch.KeyOf(id))
			work++
		}
		k.set = s
	default:
		k.set, k.symbols = s, make([]sketch.Symbol, k.length)
		for id := range s.All() {
			sketch.Toggle(k.symbols, sketch.KeyOf(id))
		}
		work = s.Len() + k.length
	}
	f(k.symbols)
	return work
}

// use returns the kept sketch of a set, of length symbols or somewhat more, and
// marks it as used; if there is none, one to be made, or nil if none may be.
func (x *Sketches) use(name [32]byte, length int, may bool) *kept {
	x.mu.Lock()
	defer x.mu.Unlock()
	k := x.kept[name]
	if k == nil || k.length < length || k.length > 4*length {
		if !may {
			return nil
		}
		x.drop(name)
		k = &kept{length: length}
		x.keep(name, k)
	}
	x.turn++
	k.used = x.turn
	return k
}

// keep takes in a sketch, and forgets others if it is too much. The caller holds
// mu.
func (x *Sketches) keep(name [32]byte, k *kept) {
	for x.size+k.length > keptSymbols {
		var oldest [32]byte
		least := ^uint64(0)
		for name, k := range x.kept {
			if k.used < least {
				oldest, least = name, k.used
			}
		}
		x.drop(oldest)
	}
	if x.kept == nil {
		x.kept = map[[32]byte]*kept{}
	}
	x.kept[name] = k
	x.size += k.length
}

// lengthOf is the length of the sketch of so many ids: the least power of two
// that is no less.
func lengthOf(ids uint64) int {
	return 1 << bits.Len64(min(max(ids, leastSymbols), sketch.MaxLen)-1)
}
