package store

import (
	"crypto/sha256"
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/metastate-p2p/metastate/protocol"
)

// index is what the store knows without asking Badger, taken from the
// authenticated log at Open: enough to notice a row that Badger lost since.
type index struct {
	seed maphash.Seed
	head atomic.Uint64 // records visible; rows at or beyond are unfinished
	roll [32]byte      // under Store.wmu: rolling hash over the log

	mu   sync.RWMutex
	sets map[protocol.ID]setSum // under mu
	seen []*bloom               // under mu: each twice the one before
}

// setSum identifies a set's content well enough to notice any accident.
type setSum struct {
	count, sum uint64
}

func (s setSum) plus(h uint64) setSum { return setSum{s.count + 1, s.sum + h} }

func (ix *index) hash(id protocol.ID) uint64 { return maphash.Bytes(ix.seed, id[:]) }

func (ix *index) init() {
	ix.seed = maphash.MakeSeed()
	ix.sets = make(map[protocol.ID]setSum)
}

// rollOn is the rolling hash after one more log entry.
func rollOn(roll [32]byte, p place) [32]byte {
	var b [96]byte
	copy(b[:], roll[:])
	copy(b[32:], p.id[:])
	copy(b[64:], p.set[:])
	return sha256.Sum256(b[:])
}

// add makes records visible. They follow the log's last in order.
func (ix *index) add(ps []place) {
	if len(ps) == 0 {
		return
	}
	ix.mu.Lock()
	for _, p := range ps {
		ix.roll = rollOn(ix.roll, p)
		h := ix.hash(p.id)
		ix.sets[p.set] = ix.sets[p.set].plus(h)
		if n := len(ix.seen); n == 0 || ix.seen[n-1].full() {
			ix.seen = append(ix.seen, newBloom(1024<<min(n, 20)))
		}
		ix.seen[len(ix.seen)-1].add(h)
	}
	ix.head.Store(ps[len(ps)-1].seq + 1)
	ix.mu.Unlock()
}

// maybe is false only if id was surely never added.
func (ix *index) maybe(id protocol.ID) bool {
	h := ix.hash(id)
	ix.mu.RLock()
	defer ix.mu.RUnlock()
	return slices.ContainsFunc(ix.seen, func(b *bloom) bool { return b.has(h) })
}

// set returns the sum of a set and the head it belongs to.
func (ix *index) set(set protocol.ID) (sum setSum, head uint64) {
	ix.mu.RLock()
	defer ix.mu.RUnlock()
	return ix.sets[set], ix.head.Load()
}

// bloom is a Bloom filter of 32 bits and 20 probes an entry (one false hit in
// four million). A false hit costs a scan of the log, so the hash is seeded: ids
// can be ground.
type bloom struct {
	bits []uint64
	room int // entries it still takes
}

func newBloom(capacity int) *bloom {
	return &bloom{make([]uint64, capacity/2), capacity}
}

func (b *bloom) full() bool { return b.room == 0 }

func (b *bloom) probe(h uint64, visit func(word, bit uint64) bool) {
	n := uint64(len(b.bits)) * 64
	step := (h>>32 | h<<32) * 0x9e3779b97f4a7c15
	for range 20 {
		at := h % n
		if !visit(at/64, at%64) {
			return
		}
		h += step | 1
	}
}

func (b *bloom) add(h uint64) {
	b.room--
	b.probe(h, func(w, bit uint64) bool { b.bits[w] |= 1 << bit; return true })
}

func (b *bloom) has(h uint64) bool {
	in := true
	b.probe(h, func(w, bit uint64) bool { in = b.bits[w]&(1<<bit) != 0; return in })
	return in
}
