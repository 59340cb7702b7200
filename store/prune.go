package store

import (
	"errors"
	"maps"
	"slices"

	"github.com/metastate-p2p/metastate/protocol"
)

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
	gone := map[uint64]map[uint64]slot{} // by pack, then by record
	m := s.rows.tagger()
	sizes := map[uint64]int64{} // by pack
	for _, id := range ids {
		for _, seq := range s.ix.candidates(id) {
			start := s.ix.packOf(seq)
			at, inner, err := s.recordAt(seq, nil)
			if err != nil && !errors.Is(err, ErrNotFound) && !errors.Is(err, errRow) && !isDamaged(err) {
				return 0, 0, wrap("pruning", err)
			}
			if err != nil || at.id != id || gone[start][seq].kind != 0 {
				continue // pruned already, damaged, another's, or named twice
			}
			if gone[start] == nil {
				gone[start] = map[uint64]slot{}
			}
			gone[start][seq] = m.prunedSlot(at)
			sizes[start] += int64(len(inner))
		}
	}
	for _, start := range slices.Sorted(maps.Keys(gone)) {
		r, err := s.repack(start, gone[start])
		if err != nil {
			return n, size, err
		}
		if err := s.write([]row{r}); err != nil {
			s.broken = noSpace(err)
			return n, size, wrap("pruning", s.broken)
		}
		n, size = n+len(gone[start]), size+sizes[start]
	}
	return n, size, nil
}
