package reconcile

import (
	"encoding/binary"
	"iter"

	"github.com/metastate-p2p/metastate/protocol/merkle"
	"github.com/metastate-p2p/metastate/protocol/reconcile/sketch"
)

// Set is a set of ids that does not change while a session uses it.
type Set interface {
	// Range returns the digest (SPEC §6.1) and number of the ids that share
	// their first bits bits with prefix.
	Range(prefix [32]byte, bits int) (digest [32]byte, count uint64, err error)
	// Under yields those ids in ascending order. An error ends the iteration.
	Under(prefix [32]byte, bits int) iter.Seq2[[32]byte, error]
	// Nearest returns, for each key, an id that shares the longest prefix with
	// it; nil if there are no ids.
	Nearest(keys [][32]byte) ([][32]byte, error)
	// Sketch calls f with the set's sketch (SPEC §9.3), of n symbols or more,
	// which f must not keep or change; it does not call f if there is none. It
	// returns how much work it was to get the sketch ready, in ids and symbols
	// gone through: none if spare is 0 or less, so that there may be no sketch
	// then.
	Sketch(n, spare int, f func([]sketch.Symbol)) (work int, err error)
}

// Mem returns s as a [Set] without a sketch.
func Mem(s merkle.Set) Set { return mem{s} }

type mem struct{ s merkle.Set }

func (m mem) Range(prefix [32]byte, bits int) ([32]byte, uint64, error) {
	digest, count := m.s.Range(prefix, bits)
	return digest, uint64(count), nil
}

func (m mem) Under(prefix [32]byte, bits int) iter.Seq2[[32]byte, error] {
	return func(yield func([32]byte, error) bool) {
		for id := range m.s.Under(prefix, bits) {
			if !yield(id, nil) {
				return
			}
		}
	}
}

func (m mem) Nearest(keys [][32]byte) ([][32]byte, error) { return m.s.Nearest(keys), nil }

func (mem) Sketch(int, int, func([]sketch.Symbol)) (int, error) { return 0, nil }

// Summary says in short what a set holds.
type Summary struct {
	Set    [32]byte // its name: the subject's id, or the metastate's for the control plane
	Digest [32]byte // of all its ids
	Count  uint64   // their number
}

// AppendLeaf appends digest ‖ uint64be(count): the value of the set's name in
// an [Index].
func (s Summary) AppendLeaf(b []byte) []byte {
	return binary.BigEndian.AppendUint64(append(b, s.Digest[:]...), s.Count)
}

// Index maps each set's name to its summary: m.Put(s.Set, s). An empty set
// and one not in the index are the same.
type Index = merkle.Map[Summary]

// Local is what one node holds, frozen for one session.
type Local struct {
	Index Index
	// Open returns the set of that name, an empty one if there is none. Its
	// digest and count are those in Index.
	Open func(name [32]byte) (Set, error)
}

// Limits bound one session. Zero fields mean the defaults.
type Limits struct {
	Messages    int   // requests sent or answered; default 4096
	Bytes       int64 // of requests and replies together; default 128 MiB
	Differences int   // ids found needed or had, each 32 bytes, before the initiator ends, give or take a reply; default 2^20
	Symbols     int   // asked for of one set's sketch; default and at most 2^17; below 0: none, only ranges
	Work        int   // ids and symbols gone through to make sketches, give or take one sketch; default 2^22
}

func (l Limits) orDefaults() Limits {
	if l.Messages == 0 {
		l.Messages = 4096
	}
	if l.Bytes == 0 {
		l.Bytes = 128 << 20
	}
	if l.Differences == 0 {
		l.Differences = 1 << 20
	}
	if l.Symbols == 0 {
		l.Symbols = sketch.MaxLen
	}
	l.Symbols = min(l.Symbols, sketch.MaxLen)
	if l.Work == 0 {
		l.Work = 1 << 22
	}
	return l
}
