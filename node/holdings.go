package node

import (
	"maps"
	"slices"
	"time"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/merkle"
	"github.com/metastate-p2p/metastate/protocol/reconcile"
)

// holdings are the records that a ledger holds, indexed. Its ledger locks.
type holdings struct {
	headers  map[protocol.ID]protocol.Header    // of control records
	open     map[protocol.ID]*held              // not covered
	places   map[place]int                      // open records at each place of a chain
	spent    map[protocol.ID]map[place]bool     // places of open polls whose covered ballot doesn't count
	ends     map[identity.PublicKey]protocol.ID // last control record of each chain
	heads    map[protocol.ID]bool               // control records that nothing follows
	sets     map[protocol.ID]merkle.Set         // ids, by subject; zero: control
	stale    map[protocol.ID]bool               // sets whose digest is out of date
	digests  reconcile.Index                    // of sets
	sketches *reconcile.Sketches                // of sets; has a lock of its own
}

func newHoldings() holdings {
	return holdings{
		headers: map[protocol.ID]protocol.Header{}, open: map[protocol.ID]*held{}, places: map[place]int{},
		spent: map[protocol.ID]map[place]bool{},
		ends:  map[identity.PublicKey]protocol.ID{}, heads: map[protocol.ID]bool{},
		sets: map[protocol.ID]merkle.Set{}, stale: map[protocol.ID]bool{}, sketches: &reconcile.Sketches{},
	}
}

// held is an uncovered record and when it came.
type held struct {
	*protocol.Record
	at time.Time
}

// A place is where a record stands: a device's chain, or a voter's ballots in a
// subject, and the number there.
type place struct {
	key     identity.PublicKey
	subject protocol.ID
	seq     uint64
}

// placeOf is a record's place. A founding key brings in one founder, so that
// is a place too, whatever persona's key signs.
func placeOf(h protocol.Header) place {
	if h.Kind == protocol.Inception && len(h.Cosigners) > 0 {
		return place{key: h.Cosigners[0]}
	}
	return place{h.Key, h.Subject, h.Seq}
}

// Header is the header of a held control record.
func (x *holdings) Header(id protocol.ID) (protocol.Header, bool) {
	h, ok := x.headers[id]
	return h, ok
}

// add indexes a record that was stored, come at the given time.
func (x *holdings) add(r *protocol.Record, at time.Time) {
	h := r.Header()
	x.open[r.ID()] = &held{r, at}
	x.places[placeOf(h)]++
	x.sets[h.Subject] = x.sets[h.Subject].Add(r.ID())
	x.stale[h.Subject] = true
	if r.Plane() == protocol.Bulk {
		return
	}
	x.headers[r.ID()] = h
	for _, p := range append(slices.Clone(h.Parents), h.Prev) {
		delete(x.heads, p)
	}
	x.heads[r.ID()] = true
	if end, ok := x.ends[h.Key]; !ok || x.headers[end].Seq < h.Seq {
		x.ends[h.Key] = r.ID()
	}
}

// parents are up to 16 heads of the control plane, rising.
func (x *holdings) parents() []protocol.ID {
	heads := slices.SortedFunc(maps.Keys(x.heads), protocol.ID.Compare)
	return heads[:min(len(heads), protocol.MaxParents)]
}

// settle takes a record out of the open ones.
func (x *holdings) settle(r *protocol.Record) {
	if _, ok := x.open[r.ID()]; !ok {
		return
	}
	delete(x.open, r.ID())
	at := placeOf(r.Header())
	if x.places[at]--; x.places[at] == 0 {
		delete(x.places, at)
	}
}

// summaries are the sets held and the index of their digests, the control
// plane under the given name.
func (x *holdings) summaries(control protocol.ID) (reconcile.Index, map[protocol.ID]merkle.Set) {
	for id := range x.stale {
		name := id
		if id.IsZero() {
			name = control
		}
		if s := x.sets[id]; s.Len() > 0 {
			x.digests = x.digests.Put(name, reconcile.Summary{Set: name, Digest: s.Root(), Count: uint64(s.Len())})
		} else {
			x.digests = x.digests.Delete(name)
			x.sketches.Forget(name)
		}
	}
	clear(x.stale)
	return x.digests, maps.Clone(x.sets)
}
