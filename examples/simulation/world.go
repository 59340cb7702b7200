package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/certificate"
	"github.com/metastate-p2p/metastate/protocol/checkpoint"
)

// tick is the grain of virtual time.
const tick = 100 * time.Millisecond

// How the network is.
const (
	loss     = 5  // of 100 deliveries: sync brings what they lose
	farthest = 14 // ticks that gossip takes at most
	syncing  = 80 // ticks from one exchange of a node to the next
)

// A world is a metastate with everybody's node. One goroutine owns it.
type world struct {
	rng     *rand.Rand
	seed    uint64
	start   int64 // unix seconds at tick 0
	now     int   // ticks
	due     map[int][]func()
	history history
	nodes   []*node
	clerks  []*clerk
	people  []*person
	liars   []*person
	told    chronicle
	failed  error // something that must not be
}

// history is what exists, whoever holds it.
type history struct {
	genesis  *protocol.Record
	records  []*protocol.Record
	number   map[protocol.ID]int // of a record
	rivals   map[place][]int     // records at one place of a chain
	chunks   map[protocol.ID][]byte
	computed map[[2]protocol.ID]*final // by the checkpoint before, and the value
	after    map[protocol.ID]*final    // the checkpoint that follows one, certified
}

// A place is where a record stands in what its device writes.
type place struct {
	key     identity.PublicKey
	subject protocol.ID
	seq     uint64
}

func placeOf(h protocol.Header) place { return place{h.Key, h.Subject, h.Seq} }

// A final is a checkpoint with what follows from it.
type final struct {
	tip      checkpoint.Tip
	ids      []protocol.ID // of all checkpoints up to it
	covers   []int         // records, newly
	drops    []int         // records that can't become final any more
	verdicts []protocol.Verdict
	cert     certificate.Certificate
}

// A set is a set of record numbers.
type set []uint64

func (s set) has(n int) bool { return n/64 < len(s) && s[n/64]&(1<<(n%64)) != 0 }

func (s set) remove(n int) {
	if n/64 < len(s) {
		s[n/64] &^= 1 << (n % 64)
	}
}

func (s *set) add(n int) {
	for n/64 >= len(*s) {
		*s = append(*s, 0)
	}
	(*s)[n/64] |= 1 << (n % 64)
}

// without yields what is in s and not in t.
func (s set) without(t set) (list []int) {
	for i, w := range s {
		if i < len(t) {
			w &^= t[i]
		}
		for b := 0; w != 0; b, w = b+1, w>>1 {
			if w&1 != 0 {
				list = append(list, i*64+b)
			}
		}
	}
	return list
}

func (w *world) after(ticks int, do func()) {
	at := w.now + max(ticks, 1)
	w.due[at] = append(w.due[at], do)
}

func (w *world) clock() time.Duration { return time.Duration(w.now) * tick }

func (w *world) unix() int64 { return w.start + int64(w.clock()/time.Second) }

// fail keeps the first thing that went wrong.
func (w *world) fail(format string, args ...any) {
	if w.failed == nil {
		w.failed = fmt.Errorf("at %v: %s", w.clock(), fmt.Sprintf(format, args...))
	}
}

// run lets virtual time pass.
func (w *world) run(d time.Duration) error {
	for end := w.now + int(d/tick); w.now < end && w.failed == nil; {
		w.now++
		for _, do := range w.due[w.now] {
			do()
		}
		delete(w.due, w.now)
		for _, c := range w.clerks {
			c.turn()
		}
		if w.now%syncing == 0 {
			w.exchange()
		}
		if w.now%10 == 0 {
			w.look()
		}
	}
	return w.failed
}

// know gives a record a number.
func (w *world) know(r *protocol.Record) int {
	if n, ok := w.history.number[r.ID()]; ok {
		return n
	}
	n := len(w.history.records)
	w.history.records = append(w.history.records, r)
	w.history.number[r.ID()] = n
	at := placeOf(r.Header())
	w.history.rivals[at] = append(w.history.rivals[at], n)
	return n
}

// mix is a number that follows from others and looks random.
func mix(parts ...uint64) uint64 {
	h := uint64(14695981039346656037)
	for _, p := range parts {
		h = (h ^ p) * 0x9E3779B97F4A7C15
		h ^= h >> 29
	}
	return h * 0xBF58476D1CE4E5B9 >> 3
}

// exchange has each node sync with another that it reaches, both ways.
func (w *world) exchange() {
	for _, n := range w.nodes {
		for range 4 {
			if with := w.nodes[w.rng.IntN(len(w.nodes))]; with != n && with.side == n.side {
				n.pull(with)
				with.pull(n)
				break
			}
		}
	}
}

// ids0 is the checkpoint before.
func (f *final) ids0() (id protocol.ID) {
	if n := len(f.ids); n > 1 {
		id = f.ids[n-2]
	}
	return id
}

// compute is the checkpoint that a value makes of the one before, nil if it
// does not follow. What was computed once is not computed again.
func (w *world) compute(before *final, value []byte) *final {
	key := [2]protocol.ID{before.tip.Ref().ID, protocol.Sum(value)}
	if f, ok := w.history.computed[key]; ok {
		return f
	}
	w.history.computed[key] = nil
	v, err := certificate.ParseValue(value)
	if err != nil {
		return nil
	}
	covers, recs, err := w.covered(v)
	if err != nil {
		return nil
	}
	next, err := before.tip.Apply(v, recs)
	if err != nil {
		return nil
	}
	f := &final{
		tip: next.Tip, ids: append(slices.Clip(before.ids), next.Tip.Ref().ID), covers: covers, verdicts: next.Verdicts,
		drops: w.lapsed(next.Tip),
	}
	w.history.computed[key] = f
	return f
}

// lapsed are records that can't become final any more, and those that rest on
// them: every node drops them (SPEC §4.1).
func (w *world) lapsed(tip checkpoint.Tip) (list []int) {
	dead := map[protocol.ID]bool{}
	for i, r := range w.history.records { // made after what they rest on
		h := r.Header()
		if tip.Covers(r) || h.Metastate.IsZero() || r.Plane() == protocol.Bulk {
			continue
		}
		if dead[h.Prev] || slices.ContainsFunc(h.Parents, func(id protocol.ID) bool { return dead[id] }) || tip.State().Lapsed(r) {
			dead[r.ID()] = true
			list = append(list, i)
		}
	}
	return list
}

// covered are the records that a value newly covers.
func (w *world) covered(v certificate.Value) (covers []int, recs []*protocol.Record, err error) {
	sets, err := v.NewlyCovered(func(id protocol.ID) []byte { return w.history.chunks[id] })
	if err != nil {
		return nil, nil, err
	}
	for _, s := range sets {
		for _, id := range s.IDs {
			i, ok := w.history.number[id]
			if !ok {
				return nil, nil, errors.New("it covers what nobody wrote")
			}
			covers = append(covers, i)
			recs = append(recs, w.history.records[i])
		}
	}
	return covers, recs, nil
}
