package node

import (
	"cmp"
	"iter"
	"maps"
	"math"
	"slices"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/state"
)

// Bounds on what waits, in bytes.
const (
	maxPending = 64 << 20
	waitCost   = 256 // of waiting for one thing, besides the record
)

// A pool holds verified records until what they wait for is held. It is
// bounded. When it is full, whoever fills most of it loses first, so that nobody
// crowds out others; and of theirs those go that cite the latest checkpoints, so
// that a node that catches up keeps what it needs first, then the oldest. Sync
// brings them again. Its owner locks.
type pool struct {
	records map[protocol.ID]*waiting
	waiters map[protocol.ID]map[protocol.ID]bool // what is missing → who waits for it
	heights map[uint64]map[protocol.ID]bool      // checkpoint cited → who waits for it
	came    uint64                               // records so far
	size    int
}

// A waiting record is one in a pool, with what it waits for.
type waiting struct {
	*protocol.Record
	share   identity.PublicKey // whose it is
	missing []protocol.ID
	height  uint64 // 0: no checkpoint
	came    uint64 // rises
}

func (w *waiting) cost() int { return len(w.Inner()) + waitCost*(1+len(w.missing)) }

// add takes in a record as part of a share, or renews what it waits for.
func (p *pool) add(r *protocol.Record, missing *state.Missing, share identity.PublicKey) {
	p.remove(r.ID())
	if p.records == nil {
		p.records, p.waiters = map[protocol.ID]*waiting{}, map[protocol.ID]map[protocol.ID]bool{}
		p.heights = map[uint64]map[protocol.ID]bool{}
	}
	p.came++
	w := &waiting{Record: r, share: share, missing: missing.Records, height: missing.Checkpoint, came: p.came}
	p.records[r.ID()] = w
	p.size += w.cost()
	for _, id := range w.missing {
		tie(p.waiters, id, r.ID())
	}
	if w.height != 0 {
		tie(p.heights, w.height, r.ID())
	}
	if p.size > maxPending {
		p.evict()
	}
}

func tie[K comparable](m map[K]map[protocol.ID]bool, key K, id protocol.ID) {
	if m[key] == nil {
		m[key] = map[protocol.ID]bool{}
	}
	m[key][id] = true
}

func untie[K comparable](m map[K]map[protocol.ID]bool, key K, id protocol.ID) {
	if delete(m[key], id); len(m[key]) == 0 {
		delete(m, key)
	}
}

// evict makes room for an eighth more, so that it is seldom called.
func (p *pool) evict() {
	const enough = maxPending - maxPending/8
	shares, sizes := map[identity.PublicKey][]*waiting{}, map[identity.PublicKey]int{}
	for _, w := range p.records {
		shares[w.share] = append(shares[w.share], w)
		sizes[w.share] += w.cost()
	}
	level := fair(slices.Sorted(maps.Values(sizes)), enough)
	for share, list := range shares {
		slices.SortFunc(list, func(a, b *waiting) int {
			return cmp.Or(cmp.Compare(b.height, a.height), cmp.Compare(a.came, b.came))
		})
		for _, w := range list {
			if sizes[share] <= level {
				break
			}
			sizes[share] -= w.cost()
			p.remove(w.ID())
		}
	}
}

// fair is the size that nobody may be over so that all, by rising size, fit.
func fair(sizes []int, room int) int {
	for i, size := range sizes {
		level := room / (len(sizes) - i)
		if size > level {
			return level
		}
		room -= size
	}
	return math.MaxInt
}

// get is a waiting record, nil if it is not in the pool.
func (p *pool) get(id protocol.ID) *protocol.Record {
	if w := p.records[id]; w != nil {
		return w.Record
	}
	return nil
}

// release takes out what waited for a record.
func (p *pool) release(id protocol.ID) []*protocol.Record {
	return p.takeOut(maps.Keys(p.waiters[id]))
}

// releaseHeight takes out what waited for a checkpoint up to a height.
func (p *pool) releaseHeight(height uint64) (out []*protocol.Record) {
	for h, ids := range p.heights {
		if h <= height {
			out = append(out, p.takeOut(maps.Keys(ids))...)
		}
	}
	return out
}

func (p *pool) takeOut(ids iter.Seq[protocol.ID]) (out []*protocol.Record) {
	for id := range ids {
		out = append(out, p.records[id].Record)
		p.remove(id)
	}
	return out
}

func (p *pool) remove(id protocol.ID) {
	w := p.records[id]
	if w == nil {
		return
	}
	delete(p.records, id)
	p.size -= w.cost()
	for _, m := range w.missing {
		untie(p.waiters, m, id)
	}
	if w.height != 0 {
		untie(p.heights, w.height, id)
	}
}
