package store

import (
	"crypto/hmac"
	"errors"
	"fmt"

	"github.com/metastate-p2p/metastate/protocol"
)

// errPruned says that a record's bytes were given up. To readers it is absent.
var errPruned = fmt.Errorf("its bytes were pruned: %w", ErrNotFound)

// Prune gives up the bytes of records. The log and the sets go on to list them,
// and an [Store.Append] of one brings its bytes back; readers find them absent.
// Ids that are not held are passed over. Each of the ids is pruned or not,
// whatever stops it. It returns how many were, and how many bytes they had.
func (s *Store) Prune(ids []protocol.ID) (n int, size int64, err error) {
	if err := s.life.enter(); err != nil {
		return 0, 0, wrap("pruning", err)
	}
	defer s.life.leave()
	defer recovered(&err)
	s.wmu.Lock()
	defer s.wmu.Unlock()
	if s.broken != nil {
		return 0, 0, wrap("pruning: reopen the store after", s.broken)
	}
	var rows []row
	for _, id := range ids {
		v, err := s.read(key(rowRecord, id[:]))
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return 0, 0, wrap("pruning", err)
		}
		p, _, err := s.rows.readRecord(id, v)
		if err != nil || p.seq >= s.ix.head.Load() {
			continue // pruned already, damaged, or of a batch not yet complete
		}
		rows = append(rows, row{key(rowRecord, id[:]), s.rows.tombstone(p)})
		size += int64(len(v) - placeSize)
	}
	for _, t := range s.pack(rows) {
		if err := s.write(t); err != nil {
			s.broken = noSpace(err)
			return n, size, wrap("pruning", s.broken)
		}
		n += len(t)
	}
	return n, size, nil
}

// tombstone is what an r row holds after its record's bytes were pruned.
func (m rowMAC) tombstone(p place) []byte {
	tag := m.pruned(p)
	v := append(append(make([]byte, 0, placeSize), p.set[:]...), be64(p.seq)...)
	return append(v, tag[:]...)
}

func (m rowMAC) pruned(p place) [macSize]byte {
	return m.sum([]byte{rowRecord}, p.id[:], p.set[:], be64(p.seq), []byte("pruned"))
}

// readTombstone is errPruned if the row is a tombstone, else errRow.
func (m rowMAC) readTombstone(p place, tag []byte) error {
	if want := m.pruned(p); !hmac.Equal(tag, want[:]) {
		return errRow
	}
	return errPruned
}
