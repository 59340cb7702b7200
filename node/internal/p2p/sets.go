package p2p

import (
	"crypto/rand"
	"errors"
	"fmt"
	"iter"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/reconcile"
)

// reconcile finds what the sets differ in, or the first million of it: the next
// pass finds more. What members ground to mislead
// sketches would do so again: after some passes, ranges alone are asked for.
func (x *session) reconcile(local reconcile.Local) ([]reconcile.Diff, error) {
	var salt [16]byte
	_, _ = rand.Read(salt[:]) // never fails
	var limits reconcile.Limits
	if x.reconciled >= sketchPasses {
		limits.Symbols = -1
	}
	x.reconciled++
	in := reconcile.NewInitiator(local, salt, limits)
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
		reply, err := x.w.expect(reconcileStep, replyFrame, idleTimeout)
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
	if errors.Is(err, reconcile.ErrProtocol) || errors.Is(err, reconcile.ErrLimit) {
		return fmt.Errorf("p2p: syncing: %w: %w", ErrPeer, err)
	}
	return fmt.Errorf("p2p: syncing: %w", err)
}

// planes parts the differences of the control plane, which the others rest on,
// from those of the other sets.
func planes(control protocol.ID, diffs []reconcile.Diff) (out [2][]reconcile.Diff) {
	for _, d := range diffs {
		at := 1
		if d.Set == control {
			at = 0
		}
		out[at] = append(out[at], d)
	}
	return out
}

// wanted cuts the keys of differences into steps of up to n.
func wanted(diffs []reconcile.Diff, n int) iter.Seq[[]reconcile.Wanted] {
	return func(yield func([]reconcile.Wanted) bool) {
		var part []reconcile.Wanted
		room := n
		for _, d := range diffs {
			for keys := d.Keys; len(keys) > 0; {
				some := keys[:min(room, len(keys))]
				part = append(part, reconcile.Wanted{Set: d.Set, Keys: some})
				keys, room = keys[len(some):], room-len(some)
				if room == 0 {
					if !yield(part) {
						return
					}
					part, room = nil, n
				}
			}
		}
		if len(part) > 0 {
			yield(part)
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
