package node

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/node/internal/p2p"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/roll"
)

// Known reports whether a transport peer is bound to a member's device.
func (r *replica) Known(peerID string) bool {
	if r.befriended(peerID) {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stands(r.claims[peerID])
}

// knowsLobby reports whether a transport peer is the lobby of a member's device.
func (r *replica) knowsLobby(peerID string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stands(r.doors[peerID])
}

// stands reports whether the binding of one of the devices is in force. The
// caller holds mu.
func (r *replica) stands(devices map[identity.PublicKey]bool) bool {
	for d := range devices {
		if r.inForce(r.bindings[d]) {
			return true
		}
	}
	return false
}

// Shunned reports whether a peer speaks for devices alone that were revoked or
// signed two records at one place. What a peer has proven goes first: a device
// names its peer as it likes.
func (r *replica) Shunned(peerID string) (shunned bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	proven := false
	for device := range r.claims[peerID] {
		proven = proven || r.bindings[device].proven
	}
	for device := range r.claims[peerID] {
		b := r.bindings[device]
		if b.proven != proven || !r.inForce(b) {
			continue
		}
		if !r.ledger.marked(device) {
			return false
		}
		shunned = true
	}
	return shunned
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

// names reports whether a binding, of which it is known that it is in force,
// names a transport peer.
func names(binding []byte, peerID string) bool {
	b, err := identity.ParseBinding(binding)
	return err == nil && string(b.PeerID) == peerID
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

// book lists the peers that may be dialled.
func (r *replica) book() []p2p.Peer {
	r.mu.Lock()
	defer r.mu.Unlock()
	var peers []p2p.Peer
	for id, devices := range r.claims {
		if addrs := r.addrs(id); len(addrs) > 0 && id != r.ownPeer && r.stands(devices) {
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

// farewell is how long, by checkpoint time, members go on to meet who has left,
// so that they get the checkpoint that says so: in a fork it is their proof.
const farewell = 24 * 3600

// mayMeet reports whether a device speaks for someone with whom members
// exchange records: not those who left for some time or were expelled. A device
// that was revoked, as it is when it was stolen, speaks for nobody from the next
// checkpoint on: the one that says so it may have.
func (l *ledger) mayMeet(persona protocol.ID, device identity.PublicKey) bool {
	m, asOf, _ := l.listed(persona, device)
	return m != nil && welcome(m, asOf)
}

// listed is the member among whose devices a device is, and its place among
// these, of which the roll lists few; nil if it is nobody's. What is final answers
// for nearly all, at no cost; the rest may be about to come on the roll.
func (l *ledger) listed(persona protocol.ID, device identity.PublicKey) (m *roll.Member, asOf int64, rank int) {
	s := l.currentTip().State()
	if s.Roll().Device(device) == nil {
		s = l.Snapshot().View
	}
	d, m := s.Roll().Device(device), s.Roll().Member(persona)
	if d == nil || d.Persona != persona || m == nil {
		return nil, 0, 0
	}
	if at := d.Marks().Revoked; at != 0 && at < l.currentTip().Ref().Height {
		return nil, 0, 0
	}
	if rank = slices.Index(m.Devices, device); rank < 0 {
		return nil, 0, 0
	}
	return m, s.AsOf(), rank
}

// marked reports whether a device was revoked, or signed two records at one
// place, as far as is final.
func (l *ledger) marked(device identity.PublicKey) bool {
	d := l.currentTip().State().Roll().Device(device)
	return d != nil && (d.Marks().Forked || d.Marks().Revoked != 0)
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
