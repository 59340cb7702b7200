package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/certificate"
	"github.com/metastate-p2p/metastate/protocol/checkpoint"
	"github.com/metastate-p2p/metastate/protocol/decision"
)

// A world is a metastate with its people, and the nodes of its clerks: everybody
// else sees what the clerk on their side of the network sees. One goroutine owns
// it.
type world struct {
	seed    uint64
	now     int64 // unix seconds
	genesis *protocol.Record
	records map[protocol.ID]*protocol.Record
	chunks  map[protocol.ID][]byte
	made    map[[2]protocol.ID]*final // by the checkpoint before and the value
	chain   []*final                  // that are certified, by height from 1
	clerks  []*clerk
	people  []*person
}

// A final is a checkpoint with what follows from it. Those who compute the same
// share the work.
type final struct {
	tip     checkpoint.Tip
	covers  []protocol.ID
	chunks  [][]byte // that its value names
	verdict map[protocol.ID]protocol.Verdict
	cert    certificate.Certificate
}

const startOfTime = 1_800_000_000

// key is the signing key of a label, the same for each seed.
func (w *world) key(label string, n int) identity.SigningKey {
	seed := w.chance(label, n)
	return identity.NewSigningKey(&seed)
}

// chance is 32 bytes that the seed gives a label.
func (w *world) chance(label string, n int) [32]byte {
	return sha256.Sum256(fmt.Appendf(nil, "election/%d/%s/%d", w.seed, label, n))
}

// compute is the checkpoint that a value makes of the one before, nil if it does
// not follow.
func (w *world) compute(before *final, value []byte) *final {
	key := [2]protocol.ID{before.tip.Ref().ID, protocol.Sum(value)}
	if f, ok := w.made[key]; ok {
		return f
	}
	w.made[key] = nil
	v, err := certificate.ParseValue(value)
	if err != nil {
		return nil
	}
	ids, recs, err := covered(v, w.chunks, w.records)
	if err != nil {
		return nil
	}
	next, err := before.tip.Apply(v, recs)
	if err != nil {
		return nil
	}
	f := &final{tip: next.Tip, covers: ids, chunks: append([][]byte{}, next.Chunks...), verdict: map[protocol.ID]protocol.Verdict{}}
	for _, v := range next.Verdicts {
		f.verdict[v.Record] = v
	}
	w.made[key] = f
	return f
}

// covered are the records that a value newly covers.
func covered(v certificate.Value, chunks map[protocol.ID][]byte, records map[protocol.ID]*protocol.Record) (ids []protocol.ID, recs []*protocol.Record, err error) {
	sets, err := v.NewlyCovered(func(id protocol.ID) []byte { return chunks[id] })
	if err != nil {
		return nil, nil, err
	}
	for _, s := range sets {
		for _, id := range s.IDs {
			r, ok := records[id]
			if !ok {
				return nil, nil, errors.New("it covers what nobody wrote")
			}
			ids, recs = append(ids, id), append(recs, r)
		}
	}
	return ids, recs, nil
}

// certified adds a checkpoint that clerks have signed. Two of one height end the
// story.
func (w *world) certified(f *final, cert certificate.Certificate) error {
	h := f.tip.Ref().Height
	if h <= uint64(len(w.chain)) {
		return fmt.Errorf("two checkpoints of height %d: agreement is broken", h)
	}
	f.cert = cert
	w.chain = append(w.chain, f)
	return nil
}

// prove checks the proofs of secret ballots on all processors, as nodes do when
// they arrive. What is found is remembered with the record.
func prove(p *decision.Poll, ballots []*protocol.Record) int {
	var n atomic.Int64
	each(len(ballots), func(i int) {
		if !p.CheckBallot(ballots[i]) {
			n.Add(1)
		}
	})
	return int(n.Load())
}
