package store

import (
	"bytes"
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
	inner, err = s.get(id)
	if err == nil || errors.Is(err, errPruned) || errors.Is(err, ErrNotFound) && !s.ix.maybe(id) {
		return inner, err
	}
	// The row is missing or bad, and the filter says it should be there. Look
	// again: it may have been stored between the two looks.
	if inner, err = s.get(id); err == nil {
		return inner, nil
	}
	_, state, ferr := s.findInLog(id)
	switch {
	case ferr != nil:
		return nil, ferr
	case state == absent:
		return nil, ErrNotFound
	}
	return nil, &DamagedError{ID: id, What: "its bytes are missing or do not match it"}
}

func (s *Store) get(id protocol.ID) (inner []byte, err error) {
	defer recovered(&err)
	v, err := s.read(key(rowRecord, id[:]))
	if err != nil {
		return nil, err
	}
	p, inner, err := s.rows.readRecord(id, v)
	if err != nil {
		return nil, err
	}
	if p.seq >= s.ix.head.Load() {
		return nil, ErrNotFound
	}
	return inner, nil
}

// Has reports whether a record is held and whole. A *DamagedError says that it
// is listed but unreadable.
func (s *Store) Has(id protocol.ID) (bool, error) {
	if !s.ix.maybe(id) {
		return false, nil
	}
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

// SetLen returns the number of records in a set.
func (s *Store) SetLen(set protocol.ID) uint64 {
	sum, _ := s.ix.set(set)
	return sum.count
}

// Set yields the ids of a set's records in id order, as of the call. It ends
// with an error if it could not yield all of them: what came before is then
// incomplete.
func (s *Store) Set(set protocol.ID) iter.Seq2[protocol.ID, error] {
	return func(yield func(protocol.ID, error) bool) {
		want, head := s.ix.set(set)
		c := s.openCursor(key(rowSet, set[:]), nil)
		defer c.close()
		var got setSum
		for {
			k, v, err := c.next()
			if err != nil {
				yield(protocol.ID{}, err)
				return
			}
			if k == nil {
				break
			}
			p, err := s.rows.readSet(k, v)
			if err != nil {
				yield(protocol.ID{}, damaged("an entry of set %s is unreadable", set))
				return
			}
			if p.seq >= head {
				continue
			}
			got = got.plus(s.ix.hash(p.id))
			if !yield(p.id, nil) {
				return
			}
		}
		if got != want {
			yield(protocol.ID{}, damaged("set %s has %d entries of %d", set, got.count, want.count))
		}
	}
}

// Log yields entries in order of arrival from seq on, as of the call. It ends
// with an error if an entry is missing or unreadable.
func (s *Store) Log(from uint64) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		head := s.ix.head.Load()
		c := s.openCursor([]byte{rowLog}, key(rowLog, be64(from)))
		defer c.close()
		for seq := from; seq < head; seq++ {
			k, v, err := c.next()
			if err != nil {
				yield(Entry{}, err)
				return
			}
			p, err := s.rows.readLog(k, v)
			if err != nil || p.seq != seq {
				yield(Entry{}, damaged("log entry %d is missing or unreadable", seq))
				return
			}
			if !yield(Entry{Seq: seq, ID: p.id, Set: p.set}, nil) {
				return
			}
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
