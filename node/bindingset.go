package node

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/node/internal/p2p"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/store"
)

// Which bindings a node holds follows from the roll and from what it was shown, in
// whatever order: the latest of each device that the roll lists, and if these are
// too many, those of everybody's first device before those of any second. So nodes
// that show each other what they hold come to hold the same, and nobody's many
// devices put out another's.

// strayLife is how long a stored binding waits for its device to be listed.
const strayLife = 24 * time.Hour

// bindingKey is where a device's binding is kept.
func bindingKey(device identity.PublicKey) string { return privBinding + hex.EncodeToString(device[:]) }

// loadBindings takes up the bindings kept in the store that the roll as it is now
// lists, and drops those that can't count any more.
func (r *replica) loadBindings() {
	settled, now := r.onRoll(), time.Now()
	gone := map[string][]byte{}
	for _, key := range r.ledger.store.PrivateKeys(privBinding) {
		wire, err := r.ledger.store.Private(key)
		if err != nil {
			continue
		}
		b, err := identity.ParseBinding(wire)
		next := peerRecord{signed: wire, Binding: b}
		switch {
		case err != nil || protocol.ID(b.Metastate) != r.ledger.metastate || !b.CurrentAt(now.Unix()):
			gone[key] = nil
		case r.rank(next) < unlisted && !r.ledger.ahead(b):
			r.takeUp(next)
		case settled && now.Sub(time.Unix(b.Issued, 0)) > strayLife:
			gone[key] = nil
		}
	}
	r.forget(gone)
}

// takeUp holds a binding that is stored already.
func (r *replica) takeUp(next peerRecord) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if old, held := r.bindings[next.Device]; (!held || old.olderThan(next)) && r.makeRoom(next, held) {
		r.hold(next)
	}
}

func (r *replica) forget(keys map[string][]byte) {
	if len(keys) == 0 {
		return
	}
	if err := r.ledger.store.Commit(store.Batch{Private: keys}); err != nil {
		r.ledger.log.Warn("forgetting bindings", "cause", err)
	}
}

// putOff keeps a binding until its device comes to be on the roll.
func (r *replica) putOff(signed []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.early = append(r.early[max(0, len(r.early)-maxEarly+1):], signed)
}

// retryEarly takes up bindings whose devices have come to be on the roll.
func (r *replica) retryEarly() {
	r.mu.Lock()
	early := r.early
	r.early = nil
	r.mu.Unlock()
	for _, b := range early {
		if _, err := r.addBinding(b); errors.Is(err, p2p.ErrStranger) {
			r.putOff(b)
		}
	}
}

// addBinding keeps a binding of a member's device: the newest of each device,
// so that all nodes come to keep the same. One that is issued ahead of the time,
// or comes too soon after others, is not taken now: whoever holds it offers it
// again. A device names its peer as it likes, and several may name one; only in a
// handshake is it proven.
func (r *replica) addBinding(signed []byte) (fresh bool, err error) {
	b, err := identity.ParseBinding(signed)
	if err != nil {
		return false, fmt.Errorf("%w: %w", p2p.ErrPeer, err)
	}
	next := peerRecord{signed: signed, Binding: b}
	if protocol.ID(b.Metastate) != r.ledger.metastate || !r.inForce(next) {
		return false, fmt.Errorf("%w: not the binding of a member's device", p2p.ErrStranger)
	}
	if r.ledger.ahead(b) {
		return false, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	old, held := r.bindings[b.Device]
	if held && !r.ledger.ahead(old.Binding) && !old.olderThan(next) {
		return false, nil
	}
	p := r.paces[b.Device]
	if !p.allow(time.Now(), renewBurst) || !r.makeRoom(next, held) {
		return false, nil
	}
	r.paces[b.Device] = p
	if err := r.ledger.store.PutPrivate(bindingKey(b.Device), signed); err != nil {
		return false, storeError(err)
	}
	next.proven = held && old.proven && bytes.Equal(old.PeerID, b.PeerID)
	r.hold(next)
	return true, nil
}

// hold puts a binding in the place of what its device had. The caller holds mu.
func (r *replica) hold(next peerRecord) {
	r.release(next.Device)
	r.claims.add(string(next.PeerID), next.Device)
	if next.Lobby != nil {
		r.doors.add(string(next.Lobby.PeerID), next.Device)
	}
	r.bindings[next.Device] = next
}

// release gives up a device's binding, but for the store. The caller holds mu.
func (r *replica) release(device identity.PublicKey) {
	old, held := r.bindings[device]
	if !held {
		return
	}
	r.claims.drop(string(old.PeerID), device)
	if old.Lobby != nil {
		r.doors.drop(string(old.Lobby.PeerID), device)
	}
	delete(r.bindings, device)
}

// makeRoom reports whether there is room for a binding, and gives up the last in
// order if that comes after it. The caller holds mu.
func (r *replica) makeRoom(next peerRecord, held bool) bool {
	if held || len(r.bindings) < r.room {
		return true
	}
	last := r.place(next)
	for _, b := range r.bindings {
		if p := r.place(b); p.compare(last) > 0 {
			last = p
		}
	}
	if last.device == next.Device {
		return false
	}
	r.release(last.device)
	r.forget(map[string][]byte{bindingKey(last.device): nil})
	return true
}

// A bindingPlace is where a binding comes among those of all devices.
type bindingPlace struct {
	rank   int
	device identity.PublicKey
}

func (r *replica) place(b peerRecord) bindingPlace { return bindingPlace{r.rank(b), b.Device} }

func (p bindingPlace) compare(o bindingPlace) int {
	return cmp.Or(cmp.Compare(p.rank, o.rank), bytes.Compare(p.device[:], o.device[:]))
}

// Ranks of bindings that are not in force.
const (
	departed = math.MaxInt - 1 // of who left or was expelled, and may come back
	unlisted = math.MaxInt
)

// rank is a device's place among those of its persona, or why it has none.
func (r *replica) rank(b peerRecord) int {
	m, asOf, rank := r.ledger.listed(protocol.ID(b.Persona), b.Device)
	switch {
	case m == nil:
		return unlisted
	case !welcome(m, asOf):
		return departed
	}
	return rank
}

// review gives up the bindings that expired, and those of devices that the roll
// does not list any more, and reports whether there were any.
func (r *replica) review() (dropped bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	gone := map[string][]byte{}
	for device, b := range r.bindings {
		if !b.CurrentAt(now.Unix()) || r.rank(b) == unlisted {
			r.release(device)
			gone[bindingKey(device)] = nil
		}
	}
	for device, p := range r.paces {
		if p.idle(now, renewBurst) {
			delete(r.paces, device)
		}
	}
	r.forget(gone)
	return len(gone) > 0
}

// olderThan orders the bindings of a device.
func (b peerRecord) olderThan(o peerRecord) bool {
	return cmp.Or(cmp.Compare(b.Issued, o.Issued), bytes.Compare(b.signed, o.signed)) < 0
}
