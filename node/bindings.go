package node

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
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
	for device := range r.claims[peerID] {
		if r.inForce(r.bindings[device]) {
			return true
		}
	}
	return false
}

// inForce reports whether a binding is current and its device a member's.
func (r *replica) inForce(b peerRecord) bool {
	return b.CurrentAt(time.Now().Unix()) && r.ledger.mayMeet(protocol.ID(b.Persona), b.Device)
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
	if _, err = r.addBinding(binding); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if p, ok := r.bindings[b.Device]; ok && string(p.PeerID) == peerID {
		p.proven = true
		r.bindings[b.Device] = p
	}
	return nil
}

// bindingKey is where a device's binding is kept.
func bindingKey(device identity.PublicKey) string { return privBinding + hex.EncodeToString(device[:]) }

// addBinding keeps a binding of a member's device: the newest of each device,
// so that all nodes come to keep the same. A device names its peer as it likes,
// and several may name one; only in a handshake is it proven.
func (r *replica) addBinding(signed []byte) (fresh bool, err error) {
	b, err := identity.ParseBinding(signed)
	if err != nil {
		return false, fmt.Errorf("%w: %w", p2p.ErrPeer, err)
	}
	next := peerRecord{signed: signed, Binding: b}
	if protocol.ID(b.Metastate) != r.ledger.metastate || !r.inForce(next) {
		return false, fmt.Errorf("%w: not the binding of a member's device", p2p.ErrStranger)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	old, held := r.bindings[b.Device]
	if held && cmp.Or(cmp.Compare(old.Issued, b.Issued), bytes.Compare(old.signed, signed)) >= 0 ||
		!held && len(r.bindings) >= maxBindings {
		return false, nil
	}
	if err := r.ledger.store.PutPrivate(bindingKey(b.Device), signed); err != nil {
		return false, storeError(err)
	}
	if held {
		next.proven = old.proven && bytes.Equal(old.PeerID, b.PeerID)
		delete(r.claims[string(old.PeerID)], b.Device)
		if len(r.claims[string(old.PeerID)]) == 0 {
			delete(r.claims, string(old.PeerID))
		}
	}
	id := string(b.PeerID)
	if r.claims[id] == nil {
		r.claims[id] = map[identity.PublicKey]bool{}
	}
	r.claims[id][b.Device] = true
	r.bindings[b.Device] = next
	return true, nil
}

// befriend lets a bootstrap be dialled before its binding is known.
func (r *replica) befriend(peerID string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.friends[peerID] = true
}

// named are the peers that the answer to the request to join named, while this
// node is too new to know the roll: also after a stop in that time.
func (r *replica) named() (peers []p2p.Peer) {
	if r.onRoll() {
		return nil
	}
	for _, key := range r.ledger.store.PrivateKeys(privBinding) {
		wire, err := r.ledger.store.Private(key)
		if err != nil {
			continue
		}
		b, err := identity.ParseBinding(wire)
		if err == nil && protocol.ID(b.Metastate) == r.ledger.metastate && len(b.Addrs) > 0 && len(peers) < maxJoinPeers {
			peers = append(peers, p2p.Peer{ID: string(b.PeerID), Addrs: b.Addrs, Bootstrap: true})
		}
	}
	return peers
}

// befriended reports whether a peer is one that the invite or its answer named,
// while this node is too new to be on the final roll itself: others don't speak
// with a device that they don't know, and who knows it is among these.
func (r *replica) befriended(peerID string) bool {
	r.mu.Lock()
	friend := r.friends[peerID]
	r.mu.Unlock()
	return friend && !r.onRoll()
}

// onRoll reports whether this device is on the final roll, live or not.
func (r *replica) onRoll() bool { return r.ledger.currentTip().State().Roll().Device(r.device) != nil }

// book lists the peers that could be dialled.
func (r *replica) book() []p2p.Peer {
	r.mu.Lock()
	defer r.mu.Unlock()
	var peers []p2p.Peer
	own := r.ownPeer()
	for id := range r.claims {
		if addrs := r.addrs(id); len(addrs) > 0 && id != own {
			peers = append(peers, p2p.Peer{ID: id, Addrs: addrs})
		}
	}
	return peers
}

// addrs are where a peer may be dialled: where the device says that proved to be
// the peer's; before one has, where any says, some of each. Caller holds mu.
func (r *replica) addrs(peerID string) (addrs []string) {
	devices := slices.SortedFunc(maps.Keys(r.claims[peerID]), func(a, b identity.PublicKey) int { return bytes.Compare(a[:], b[:]) })
	for _, d := range devices {
		if b := r.bindings[d]; b.proven {
			return b.Addrs
		}
	}
	for i := range identity.MaxBindingAddrs {
		for _, d := range devices {
			if b := r.bindings[d]; i < len(b.Addrs) && len(addrs) < identity.MaxBindingAddrs {
				addrs = append(addrs, b.Addrs[i])
			}
		}
	}
	return addrs
}

// ownPeer is this device's transport peer id. Caller holds mu.
func (r *replica) ownPeer() string {
	b, err := identity.ParseBinding(r.own)
	if err != nil {
		return ""
	}
	return string(b.PeerID)
}

// farewell is how long, by checkpoint time, members go on to meet who has left,
// so that they get the checkpoint that says so: in a fork it is their proof.
const farewell = 24 * 3600

// mayMeet reports whether a device speaks for someone with whom members
// exchange records: not those who left for some time or were expelled. What is
// final answers for nearly all, at no cost; the rest may be about to come on the
// roll.
func (l *ledger) mayMeet(persona protocol.ID, device identity.PublicKey) bool {
	s := l.currentTip().State()
	if s.Roll().Device(device) == nil {
		s = l.Snapshot().View
	}
	d, m := s.Roll().Device(device), s.Roll().Member(persona)
	return d != nil && d.Persona == persona && m != nil && welcome(m, s.AsOf())
}

// welcome reports whether members meet somebody of that standing.
func welcome(m *roll.Member, asOf int64) bool {
	switch m.Standing() {
	case roll.Expelled:
		return false
	case roll.Left:
		return asOf < m.Spans[len(m.Spans)-1].AsOf+farewell
	}
	return true
}
