package p2p

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"iter"
	"sync"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/reconcile"
)

// errTooMany: the sets differ in more than maxDiffs records.
var errTooMany = errors.New("too many differences")

var sessionLimits = reconcile.Limits{Differences: maxDiffs}

// reconcile finds what the sets differ in.
func (x *session) reconcile(local reconcile.Local) ([]reconcile.Diff, error) {
	var salt [16]byte
	_, _ = rand.Read(salt[:]) // never fails
	in := reconcile.NewInitiator(local, salt, sessionLimits)
	for {
		msg, err := in.Message()
		if err != nil {
			return nil, blame(err)
		}
		if msg == nil {
			return in.Diffs(), nil
		}
		if err := x.w.send(reconcileStep, msg); err != nil {
			return nil, err
		}
		reply, err := x.w.expect(reconcileStep, reconcileFrame, idleTimeout)
		if err != nil {
			return nil, err
		}
		if err := in.Receive(reply); err != nil {
			return nil, blame(err)
		}
	}
}

// blame turns what package reconcile says of the peer into this package's words.
func blame(err error) error {
	switch {
	case errors.Is(err, reconcile.ErrProtocol):
		return fmt.Errorf("p2p: syncing: %w: %w", ErrPeer, err)
	case errors.Is(err, reconcile.ErrLimit):
		return fmt.Errorf("p2p: syncing: %w: %w", errTooMany, err)
	}
	return fmt.Errorf("p2p: syncing: %w", err)
}

// ids yields the ids of all diffs, the control plane's first: other records rest
// on it.
func ids(control protocol.ID, diffs []reconcile.Diff, of func(reconcile.Diff) [][32]byte) iter.Seq[[32]byte] {
	return func(yield func([32]byte) bool) {
		for _, first := range []bool{true, false} {
			for _, d := range diffs {
				if (d.Set == control) != first {
					continue
				}
				for _, id := range of(d) {
					if !yield(id) {
						return
					}
				}
			}
		}
	}
}

// A cursor is how far streams have come: every peer streams the control plane,
// then the other sets by name, each in id order, so that one peer's stream can
// go on where another's broke off.
type cursor struct {
	mu sync.Mutex
	at []byte // guarded by mu; nil, or the set's name ‖ the last id
}

func (c *cursor) started() bool { return c.get() != nil }

func (c *cursor) get() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *cursor) set(at []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = at
}

const cursorSize = 64

// stream takes everything the responder holds, after the cursor.
func (x *session) stream(ctx context.Context, limit uint64) error {
	if err := x.w.send(streamStep, x.resume.get()); err != nil {
		return err
	}
	for n := uint64(0); ; {
		typ, body, err := x.w.recv(maxBatch, idleTimeout)
		switch {
		case err != nil:
			return err
		case typ == endFrame && len(body) == 0:
			x.resume.set(nil)
			return nil
		case typ == cursorStep && len(body) == cursorSize:
			x.resume.set(body)
			continue
		case typ != batchFrame:
			return fmt.Errorf("p2p: syncing: %w: frame type %d in a stream", ErrPeer, typ)
		}
		frames, err := parseBatch(body, Records)
		if err != nil {
			return err
		}
		if n += uint64(len(frames)); n > limit {
			return fmt.Errorf("p2p: syncing: %w: more records than it claimed", ErrPeer)
		}
		if err := x.take(ctx, Records, frames); err != nil {
			return err
		}
	}
}

// serveStream sends the snapshot after the cursor, a cursor after each part.
func (r *responder) serveStream(body []byte) error {
	if err := spend(&r.streams, maxPasses); err != nil {
		return err
	}
	if r.overviews == 0 || (len(body) != 0 && len(body) != cursorSize) {
		return fmt.Errorf("p2p: serving sync: %w: cursor of %d bytes", ErrPeer, len(body))
	}
	var part []protocol.ID
	var last position
	flush := func() error {
		if len(part) == 0 {
			return nil
		}
		if err := r.sendBatches(Records, r.replica.Records(part)); err != nil {
			return err
		}
		part = part[:0]
		return r.w.send(cursorStep, append(bytes.Clone(last.set[:]), last.id[:]...))
	}
	for at, err := range walk(r.replica.Control(), r.local, body) {
		if err != nil {
			return fmt.Errorf("p2p: serving sync: reading the store: %w", err)
		}
		part, last = append(part, at.id), at
		if len(part) < idsPerFrame {
			continue
		}
		if err := flush(); err != nil {
			return err
		}
	}
	if err := flush(); err != nil {
		return err
	}
	return r.w.send(endFrame, nil)
}

type position struct{ set, id [32]byte }

// walk yields the ids of all sets after the cursor: the control plane's, then
// the other sets' by name.
func walk(control protocol.ID, local reconcile.Local, after []byte) iter.Seq2[position, error] {
	return func(yield func(position, error) bool) {
		from := position{set: control}
		if len(after) == cursorSize {
			from = position{[32]byte(after[:32]), [32]byte(after[32:])}
		}
		one := func(name [32]byte) bool {
			set, err := local.Open(name)
			if err != nil {
				return yield(position{}, err) && false
			}
			for id, err := range set.Under([32]byte{}, 0) {
				if err == nil && len(after) == cursorSize && name == from.set && bytes.Compare(id[:], from.id[:]) <= 0 {
					continue
				}
				if !yield(position{name, id}, err) || err != nil {
					return false
				}
			}
			return true
		}
		if from.set == control && !one(control) {
			return
		}
		start := from.set
		if start == control {
			start = [32]byte{}
		}
		for name := range local.Index.From(start) {
			if name != control && !one(name) {
				return
			}
		}
	}
}

// everything yields the frames of a snapshot, in the order of walk.
func everything(r Replica, local reconcile.Local, after []byte) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		var failed error
		walked := func(yield func([32]byte) bool) {
			for at, err := range walk(r.Control(), local, after) {
				if failed = err; err != nil || !yield(at.id) {
					return
				}
			}
		}
		for f, err := range recordsOf(r, walked) {
			if !yield(f, err) {
				return
			}
		}
		if failed != nil {
			yield(nil, failed)
		}
	}
}

// recordsOf yields the frames of ids, asking the store for some thousand at a
// time.
func recordsOf(r Store, ids iter.Seq[[32]byte]) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		var part []protocol.ID
		flush := func() bool {
			for f, err := range r.Records(part) {
				if !yield(f, err) {
					return false
				}
			}
			part = part[:0]
			return true
		}
		for id := range ids {
			if part = append(part, id); len(part) == idsPerFrame && !flush() {
				return
			}
		}
		flush()
	}
}
