package node

import (
	"time"

	"github.com/metastate-p2p/metastate/identity"
)

// How often a device may say anew where it is (SPEC §9.4). Each time, others dial
// there; so who says it as often as it likes would have them all dial others, and
// keep them writing.
const (
	renewEvery = time.Minute     // in the long run
	renewBurst = 6               // at once, as taken from others
	ownBurst   = 3               // at once, of this node: a start, and places with two relays
	bindAhead  = 5 * time.Minute // later than this node's time a binding may be issued
)

// A pace lets something happen so many times at once, and once every renewEvery
// in the long run. The zero pace has let nothing happen yet.
type pace struct {
	due time.Time // when it may happen again, had there been no burst
}

// allow reports whether it may happen now, and counts it if so.
func (p *pace) allow(now time.Time, burst int) bool {
	due := p.due
	if p.idle(now, burst) {
		due = now.Add(-time.Duration(burst-1) * renewEvery)
	}
	if due.After(now) {
		return false
	}
	p.due = due.Add(renewEvery)
	return true
}

// idle reports whether the pace is as if nothing had happened.
func (p *pace) idle(now time.Time, burst int) bool {
	return p.due.Before(now.Add(-time.Duration(burst-1) * renewEvery))
}

// ahead reports whether a binding is issued later than a clock can say that is
// right: by this computer's clock, or by that of the clerks, if this one is slow.
func (l *ledger) ahead(b identity.Binding) bool {
	now := max(time.Now().Unix(), l.currentTip().State().AsOf())
	return b.Issued > now+int64(bindAhead/time.Second)
}

// lastIssued is when this device's latest binding was issued that others may hold,
// in unix seconds; 0 if it has none.
func (r *replica) lastIssued() (last int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if b, err := identity.ParseBinding(r.own); err == nil && !r.ledger.ahead(b) {
		last = b.Issued
	}
	if b, ok := r.bindings[r.device]; ok && !r.ledger.ahead(b.Binding) {
		last = max(last, b.Issued)
	}
	return last
}

// goOn takes the binding that this device had when the node stopped for its own
// until it makes another, if there is one that names its peer.
func (r *replica) goOn(peerID string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	b, ok := r.bindings[r.device]
	if !ok || string(b.PeerID) != peerID {
		return false
	}
	r.own, r.ownPeer = b.signed, peerID
	return true
}
