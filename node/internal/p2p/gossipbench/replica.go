package gossipbench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"

	"github.com/metastate-p2p/metastate/node/internal/p2p"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/merkle"
	"github.com/metastate-p2p/metastate/protocol/reconcile"
)

// A replica holds records in memory, in one set. It knows everybody, and no
// checkpoints and bindings.
type replica struct {
	secret [32]byte
	epoch  *protocol.Epoch
	got    func(content []byte)

	mu      sync.Mutex
	records map[protocol.ID][]byte // guarded by mu: contents
}

var _ p2p.Replica = (*replica)(nil)

func newReplica(secret [32]byte, got func([]byte)) *replica {
	return &replica{secret: secret, epoch: protocol.NewEpoch(secret, true), got: got, records: map[protocol.ID][]byte{}}
}

// add holds a content; it reports whether that is new.
func (r *replica) add(content []byte) bool {
	id := protocol.Sum(content)
	r.mu.Lock()
	defer r.mu.Unlock()
	_, held := r.records[id]
	r.records[id] = content
	return !held
}

// holds counts which of contents are held.
func (r *replica) holds(contents [][]byte) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range contents {
		if _, ok := r.records[protocol.Sum(c)]; ok {
			n++
		}
	}
	return n
}

func (r *replica) Check(kind p2p.Kind, frame []byte) p2p.Verdict {
	switch err := r.epoch.Check(protocol.Content(kind), frame); {
	case err == nil:
		return p2p.Accept
	case errors.Is(err, protocol.ErrOtherEpoch):
		return p2p.Ignore
	}
	return p2p.Reject
}

func (r *replica) Deliver(_ context.Context, _ string, kind p2p.Kind, frames [][]byte) (fresh int, err error) {
	for _, f := range frames {
		content, err := r.epoch.Open(protocol.Content(kind), f)
		if err != nil {
			return fresh, fmt.Errorf("%w: %w", p2p.ErrPeer, err)
		}
		if r.add(bytes.Clone(content)) {
			fresh++
		}
		r.got(content)
	}
	return fresh, nil
}

func (r *replica) Snapshot() (reconcile.Local, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var set merkle.Set
	for id := range r.records {
		set = set.Add(id)
	}
	var index reconcile.Index
	if set.Len() > 0 {
		index = index.Put([32]byte{}, reconcile.Summary{Digest: set.Root(), Count: uint64(set.Len())})
	}
	return reconcile.Local{Index: index, Open: func([32]byte) (reconcile.Set, error) { return reconcile.Mem(set), nil }}, nil
}

func (r *replica) Records(ids []protocol.ID) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for _, id := range ids {
			r.mu.Lock()
			content, ok := r.records[id]
			r.mu.Unlock()
			if ok && !yield(r.epoch.Seal(protocol.ContentRecord, content), nil) {
				return
			}
		}
	}
}

func nothing(func([]byte, error) bool) {}

func (r *replica) Epochs() []p2p.Epoch                                { return []p2p.Epoch{{Secret: r.secret, Gossip: true}} }
func (r *replica) Under([32]byte) (p2p.Holdings, func(), error)       { return r, func() {}, nil }
func (r *replica) Resting([32]byte) []byte                            { return nil }
func (r *replica) Newcomer() bool                                     { return true }
func (r *replica) Shunned(string) bool                                { return false }
func (r *replica) Known(string) bool                                  { return true }
func (r *replica) Binding() []byte                                    { return []byte("binding") }
func (r *replica) CheckBinding(string, []byte) error                  { return nil }
func (r *replica) Receipts([][]byte) [][]byte                         { return nil }
func (r *replica) Tip() (height uint64, id [32]byte)                  { return 0, id }
func (r *replica) Wants() uint64                                      { return 1 }
func (r *replica) Control() protocol.ID                               { return protocol.ID{} }
func (r *replica) Bindings() [][]byte                                 { return nil }
func (r *replica) Lacking() []protocol.ID                             { return nil }
func (r *replica) Unfilled() uint64                                   { return 0 }
func (r *replica) Deeper() uint64                                     { return 0 }
func (r *replica) Covered([]protocol.ID) iter.Seq2[[]byte, error]     { return nothing }
func (r *replica) Begin(uint64, uint64) (protocol.Ref, bool)          { return protocol.Ref{}, false }
func (r *replica) Unrestored() []protocol.ID                          { return nil }
func (r *replica) Certificates(uint64) iter.Seq2[[]byte, error]       { return nothing }
func (r *replica) Head(protocol.Ref) iter.Seq2[[]byte, error]         { return nothing }
func (r *replica) Parts([]protocol.ID) iter.Seq2[[]byte, error]       { return nothing }
func (r *replica) Span(uint64, bool) ([][]byte, []protocol.ID, error) { return nil, nil, nil }
