package p2p

import (
	"fmt"
	"sync"
	"time"
)

// A queue holds frames until they share gossip messages.
type queue struct {
	mu    sync.Mutex
	kinds [Bindings + 1][][]byte // guarded by mu; by kind
	bytes int                    // guarded by mu
	since time.Time              // guarded by mu; when the oldest frame came
}

// add queues frames, all or none. filled says that a message's worth is there,
// first that the queue was empty.
func (q *queue) add(kind Kind, frames [][]byte) (filled, first bool, err error) {
	n := 0
	for _, f := range frames {
		if len(f) == 0 || len(f) > MaxFrame {
			return false, false, fmt.Errorf("p2p: publishing: %w: frame of %d bytes, want 1 to %d", ErrTooBig, len(f), MaxFrame)
		}
		n += len(f)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.bytes+n > maxQueuedBytes {
		return false, false, fmt.Errorf("p2p: publishing: %w", ErrBusy)
	}
	if first = q.bytes == 0; first {
		q.since = time.Now()
	}
	q.kinds[kind] = append(q.kinds[kind], frames...)
	q.bytes += n
	return q.bytes >= coalesceBytes, first, nil
}

// age is how long the oldest frame has waited; ok is false if there is none.
func (q *queue) age() (d time.Duration, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return time.Since(q.since), q.bytes > 0
}

// take empties the queue into messages' worths of frames, in order per kind.
func (q *queue) take() []message {
	q.mu.Lock()
	defer q.mu.Unlock()
	var out []message
	for kind, frames := range q.kinds {
		out = append(out, split(Kind(kind), frames)...)
		q.kinds[kind] = nil
	}
	q.bytes = 0
	return out
}

// A message is what one envelope will hold.
type message struct {
	kind   Kind
	frames [][]byte
}

// split cuts frames into messages of at most coalesceBytes and MaxFrames; a
// larger frame has a message to itself. 8 bytes a frame cover its head.
func split(kind Kind, frames [][]byte) []message {
	var out []message
	for len(frames) > 0 {
		n, size := 1, len(frames[0])+8
		for n < len(frames) && n < MaxFrames && size+len(frames[n])+8 <= coalesceBytes {
			size += len(frames[n]) + 8
			n++
		}
		out = append(out, message{kind, frames[:n:n]})
		frames = frames[n:]
	}
	return out
}
