package node

import (
	"iter"
	"slices"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/certificate"
	"github.com/metastate-p2p/metastate/store"
)

// A past is how far history before the base has been filled in. It comes
// downwards: each value names the one before, so nothing else vouches for it.
// Its ledger locks.
type past struct {
	low   uint64            // of the lowest checkpoint held whole; 0: look
	queue []*pastCheckpoint // below low, falling, not whole yet
	// want are records that they cover, by the one that covers them, or that
	// others wait for (nil).
	want map[protocol.ID]*pastCheckpoint
}

type pastCheckpoint struct {
	cert    certificate.Certificate
	value   certificate.Value
	listed  bool          // its lists are there
	covered []protocol.ID // newly, as they say
	lists   [][]byte      // that name them
	lacks   int           // of covered, how many are not stored
	forged  bool          // its signatures: another certificate of the value is wanted
}

const (
	maxQueue = 128                             // checkpoints that wait for their records: more than a span
	maxAsked = 8 * certificate.MaxNewlyCovered // records that they wait for
	maxWant  = 4096                            // records asked for by name at once
)

// lowest is the lowest height from which on everything is held. Caller holds mu.
func (l *ledger) lowest() uint64 {
	if l.Began() == 0 {
		return 1
	}
	if l.past.low == 0 {
		l.past.low = l.Began() + 1
		for l.past.low > 1 && !l.pruned {
			if _, err := l.store.Checkpoint(l.past.low - 1); err != nil {
				break
			}
			l.past.low--
		}
	}
	return l.past.low
}

// unfilled is the height to ask for next, 0 if there is none.
func (l *ledger) unfilled() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.recent || l.lowest() == 1 {
		return 0
	}
	if len(l.past.queue) == 0 {
		return l.lowest() - 1
	}
	first := l.past.queue[0]
	if !first.whole() { // it must not wait for ever for what broke off
		l.seekAll()
	}
	if first.forged || !first.whole() {
		return first.value.Height
	}
	return max(1, first.value.Height-1) // whole, and waits for who signed it alone
}

// deeper is the height to ask for after those that have come since. Caller does
// not hold mu.
func (l *ledger) deeper() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.past.queue)
	if n == 0 || n > maxQueue-spanHeights || len(l.past.want) > maxAsked-2*certificate.MaxNewlyCovered {
		return 0
	}
	return l.past.queue[n-1].value.Height - 1
}

// backfill takes a certificate from before the base, if it is the one below
// those held. Caller holds mu.
func (l *ledger) backfill(cert certificate.Certificate, v certificate.Value) error {
	if q := l.past.queue; len(q) > 0 && q[0].forged && q[0].cert.ID() == cert.ID() {
		q[0].cert, q[0].forged = cert, false
		return l.fillIn()
	}
	low := l.lowest()
	want := protocol.Ref{Height: low - 1}
	if n := len(l.past.queue); n > 0 {
		last := l.past.queue[n-1].value
		want = protocol.Ref{Height: last.Height - 1, ID: last.Prev}
	} else if b := l.begun.Load(); low > b.height() {
		want.ID = b.tip.Ref().ID
	} else {
		_, above, err := l.certificateAt(low)
		if err != nil {
			return err
		}
		want.ID = above.Prev
	}
	if v.Height != want.Height || cert.ID() != want.ID || len(l.past.queue) >= maxQueue {
		return nil // of another branch, or not asked for
	}
	l.past.queue = append(l.past.queue, &pastCheckpoint{cert: cert, value: v})
	return l.fillIn()
}

// fillIn stores checkpoints from before the base that have become whole, and
// seeks what the others cover. Caller holds mu.
func (l *ledger) fillIn() error {
	for _, c := range l.past.queue {
		if c.listed {
			continue
		}
		sets, err := c.value.NewlyCovered(l.chunk)
		if err != nil {
			continue
		}
		for _, set := range sets {
			c.covered = append(c.covered, set.IDs...)
		}
		c.listed, c.lists = true, l.namedChunks(c.cert.Value) // the cache may lose them
		l.seekOf(c)
	}
	for len(l.past.queue) > 0 {
		c := l.past.queue[0]
		by, known, err := l.signersBelow()
		if err != nil || !known || c.forged || !c.whole() {
			return err
		}
		// Its id vouches for the value, but others will ask for its signatures.
		// Those under a recall follow from records: who recomputes checks them.
		if c.value.Under().IsZero() {
			if _, err := c.cert.Verify(l.metastate, by); err != nil {
				c.forged = true // whoever gave it; who gives what is due now is not at fault
				return nil
			}
		}
		height := c.value.Height
		cp := &store.Checkpoint{Height: height, Cert: c.cert.Encode(), Chunks: c.lists}
		if err := l.store.Commit(store.Batch{Checkpoint: cp}); err != nil {
			return storeError(err)
		}
		l.past.queue, l.past.low = slices.Delete(l.past.queue, 0, 1), height
	}
	return nil
}

