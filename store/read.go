package store

import (
	"bytes"
	"cmp"
	"errors"
	"iter"
	"slices"

	"github.com/dgraph-io/badger/v4"

	"github.com/metastate-p2p/metastate/protocol"
)

// Entry is one line of the log.
type Entry struct {
	Seq     uint64 // from 0, without gaps
	ID, Set protocol.ID
}

// Get returns a record's inner form, checked against its id. Errors:
// ErrNotFound, or a *DamagedError naming a record that is listed but unreadable.
func (s *Store) Get(id protocol.ID) (inner []byte, err error) {
	if err := s.life.enter(); err != nil {
		return nil, wrap("reading", err)
	}
	defer s.life.leave()
	defer recovered(&err)
	return s.get(id, nil)
}

// get is Get with the pack that was read before, if there was one.
func (s *Store) get(id protocol.ID, last *pack) ([]byte, error) {
	for _, seq := range s.ix.candidates(id) {
		inner, err := s.getAt(id, seq, last)
		if !errors.Is(err, errOther) {
			return inner, err
		}
	}
	return nil, ErrNotFound
}

// errOther says that a place in the log is another record's.
var errOther = errors.New("another record")

// getAt reads the record of an id at a place in the log, if it is its.
func (s *Store) getAt(id protocol.ID, seq uint64, last *pack) ([]byte, error) {
	at, inner, err := s.recordAt(seq, last)
	switch {
	case err == nil || errors.Is(err, errPruned):
		if at.id != id {
			err = errOther
		}
		return inner, err
	case !errors.Is(err, errRow) && !isDamaged(err):
		return nil, err
	}
	at, err = s.listed(seq)
	if err != nil {
		return nil, err
	}
	if at.id != id {
		return nil, errOther
	}
	return nil, &DamagedError{ID: id, What: "its bytes are missing or do not match it"}
}

// recordAt reads the record at a place in the log, from the pack in last if that
// has it; else it puts the pack there that has.
func (s *Store) recordAt(seq uint64, last *pack) (at place, inner []byte, err error) {
	defer recovered(&err)
	start := s.ix.packOf(seq)
	if last == nil {
		last = new(pack)
	}
	if last.seq != start || last.len() == 0 {
		if *last, err = s.pack(start); err != nil {
			*last = pack{}
			return at, nil, err
		}
	}
	return s.rows.tagger().read(*last, int(seq-start))
}

// Each yields the inner forms of those of ids that are held, in order of arrival,
// much faster than Get one by one. It ends with an error at the first that is
// listed but unreadable. What it yields shares memory with its neighbours.
func (s *Store) Each(ids []protocol.ID) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		if err := s.life.enter(); err != nil {
			yield(nil, wrap("reading", err))
			return
		}
		defer s.life.leave()
		places := make([]place, 0, len(ids))
		for _, id := range ids {
			for _, seq := range s.ix.candidates(id) {
				places = append(places, place{id: id, seq: seq})
			}
		}
		slices.SortFunc(places, func(a, b place) int { return cmp.Compare(a.seq, b.seq) })
		var last pack
		for _, p := range places {
			inner, err := s.getAt(p.id, p.seq, &last)
			if errors.Is(err, errOther) || errors.Is(err, ErrNotFound) {
				continue
			}
			if !yield(inner, err) || err != nil {
				return
			}
		}
	}
}

