package main

import (
	"fmt"
	"slices"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/checkpoint"
)

// audit recomputes everything from bytes, as a newcomer does: each record is
// parsed and its signatures verified, each certificate verified under the clerks
// of its height, each state recomputed. It returns the number of records.
func (w *world) audit() (records int, err error) {
	genesis, err := protocol.Parse(w.history.genesis.Inner())
	if err != nil {
		return 0, err
	}
	tip, err := checkpoint.Begin(genesis)
	if err != nil {
		return 0, err
	}
	for id := (protocol.ID{}); w.history.after[id] != nil; {
		f := w.history.after[id]
		v, err := f.cert.Verify(genesis.ID(), tip.Signers())
		if err != nil {
			return records, err
		}
		inners := make([][]byte, len(f.covers))
		for i, n := range f.covers {
			inners[i] = w.history.records[n].Inner()
		}
		recs, errs := protocol.ParseBatch(nil, inners)
		for _, err := range errs {
			if err != nil {
				return records, err
			}
		}
		next, err := tip.Apply(v, recs)
		if err != nil {
			return records, err
		}
		tip, id = next.Tip, next.Tip.Ref().ID
		records += len(recs)
	}
	if got, want := tip.State().Root(), w.nodes[0].at.tip.State().Root(); got != want || tip.Ref() != w.nodes[0].at.tip.Ref() {
		return records, fmt.Errorf("from bytes alone the state root is %x, the members have %x", got, want)
	}
	return records, nil
}

func sortIDs(ids []protocol.ID) { slices.SortFunc(ids, protocol.ID.Compare) }
