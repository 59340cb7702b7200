package p2p

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
)

// A session is one side of a sync session after the stream is open. One
// goroutine uses it.
type session struct {
	w       *wire
	peer    string
	replica Replica
	resume  *cursor
	got     int // frames received
	fresh   int // of those, not held before
	sent    int // frames sent
}

// sendAll sends frames in batches and an end.
func (x *session) sendAll(kind Kind, frames iter.Seq2[[]byte, error]) error {
	if err := x.sendBatches(kind, frames); err != nil {
		return err
	}
	return x.w.send(endFrame, nil)
}

// sendBatches sends frames in batches; it holds one in memory.
func (x *session) sendBatches(kind Kind, frames iter.Seq2[[]byte, error]) error {
	var batch [][]byte
	size := 0
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		err := x.w.send(batchFrame, appendEnvelope(make([]byte, 0, size+8*len(batch)+16), kind, batch))
		x.sent += len(batch)
		batch, size = batch[:0], 0
		return err
	}
	for f, err := range frames {
		if err != nil {
			return fmt.Errorf("p2p: syncing: reading the store: %w", err)
		}
		if len(f) == 0 || len(f) > MaxFrame {
			continue // no peer would take it
		}
		batch, size = append(batch, f), size+len(f)
		if size >= batchTarget || len(batch) >= maxBatchFrames/2 {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// receiveAll takes batches of one kind, at most limit frames, until the end,
// and delivers each before it reads the next: a slow store slows the peer down.
func (x *session) receiveAll(ctx context.Context, kind Kind, limit int) error {
	return x.collect(ctx, kind, limit, x.deliver)
}

// collect is receiveAll with another way to hand over.
func (x *session) collect(ctx context.Context, kind Kind, limit int,
	hand func(context.Context, Kind, [][]byte) error,
) error {
	for n := 0; ; {
		typ, body, err := x.w.recv(maxBatch, idleTimeout)
		switch {
		case err != nil:
			return err
		case typ == endFrame && len(body) == 0:
			return nil
		case typ != batchFrame:
			return fmt.Errorf("p2p: syncing: %w: frame type %d in a batch", ErrPeer, typ)
		}
		frames, err := parseBatch(body, kind)
		if err != nil {
			return err
		}
		if n += len(frames); n > limit {
			return fmt.Errorf("p2p: syncing: %w: more frames than asked for", ErrPeer)
		}
		if err := hand(ctx, kind, frames); err != nil {
			return err
		}
	}
}

// deliver takes frames and watches that the session is worth its cost: a peer
// that keeps sending what is held already is cut off.
func (x *session) deliver(ctx context.Context, kind Kind, frames [][]byte) error {
	if err := x.take(ctx, kind, frames); err != nil {
		return err
	}
	if stale := x.got - x.fresh; stale > maxStale+x.fresh {
		return fmt.Errorf("p2p: syncing: %w", errStale)
	}
	return nil
}

// take hands frames to the replica and counts them.
func (x *session) take(ctx context.Context, kind Kind, frames [][]byte) error {
	fresh, err := x.replica.Deliver(ctx, x.peer, kind, frames)
	x.got += len(frames)
	x.fresh += max(0, min(fresh, len(frames)))
	if err != nil {
		return fmt.Errorf("p2p: syncing: delivering: %w", err)
	}
	return nil
}

// errStale is not ErrPeer: gossip or another session may have brought the same.
var errStale = errors.New("the session brings nothing new")

func parseBatch(body []byte, want Kind) ([][]byte, error) {
	kind, frames, err := parseMessage(body, maxBatchFrames)
	if err != nil {
		return nil, err
	}
	if kind != want {
		return nil, fmt.Errorf("p2p: syncing: %w: kind %d where %d is due", ErrPeer, kind, want)
	}
	return frames, nil
}

// all yields frames.
func all(frames [][]byte) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for f := range slices.Values(frames) {
			if !yield(f, nil) {
				return
			}
		}
	}
}
