package p2p

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	pbv2 "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/pb"
	circuit "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/relay"
	ma "github.com/multiformats/go-multiaddr"
	"golang.org/x/time/rate"
)

// Bounds of a relay (SPEC §9.7). A circuit costs a stream of each of its ends,
// of which a peer has limits.Streams.
const (
	maxReservations   = 256     // of the connections, of which the manager keeps limits.Low
	maxCircuits       = 32      // of one peer
	circuitBuffer     = 8 << 10 // bytes, each way
	lobbyReservations = 64
	lobbyCircuits     = 8
	lobbyCircuitBytes = 1 << 20 // each way: a knock and its answer
	lobbyShare        = 8       // a lobby's circuits have this part of the relay's bandwidth
)

// relayForMembers lets members have themselves reached through a presence. Circuits last
// and carry as much as their ends want; all of them together share bandwidth,
// bytes a second, each sender equally. Whoever is connected was known when it came;
// the ACL asks again, since who is removed stays connected until the presence is
// refreshed.
func relayForMembers(ctx context.Context, pr *Presence) (io.Closer, error) {
	l := pr.cfg.Profile.limits()
	sender := func(c network.Conn) string { return string(c.RemotePeer()) }
	return startRelay(shareOut(ctx, pr.host, l.Relayed, sender), pr.meter, circuit.WithInfiniteLimits(), circuit.Resources{
		ReservationTTL: time.Hour, BufferSize: circuitBuffer,
		MaxReservations: maxReservations, MaxCircuits: maxCircuits,
		MaxReservationsPerIP: l.PerAddress, MaxReservationsPerASN: maxReservations,
	}, membersOnly{pr.known, pr.together})
}

// relayForLobbies lets strangers reach the lobbies of members through h: for as
// long and with as much as a knock needs.
func relayForLobbies(ctx context.Context, h host.Host, l limits, lobby func(peer.ID) bool, m *meter) (io.Closer, error) {
	limit := &circuit.RelayLimit{Duration: lobbyLifetime, Data: lobbyCircuitBytes}
	sender := func(c network.Conn) string { return subnet(c.RemoteMultiaddr()) } // strangers have as many keys as they like
	return startRelay(shareOut(ctx, h, l.Relayed/lobbyShare, sender), m, circuit.WithLimit(limit), circuit.Resources{
		Limit: limit, ReservationTTL: time.Hour, BufferSize: circuitBuffer,
		MaxReservations: lobbyReservations, MaxCircuits: lobbyCircuits,
		MaxReservationsPerIP: l.PerAddress, MaxReservationsPerASN: lobbyReservations,
	}, toLobbies{lobby: lobby, byAddr: newRates(addressPerSecond, addressBurst)})
}

// shareOut is a host whose circuits share bandwidth, bytes a second.
func shareOut(ctx context.Context, h host.Host, bandwidth int64, source func(network.Conn) string) sharedHost {
	return sharedHost{h, ctx, newShares(rate.NewLimiter(rate.Limit(bandwidth), int(max(bandwidth, circuitBuffer)))), source}
}

func startRelay(h sharedHost, m *meter, limit circuit.Option, r circuit.Resources, acl circuit.ACLFilter) (io.Closer, error) {
	t := tally{meter: m}
	service, err := circuit.New(h, circuit.WithResources(r), limit, circuit.WithACL(acl), circuit.WithMetricsTracer(t),
		// A community may be on one LAN with its relay.
		circuit.WithReservationAddressFilter(func(ma.Multiaddr) bool { return true }))
	if err != nil {
		return nil, fmt.Errorf("starting the relay: %w", err)
	}
	return service, nil
}

// membersOnly is the ACL of a relay among members: those of one metastate reach
// each other, not those of two that share the relay.
type membersOnly struct {
	known    func(peer.ID) bool
	together func(a, b peer.ID) bool
}

func (a membersOnly) AllowReserve(p peer.ID, _ ma.Multiaddr) bool { return a.known(p) }

func (a membersOnly) AllowConnect(src peer.ID, _ ma.Multiaddr, dest peer.ID) bool {
	return a.together(src, dest)
}

// toLobbies is the ACL of a relay among strangers: only lobbies of members are
// reached through it, by anybody, as often from an address as at its own.
type toLobbies struct {
	lobby  func(peer.ID) bool
	byAddr *rates
}

func (a toLobbies) AllowReserve(p peer.ID, _ ma.Multiaddr) bool { return a.lobby(p) }

func (a toLobbies) AllowConnect(_ peer.ID, from ma.Multiaddr, dest peer.ID) bool {
	return a.lobby(dest) && a.byAddr.allow(subnet(from))
}

// A tally counts what a relay does.
type tally struct{ meter *meter }

var _ circuit.MetricsTracer = tally{}

func (t tally) BytesTransferred(n int) {
	t.meter.count(func(m *Metrics) { m.Relay.Bytes += uint64(n) })
}

func (t tally) ReservationRequestHandled(s pbv2.Status) {
	t.meter.count(func(m *Metrics) {
		if s == pbv2.Status_OK {
			m.Relay.Reservations++
		} else {
			m.Relay.Refused++
		}
	})
}

func (t tally) ConnectionRequestHandled(s pbv2.Status) {
	t.meter.count(func(m *Metrics) {
		if s == pbv2.Status_OK {
			m.Relay.Circuits++
		} else {
			m.Relay.Refused++
		}
	})
}

func (t tally) ConnectionOpened() { t.meter.count(func(m *Metrics) { m.Relay.Open++ }) }

func (t tally) ConnectionClosed(time.Duration) {
	t.meter.count(func(m *Metrics) { m.Relay.Open-- })
}

func (tally) RelayStatus(bool)        {}
func (tally) ReservationAllowed(bool) {}
func (tally) ReservationClosed(int)   {}
