package p2p

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"
	ma "github.com/multiformats/go-multiaddr"
)

// A Relay is a peer through which a presence can have itself reached.
type Relay struct {
	ID       string
	Addrs    []string // multiaddrs without /p2p, at most 8
	Operator string   // who runs it
	Named    bool     // by the user
}

const (
	wantRelays   = 2 // reservations a presence holds, with different operators if it can
	maxRelays    = 64
	relayBackoff = 30 * time.Second // after failures, at most; after the first, minDialInterval
	strayBackoff = maxBackoff       // of one that the user did not name and that never gave a place
	reserveWait  = 15 * time.Second // for one reservation
	renewBefore  = 10 * time.Minute // a reservation's end; it lasts an hour
	relayTag     = "relay"
	circuitsEach = 3 // addresses by way of one relay
)

// A reserver keeps a presence reachable through relays. Only its loop begins
// attempts.
type reserver struct {
	host  host.Host
	life  *life
	timer *time.Timer // wakes loop
	begin func()      // starts loop

	mu     sync.Mutex
	relays []*reservation // guarded by mu, with all in them: in order of preference
}

// A reservation is what a presence has with a relay, or tries to get.
type reservation struct {
	candidate
	operator string
	named    bool
	until    time.Time // zero: there is none
	since    time.Time
	next     time.Time // not to be asked before
	asked    time.Time // last
	failures int       // since the last success
	asking   bool
}

func newReserver(ctx context.Context, h host.Host, l *life) *reserver {
	v := &reserver{host: h, life: l, timer: time.NewTimer(time.Hour)}
	v.begin = sync.OnceFunc(func() { l.run(func() { v.loop(ctx) }) })
	return v
}

// parted tells that a connection with a peer has ended. A relay that refused, and
// was started again, may answer otherwise.
func (v *reserver) parted(p peer.ID) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, r := range v.relays {
		if soon := time.Now().Add(jitter(minDialInterval)); r.id == p && soon.Before(r.next) {
			r.next, r.failures = soon, 1
		}
		if r.id == p {
			v.wake()
		}
	}
}

func (v *reserver) wake() { v.timer.Reset(0) }

// set tells which relays there are, preferred ones first.
func (v *reserver) set(relays []Relay) error {
	var next []*reservation
	for _, r := range relays[:min(len(relays), maxRelays)] {
		id, addrs, err := parsePeer(Peer{ID: r.ID, Addrs: r.Addrs})
		if err != nil {
			return err
		}
		if id != v.host.ID() && len(addrs) > 0 {
			next = append(next, &reservation{candidate: candidate{id, addrs}, operator: r.Operator, named: r.Named})
		}
	}
	v.mu.Lock()
	for i, n := range next {
		for _, old := range v.relays {
			if old.id == n.id {
				old.follow(n)
				next[i] = old
			}
		}
	}
	v.relays = next
	v.mu.Unlock()
	if len(next) > 0 { // most presences of a node may never have any
		v.begin()
	}
	v.wake()
	return nil
}

// uses reports whether a peer is one of the relays.
func (v *reserver) uses(p peer.ID) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.ContainsFunc(v.relays, func(r *reservation) bool { return r.id == p })
}

func (v *reserver) loop(ctx context.Context) {
	defer v.timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-v.timer.C:
		}
		due, wait := v.due(time.Now())
		for _, r := range due {
			if !v.life.run(func() { v.ask(ctx, r) }) {
				return
			}
		}
		v.timer.Reset(wait)
	}
}

// due marks the relays to be asked now and returns them, and when to look again.
func (v *reserver) due(now time.Time) (due []*reservation, wait time.Duration) {
	v.mu.Lock()
	defer v.mu.Unlock()
	held, operators := 0, map[string]bool{}
	for _, r := range v.relays {
		if !r.until.IsZero() && (!now.Before(r.until) || v.host.Network().Connectedness(r.id) != network.Connected) {
			r.until, r.next = time.Time{}, time.Time{} // lost: worth a try at once
		}
		if r.asking || !r.until.IsZero() {
			held++
			operators[r.operator] = true
		}
	}
	wait = renewBefore / 2
	begin := func(r *reservation) {
		r.asking, r.asked = true, now
		due = append(due, r)
	}
	// First those of operators that hold none yet, then any.
	for _, fresh := range []bool{true, false} {
		for _, r := range v.relays {
			switch {
			case r.asking:
			case !r.until.IsZero():
				if fresh && now.After(r.until.Add(-renewBefore)) && !now.Before(r.next) {
					begin(r)
				}
			case fresh && (operators[r.operator] || len(operators) >= wantRelays), !fresh && held >= wantRelays:
			case now.Before(r.next):
				wait = min(wait, r.next.Sub(now))
			default:
				begin(r)
				held++
				operators[r.operator] = true
			}
		}
	}
	return due, max(wait, 10*time.Millisecond)
}

// ask gets or renews a reservation.
func (v *reserver) ask(ctx context.Context, r *reservation) {
	v.mu.Lock()
	id, addrs := r.id, r.addrs
	v.mu.Unlock()
	until, err := reserve(ctx, v.host, candidate{id, addrs})
	v.mu.Lock()
	defer v.mu.Unlock()
	defer v.wake()
	r.asking = false
	if err != nil {
		r.failed(time.Now())
		return
	}
	r.failures = 0
	if r.until.IsZero() {
		r.since = time.Now()
	}
	r.until = until
}

// follow takes up what is said of the relay now.
func (r *reservation) follow(n *reservation) {
	if !slices.EqualFunc(r.addrs, n.addrs, ma.Multiaddr.Equal) {
		r.next = worthATry(r.next, r.asked)
	}
	r.addrs, r.operator, r.named = n.addrs, n.operator, n.named
}

// failed sets when the relay may be asked again.
func (r *reservation) failed(now time.Time) {
	limit := relayBackoff
	if !r.named && r.since.IsZero() {
		limit = strayBackoff
	}
	r.next = now.Add(jitter(min(limit, minDialInterval<<min(r.failures, 16))))
	r.failures++
}

func reserve(ctx context.Context, h host.Host, to candidate) (until time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, reserveWait)
	defer cancel()
	// Over a circuit of another relay it would be refused.
	if err := connect(network.WithForceDirectDial(ctx, relayTag), h, to, dialTimeout); err != nil {
		return until, err
	}
	h.ConnManager().Protect(to.id, relayTag)
	got, err := client.Reserve(ctx, h, peer.AddrInfo{ID: to.id})
	if err != nil {
		h.ConnManager().Unprotect(to.id, relayTag)
		return until, err
	}
	return got.Expiration, nil
}

// kept is the number of relays where there is a place now.
func (v *reserver) kept() (n int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, r := range v.relays {
		if !r.until.IsZero() {
			n++
		}
	}
	return n
}

// circuits lists the addresses by way of the relays that have had a reservation
// for as long as settle, the first of each before the second of any.
func (v *reserver) circuits(settle time.Duration) (out []string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for i := range circuitsEach {
		for _, r := range v.relays {
			if !r.until.IsZero() && i < len(r.addrs) && time.Since(r.since) >= settle {
				out = append(out, r.addrs[i].String()+"/p2p/"+r.id.String()+"/p2p-circuit")
			}
		}
	}
	return out
}
