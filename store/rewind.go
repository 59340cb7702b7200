package store

import "slices"

// rewindStep is how many certificates one batch withdraws.
const rewindStep = 256

// Rewind withdraws the certificates above a height, the latest first, so that
// others can be stored there. What goes at once goes whole or not at all; if
// there are many, a crash can leave some of the earlier ones. Their chunks stay.
func (s *Store) Rewind(height uint64) error {
	for {
		s.meta.mu.RLock()
		i, _ := slices.BinarySearch(s.meta.heights, height+1)
		above := slices.Clone(s.meta.heights[i:])
		s.meta.mu.RUnlock()
		if len(above) == 0 {
			return nil
		}
		to := height
		if len(above) > rewindStep {
			to = above[len(above)-rewindStep-1]
		}
		if err := s.Commit(Batch{above: &to}); err != nil {
			return err
		}
	}
}

// planRewind withdraws the certificates above a height.
func (s *Store) planRewind(height uint64, c *metaChange, p *plan) error {
	i, _ := slices.BinarySearch(s.meta.heights, height+1)
	for _, h := range s.meta.heights[i:] {
		r := row{key: key(rowCert, be64(h))}
		was, err := s.read(r.key)
		if err != nil {
			return damaged("certificate %d is missing or unreadable", h)
		}
		c.ops++
		c.digest = xor(c.digest, rowSum(row{r.key, was}))
		c.gone = append(c.gone, h)
		p.last = append(p.last, r, row{key: key(rowBody, be64(h))})
	}
	return nil
}
