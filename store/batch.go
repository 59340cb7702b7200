package store

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/metastate-p2p/metastate/protocol"
)

// Item is a record to store.
type Item struct {
	ID    protocol.ID
	Set   protocol.ID // the record's subject; zero is the control plane
	Inner []byte      // canonical CBOR array of payload and signatures; ID is the payload's
}

// Batch is stored whole or not at all.
type Batch struct {
	Items      []Item            // in order of arrival
	Checkpoint *Checkpoint       // nil: none
	Private    map[string][]byte // values to put; nil deletes

	above   *uint64      // for Rewind: certificates above this height are withdrawn
	restore *Certificate // for Rebuild: some of its chunks may be missing
	chunks  [][]byte     // those that are there
}

// Append stores records. Those already held are passed over, except that a
// damaged one is healed. Errors: ErrMismatch or ErrTooLarge for an item that
// can't be stored, ErrFull; then none of the items is.
func (s *Store) Append(items ...Item) error { return s.Commit(Batch{Items: items}) }

// Commit stores a batch durably and atomically. After an error other than the
// typed ones the store serves reads only until reopened, which settles whether
// the batch was stored.
func (s *Store) Commit(b Batch) (err error) {
	if err := s.life.enter(); err != nil {
		return wrap("storing", err)
	}
	defer s.life.leave()
	defer recovered(&err)
	if err := checkItems(b.Items); err != nil {
		return err
	}
	changesMeta := b.Checkpoint != nil || b.above != nil || b.restore != nil || len(b.Private) > 0
	s.wmu.Lock()
	defer s.wmu.Unlock()
	if s.broken != nil {
		return wrap("storing: reopen the store after", s.broken)
	}
	if changesMeta {
		s.meta.mu.Lock()
		defer s.meta.mu.Unlock()
	}
	p, err := s.plan(b)
	if err != nil {
		return err
	}
	if p.empty() {
		return nil
	}
	txns := s.transactions(p)
	tight, err := s.makeRoom(txns)
	if err != nil {
		s.refused(err)
		return wrap("storing", err)
	}
	for _, t := range txns {
		if err := s.write(t); err != nil {
			s.broken = noSpace(err)
			s.refused(s.broken)
			return wrap("storing", s.broken)
		}
	}
	s.ix.add(p.packs...)
	p.publish(&s.meta)
	s.record(p.added, b.Checkpoint != nil || b.above != nil)
	s.took()
	if tight {
		s.settle()
	}
	return nil
}

// transactions lays a plan out in Badger transactions.
func (s *Store) transactions(p *plan) [][]row {
	txns := s.finish(s.divide(p.rows), p.last)
	if len(txns) < 2 {
		return txns
	}
	// The first transaction notes where the batch starts, the last removes the
	// note: Open undoes a batch that still has one.
	head := row{[]byte{rowIntent}, be64(s.ix.head.Load())}
	last := slices.Concat(p.last, []row{{key: []byte{rowIntent}}})
	return s.finish(s.divide(slices.Concat([]row{head}, p.rows)), last)
}

// record notes the commit in the inventory. The commit itself is durable, so a
// failure here must not be taken for its failure.
func (s *Store) record(n uint64, durably bool) {
	if s.home == nil {
		return
	}
	if err := s.home.note(s.inventory(false), n, durably); err != nil {
		s.log.Warn("store: the inventory could not be written; it will be tried again", "error", err)
	}
}

func checkItems(items []Item) error {
	for i, it := range items {
		if len(it.Inner) > MaxValue {
			return fmt.Errorf("store: record %s: %d bytes: %w", it.ID, len(it.Inner), ErrTooLarge)
		}
		id, err := innerID(it.Inner)
		if err != nil {
			return fmt.Errorf("store: item %d: %w: %w", i, ErrMismatch, err)
		}
		if id != it.ID {
			return fmt.Errorf("store: record %s is offered as %s: %w", id, it.ID, ErrMismatch)
		}
	}
	return nil
}

// plan is what a batch changes.
type plan struct {
	rows  []row // in any number of transactions
	last  []row // in the last one, together
	packs [][]place
	added uint64 // records in packs
	meta  *metaChange
}

func (p *plan) empty() bool { return len(p.rows) == 0 && len(p.last) == 0 }

func (p *plan) publish(m *meta) {
	if p.meta != nil {
		p.meta.apply(m)
	}
}

