package node

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/metastate-p2p/metastate/node/internal/p2p"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
	"github.com/metastate-p2p/metastate/protocol/snapshot"
)

// A restoring is a snapshot on its way in place of history. Parts are stored as
// they come, so that a restart goes on with them.
type restoring struct {
	mu     sync.Mutex
	known  protocol.Ref       // guarded by mu, like all below; zero: history is wanted
	coming []assembly         // at most maxComing, the one that grew last at the end
	giver  string             // the peer of the head
	rest   *snapshot.Restorer // nil until there is a head
	parts  map[string]bool    // names of those that it has
	fresh  map[string][]byte  // pieces of those that are not stored yet
	size   int                // bytes in fresh
	tries  int                // sessions begun without any checkpoint
}

// An assembly is a part whose pieces come from one peer, as far as they came.
type assembly struct {
	peer  string
	name  protocol.ID
	bytes []byte
}

const maxComing = 4 // sessions that this node leads at once

// assemble adds a piece of one peer's; whole is the part once it is complete.
// Pieces of other peers don't get in its way.
func (s *restoring) assemble(peer string, p piece) (whole []byte, err error) {
	a := assembly{peer: peer}
	if i := slices.IndexFunc(s.coming, func(a assembly) bool { return a.peer == peer }); i >= 0 {
		a = s.coming[i]
		s.coming = slices.Delete(s.coming, i, i+1)
	}
	if p.at == 0 {
		a.name, a.bytes = p.name, nil
	}
	if p.name != a.name || p.at != uint64(len(a.bytes)) {
		return nil, fmt.Errorf("%w: pieces of a snapshot are out of order", p2p.ErrPeer)
	}
	if a.bytes = append(a.bytes, p.bytes...); uint64(len(a.bytes)) >= p.size {
		return a.bytes, nil
	}
	if len(s.coming) == maxComing {
		s.coming = slices.Delete(s.coming, 0, 1)
	}
	s.coming = append(s.coming, a)
	return nil, nil
}

// Names of private values: what a newcomer knows, the head, the parts, and that
// they are whole.
const (
	privKnown    = "snapshot-known"
	privSnapshot = "snapshot/"
	privWhole    = "snapshot-whole"
	headName     = "head"
	ownHead      = "own-"  // and the height, of one that this node made to prune
	privPiece    = 120_000 // bytes of a part in one private value

	togetherStored = 4 << 20 // bytes of parts that a restart may have to fetch again
	partsAsked     = 64      // parts asked for together (SPEC §9.3)
)

// snapshotFrom is the height from which a newcomer takes a snapshot first, and
// snapshotRecords how many records the giver's sets have if history is shorter:
// less than that is as soon recomputed.
const (
	snapshotFrom    = 512
	snapshotRecords = 4096
)

// patientTries is how many sessions a newcomer waits for history that brings it
// nothing, because everybody has pruned it, before it takes a snapshot instead.
const patientTries = 4

// Begin reports whether a snapshot is wanted from a peer at a height with so many
// records in its sets.
func (r *replica) Begin(height, records uint64) (known protocol.Ref, wanted bool) {
	l := r.ledger
	if l.currentTip().Ref().Height > 0 || r.from == math.MaxUint64 {
		return known, false
	}
	s := &l.restoring
	s.mu.Lock()
	defer s.mu.Unlock()
	short := height < r.from && (r.from != snapshotFrom || records < snapshotRecords)
	if s.tries++; short && s.tries <= patientTries {
		return known, false
	}
	return s.known, s.known.Height > 0 && s.known.Height <= height
}

// Unrestored are the names of parts to ask for next.
func (r *replica) Unrestored() []protocol.ID {
	s := &r.ledger.restoring
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rest == nil {
		return nil
	}
	names := s.rest.Missing()
	return names[:min(len(names), partsAsked)]
}

// snapshotPieces takes pieces of a snapshot; fresh counts those that fit.
func (r *replica) snapshotPieces(peer string, list [][]byte) (fresh int, err error) {
	l := r.ledger
	s := &l.restoring
	s.mu.Lock()
	defer s.mu.Unlock()
	var recs []restoredPart
	for _, b := range list {
		if l.currentTip().Ref().Height > 0 { // the piece before may have been the last
			s.coming = nil
			return fresh, nil
		}
		p, err := parsePiece(b)
		if err != nil {
			return fresh, err
		}
		whole, err := s.assemble(peer, p)
		if err != nil {
			return fresh, err
		}
		fresh++
		switch {
		case whole == nil:
		case p.name.IsZero():
			err = l.openSnapshot(peer, whole)
		case s.rest != nil && s.rest.NamesRecord(p.name):
			recs = append(recs, restoredPart{p.name, whole})
		default:
			err = l.addPart(peer, restoredPart{p.name, whole})
		}
		if err != nil {
			return fresh, err
		}
	}
	return fresh, l.addRecords(peer, recs)
}

// A restoredPart is one of a snapshot: a chunk or a record.
type restoredPart struct {
	name  protocol.ID
	bytes []byte
}

// openSnapshot begins to restore a snapshot, with those parts that are there
// from one begun before. Caller holds restoring.mu.
func (l *ledger) openSnapshot(peer string, head []byte) error {
	rest, err := l.verifyHead(l.restoring.known, head)
	if err != nil {
		return fmt.Errorf("%w: %w", p2p.ErrPeer, err)
	}
	if err := l.putParts(headName, head); err != nil {
		return err
	}
	l.restoring.rest, l.restoring.giver, l.restoring.parts = rest, peer, l.resumeParts(rest)
	l.restoring.parts[headName] = true
	return l.finishSnapshot(peer)
}

