package node

import (
	"context"
	"fmt"
	"time"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
	"github.com/metastate-p2p/metastate/protocol/snapshot"
)

// A Pruning is what a node gave up.
type Pruning struct {
	Polls   int    `json:"polls"`   // whose ballots were
	Records int    `json:"records"` // their number
	Bytes   int64  `json:"bytes"`   // theirs, before the disk's own bookkeeping
	Began   uint64 `json:"began"`   // the checkpoint that the node begins with from now on
}

// Prune gives up the ballots of votes that closed longer ago than older, and
// than the charter has nodes keep them. Results, certificates and the lists of
// what they cover stay, and so does the state root; what this node can't
// recompute any more it takes from a snapshot of its own.
func (c *Community) Prune(_ context.Context, older time.Duration) (Pruning, error) {
	release, err := c.Hold()
	if err != nil {
		return Pruning{}, err
	}
	defer release()
	l := c.book()
	if l == nil {
		return Pruning{}, errNotYet()
	}
	keep := l.currentTip().State().Charter().Keep()
	if older > 0 && int64(older/time.Second) < keep {
		return Pruning{}, refuse(fmt.Sprintf("the charter has nodes keep ballots for %d days after a vote", keep/86400),
			"leave --older-than out, or give a longer time")
	}
	return l.prune(max(keep, int64(older/time.Second)))
}

func (l *ledger) prune(seconds int64) (out Pruning, err error) {
	tip := l.currentTip()
	var ids []protocol.ID
	for p := range tip.State().Decisions().Polls() {
		if !p.Phase.Closed() || p.Opened+p.Body.Voting+seconds > tip.State().AsOf() {
			continue
		}
		n := len(ids)
		for id, err := range l.store.Set(p.Proposal) {
			if err != nil {
				return out, storeError(err)
			}
			if held, err := l.store.Has(id); err == nil && held {
				ids = append(ids, id)
			}
		}
		if len(ids) > n {
			out.Polls++
		}
	}
	if len(ids) == 0 {
		out.Began = l.Began()
		return out, nil
	}
	// The node must be able to begin without them before they go.
	if err := l.beginHere(); err != nil {
		return out, err
	}
	out.Began = l.Began()
	if out.Records, out.Bytes, err = l.store.Prune(ids); err != nil {
		return out, storeError(err)
	}
	return out, nil
}

// beginHere makes a snapshot of the tip what the ledger begins with. Nothing
// else is taken in meanwhile.
func (l *ledger) beginHere() error {
	l.restoring.mu.Lock()
	defer l.restoring.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	ref := l.tip.Ref()
	cert, _, err := l.certificateAt(ref.Height)
	if err != nil {
		return err
	}
	made, err := snapshot.Make(l.tip, cert.Encode(), l.store.Get)
	if err != nil {
		return err
	}
	head, err := dagcbor.Marshal(snapshotHead{Value: cert.Value, Handovers: [][]byte{}, Manifest: made.Manifest()})
	if err != nil {
		return err
	}
	rest, err := l.verifyHead(ref, head)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("%s%d", ownHead, ref.Height)
	parts := map[string]bool{name: true}
	if err := l.putParts(name, head); err != nil {
		return err
	}
	for names := rest.Missing(); len(names) > 0; names = rest.Missing() {
		for _, part := range names {
			b, err := made.Get(part)
			if err == nil {
				err = rest.Add(part, b)
			}
			if err == nil {
				err = l.putParts(part.String(), b)
			}
			if err != nil {
				return err
			}
			parts[part.String()] = true
		}
	}
	tip, err := rest.Finish()
	if err != nil { // what can't be restored must not be relied on
		return err
	}
	if err := l.store.PutPrivate(privWhole, wholeSnapshot(ref, name)); err != nil {
		return storeError(err)
	}
	l.pruned, l.recent = true, true
	l.start(&base{tip, cert})
	return l.forgetParts(parts)
}
