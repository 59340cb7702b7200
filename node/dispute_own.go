package node

import (
	"cmp"
	"errors"
	"maps"
	"slices"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/node/internal/p2p"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
	"github.com/metastate-p2p/metastate/protocol/roll"
	"github.com/metastate-p2p/metastate/store"
)

// link puts a record to be into its device's chain. While finality has stopped,
// what can be is written so that it counts on every branch: it cites the last
// checkpoint in common, and follows only what does.
func (l *ledger) link(h *protocol.Header) {
	h.Seq, h.Prev = l.end(h.Persona, h.Key)
	h.Parents = l.parents()
	at, stopped := l.parted()
	if !stopped || at < max(1, l.Began()) || l.trouble == nil {
		return
	}
	shared := l.sharedUpTo(at)
	if _, held := l.headers[h.Prev]; held && !shared[h.Prev] {
		return // the device has spoken on this branch only
	}
	id, _ := l.CheckpointID(at)
	h.Checkpoint = protocol.Ref{Height: at, ID: id}
	heads := maps.Clone(shared)
	for id := range shared {
		for _, p := range append(slices.Clone(l.headers[id].Parents), l.headers[id].Prev) {
			delete(heads, p)
		}
	}
	all := l.heads
	l.heads = heads
	h.Parents = l.parents()
	l.heads = all
}

// sharedUpTo are the control records held that cite no checkpoint above a
// height, nor follow one that does.
func (l *ledger) sharedUpTo(height uint64) map[protocol.ID]bool {
	shared := map[protocol.ID]bool{}
	known := map[protocol.ID]bool{}
	var visit func(id protocol.ID) bool
	visit = func(id protocol.ID) bool {
		h, held := l.headers[id]
		if !held {
			return true // inside an admission
		}
		if known[id] {
			return shared[id]
		}
		known[id] = true
		ok := h.Checkpoint.Height <= height
		for _, p := range append(slices.Clone(h.Parents), h.Prev) {
			ok = ok && visit(p)
		}
		if ok {
			shared[id] = true
		}
		return ok
	}
	for id := range l.headers {
		visit(id)
	}
	return shared
}

// sayAgain says anew what a record said that this node's branch does not hold, as
// of this branch. That it did is stored with the new record.
func (l *ledger) sayAgain(old *protocol.Record, key identity.Signer) (*protocol.Record, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, err := l.store.Private(lapsedKey(old.ID())); !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	if body, err := protocol.Body[roll.EndorseBody](old); err == nil && old.Kind() == protocol.Endorse {
		if _, ok := l.headers[body.Act]; !ok {
			return nil, errors.New("what it endorses is not held")
		}
	}
	if ofTrustee(old.Kind()) {
		return nil, errors.New("what is asked of a trustee here is said by itself")
	}
	if codeOf(old) != "" { // it proves itself in one vote, at one place
		const why = "a secret ballot can't be said again: vote anew if you still want to"
		return nil, errors.Join(errors.New(why), l.note(old.ID(), lapse{At: l.now().Unix(), Kind: old.Kind(), Why: why}))
	}
	h := old.Header()
	h.Checkpoint, h.Time = l.tip.Ref(), l.now().Unix()
	if h.Subject.IsZero() {
		h.Seq, h.Prev = 0, protocol.ID{}
		l.link(&h)
	} else {
		h.Seq = l.nextBulk(h.Persona, h.Subject)
	}
	r, err := protocol.SignAgain(old, h, nil, key)
	if err != nil {
		return nil, err
	}
	if err := l.tip.State().Receive(r, l); err != nil {
		return nil, err
	}
	mark, err := dagcbor.Marshal(lapse{At: h.Time, Kind: old.Kind(), Again: r.ID(), Left: true})
	if err != nil {
		return nil, err
	}
	marks := map[string][]byte{lapsedKey(old.ID()): mark}
	if err := l.store.Commit(store.Batch{Items: itemsOf([]*protocol.Record{r}), Private: marks}); err != nil {
		return nil, storeError(err)
	}
	l.index(r)
	return r, nil
}

// takeShed are the records of a device that this node's branch can't hold, in the
// order made, but for those that say again what one that it holds says: once.
// Until it is known which branch goes on there are none: what the device says
// twice in one place speaks against it where both can be held.
func (l *ledger) takeShed(key identity.PublicKey) (list []*protocol.Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.shed) == 0 || l.trouble != nil || l.contested() {
		return nil
	}
	shed := l.shed
	l.shed = nil
	marks := l.lapseMarks()
	origin := map[protocol.ID]protocol.ID{} // of what says a record again: that record
	for id, what := range marks {
		if !what.Again.IsZero() {
			origin[what.Again] = id
		}
	}
	for _, r := range shed {
		if mark, ok := marks[r.ID()]; ok && !mark.Left || r.Header().Key != key {
			continue
		}
		held := false
		for id, ok := origin[r.ID()]; ok && !held; id, ok = origin[id] {
			held = l.sets[protocol.ID{}].Has(id) || l.sets[r.Header().Subject].Has(id)
		}
		if !held {
			list = append(list, r)
		}
	}
	slices.SortStableFunc(list, func(a, b *protocol.Record) int { return cmp.Compare(a.Header().Seq, b.Header().Seq) })
	return list
}

// offerAgain says anew what this device said on a branch that the node left, as
// far as it can be said.
func (c *Community) offerAgain() {
	if l := c.book(); l != nil {
		c.offerAgainOf(l)
	}
}

func (c *Community) offerAgainOf(l *ledger) {
	for _, old := range l.takeShed(c.key.Public()) {
		r, err := l.sayAgain(old, c.key)
		switch {
		case err != nil:
			c.log.Info("a record of this device's is not said again on the branch that it follows", "kind", string(old.Kind()), "cause", err)
		case r != nil:
			c.publish(p2p.Records, r.Inner())
		}
	}
}
