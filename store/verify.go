package store

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"github.com/metastate-p2p/metastate/protocol"
)

// Verify reads everything and compares it with everything else: each record with
// its id, the log with the rolling hash, each set with the log, each certificate
// and private value with its sum. It names every damaged id. The error is only
// for a check that could not be made; what it found is in the report.
func (s *Store) Verify(ctx context.Context) (Report, error) {
	if err := s.life.enter(); err != nil {
		return Report{}, wrap("verifying", err)
	}
	defer s.life.leave()
	var r Report
	if err := s.verifyRecords(ctx, &r); err != nil {
		return r, wrap("verifying", err)
	}
	for _, set := range s.Sets() {
		if err := ctx.Err(); err != nil {
			return r, wrap("verifying", err)
		}
		for _, err := range s.Set(set) {
			if err != nil {
				r.Problems = append(r.Problems, err.Error())
			}
		}
	}
	return r, wrap("verifying", s.verifyMeta(ctx, &r))
}

func (s *Store) verifyRecords(ctx context.Context, r *Report) error {
	s.wmu.Lock()
	want := s.inventory(false)
	s.wmu.Unlock()
	var roll [32]byte
	var last pack
	for e, err := range s.Log(0) {
		if e.Seq >= want.count {
			break
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			r.Problems = append(r.Problems, err.Error())
			r.Unnamed = want.count - r.Records - r.Pruned - uint64(len(r.Damaged))
			return nil
		}
		roll = rollOn(roll, place{id: e.ID, set: e.Set})
		if _, err := s.getAt(e.ID, e.Seq, &last); errors.Is(err, errPruned) {
			r.Pruned++
			continue
		} else if err != nil {
			r.Damaged = append(r.Damaged, e.ID)
			continue
		}
		r.Records++
	}
	if roll != want.roll {
		r.Problems = append(r.Problems, "the log differs from what was stored")
	}
	sortIDs(r.Damaged)
	return nil
}

func (s *Store) verifyMeta(ctx context.Context, r *Report) error {
	s.meta.mu.RLock()
	heights := slices.Clone(s.meta.heights)
	s.meta.mu.RUnlock()
	for _, h := range heights {
		if err := ctx.Err(); err != nil {
			return err
		}
		c, err := s.Checkpoint(h)
		if err != nil {
			r.Checkpoints = append(r.Checkpoints, h)
			continue
		}
		for _, id := range c.Chunks {
			if _, err := s.Chunk(id); err != nil {
				r.Chunks = append(r.Chunks, id)
			}
		}
	}
	for _, k := range s.PrivateKeys("") {
		if _, err := s.Private(k); isDamaged(err) {
			r.PrivateUncertain = true
			r.Problems = append(r.Problems, err.Error())
		}
	}
	return nil
}

func sortIDs(ids []protocol.ID) {
	slices.SortFunc(ids, func(a, b protocol.ID) int { return bytes.Compare(a[:], b[:]) })
}
