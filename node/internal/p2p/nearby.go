package p2p

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/discovery/mdns"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
	"golang.org/x/sync/semaphore"
)

// ErrProfile is returned for what a presence's profile excludes.
var ErrProfile = errors.New("not with this profile")

// Nearby looks for the metastate's members on the local networks for d, and
// shows the presence there: by mDNS, as the service "_p2p._udp" that all of
// libp2p has, under a random name. Whoever listens there learns the presence's
// peer id and addresses, nothing of metastates. A call replaces the one before;
// d zero only ends it. Who was found stays connected.
//
// A presence that is hidden, or a relay, never does: ErrProfile.
func (m *Member) Nearby(d time.Duration) error {
	if p := m.presence.cfg.Profile; p != ProfileMember {
		return fmt.Errorf("p2p: looking nearby: %w: %v", ErrProfile, p)
	}
	if d < 0 || d > MaxNearby {
		return fmt.Errorf("p2p: looking nearby: %v is not from 0 to %v", d, MaxNearby)
	}
	if !m.life.enter() {
		return fmt.Errorf("p2p: looking nearby: %w", ErrClosed)
	}
	defer m.life.wg.Done()
	if err := m.answer.look(d); err != nil {
		return fmt.Errorf("p2p: looking nearby: %w", err)
	}
	return nil
}

// NearbyUntil is when the presence stops looking nearby, zero if it does not.
func (m *Member) NearbyUntil() time.Time {
	m.nearby.mu.Lock()
	defer m.nearby.mu.Unlock()
	return m.nearby.until
}

// nearby is how long a member looks on the local networks.
type nearby struct {
	mu    sync.Mutex
	stop  context.CancelFunc // guarded by mu; ends the search there is, else nil
	until time.Time          // guarded by mu; zero without a search
}

// look begins a search that ends after d or with ctx, in place of the one before.
func (m *Member) look(ctx context.Context, d time.Duration) error {
	n := &m.nearby
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.stop != nil {
		n.stop()
		n.stop, n.until = nil, time.Time{}
	}
	if d == 0 {
		return nil
	}
	ctx, stop := context.WithTimeout(ctx, d)
	s := &search{member: m, found: map[peer.ID][]ma.Multiaddr{}, dials: semaphore.NewWeighted(maxDials)}
	s.dial = func(c candidate) { _ = connect(ctx, m.host, c, dialTimeout) }
	service := mdns.NewMdnsService(m.host, mdns.ServiceName, s)
	if err := service.Start(); err != nil {
		stop()
		return errors.Join(err, service.Close())
	}
	until := time.Now().Add(d)
	n.stop, n.until = stop, until
	running := m.life.run(func() {
		defer stop()
		s.loop(ctx)
		_ = service.Close()
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.until.Equal(until) {
			n.stop, n.until = nil, time.Time{}
		}
	})
	if !running {
		stop()
		return errors.Join(ErrClosed, service.Close())
	}
	return nil
}

// A search dials members that mDNS tells of, again and again while they are not
// connected.
type search struct {
	member *Member
	dial   func(candidate)
	dials  *semaphore.Weighted
	mu     sync.Mutex
	found  map[peer.ID][]ma.Multiaddr // guarded by mu; members, at most maxNearbyPeers
}

func (s *search) loop(ctx context.Context) {
	tick := time.NewTicker(nearbyRetry)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		s.mu.Lock()
		var all []candidate
		for id, addrs := range s.found {
			all = append(all, candidate{id, addrs})
		}
		s.mu.Unlock()
		for _, c := range all {
			s.try(c)
		}
	}
}

// HandlePeerFound takes what anybody on the local network may have said. Only
// members are dialled, at addresses of networks that this machine is on: nobody
// there can have it dial somebody elsewhere. The book stays as it is: a liar
// must not spoil what it knows of a member.
func (s *search) HandlePeerFound(who peer.AddrInfo) {
	if !s.member.known(who.ID) {
		return
	}
	local, err := net.InterfaceAddrs()
	if err != nil {
		return
	}
	c := candidate{id: who.ID}
	for _, a := range who.Addrs {
		if onOneOf(local, a) && len(c.addrs) < maxAddrs {
			c.addrs = append(c.addrs, a)
		}
	}
	if len(c.addrs) == 0 {
		return
	}
	s.mu.Lock()
	_, again := s.found[c.id]
	full := len(s.found) >= maxNearbyPeers
	if again || !full {
		s.found[c.id] = c.addrs
	}
	s.mu.Unlock()
	if !full {
		s.try(c)
	}
}

// try dials a peer that is not connected, if fewer than maxDials others are.
func (s *search) try(c candidate) {
	if s.member.host.Network().Connectedness(c.id) == network.Connected || !s.dials.TryAcquire(1) {
		return
	}
	if !s.member.life.run(func() {
		defer s.dials.Release(1)
		s.dial(c)
	}) {
		s.dials.Release(1)
	}
}

// onOneOf reports whether an address is on one of the networks that this machine
// has an address on.
func onOneOf(local []net.Addr, a ma.Multiaddr) bool {
	ip, err := manet.ToIP(a)
	if err != nil {
		return false
	}
	for _, l := range local {
		if n, ok := l.(*net.IPNet); ok && n.Contains(ip) {
			return true
		}
	}
	return false
}
