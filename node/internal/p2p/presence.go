package p2p

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/sync/semaphore"
)

// A Presence is a host among members: of one metastate, or, if it is shared, of
// several, whose members may then find out that one node takes part in all of
// them. Its limits and metrics are common to them; topics, peers, sync and
// dialling are each [Member]'s own.
type Presence struct {
	station
	ps       *pubsub.PubSub
	cfg      Config
	topics   *allowlist
	slots    slots
	visits   turns // of peers that begin sessions
	names    idNames
	punching punchers
	log      *slog.Logger
	born     time.Time

	mu      sync.RWMutex
	members []*Member // guarded by mu; never changed in place
}

// slots are what the sessions and pushes of all members share.
type slots struct {
	inbound, outbound, pushes *semaphore.Weighted
	accounts                  accounts
}

// NewPresence starts a presence that knows nobody until a member joins it.
func NewPresence(cfg Config) (*Presence, error) {
	if err := cfg.complete(); err != nil {
		return nil, fmt.Errorf("p2p: starting a presence: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	pr := &Presence{
		station: newStation(cancel), cfg: cfg, topics: newAllowlist(cfg.Shared), log: cfg.Log,
		slots: slots{
			inbound: semaphore.NewWeighted(maxInbound), outbound: semaphore.NewWeighted(maxOutbound),
			pushes: semaphore.NewWeighted(maxPushes), accounts: newAccounts(),
		},
		visits: turns{size: 1}, born: time.Now(),
	}
	if cfg.Shared {
		pr.visits.size = maxOutbound
	}
	h, err := newHost(cfg, amongMembers, gater{allow: pr.known, via: pr.via, meter: pr.meter})
	if err != nil {
		cancel()
		return nil, fmt.Errorf("p2p: starting a presence: %w", err)
	}
	pr.host = h
	if cfg.Profile == ProfileRelay {
		pr.relay, err = relayForMembers(ctx, pr)
	}
	if err == nil {
		pr.ps, err = newPubSub(ctx, pr)
	}
	if err != nil {
		return nil, fmt.Errorf("p2p: starting a presence: %w", errors.Join(err, pr.Close()))
	}
	h.SetStreamHandler(pushProtocol, pr.handler(ctx, pr.servePush, func(c *Metrics) { c.Push.Refused++ }))
	h.SetStreamHandler(syncProtocol, pr.handler(ctx, pr.serveSync, func(c *Metrics) { c.Sync.ServedFailed++ }))
	h.Network().Notify(&network.NotifyBundle{
		ConnectedF:    func(_ network.Network, c network.Conn) { pr.connected(ctx, c) },
		DisconnectedF: func(_ network.Network, c network.Conn) { pr.disconnected(c) },
	})
	return pr, nil
}

// all are the members now.
func (pr *Presence) all() []*Member {
	pr.mu.RLock()
	defer pr.mu.RUnlock()
	return pr.members
}

// add lists a member, or refuses: a presence of its own has room for one.
func (pr *Presence) add(m *Member) error {
	pr.mu.Lock()
	defer pr.mu.Unlock()
	switch n := len(pr.members); {
	case n >= maxMembers, n > 0 && !pr.cfg.Shared:
		return fmt.Errorf("%w: a presence of %d metastates", ErrTooBig, n)
	}
	pr.members = append(slices.Clone(pr.members), m)
	return nil
}

func (pr *Presence) remove(m *Member) {
	pr.mu.Lock()
	defer pr.mu.Unlock()
	pr.members = slices.DeleteFunc(slices.Clone(pr.members), func(o *Member) bool { return o == m })
}

// known reports whether any member knows the peer. Of each it asks its Replica,
// and none after the member's Close.
func (pr *Presence) known(p peer.ID) bool {
	return slices.ContainsFunc(pr.all(), func(m *Member) bool { return m.known(p) })
}

// together reports whether two peers are members of one metastate here.
func (pr *Presence) together(a, b peer.ID) bool {
	return slices.ContainsFunc(pr.all(), func(m *Member) bool { return m.known(a) && m.known(b) })
}

// via reports whether a peer is a relay of any member.
func (pr *Presence) via(p peer.ID) bool {
	return slices.ContainsFunc(pr.all(), func(m *Member) bool { return m.places.uses(p) })
}

// heard reports whether a peer's gossip is listened to: a member knows it, and
// does not shun it.
func (pr *Presence) heard(p peer.ID) bool {
	return slices.ContainsFunc(pr.all(), func(m *Member) bool { return m.heard(p) })
}

// low is how many peers a member is kept connected to.
func (pr *Presence) low() int {
	return max(minPeers, pr.cfg.Profile.limits().Low/max(1, len(pr.all())))
}

// crowded reports whether the presence has as many peers as it looks for itself.
func (pr *Presence) crowded() bool {
	return len(pr.host.Network().Peers()) >= pr.cfg.Profile.limits().Low
}

// handler runs serve for each stream of a protocol, counted by the presence's
// life, and resets the stream when serve fails.
func (pr *Presence) handler(ctx context.Context, serve func(context.Context, network.Stream) error, failed func(*Metrics)) network.StreamHandler {
	return func(s network.Stream) {
		if !pr.life.enter() {
			_ = s.Reset()
			return
		}
		defer pr.life.wg.Done()
		if err := serve(ctx, s); err != nil {
			_ = s.Reset()
			pr.meter.count(failed)
			pr.log.Debug("stream refused", "protocol", string(s.Protocol()), "cause", cause(err))
			return
		}
		_ = s.Close()
	}
}

// cause names an error's class without the peer's words or addresses.
func cause(err error) string {
	for _, e := range []error{ErrStranger, ErrPeer, ErrTooBig, ErrBusy, ErrClosed, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, e) {
			return e.Error()
		}
	}
	return "connection or replica failed"
}

