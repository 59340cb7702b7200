package node

import (
	"context"

	"github.com/metastate-p2p/metastate/node/internal/p2p"
)

// A doorkeeper is a community as its presence sees it, awake or at rest: it
// answers by itself who may come in and whether anything is new, and wakes the
// community for the rest.
type doorkeeper struct{ *Community }

var _ p2p.Replica = doorkeeper{}

// Resting is what the community held when it was put to rest, nil if it is awake
// or that was under another epoch: the digest of bindings is of their frames.
func (d doorkeeper) Resting(secret [32]byte) []byte {
	if _, s := d.at(); s != nil && secret == s.keys.newest().secret {
		return s.Survey
	}
	return nil
}

// Newcomer reports whether there is no checkpoint yet. One that rests has some.
func (d doorkeeper) Newcomer() bool {
	r, _ := d.at()
	return r != nil && r.ledger.currentTip().Ref().Height == 0
}

// Under is the community's replica in a session under an epoch.
func (d doorkeeper) Under(secret [32]byte) (p2p.Holdings, func(), error) {
	r, release, err := d.hold()
	if err != nil {
		return nil, nil, err
	}
	return r.Under(secret), release, nil
}

// Shunned reports whether a peer's gossip is not heard.
func (d doorkeeper) Shunned(peerID string) bool {
	r, s := d.at()
	if r != nil {
		return r.Shunned(peerID)
	}
	return s != nil && s.Shun[peerID]
}

// Known reports whether a transport peer is bound to a member's device.
func (d doorkeeper) Known(peerID string) bool {
	r, s := d.at()
	switch {
	case r != nil:
		return r.Known(peerID)
	case s != nil:
		return s.knows(peerID)
	}
	return false
}

// Epochs lists the epochs whose secrets this node holds.
func (d doorkeeper) Epochs() []p2p.Epoch {
	r, s := d.at()
	switch {
	case r != nil:
		return r.Epochs()
	case s != nil:
		return s.keys.epochs()
	}
	return nil
}

// Binding is this device's own.
func (d doorkeeper) Binding() []byte {
	r, s := d.at()
	switch {
	case r != nil:
		return r.Binding()
	case s != nil:
		return s.Own
	}
	return nil
}

// CheckBinding judges the binding that a peer showed in a handshake. One that was
// held before the rest needs no second look.
func (d doorkeeper) CheckBinding(peerID string, binding []byte) error {
	if _, s := d.at(); s != nil && s.Shown[fingerprint(binding)] && s.knows(peerID) && names(binding, peerID) {
		return nil
	}
	r, release, err := d.hold()
	if err != nil {
		return err
	}
	defer release()
	return r.CheckBinding(peerID, binding)
}

// Check judges a frame by its form and MAC.
func (d doorkeeper) Check(kind p2p.Kind, frame []byte) p2p.Verdict {
	r, s := d.at()
	switch {
	case r != nil:
		return r.Check(kind, frame)
	case s != nil:
		return s.check(kind, frame)
	}
	return p2p.Ignore
}

// Deliver hands over what came. What clerks say to each other wakes nobody else.
func (d doorkeeper) Deliver(ctx context.Context, peer string, kind p2p.Kind, frames [][]byte) (fresh int, err error) {
	if _, s := d.at(); s != nil && kind == p2p.Agreement && !s.Signs {
		return 0, nil
	}
	r, release, err := d.hold()
	if err != nil {
		return 0, err
	}
	defer release()
	return r.Deliver(ctx, peer, kind, frames)
}

// Receipts are those that this device signs; none if it can't be woken.
func (d doorkeeper) Receipts(frames [][]byte) [][]byte {
	r, release, err := d.hold()
	if err != nil {
		return nil
	}
	defer release()
	return r.Receipts(frames)
}

// hold is the replica, awake until release.
func (d doorkeeper) hold() (r *replica, release func(), err error) {
	if release, err = d.Hold(); err != nil {
		return nil, nil, err
	}
	if r, _ = d.at(); r == nil {
		release()
		return nil, nil, errClosed()
	}
	return r, release, nil
}