// plan finds what of a batch is new. The caller holds wmu, and meta.mu if the
// batch has anything but items.
func (s *Store) plan(b Batch) (*plan, error) {
	p := new(plan)
	next := s.ix.head.Load()
	if next+uint64(len(b.Items)) >= maxLog {
		return nil, fmt.Errorf("store: %d records: %w", next, ErrTooLarge)
	}
	m := s.rows.tagger()
	seen := make(map[protocol.ID]struct{}, len(b.Items))
	healed := map[uint64]map[uint64]slot{} // by pack, then by record
	places, inners := make([]place, 0, len(b.Items)), make([][]byte, 0, len(b.Items))
	for _, it := range b.Items {
		if _, dup := seen[it.ID]; dup {
			continue
		}
		seen[it.ID] = struct{}{}
		at, state, err := s.find(it.ID)
		switch {
		case err != nil:
			return nil, err
		case state == lost:
			start := s.ix.packOf(at.seq)
			if healed[start] == nil {
				healed[start] = map[uint64]slot{}
			}
			healed[start][at.seq] = m.recordSlot(at, it.Inner)
		case state == absent:
			places = append(places, place{id: it.ID, set: it.Set, seq: next})
			inners = append(inners, it.Inner)
			next++
		}
	}
	for _, start := range slices.Sorted(maps.Keys(healed)) {
		r, err := s.repack(start, healed[start])
		if err != nil {
			return nil, err
		}
		p.rows = append(p.rows, r)
	}
	rows, parts := m.packs(places, inners)
	p.rows, p.packs, p.added = append(p.rows, rows...), parts, uint64(len(places))
	return p, s.planMeta(b, p)
}

// divide groups rows into transactions Badger accepts, keeping their order.
func (s *Store) divide(rows []row) [][]row {
	maxBytes, maxRows := txnLimit(s.db)
	var txns [][]row
	var size int64
	start := 0
	for i, r := range rows {
		cost := int64(len(r.key) + len(r.value) + 32)
		if i > start && (size+cost > maxBytes || int64(i-start) >= maxRows) {
			txns = append(txns, rows[start:i:i])
			start, size = i, 0
		}
		size += cost
	}
	if start < len(rows) {
		txns = append(txns, rows[start:])
	}
	return txns
}

// finish adds the rows that must come last, in one transaction.
func (s *Store) finish(txns [][]row, last []row) [][]row {
	if len(last) == 0 {
		return txns
	}
	if len(txns) > 0 {
		if joined := slices.Concat(txns[len(txns)-1], last); len(s.divide(joined)) == 1 {
			txns[len(txns)-1] = joined
			return txns
		}
	}
	return append(txns, last)
}

// write commits one transaction durably.
func (s *Store) write(rows []row) error {
	txn := s.db.NewTransaction(true)
	defer txn.Discard()
	for _, r := range rows {
		var err error
		if r.value == nil {
			err = txn.Delete(r.key)
		} else {
			err = txn.Set(r.key, r.value)
		}
		if err != nil {
			return err
		}
	}
	return txn.Commit()
}

// What find can say of a record.
type presence int

const (
	absent presence = iota
	held
	lost // listed in the log, but not readable
)

// find tells a record that was never held from one that was lost. Nothing is
// read for one that was never held.
func (s *Store) find(id protocol.ID) (place, presence, error) {
	for _, seq := range s.ix.candidates(id) {
		at, _, err := s.recordAt(seq, nil)
		switch {
		case err == nil && at.id == id:
			return at, held, nil
		case errors.Is(err, errPruned) && at.id == id:
			return at, lost, nil
		case err == nil || errors.Is(err, errPruned):
			continue // another with the same hash
		case !errors.Is(err, errRow) && !isDamaged(err):
			return place{}, absent, wrap("reading", err)
		}
		at, err = s.listed(seq)
		if err != nil {
			return place{}, absent, err
		}
		if at.id == id {
			return at, lost, nil
		}
	}
	return place{}, absent, nil
}

// listed is what the log says of a record.
func (s *Store) listed(seq uint64) (place, error) {
	start := s.ix.packOf(seq)
	places, err := s.list(start)
	if err != nil {
		return place{}, err
	}
	if seq-start >= uint64(len(places)) {
		return place{}, damaged("log entry %d is missing", seq)
	}
	return places[seq-start], nil
}

func isDamaged(err error) bool {
	_, ok := errors.AsType[*DamagedError](err)
	return ok
}
