package state_test

import (
	"testing"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/state/statetest"
)

// based is the reception as a node has it that began with a snapshot of
// checkpoint 3: it holds nothing that this covers.
func based(t *testing.T) (*reception, *protocol.Record) {
	x := receive(t)
	last := x.w.Propose("dana", "last", "ordinary", 1e6, statetest.How{})
	x.cover(20, last)
	x.held.covered, x.held.began = map[protocol.ID]bool{}, x.s.Height()
	for id := range x.held.records {
		x.held.covered[id] = true
		delete(x.held.records, id)
	}
	return x, last
}

// What a snapshot covers counts as held: a record may follow it, if the state
// says that it is the end of its chain (SPEC §4.1 rules 5 and 6).
func TestReceiveAfterASnapshot(t *testing.T) {
	x, _ := based(t)
	next := x.w.Propose("dana", "a", "ordinary", 1e6, statetest.How{})
	x.says(next, "")
	x.hold(next)
	x.says(x.w.Propose("dana", "b", "ordinary", 1e6, statetest.How{}), "")
	x.says(x.w.Grant("dana", "dana/2", statetest.How{}), "")
}

// What can't be told without what the snapshot left out is asked for.
func TestReceiveAfterASnapshotAsks(t *testing.T) {
	x, last := based(t)
	// A rival at a place that is final: nodes with all of history keep it.
	rival := x.sign(x.w.Propose("dana", "a", "ordinary", 1e6, statetest.How{}), func(h *protocol.Header) {
		h.Seq, h.Prev = 1, protocol.Sum([]byte("another"))
		h.Parents = []protocol.ID{last.ID()}
	}, statetest.Key("device/dana"))
	x.misses(rival, 0, protocol.Sum([]byte("another")))
	x.held.covered[rival.Header().Prev] = true
	x.misses(rival, 0, rival.Header().Prev)

	// One that cites a checkpoint from before it.
	old := x.sign(x.w.Propose("dana", "b", "ordinary", 1e6, statetest.How{}), func(h *protocol.Header) {
		h.Checkpoint, h.Seq, h.Prev, h.Parents = x.refs[3], 1, last.ID(), []protocol.ID{last.ID()}
	}, statetest.Key("device/dana"))
	x.misses(old, 0, last.ID()) // what that cites counts for the quota
	delete(x.held.checkpoints, 3)
	x.misses(old, 3)
	// Who speaks for nobody there need not wait, nor fill the place where others do.
	strange := x.sign(old, func(h *protocol.Header) { h.Key = statetest.Key("strange").Public() }, statetest.Key("strange"))
	x.says(strange, "may not sign")
	x.held.checkpoints[3] = protocol.Sum([]byte("elsewhere"))
	x.says(old, "not final here")
}
