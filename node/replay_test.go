package node

import (
	"errors"
	"testing"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/checkpoint"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/store"
)

// polling opens votes in ledgers of a realm, whose person has written nothing yet.
func (w *realm) polling(n int, all ...*ledger) (polls []*protocol.Record) {
	w.t.Helper()
	prev, parent := protocol.ID{}, w.b.grant.ID()
	for i := range n {
		r := w.follows(all[0], "poll", uint64(i), prev, parent)
		polls, prev, parent = append(polls, r), r.ID(), r.ID()
	}
	last := polls[n-1].ID()
	for _, l := range all {
		w.took(l, n, polls...)
		w.cover(l, l.tip.State().AsOf()+1, polls...)
		for l.tip.State().Decisions().Poll(last).Phase != decision.Voting {
			at, _ := l.tip.State().NextDeadline()
			w.cover(l, at)
		}
	}
	return polls
}

// ballot is the realm's person's, with a number.
func (w *realm) ballot(l *ledger, poll protocol.ID, seq uint64, choice string) *protocol.Record {
	w.t.Helper()
	r, err := protocol.Sign(protocol.Header{
		Metastate: l.metastate, Kind: protocol.Ballot, Persona: w.b.inception.ID(), Key: w.device.Public(), Seq: seq,
		Checkpoint: l.tip.Ref(), Subject: poll,
	}, decision.BallotBody{Choice: choice}, nil, w.device)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// reopen is what a restart finds.
func (w *realm) reopen(l *ledger) *ledger {
	w.t.Helper()
	again, err := openLedger(l.metastate, l.own, l.store, l.log, func() {})
	if err != nil {
		w.t.Fatal(err)
	}
	if again.tip.Ref() != l.tip.Ref() || again.tip.State().Root() != l.tip.State().Root() || len(again.open) != len(l.open) {
		w.t.Errorf("reopened at %+v with %d open, closed at %+v with %d", again.tip.Ref(), len(again.open), l.tip.Ref(), len(l.open))
	}
	w.sameSets(l, again)
	return again
}

// Who opens a ledger has few checkpoints' records in memory at once, however long
// its history.
func TestReplayLetsGo(t *testing.T) {
	w := newRealm(t)
	l := w.ledger()
	const polls, each = 20, protocol.MaxBulkSeq
	for i, poll := range w.polling(polls, l) {
		var list []*protocol.Record
		for seq := range uint64(each) {
			list = append(list, w.ballot(l, poll.ID(), seq, "yes"))
		}
		w.took(l, each, list...)
		if i < polls-1 { // the last are covered by nothing
			w.cover(l, l.tip.State().AsOf()+1, list...)
		}
	}

	again := &ledger{
		metastate: l.metastate, own: l.own, store: l.store, log: l.log, now: l.now, changed: func() {},
		holdings: newHoldings(), finality: newFinality(),
	}
	genesis, err := l.record(l.metastate)
	if err != nil {
		t.Fatal(err)
	}
	if again.tip, err = checkpoint.Begin(genesis); err != nil {
		t.Fatal(err)
	}
	for again.tip.Ref() != l.tip.Ref() {
		ahead, err := again.stretchFrom(again.tip.Ref().Height + 1)
		err = errors.Join(err, again.fill(ahead))
		records := 0
		for _, s := range ahead.steps {
			records += len(s.records)
		}
		if err != nil || len(ahead.steps) == 0 || records > verifyBatch+each {
			t.Fatalf("read %d records of %d checkpoints ahead: %v", records, len(ahead.steps), err)
		}
		for _, s := range ahead.steps {
			if on, err := again.reapply(s); err != nil || !on || len(again.open) > 0 {
				t.Fatalf("after checkpoint %d %d records are open: %v", again.tip.Ref().Height, len(again.open), err)
			}
		}
	}
	if err := again.replayRest(); err != nil || len(again.open) != each {
		t.Errorf("of %d records that nothing covers %d are open: %v", each, len(again.open), err)
	}
	w.sameSets(l, again)
	w.reopen(l)
}

// A store that lost some of its history, and was rebuilt, waits where something is
// missing, with all that it has.
func TestReplayWaitsForWhatIsLost(t *testing.T) {
	w := newRealm(t)
	l := w.ledger()
	poll := w.polling(1, l)[0]
	var covered [3]*protocol.Record
	for i := range covered {
		covered[i] = w.ballot(l, poll.ID(), uint64(i), "yes")
		w.took(l, 1, covered[i])
		w.cover(l, l.tip.State().AsOf()+1, covered[i])
	}
	late := w.ballot(l, poll.ID(), 7, "no")
	w.took(l, 1, late)
	other, err := store.Open(store.Config{InMemory: true, Key: make([]byte, 32)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = other.Close() })
	for e, err := range l.store.Log(0) {
		if err != nil {
			t.Fatal(err)
		}
		if e.ID == covered[1].ID() {
			continue
		}
		inner, err := l.store.Get(e.ID)
		if err != nil {
			t.Fatal(err)
		}
		if err := other.Append(store.Item{ID: e.ID, Set: e.Set, Inner: inner}); err != nil {
			t.Fatal(err)
		}
	}
	for height := uint64(1); height <= l.tip.Ref().Height; height++ {
		cert, _, err := l.certificateAt(height)
		if err != nil {
			t.Fatal(err)
		}
		if err := other.PutCheckpoint(height, cert.Encode(), l.chunksOf(cert.Value)...); err != nil {
			t.Fatal(err)
		}
	}
	again, err := openLedger(l.metastate, l.own, other, l.log, func() {})
	if err != nil {
		t.Fatal(err)
	}
	if missing := again.lacking(); again.tip.Ref().Height != l.tip.Ref().Height-2 || len(again.open) != 2 || len(missing) != 1 || missing[0] != covered[1].ID() {
		t.Fatalf("waits at %d with %d open, lacks %v", again.tip.Ref().Height, len(again.open), missing)
	}
	w.took(again, 1, covered[1])
	w.sameSets(l, again)
}
