package reconcile

import (
	"encoding/binary"
	"iter"

	"github.com/metastate-p2p/metastate/protocol/merkle"
)

// Set is a set of ids that does not change while a session uses it.
type Set interface {
	// Range returns the digest (SPEC §6.1) and number of the ids that share
	// their first bits bits with prefix.
	Range(prefix [32]byte, bits int) (digest [32]byte, count uint64, err error)
	// Under yields those ids in ascending order. An error ends the iteration.
	Under(prefix [32]byte, bits int) iter.Seq2[[32]byte, error]
}

// Mem returns s as a [Set].
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
	Differences int   // ids found needed or had, each 32 bytes; default 2^20
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
	return l
}