// clear forgets the snapshot on its way.
func (s *restoring) clear() { s.rest, s.parts, s.giver, s.fresh, s.size = nil, nil, "", nil, 0 }

// giveUp ends the restoring of a snapshot whose head shows to be made up. Only
// who gave it is at fault: others gave parts of it in good faith.
func (s *restoring) giveUp(peer string, why error) error {
	giver := s.giver
	s.clear()
	if peer != giver {
		return nil
	}
	return fmt.Errorf("%w: %w", p2p.ErrPeer, why)
}

func (l *ledger) verifyHead(known protocol.Ref, head []byte) (*snapshot.Restorer, error) {
	var h snapshotHead
	if err := dagcbor.Unmarshal(head, &h); err != nil {
		return nil, err
	}
	chain, err := snapshot.NewChain(l.metastate, known, h.Value)
	for _, b := range h.Handovers {
		if err == nil {
			err = chain.Add(b)
		}
	}
	if err != nil {
		return nil, err
	}
	genesis, err := l.record(l.metastate)
	if err != nil {
		return nil, err
	}
	return snapshot.Open(genesis, chain, h.Manifest)
}

// resumeParts adds the parts that are stored, and returns their names. One of
// which only some was stored is refused by its digest.
func (l *ledger) resumeParts(rest *snapshot.Restorer) map[string]bool {
	parts := map[string]bool{}
	for tried := map[protocol.ID]bool{}; ; {
		more := false
		for _, name := range rest.Missing() {
			if tried[name] {
				continue
			}
			tried[name] = true
			if b := l.getParts(name.String()); b != nil && rest.Add(name, b) == nil {
				parts[name.String()] = true
				more = true
			}
		}
		if !more {
			return parts
		}
	}
}

// addPart takes a part. Caller holds restoring.mu.
func (l *ledger) addPart(peer string, p restoredPart) error {
	s := &l.restoring
	if s.rest == nil {
		return nil // given up since it was asked for
	}
	if err := l.keepPart(peer, p, s.rest.Add(p.name, p.bytes)); err != nil {
		return err
	}
	return l.finishSnapshot(peer)
}

// addRecords takes parts that are records, and verifies them together. Caller
// holds restoring.mu.
func (l *ledger) addRecords(peer string, parts []restoredPart) error {
	s := &l.restoring
	if s.rest == nil || len(parts) == 0 {
		return nil
	}
	inners := make([][]byte, len(parts))
	for i, p := range parts {
		inners[i] = p.bytes
	}
	recs, errs := protocol.ParseBatch(l.keys, inners)
	for i, p := range parts {
		err := errs[i]
		if err != nil {
			err = &snapshot.Refused{Name: p.name, Err: err}
		} else {
			err = s.rest.AddRecord(p.name, recs[i])
		}
		if err := l.keepPart(peer, p, err); err != nil {
			return err
		}
	}
	return l.finishSnapshot(peer)
}

// keepPart stores a part, some together, unless the restorer did not take it.
func (l *ledger) keepPart(peer string, p restoredPart, err error) error {
	s := &l.restoring
	var refused *snapshot.Refused
	switch {
	case errors.Is(err, snapshot.ErrUnwanted):
		return nil
	case errors.As(err, &refused):
		return fmt.Errorf("%w: %w", p2p.ErrPeer, err)
	case err != nil:
		return s.giveUp(peer, err)
	}
	if s.fresh == nil {
		s.fresh = map[string][]byte{}
	}
	l.cutPart(s.fresh, p.name.String(), p.bytes)
	s.parts[p.name.String()] = true
	if s.size += len(p.bytes); s.size >= togetherStored || s.rest.Whole() {
		// One by one, waiting for the disk would take longer than all the rest.
		if err := l.store.PutPrivates(s.fresh); err != nil {
			return storeError(err)
		}
		s.fresh, s.size = nil, 0
	}
	return nil
}

// finishSnapshot begins with what was restored, once it is whole. Caller holds
// restoring.mu.
func (l *ledger) finishSnapshot(peer string) error {
	s := &l.restoring
	if s.rest == nil || !s.rest.Whole() { // given up, or not yet
		return nil
	}
	tip, err := s.rest.Finish()
	if err != nil {
		return s.giveUp(peer, err)
	}
	began, err := l.beginWith(&base{tip, s.rest.Certificate()}, s.parts)
	s.clear()
	if began {
		l.log.Info("began with a snapshot", "height", tip.Ref().Height)
		l.changed()
	}
	return err
}

// beginWith makes a base of which the parts are stored what the ledger begins
// with, unless history came first. Caller holds restoring.mu.
func (l *ledger) beginWith(b *base, parts map[string]bool) (began bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tip.Ref().Height > 0 {
		return false, l.forgetParts(nil)
	}
	if err := l.store.PutPrivate(privWhole, wholeSnapshot(l.restoring.known, headName)); err != nil {
		return false, storeError(err)
	}
	l.start(b)
	l.lapse(nil, true)
	var d delivery
	if err := l.take(l.pending.releaseHeight(b.height()), &d); err != nil {
		return true, err
	}
	return true, l.forgetParts(parts)
}

// snapshotFrom is the height from which a newcomer takes a snapshot.
func (h History) snapshotFrom() uint64 {
	switch h {
	case HistoryFirst:
		return math.MaxUint64
	case HistoryNever:
		return 1
	}
	return snapshotFrom
}
