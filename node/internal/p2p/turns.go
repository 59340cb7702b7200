package p2p

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/sync/semaphore"
)

// turns are what each peer takes in one direction: so many at once.
type turns struct {
	size int64
	mu   sync.Mutex
	m    map[peer.ID]*semaphore.Weighted // guarded by mu
}

// of is a peer's. A full table forgets those of which still does not hold.
func (t *turns) of(p peer.ID, still func(peer.ID) bool) *semaphore.Weighted {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.m) > 2*maxBook {
		for id := range t.m {
			if !still(id) {
				delete(t.m, id)
			}
		}
	}
	s := t.m[p]
	if s == nil {
		if t.m == nil {
			t.m = map[peer.ID]*semaphore.Weighted{}
		}
		s = semaphore.NewWeighted(t.size)
		t.m[p] = s
	}
	return s
}

// A floor is held by the one session of a metastate that transfers, so that a
// fresh node does not fetch everything from each of its peers at once.
type floor struct {
	sem    *semaphore.Weighted
	holder atomic.Pointer[wire]
}

func newFloor() *floor { return &floor{sem: semaphore.NewWeighted(1)} }

// try takes the floor for a session over w, if it is free.
func (f *floor) try(w *wire) bool { return f.take(w, f.sem.TryAcquire(1)) }

// wait is try for who may wait until the floor is free, but not if the peer of
// the session that holds it has gone silent, nor longer than slotTimeout.
func (f *floor) wait(ctx context.Context, w *wire) bool {
	for range slotTimeout / silenceTimeout {
		if acquireWithin(ctx, f.sem, silenceTimeout) {
			return f.take(w, true)
		}
		if h := f.holder.Load(); ctx.Err() != nil || h != nil && h.silent() >= silenceTimeout {
			break
		}
	}
	return false
}

func (f *floor) take(w *wire, held bool) bool {
	if held {
		f.holder.Store(w)
	}
	return held
}

// leave gives the floor back, if it was held.
func (f *floor) leave(held bool) {
	if held {
		f.holder.Store(nil)
		f.sem.Release(1)
	}
}

// acquireWithin waits for a turn, but no longer than d: a peer that stalls another
// session must not stop all.
func acquireWithin(ctx context.Context, sem *semaphore.Weighted, d time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	return sem.Acquire(ctx, 1) == nil
}
