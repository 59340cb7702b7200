package node

import (
	"errors"
	"fmt"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/certificate"
	"github.com/metastate-p2p/metastate/protocol/checkpoint"
	"github.com/metastate-p2p/metastate/protocol/reconcile"
	"github.com/metastate-p2p/metastate/protocol/state"
	"github.com/metastate-p2p/metastate/store"
)

// A base is the checkpoint that a ledger began with, in place of the history
// before it.
type base struct {
	tip  checkpoint.Tip
	cert certificate.Certificate
}

func (b *base) height() uint64 { return b.tip.Ref().Height }

// Began is the height of the checkpoint that the ledger began with, 0 if that
// was the genesis.
func (l *ledger) Began() uint64 {
	if b := l.begun.Load(); b != nil {
		return b.height()
	}
	return 0
}

// Covered reports whether the latest checkpoint covers a control record.
func (l *ledger) Covered(id protocol.ID) bool { return l.tip.Covered(protocol.ID{}).Has(id) }

// CheckpointID is the id of the final checkpoint at a height, as far as it is
// held. Caller holds mu.
func (l *ledger) CheckpointID(height uint64) (protocol.ID, bool) {
	first := max(1, l.Began())
	if height >= first && height-first < uint64(len(l.heights)) {
		return l.heights[height-first], true
	}
	if height == 0 || height > first {
		return protocol.ID{}, false
	}
	cert, _, err := l.certificateAt(height) // filled in below the base
	return cert.ID(), err == nil
}

// start makes a base the tip. What is held already is looked at again. Caller
// holds mu, or has the ledger to itself.
func (l *ledger) start(b *base) {
	var held []*protocol.Record
	for _, r := range l.open {
		held = append(held, r.Record)
	}
	spent := l.spent
	l.begun.Store(b)
	l.tip, l.heights = b.tip, []protocol.ID{b.tip.Ref().ID}
	l.holdFrom(b)
	for poll, places := range spent {
		if p := b.tip.State().Decisions().Poll(poll); p != nil && !p.Phase.Closed() {
			l.spent[poll] = places
		}
	}
	for _, r := range state.Order(held) {
		l.index(r)
	}
	l.past, l.turns = past{}, nil
	l.snap = nil
}

// holdFrom makes what a base covers all that is held. Caller holds mu, or has
// the ledger to itself.
func (l *ledger) holdFrom(b *base) {
	l.holdings = newHoldings()
	l.digests = reconcile.Index{}
	l.sets[protocol.ID{}] = b.tip.Covered(protocol.ID{})
	l.stale[protocol.ID{}] = true
	for p := range b.tip.State().Decisions().Polls() {
		if set := b.tip.Covered(p.Proposal); !p.Phase.Closed() && set.Len() > 0 {
			l.sets[p.Proposal] = set
			l.stale[p.Proposal] = true
		}
	}
	for _, head := range b.tip.Frontier() {
		l.heads[head] = true
	}
}

// startOrRecompute makes a base the tip, unless all of the past has been filled
// in below it: then nothing need be trusted any more, and the ledger goes
// through everything from the genesis on.
func (l *ledger) startOrRecompute(b *base) (filled bool) {
	l.begun.Store(b)
	if l.lowest() == 1 {
		l.begun.Store(nil)
		l.past = past{}
		return true
	}
	l.start(b)
	return false
}

// settled reports whether a stored record is history that the base covers.
func (l *ledger) settled(r *protocol.Record) bool {
	b := l.begun.Load()
	if b == nil {
		return false
	}
	if r.Plane() == protocol.Control {
		return b.tip.Covered(protocol.ID{}).Has(r.ID())
	}
	p := b.tip.State().Decisions().Poll(r.Header().Subject)
	return p != nil && (p.Phase.Closed() || p.Covered.Has(r.ID()))
}

// end is the end of a key's chain: what its next record's number is, and the
// record before that. Caller holds mu.
func (l *ledger) end(persona protocol.ID, key identity.PublicKey) (seq uint64, prev protocol.ID) {
	if id, ok := l.ends[key]; ok {
		return l.headers[id].Seq + 1, id
	}
	if end, ok := l.tip.State().Roll().Chain(persona, key); ok {
		return end.Next, end.Head
	}
	return 0, protocol.ID{}
}

const noHistory = "no-history" // an error's code

// errHistory says that something is older than what this node holds.
func (l *ledger) errHistory(height uint64, err error) error {
	if isNotFound(err) && height <= l.Began() {
		return &Error{
			Code: noHistory, Exit: ExitNotFound, Err: err,
			Message: fmt.Sprintf("this node began with checkpoint %d, and does not hold all of checkpoint %d", l.Began(), height),
			Hint:    "unless it runs with --history never or pruned it, the past comes in the background, by sync: metastate status says how far it has come",
		}
	}
	return storeError(err)
}

func isNotFound(err error) bool { return errors.Is(err, store.ErrNotFound) }
