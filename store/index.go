package store

import (
	"crypto/sha256"
	"hash/maphash"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/metastate-p2p/metastate/protocol"
)

// index is what the store knows without asking Badger, taken from the
// authenticated log at Open: where each record is, and enough to notice a row
// that Badger lost since. It takes 11 to 22 bytes a record.
type index struct {
	seed maphash.Seed
	head atomic.Uint64 // records visible; rows at or beyond are unfinished
	roll [32]byte      // under Store.wmu: rolling hash over the log

	mu     sync.RWMutex
	sets   map[protocol.ID]*setPacks // under mu
	starts []uint32                  // under mu: first records of packs, rising
	places places                    // under mu
}

// maxLog bounds the number of records: places in the log are kept in 32 bits.
const maxLog = math.MaxUint32

// setSum identifies a set's content well enough to notice any accident.
type setSum struct {
	count, sum uint64
}

// setPacks is a set's sum, and the packs with records of it.
type setPacks struct {
	setSum
	packs []uint32 // first records, rising
}

func (s setSum) plus(h uint64) setSum { return setSum{s.count + 1, s.sum + h} }

func (ix *index) hash(id protocol.ID) uint64 { return maphash.Bytes(ix.seed, id[:]) }

func (ix *index) init() {
	ix.seed = maphash.MakeSeed()
	ix.sets = make(map[protocol.ID]*setPacks)
}

// rollOn is the rolling hash after one more log entry.
func rollOn(roll [32]byte, p place) [32]byte {
	var b [96]byte
	copy(b[:], roll[:])
	copy(b[32:], p.id[:])
	copy(b[64:], p.set[:])
	return sha256.Sum256(b[:])
}

// add makes packs visible. They follow the log's last record in order.
func (ix *index) add(packs ...[]place) {
	if len(packs) == 0 {
		return
	}
	ix.mu.Lock()
	defer ix.mu.Unlock()
	for _, ps := range packs {
		start := uint32(ps[0].seq)
		ix.starts = append(ix.starts, start)
		for _, p := range ps {
			ix.roll = rollOn(ix.roll, p)
			h := ix.hash(p.id)
			set := ix.sets[p.set]
			if set == nil {
				set = new(setPacks)
				ix.sets[p.set] = set
			}
			set.setSum = set.plus(h)
			if n := len(set.packs); n == 0 || set.packs[n-1] != start {
				set.packs = append(set.packs, start)
			}
			ix.places.add(uint32(h), uint32(p.seq))
		}
		ix.head.Store(ps[len(ps)-1].seq + 1)
	}
}

// candidates are the places in the log at which a record can be: none only if it
// was surely never added, and hardly ever more than one.
func (ix *index) candidates(id protocol.ID) []uint64 {
	h := uint32(ix.hash(id))
	ix.mu.RLock()
	defer ix.mu.RUnlock()
	return ix.places.find(h)
}

// packOf is the first record of the pack that has the record at a place.
func (ix *index) packOf(seq uint64) uint64 {
	ix.mu.RLock()
	defer ix.mu.RUnlock()
	i, found := slices.BinarySearch(ix.starts, uint32(min(seq, maxLog)))
	if !found {
		i--
	}
	if i < 0 {
		return 0
	}
	return uint64(ix.starts[i])
}

// set returns the sum of a set and the packs with records of it.
func (ix *index) set(set protocol.ID) (sum setSum, packs []uint64) {
	ix.mu.RLock()
	defer ix.mu.RUnlock()
	s := ix.sets[set]
	if s == nil {
		return sum, nil
	}
	packs = make([]uint64, len(s.packs))
	for i, start := range s.packs {
		packs[i] = uint64(start)
	}
	return s.setSum, packs
}

// places finds places in the log by hash, in open addressing. Two records may have one
// hash. The hash is seeded: ids can be ground.
type cell struct{ hash, place uint32 } // place counts from 1; 0: empty

type places struct {
	cells []cell // a power of two of them, at most three quarters in use
	used  int
}

func (t *places) add(hash, place uint32) {
	if 4*t.used >= 3*len(t.cells) {
		old := t.cells
		t.cells = make([]cell, max(16, 2*len(old)))
		for _, c := range old {
			if c.place != 0 {
				t.put(c)
			}
		}
	}
	t.used++
	t.put(cell{hash, place + 1})
}

func (t *places) put(c cell) {
	mask := uint32(len(t.cells) - 1)
	for i := c.hash & mask; ; i = (i + 1) & mask {
		if t.cells[i].place == 0 {
			t.cells[i] = c
			return
		}
	}
}

func (t *places) find(hash uint32) (places []uint64) {
	if len(t.cells) == 0 {
		return nil
	}
	mask := uint32(len(t.cells) - 1)
	for i := hash & mask; t.cells[i].place != 0; i = (i + 1) & mask {
		if t.cells[i].hash == hash {
			places = append(places, uint64(t.cells[i].place-1))
		}
	}
	return places
}
