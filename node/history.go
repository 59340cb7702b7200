package node

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/certificate"
	"github.com/metastate-p2p/metastate/protocol/checkpoint"
	"github.com/metastate-p2p/metastate/store"
)

// certificateAt reads a stored certificate and its value.
func (l *ledger) certificateAt(height uint64) (certificate.Certificate, certificate.Value, error) {
	c, err := l.store.Checkpoint(height)
	var cert certificate.Certificate
	switch {
	case isNotFound(err) && height > 0 && height == l.Began():
		cert = l.begun.Load().cert
	case err != nil:
		return cert, certificate.Value{}, l.errHistory(height, err)
	default:
		if cert, err = certificate.ParseCertificate(c.Cert); err != nil {
			return cert, certificate.Value{}, err
		}
	}
	v, err := certificate.ParseValue(cert.Value)
	return cert, v, err
}

// refAt names the checkpoint at a height.
func (l *ledger) refAt(height uint64) (CheckpointRef, error) {
	cert, v, err := l.certificateAt(height)
	if e := new(Error); errors.As(err, &e) && e.Code == noHistory {
		return CheckpointRef{Height: height}, nil // of it only the height is known
	}
	if err != nil {
		return CheckpointRef{}, err
	}
	return CheckpointRef{Height: height, ID: cert.ID(), StateRoot: hex.EncodeToString(v.StateRoot[:])}, nil
}

// tipAt replays the checkpoints up to a height from the store. Caller does not
// hold mu: it may take long.
func (l *ledger) tipAt(height uint64) (checkpoint.Tip, error) {
	if tip := l.currentTip(); height == tip.Ref().Height {
		return tip, nil
	}
	return l.replayTo(height)
}

// replayTo is tipAt, from the base or the genesis on. It reads nothing that mu guards.
func (l *ledger) replayTo(height uint64) (checkpoint.Tip, error) {
	tip, err := l.root(height)
	for h := tip.Ref().Height + 1; h <= height && err == nil; h++ {
		var v certificate.Value
		if _, v, err = l.certificateAt(h); err != nil {
			break
		}
		var recs []*protocol.Record
		if recs, err = l.storedCover(v); err != nil {
			break
		}
		var next checkpoint.Next
		checkBallots(tip.State(), recs)
		if next, err = tip.Apply(v, recs); err == nil {
			tip = next.Tip
		}
	}
	if err != nil {
		return checkpoint.Tip{}, fmt.Errorf("node: recomputing checkpoint %d: %w", height, err)
	}
	return tip, nil
}

// root is the tip to recompute a height from: the base, or that of the genesis.
func (l *ledger) root(height uint64) (checkpoint.Tip, error) {
	if b := l.begun.Load(); b != nil && height >= b.height() {
		return b.tip, nil
	}
	genesis, err := l.record(l.metastate)
	if err != nil {
		return checkpoint.Tip{}, err
	}
	return checkpoint.Begin(genesis)
}

// record reads a stored record.
func (l *ledger) record(id protocol.ID) (*protocol.Record, error) {
	inner, err := l.store.Get(id)
	if err != nil {
		return nil, storeError(err)
	}
	return protocol.Parse(inner)
}

// storedChunk is a list of ids that a stored checkpoint names, nil if it can't
// be read.
func (l *ledger) storedChunk(id protocol.ID) []byte {
	b, err := l.store.Chunk(id)
	if err != nil {
		return nil
	}
	return b
}

// coverAt reads what the checkpoint at a height newly covers.
func (l *ledger) coverAt(height uint64) (ref CheckpointRef, sets []certificate.Covered, err error) {
	cert, v, err := l.certificateAt(height)
	if err != nil {
		return ref, nil, err
	}
	if sets, err = v.NewlyCovered(l.storedChunk); err != nil && height == l.Began() {
		err = l.errHistory(height, store.ErrNotFound) // its lists come with the past
	}
	return CheckpointRef{Height: height, ID: cert.ID(), StateRoot: hex.EncodeToString(v.StateRoot[:])}, sets, err
}

// coveredAt finds the checkpoint that covers a record.
func (l *ledger) coveredAt(id protocol.ID) (ref CheckpointRef, ok bool, err error) {
	l.mu.Lock()
	_, open := l.open[id]
	height := l.tip.Ref().Height
	l.mu.Unlock()
	for h := height; h > 0 && !open; h-- {
		ref, sets, err := l.coverAt(h)
		if err != nil {
			return ref, false, err
		}
		for _, set := range sets {
			if slices.Contains(set.IDs, id) {
				return ref, true, nil
			}
		}
	}
	return ref, false, nil
}