func (pr *Presence) connected(ctx context.Context, c network.Conn) {
	for _, m := range pr.all() {
		if m.known(c.RemotePeer()) {
			m.connected(c)
		}
	}
	p := c.RemotePeer()
	if byRelay(c) && c.Stat().Direction == network.DirOutbound && pr.cfg.Profile == ProfileMember {
		pr.life.run(func() { pr.punchAgain(ctx, p) })
	}
	if conns := pr.host.Network().ConnsToPeer(p); slices.ContainsFunc(conns, direct) && slices.ContainsFunc(conns, byRelay) {
		pr.life.run(func() { pr.leaveRelay(ctx, p) })
	}
}

// leaveRelay closes the circuits to a peer that is connected directly, too, once
// nothing that can't begin again runs over them.
func (pr *Presence) leaveRelay(ctx context.Context, p peer.ID) {
	tick := time.NewTicker(circuitGrace)
	defer tick.Stop()
	for busy := true; busy; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		conns := pr.host.Network().ConnsToPeer(p)
		if !slices.ContainsFunc(conns, direct) {
			return
		}
		busy = false
		for _, c := range slices.DeleteFunc(conns, direct) {
			if transfers(c) {
				busy = true
				continue
			}
			_ = c.Close()
		}
	}
}

func (pr *Presence) disconnected(c network.Conn) {
	if pr.host.Network().Connectedness(c.RemotePeer()) != network.Connected {
		pr.topics.forget(c.RemotePeer())
	}
	for _, m := range pr.all() {
		m.disconnected(c)
	}
}

// part ends the connections with a peer.
func (pr *Presence) part(p peer.ID) error { return pr.host.Network().ClosePeer(p) }

// Addrs lists multiaddrs, without /p2p, at which the presence may be dialled
// from where it stands; loopback only if there is nothing else.
func (pr *Presence) Addrs() []string { return addresses(pr.host) }

// Close ends the presence, with its members, and waits for all it started.
// Closing twice is fine.
func (pr *Presence) Close() error {
	return pr.end("presence", func() {
		for _, m := range pr.all() {
			m.leave()
		}
	})
}
