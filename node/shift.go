package node

import (
	"context"
	"sync"
)

// A shift is what a community has running while it is awake.
type shift struct {
	ctx  context.Context // ends with the shift
	stop context.CancelFunc
	wg   sync.WaitGroup
}

func newShift(ctx context.Context) *shift {
	s := &shift{}
	s.ctx, s.stop = context.WithCancel(ctx)
	return s
}

// end waits for all that runs.
func (s *shift) end() {
	if s != nil {
		s.stop()
		s.wg.Wait()
	}
}
