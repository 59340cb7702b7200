package p2p

import (
	"context"
	"net"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// Health is how a host stands in the network, as far as it can tell by itself.
type Health struct {
	Listens int      // addresses where it listens
	Deaf    []string // of those, or of what it was to listen on, where nothing takes connections
	Near    bool     // it listens for this machine alone, if at all
	Public  bool     // it has an address of a form that all of the internet can reach
	Reached bool     // somebody from elsewhere is connected who dialled it directly
	Relays  int      // by way of which it is reached now
}

// Health looks at the presence of the member. With knock it connects to its own
// listeners, to see whether they take connections.
func (m *Member) Health(ctx context.Context, knock bool) Health {
	h := healthOf(ctx, m.host, knock)
	h.Relays = m.places.kept()
	for _, want := range m.presence.cfg.Listen {
		if listening(m.host, []string{want}) != nil {
			h.Deaf = append(h.Deaf, want)
		}
	}
	return h
}

// Health looks at the lobby, as [Member.Health] does.
func (l *Lobby) Health(ctx context.Context, knock bool) Health {
	h := healthOf(ctx, l.host, knock)
	h.Relays = l.places.kept()
	return h
}

func healthOf(ctx context.Context, h host.Host, knock bool) Health {
	out := Health{Near: true}
	for _, a := range h.Network().ListenAddresses() {
		if relayed(a) {
			continue
		}
		out.Listens++
		out.Near = out.Near && manet.IsIPLoopback(a)
		if knock && !takes(ctx, a) {
			out.Deaf = append(out.Deaf, a.String())
		}
	}
	for _, a := range h.Addrs() {
		out.Public = out.Public || !relayed(a) && manet.IsPublicAddr(a)
	}
	for _, c := range h.Network().Conns() {
		if c.Stat().Direction == network.DirInbound && direct(c) && !manet.IsIPLoopback(c.RemoteMultiaddr()) {
			out.Reached = true
		}
	}
	return out
}

// takes reports whether a listener of TCP takes a connection. Of other
// listeners nothing can be found out without a handshake.
func takes(ctx context.Context, a ma.Multiaddr) bool {
	port, err := a.ValueForProtocol(ma.P_TCP)
	if err != nil {
		return true
	}
	ip, err := manet.ToIP(a)
	if err != nil {
		return true
	}
	if ip.IsUnspecified() {
		ip = net.IPv6loopback
		if _, err := a.ValueForProtocol(ma.P_IP4); err == nil {
			ip = net.IPv4(127, 0, 0, 1)
		}
	}
	d := net.Dialer{Timeout: 3 * time.Second}
	c, err := d.DialContext(ctx, "tcp", net.JoinHostPort(ip.String(), port))
	if err != nil {
		return false
	}
	return c.Close() == nil
}
