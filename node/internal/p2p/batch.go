package p2p

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
)

// A session is one side of a sync session after the stream is open. One
// goroutine uses it, but for those of an intake, which take what came.
type session struct {
	w    *wire
	peer string
	stay
	sketching account
	sending   account
	charged   int64 // bytes sent that the account was charged with
	haul      haul
	sent      int // frames sent

	reconciled int // passes that may have compared sketches
	stale      int // frames that were not fresh, but for those that come again where spans are asked for
	again      int // of these, that were asked for though they are held

	mu    sync.Mutex // while there is an intake
	got   int        // guarded by mu: frames received
	fresh int        // guarded by mu: of those, not held before
}

// A haul is much that a session moves.
type haul struct {
	tell  func(begin bool) // nil: nobody wants to know
	begun bool
}

func (h *haul) begin() {
	if h.tell != nil && !h.begun {
		h.begun = true
		h.tell(true)
	}
}

func (h *haul) end() {
	if h.begun {
		h.tell(false)
	}
}

// newSession is one side's with a peer that has accounts.
func newSession(w *wire, peer string, r Replica, a accounts) *session {
	return &session{
		w: w, peer: peer, stay: stay{home: r},
		sketching: account{a.sketching.of(peer)}, sending: account{a.sending.of(peer)},
	}
}

// A stay is how a session has its replica: awake once it asks for more than a
// replica at rest answers, until the session ends.
type stay struct {
	home    Replica
	secret  [32]byte // of the epoch that both sides proved
	replica Holdings // nil until awake
	release func()   // nil with replica
}

func (s *stay) awake() (err error) {
	if s.replica == nil {
		if s.replica, s.release, err = s.home.Under(s.secret); err != nil {
			return fmt.Errorf("p2p: syncing: waking the replica: %w", err)
		}
	}
	return nil
}

func (s *stay) end() {
	if s.release != nil {
		s.release()
	}
}

// charge puts a step, and what was sent since the last, on the peer's account,
// and waits if there is nothing left.
func (x *session) charge(ctx context.Context) error {
	x.sending.spend(stepCost + x.w.sent - x.charged)
	x.charged = x.w.sent
	return x.sending.wait(ctx)
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
		err := x.w.write(batchFrame, size+8*len(batch)+16, func(b []byte) []byte { return appendEnvelope(b, kind, batch) })
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
	before := x.got - x.fresh
	if err := x.take(ctx, kind, frames); err != nil {
		return err
	}
	if x.stale += x.got - x.fresh - before; x.stale > maxStale+x.again+x.fresh {
		return fmt.Errorf("p2p: syncing: %w", errStale)
	}
	return nil
}

// take hands frames to the replica and counts them.
func (x *session) take(ctx context.Context, kind Kind, frames [][]byte) error {
	fresh, err := x.replica.Deliver(ctx, x.peer, kind, frames)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.got += len(frames)
	x.fresh = min(x.fresh+max(0, fresh), x.got) // some may make others fresh that came before
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