// Has reports whether a record is held and whole. A *DamagedError says that it
// is listed but unreadable.
func (s *Store) Has(id protocol.ID) (bool, error) {
	_, err := s.Get(id)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// Sets lists the sets that hold records, in id order.
func (s *Store) Sets() []protocol.ID {
	s.ix.mu.RLock()
	sets := make([]protocol.ID, 0, len(s.ix.sets))
	for id := range s.ix.sets {
		sets = append(sets, id)
	}
	s.ix.mu.RUnlock()
	slices.SortFunc(sets, func(a, b protocol.ID) int { return bytes.Compare(a[:], b[:]) })
	return sets
}

// Set yields the ids of a set's records in id order, as of the call. It ends
// with an error if an entry is missing or unreadable: the set is then
// incomplete.
func (s *Store) Set(set protocol.ID) iter.Seq2[protocol.ID, error] {
	return func(yield func(protocol.ID, error) bool) {
		if err := s.life.enter(); err != nil {
			yield(protocol.ID{}, wrap("reading", err))
			return
		}
		defer s.life.leave()
		ids, err := s.idsOf(set)
		if err != nil {
			yield(protocol.ID{}, err)
			return
		}
		for _, id := range ids {
			if !yield(id, nil) {
				return
			}
		}
	}
}

func (s *Store) idsOf(set protocol.ID) (ids []protocol.ID, err error) {
	defer recovered(&err)
	want, packs := s.ix.set(set)
	var got setSum
	for _, start := range packs {
		places, err := s.list(start)
		if err != nil {
			return nil, err
		}
		for _, p := range places {
			if p.set == set {
				ids = append(ids, p.id)
				got = got.plus(s.ix.hash(p.id))
			}
		}
	}
	if got != want {
		return nil, damaged("set %s has %d entries of %d", set, got.count, want.count)
	}
	sortIDs(ids)
	return ids, nil
}

// Log yields entries in order of arrival from seq on, as of the call. It ends
// with an error if an entry is missing or unreadable.
func (s *Store) Log(from uint64) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		head := s.ix.head.Load()
		if from >= head {
			if err := s.life.enter(); err != nil {
				yield(Entry{}, wrap("reading", err))
				return
			}
			s.life.leave()
			return
		}
		start := s.ix.packOf(from)
		c := s.openCursor([]byte{rowLog}, key(rowLog, be64(start)))
		defer c.close()
		m := s.rows.tagger()
		for seq := start; seq < head; {
			k, v, err := c.next()
			if err != nil {
				yield(Entry{}, err)
				return
			}
			places, err := m.readList(k, v)
			if err != nil || places[0].seq != seq {
				yield(Entry{}, damaged("log entry %d is missing or unreadable", seq))
				return
			}
			for _, p := range places {
				if p.seq >= from && p.seq < head && !yield(Entry{Seq: p.seq, ID: p.id, Set: p.set}, nil) {
					return
				}
			}
			seq += uint64(len(places))
		}
	}
}

// cursor walks rows by pulling, so that Badger's panics can be caught without
// catching the caller's.
type cursor struct {
	s      *Store
	txn    *badger.Txn
	it     *badger.Iterator
	prefix []byte
	begun  bool
	from   []byte
	err    error
}

func (s *Store) openCursor(prefix, from []byte) *cursor {
	if from == nil {
		from = prefix
	}
	c := &cursor{s: s, prefix: prefix, from: from}
	if err := s.life.enter(); err != nil {
		c.err = wrap("reading", err)
		return c
	}
	c.err = c.open()
	return c
}

func (c *cursor) open() (err error) {
	defer recovered(&err)
	c.txn = c.s.db.NewTransaction(false)
	c.it = c.txn.NewIterator(badger.IteratorOptions{Prefix: c.prefix})
	return nil
}

// next returns the next row, valid until the call after; nil at the end.
func (c *cursor) next() (k, v []byte, err error) {
	if c.err != nil {
		return nil, nil, c.err
	}
	defer recovered(&err)
	if !c.begun {
		c.it.Seek(c.from)
		c.begun = true
	} else {
		c.it.Next()
	}
	if !c.it.ValidForPrefix(c.prefix) {
		return nil, nil, nil
	}
	item := c.it.Item()
	err = item.Value(func(b []byte) error { v = b; return nil })
	return item.Key(), v, err
}

func (c *cursor) close() {
	if c.it != nil {
		c.it.Close()
	}
	if c.txn != nil {
		c.txn.Discard()
		c.s.life.leave()
	}
}
