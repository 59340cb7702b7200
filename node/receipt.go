package node

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/node/internal/p2p"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/certificate"
	"github.com/metastate-p2p/metastate/protocol/checkpoint"
	"github.com/metastate-p2p/metastate/store"
)

// How ballots are handed over again for receipts: those that wait for so long,
// so often, and so many at once that it takes no longer.
const (
	seekEvery = 10 * time.Second
	maxSought = 3
)

// maxReceipts bounds the receipts of clerks that a node keeps for its own
// ballots. The oldest go first.
const maxReceipts = 1024

// Receipts are this clerk's for the ballots among pushed frames that it holds.
func (r *replica) Receipts(frames [][]byte) [][]byte {
	if r.clerk == nil {
		return nil
	}
	var ids []protocol.ID
	for _, f := range frames {
		inner, err := r.unseal(protocol.ContentRecord, f)
		if err == nil {
			ids = append(ids, idOf(inner))
		}
	}
	height, ids := r.ledger.receiptable(r.clerk.device.Public(), ids)
	var out [][]byte
	for _, id := range ids[:min(len(ids), p2p.MaxReceipts)] {
		out = append(out, protocol.SignReceipt(r.ledger.metastate, id, height, r.clerk.device).Encode())
	}
	return r.seal(p2p.Receipts, out...)
}

// receiptable are those of the given records that the clerk with a key may say
// it holds, as of the height of the latest checkpoint: ballots, which are stored
// once they are open, that the next one can cover. None where it signs no
// checkpoints either (SPEC §7.8).
func (l *ledger) receiptable(clerk identity.PublicKey, ids []protocol.ID) (height uint64, held []protocol.ID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, rebuilt := l.store.Private(privRebuilt)
	if l.trouble != nil || l.contested() || !errors.Is(rebuilt, store.ErrNotFound) || !signs(l.tip, clerk) {
		return 0, nil
	}
	for _, id := range ids {
		r := l.open[id]
		if r != nil && r.Kind() == protocol.Ballot && l.tip.Ripe(r.Record, nil) {
			held = append(held, id)
		}
	}
	return l.tip.Ref().Height, held
}

// signs reports whether a key is one of those that sign the next checkpoint.
func signs(tip checkpoint.Tip, key identity.PublicKey) bool {
	return slices.ContainsFunc(tip.Clerks(), func(c certificate.Clerk) bool { return c.Key == key })
}

// takeReceipts keeps what peers answered to a push of a ballot of this node's
// own. Receipts that say nothing are dropped without a word: no answer had to
// hold any.
func (r *replica) takeReceipts(ballot *protocol.Record, frames [][]byte) {
	var good []protocol.Receipt
	for _, f := range frames {
		b, err := r.unseal(protocol.ContentReceipt, f)
		if err != nil {
			continue
		}
		if x, err := protocol.ParseReceipt(r.ledger.metastate, b); err == nil {
			good = append(good, x)
		}
	}
	if err := r.ledger.keepReceipts(ballot, good); err != nil {
		r.ledger.log.Warn("keeping clerks' receipts", "cause", err)
	}
}

// receiptKey names the receipts for this node's ballots in a poll, or one
// clerk's. A later one takes the place of the clerk's before.
func receiptKey(poll protocol.ID, clerk identity.PublicKey) string {
	key := privReceipt + poll.String() + "/"
	if !clerk.IsZero() {
		key += clerk.String()
	}
	return key
}

// keepReceipts keeps receipts of others who are clerks in force, until the
// ballot is covered.
func (l *ledger) keepReceipts(ballot *protocol.Record, receipts []protocol.Receipt) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := ballot.Header()
	if l.open[ballot.ID()] == nil || h.Key != l.own {
		return nil
	}
	b := store.Batch{Private: map[string][]byte{}}
	for _, x := range receipts {
		if x.Record == ballot.ID() && x.Height >= h.Checkpoint.Height && x.Key != l.own && signs(l.tip, x.Key) {
			b.Private[receiptKey(h.Subject, x.Key)] = x.Encode()
		}
	}
	if len(b.Private) == 0 {
		return nil
	}
	l.makeRoom(b.Private)
	if err := l.store.Commit(b); err != nil {
		return storeError(err)
	}
	return nil
}

// makeRoom adds to a batch the deletion of the oldest receipts over the bound.
// Caller holds mu.
func (l *ledger) makeRoom(batch map[string][]byte) {
	keys := slices.DeleteFunc(l.store.PrivateKeys(privReceipt), func(key string) bool { return batch[key] != nil })
	over := len(keys) + len(batch) - maxReceipts
	if over <= 0 {
		return
	}
	heights := make(map[string]uint64, len(keys))
	for _, key := range keys {
		heights[key] = l.readReceipt(key).Height
	}
	slices.SortStableFunc(keys, func(a, b string) int { return cmp.Compare(heights[a], heights[b]) })
	for _, key := range keys[:over] {
		batch[key] = nil
	}
}

// readReceipt is a receipt that is kept, the zero Receipt if it can't be read.
func (l *ledger) readReceipt(key string) protocol.Receipt {
	b, err := l.store.Private(key)
	if err != nil {
		return protocol.Receipt{}
	}
	x, err := protocol.ParseReceipt(l.metastate, b)
	if err != nil {
		return protocol.Receipt{}
	}
	return x
}

// dropReceipts forgets receipts for ballots of this node's own that are covered:
// the checkpoint says more. Caller holds mu.
func (l *ledger) dropReceipts(covered []*protocol.Record) {
	for _, r := range covered {
		h := r.Header()
		if h.Key != l.own || r.Kind() != protocol.Ballot {
			continue
		}
		for _, key := range l.store.PrivateKeys(receiptKey(h.Subject, identity.PublicKey{})) {
			if l.open[l.readReceipt(key).Record] != nil {
				continue // for a ballot that is to replace it
			}
			if err := l.store.DeletePrivate(key); err != nil {
				l.log.Warn("forgetting a clerk's receipt", "cause", err)
			}
		}
	}
}

// seekReceipts hands ballots of this node's own that wait to be covered to peers
// again: clerks may have been away when they were cast, or at an earlier height.
func (k *bookkeeper) seekReceipts(r *replica, s *shift) {
	if time.Since(k.sent) < seekEvery {
		return
	}
	k.sent = time.Now()
	ballots := r.ledger.unreceipted(k.sent.Add(-seekEvery))
	if len(ballots) == 0 {
		return
	}
	s.wg.Go(func() {
		for _, b := range ballots {
			k.hand(s.ctx, b)
		}
	})
}

// unreceipted are some of this node's own ballots, held since before a time, for
// which not every other clerk in force has given a receipt.
func (l *ledger) unreceipted(before time.Time) (out []*protocol.Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, r := range l.open {
		h := r.Header()
		if r.Kind() != protocol.Ballot || h.Key != l.own || !r.at.Before(before) || len(out) == maxSought {
			continue
		}
		if slices.ContainsFunc(l.tip.Clerks(), func(c certificate.Clerk) bool {
			return c.Key != l.own && l.readReceipt(receiptKey(h.Subject, c.Key)).Record != id
		}) {
			out = append(out, r.Record)
		}
	}
	return out
}
