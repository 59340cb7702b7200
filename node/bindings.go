package node

import (
	"errors"
	"fmt"
	"time"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/node/internal/p2p"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/roll"
)

// loadBindings takes up the bindings kept in the store that fit the roll as it
// is now; others wait there, or have expired.
func (r *replica) loadBindings() {
	for _, key := range r.ledger.store.PrivateKeys(privBinding) {
		if b, err := r.ledger.store.Private(key); err == nil {
			_, _ = r.addBinding(b)
		}
	}
}

// Epochs lists the epochs whose secrets this node holds.
func (r *replica) Epochs() []p2p.Epoch { return []p2p.Epoch{{Secret: r.secret}} }

// retryEarly takes up bindings whose devices have come to be on the roll.
func (r *replica) retryEarly() {
	r.mu.Lock()
	early := r.early
	r.early = nil
	r.mu.Unlock()
	for _, b := range early {
		if _, err := r.addBinding(b); errors.Is(err, p2p.ErrStranger) {
			r.mu.Lock()
			r.early = append(r.early, b)
			r.mu.Unlock()
		}
	}
}

// Known reports whether a transport peer is bound to a member's device.
func (r *replica) Known(peerID string) bool {
	if r.befriended(peerID) {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	b, ok := r.bindings[peerID]
	return ok && b.CurrentAt(time.Now().Unix()) && r.ledger.mayMeet(protocol.ID(b.Persona), b.Device)
}

// Binding is this device's own.
func (r *replica) Binding() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.own
}

// CheckBinding judges the binding that a peer showed in a handshake, and keeps
// it.
func (r *replica) CheckBinding(peerID string, binding []byte) error {
	b, err := identity.ParseBinding(binding)
	if err != nil {
		return err
	}
	if string(b.PeerID) != peerID {
		return fmt.Errorf("%w: its binding names another peer", p2p.ErrStranger)
	}
	if r.befriended(peerID) && protocol.ID(b.Metastate) == r.ledger.metastate {
		return nil
	}
	_, err = r.addBinding(binding)
	return err
}

// addBinding keeps a binding of a member's device; the newest for each peer.
func (r *replica) addBinding(signed []byte) (fresh bool, err error) {
	b, err := identity.ParseBinding(signed)
	if err != nil {
		return false, fmt.Errorf("%w: %w", p2p.ErrPeer, err)
	}
	if protocol.ID(b.Metastate) != r.ledger.metastate || !b.CurrentAt(time.Now().Unix()) ||
		!r.ledger.mayMeet(protocol.ID(b.Persona), b.Device) {
		return false, fmt.Errorf("%w: not the binding of a member's device", p2p.ErrStranger)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	id := string(b.PeerID)
	old, held := r.bindings[id]
	if held && old.Issued >= b.Issued || len(r.bindings) >= maxBindings {
		return false, nil
	}
	if held && old.Device != b.Device {
		return false, fmt.Errorf("%w: the peer is bound to another device", p2p.ErrStranger)
	}
	if err := r.ledger.store.PutPrivate(privBinding+id, signed); err != nil {
		return false, storeError(err)
	}
	r.bindings[id] = peerRecord{signed, b}
	return true, nil
}

// befriend lets a bootstrap be dialled before its binding is known.
func (r *replica) befriend(peerID string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.friends[peerID] = true
}

// befriended reports whether a peer is one that the invite or its answer named,
// while this node is too new to know the roll.
func (r *replica) befriended(peerID string) bool {
	r.mu.Lock()
	friend := r.friends[peerID]
	r.mu.Unlock()
	return friend && r.ledger.currentTip().Ref().Height == 0
}

// book lists the peers that could be dialled.
func (r *replica) book() []p2p.Peer {
	r.mu.Lock()
	defer r.mu.Unlock()
	var peers []p2p.Peer
	for _, b := range r.bindings {
		if len(b.Addrs) > 0 && string(b.PeerID) != r.ownPeer() {
			peers = append(peers, p2p.Peer{ID: string(b.PeerID), Addrs: b.Addrs})
		}
	}
	return peers
}

// ownPeer is this device's transport peer id. Caller holds mu.
func (r *replica) ownPeer() string {
	b, err := identity.ParseBinding(r.own)
	if err != nil {
		return ""
	}
	return string(b.PeerID)
}

// mayMeet reports whether a device speaks for someone with whom members
// exchange records: not those who left or were expelled.
func (l *ledger) mayMeet(persona protocol.ID, device identity.PublicKey) bool {
	s := l.Snapshot()
	d := s.View.Roll().Device(device)
	if d == nil || d.Persona != persona {
		return false
	}
	m := s.View.Roll().Member(persona)
	return m != nil && m.Standing() != roll.Expelled && m.Standing() != roll.Left
}