// signersBelow are those who sign the first checkpoint of the queue, if what
// names them is there.
func (l *ledger) signersBelow() (by certificate.Signers, known bool, err error) {
	if l.past.queue[0].value.Height > 1 {
		if len(l.past.queue) == 1 {
			return by, false, nil
		}
		return l.past.queue[1].value.Next(), true, nil
	}
	by, err = l.inForce(1)
	return by, true, err
}

// whole reports whether all that a checkpoint covers is stored.
func (c *pastCheckpoint) whole() bool { return c.listed && c.lacks == 0 }

// seekAll asks again for all that the queue lacks, the highest first, as far as
// there is room. Caller holds mu.
func (l *ledger) seekAll() {
	clear(l.past.want) // what others wait for must not keep it out
	for _, c := range l.past.queue {
		if !c.whole() {
			l.seekOf(c)
		}
	}
}

// seekOf counts what a checkpoint lacks, and asks for it. Caller holds mu.
func (l *ledger) seekOf(c *pastCheckpoint) {
	c.lacks = 0
	for _, id := range c.covered {
		if !l.stored(id) {
			c.lacks++
			l.seek(id, c)
		}
	}
}

func (l *ledger) stored(id protocol.ID) bool {
	held, err := l.store.Has(id)
	return err == nil && held
}

// seeks reports whether a record is one that is asked for. Caller holds mu.
func (l *ledger) seeks(id protocol.ID) bool {
	_, ok := l.past.want[id]
	return ok
}

// seek asks for a covered record that is not held, of a checkpoint if that is
// known. Caller holds mu.
func (l *ledger) seek(id protocol.ID, of *pastCheckpoint) {
	if l.past.want == nil {
		l.past.want = map[protocol.ID]*pastCheckpoint{}
	}
	if len(l.past.want) < maxAsked {
		l.past.want[id] = of
	}
}

// keep stores records that were sought. Caller holds mu.
func (l *ledger) keep(recs []*protocol.Record) error {
	items := make([]store.Item, len(recs))
	for i, r := range recs {
		items[i] = store.Item{ID: r.ID(), Set: r.Header().Subject, Inner: r.Inner()}
	}
	if err := l.store.Append(items...); err != nil {
		return storeError(err)
	}
	var ready []*protocol.Record
	for _, r := range recs {
		if c := l.past.want[r.ID()]; c != nil {
			c.lacks--
		}
		delete(l.past.want, r.ID()) // it may come twice
		if r.Plane() == protocol.Control {
			l.headers[r.ID()] = r.Header()
		}
		ready = append(ready, l.pending.release(r.ID())...)
	}
	if err := l.fillIn(); err != nil {
		return err
	}
	var d delivery
	return l.take(ready, &d)
}

// lacking are covered records to ask for by name.
func (l *ledger) lacking() (ids []protocol.ID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id := range l.needed {
		if len(ids) == maxWant {
			return ids
		}
		ids = append(ids, id)
	}
	for id := range l.past.want {
		if len(ids) == maxWant {
			return ids
		}
		ids = append(ids, id)
	}
	return ids
}

// Span reads checkpoints from a height on, with the ids that they cover.
func (r *replica) Span(from uint64, down bool) (certs [][]byte, covered []protocol.ID, err error) {
	if r.ledger.gaveUp(from) {
		return nil, nil, nil // who recomputes would be stuck where the records are missing
	}
	size := 0
	for n := 0; n < spanHeights && len(covered) < spanIDs && size < spanBytes && from > 0; n++ {
		p, err := r.ledger.packCheckpoint(from)
		if isNotFound(err) {
			break
		}
		if err != nil {
			return nil, nil, err
		}
		_, sets, err := r.ledger.coverAt(from)
		if err != nil {
			return nil, nil, err
		}
		for _, set := range sets {
			covered = append(covered, set.IDs...)
		}
		frames := r.packedFrames(p)
		if down { // the certificate says which lists are wanted
			slices.Reverse(frames)
		}
		for _, f := range frames {
			size += len(f)
		}
		certs = append(certs, frames...)
		if down {
			from--
		} else {
			from++
		}
	}
	return certs, covered, nil
}

// gaveUp reports whether this node pruned what a height may cover.
func (l *ledger) gaveUp(height uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pruned && height <= l.Began()
}

// Bounds on a span of history.
const (
	spanHeights = 64
	spanIDs     = 8192
	spanBytes   = 1 << 20
)

// Lacking are covered records that are not held.
func (r *replica) Lacking() []protocol.ID { return r.ledger.lacking() }

// Unfilled is the height below the base to ask for next.
func (r *replica) Unfilled() uint64 { return r.ledger.unfilled() }

// Deeper is the height to ask for while what came is taken in.
func (r *replica) Deeper() uint64 { return r.ledger.deeper() }

// Covered yields records held, as they are stored, in order of arrival.
func (r *replica) Covered(ids []protocol.ID) iter.Seq2[[]byte, error] {
	return r.ledger.store.Each(ids)
}

func (l *ledger) historyStatus() HistoryStatus {
	l.mu.Lock()
	defer l.mu.Unlock()
	return HistoryStatus{From: l.lowest(), Began: l.Began()}
}
