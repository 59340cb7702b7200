package p2p

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"
)

const joinProtocol protocol.ID = "/metastate/join/1"

// Frame types of /metastate/join/1: one request, one response.
const (
	knockFrame   byte = 1
	answerFrame  byte = 2
	refusedFrame byte = 3
)

// Rates of knocks a lobby answers. An address stands for a household or a
// hall with one NAT; a peer id costs nothing to make, so that limit only
// restrains the honest.
const (
	knocksPerSecond  = 10
	knocksBurst      = 50
	addressPerSecond = 0.5
	addressBurst     = 30
	peerPerSecond    = 0.2
	peerBurst        = 6
)

// A Lobby is the presence that strangers may reach to join (SPEC §9.1). It has
// no pubsub, and serves one request per stream: at most 64 KiB for at most
// 256 KiB.
type Lobby struct {
	station
	serve  Serve
	known  func(peer.ID) bool // lobbies of members
	places *reserver
	slots  *semaphore.Weighted
	all    *rate.Limiter
	byAddr *rates
	byPeer *rates

	mu     sync.Mutex
	relays map[string][]Relay // guarded by mu: by metastate
}

// Serve answers a stranger's request. peerID is the transport key the stranger
// proved. An error refuses the knock without telling why; reasons belong in the
// response. It may be called from 16 goroutines at once.
type Serve func(ctx context.Context, peerID string, request []byte) (response []byte, err error)

// NewLobby starts a lobby that calls serve until Close. SyncEvery of
// cfg is not used.
func NewLobby(cfg Config, serve Serve) (*Lobby, error) {
	if err := cfg.complete(); err != nil {
		return nil, fmt.Errorf("p2p: starting a lobby: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	l := &Lobby{
		station: newStation(cancel), serve: serve, relays: map[string][]Relay{},
		slots: semaphore.NewWeighted(maxKnocks), all: rate.NewLimiter(knocksPerSecond, knocksBurst),
		byAddr: newRates(addressPerSecond, addressBurst), byPeer: newRates(peerPerSecond, peerBurst),
	}
	if cfg.Profile == ProfileHidden { // all come from Tor's address
		l.byAddr = newRates(knocksPerSecond, knocksBurst)
	}
	l.places = newReserver(ctx, nil, l.life)
	l.known = func(p peer.ID) bool {
		return cfg.Lobby != nil && l.life.call(func() bool { return cfg.Lobby(p.String()) })
	}
	everyone := func(peer.ID) bool { return true }
	h, err := newHost(cfg, forStrangers, gater{allow: everyone, via: l.places.uses, meter: l.meter})
	if err != nil {
		cancel()
		return nil, fmt.Errorf("p2p: starting a lobby: %w", err)
	}
	l.host = h
	l.places.host = h
	h.Network().Notify(&network.NotifyBundle{DisconnectedF: func(_ network.Network, c network.Conn) { l.places.parted(c.RemotePeer()) }})
	if cfg.Profile == ProfileRelay {
		if l.relay, err = relayForLobbies(ctx, h, cfg.Profile.limits(), l.known, l.meter); err != nil {
			return nil, fmt.Errorf("p2p: starting a lobby: %w", errors.Join(err, l.Close()))
		}
	}
	h.SetStreamHandler(joinProtocol, func(s network.Stream) { l.handle(ctx, s) })
	l.life.run(func() { l.sweep(ctx) })
	return l, nil
}

func (l *Lobby) handle(ctx context.Context, s network.Stream) {
	if !l.life.enter() {
		_ = s.Reset()
		return
	}
	defer l.life.wg.Done()
	if err := l.answer(ctx, s); err != nil {
		_ = s.Reset()
		l.meter.count(func(m *Metrics) { m.Declined++ })
		return
	}
	_ = s.Close()
	l.meter.count(func(m *Metrics) { m.Knocks++ })
}

// answer serves one knock within knockTimeout. The limits come before the
// first byte is read.
func (l *Lobby) answer(ctx context.Context, s network.Stream) error {
	from := s.Conn().RemoteMultiaddr()
	// A relay counts the addresses of those who come through it.
	if !l.byPeer.allow(string(s.Conn().RemotePeer())) || !relayed(from) && !l.byAddr.allow(subnet(from)) || !l.all.Allow() {
		return fmt.Errorf("p2p: serving a knock: %w: too many", ErrBusy)
	}
	if !l.slots.TryAcquire(1) {
		return fmt.Errorf("p2p: serving a knock: %w", ErrBusy)
	}
	defer l.slots.Release(1)
	if err := s.Scope().ReserveMemory(knockMemory, network.ReservationPriorityLow); err != nil {
		return fmt.Errorf("p2p: serving a knock: %w", err)
	}
	defer s.Scope().ReleaseMemory(knockMemory)
	ctx, cancel := context.WithTimeout(ctx, knockTimeout)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = s.Reset() })
	defer stop()
	w := newWire(s)
	request, err := w.expect(knockFrame, MaxKnock, frameTimeout/2)
	if err != nil {
		return err
	}
	response, err := l.serve(ctx, s.Conn().RemotePeer().String(), request)
	if err != nil {
		if err := w.send(refusedFrame, nil); err != nil {
			return err
		}
		return s.CloseWrite() // the refusal must arrive before the reset would
	}
	if len(response) > MaxAnswer {
		return fmt.Errorf("p2p: serving a knock: %w: response of %d bytes", ErrTooBig, len(response))
	}
	return w.send(answerFrame, response)
}

// sweep closes connections that have had their time, so that strangers who just
// stay connected do not fill the lobby.
func (l *Lobby) sweep(ctx context.Context) {
	tick := time.NewTicker(lobbyLifetime / 6)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, c := range l.host.Network().Conns() {
			if p := c.RemotePeer(); time.Since(c.Stat().Opened) > lobbyLifetime && !l.places.uses(p) && !l.known(p) {
				_ = c.Close()
			}
		}
	}
}

// Addrs lists where the lobby may be dialled, as [Member.Addrs] does.
func (l *Lobby) Addrs() []string { return append(addresses(l.host), l.places.circuits(0)...) }

// SetRelays tells through which relays' lobbies the lobby may have itself
// reached, as [Member.SetRelays] does: through those of any metastate that it
// serves.
func (l *Lobby) SetRelays(metastate string, relays []Relay) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.relays[metastate] = relays
	var all []Relay
	for _, of := range slices.Sorted(maps.Keys(l.relays)) {
		for _, r := range l.relays[of] {
			if !slices.ContainsFunc(all, func(o Relay) bool { return o.ID == r.ID }) {
				all = append(all, r)
			}
		}
	}
	return l.places.set(all)
}

// Metrics returns the counters so far.
func (l *Lobby) Metrics() Metrics { return l.meter.snapshot() }

// Close ends the lobby and waits for all it started. Closing twice is fine.
func (l *Lobby) Close() error { return l.end("lobby", func() {}) }
