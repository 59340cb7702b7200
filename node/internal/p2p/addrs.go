package p2p

import (
	"fmt"
	"slices"
	"strings"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// Pick chooses at most n of a presence's addresses for those who have room for no
// more: public ones, then those of its own network, and with half of the room, or
// what is left of it, circuits.
func Pick(addrs []string, n int) []string {
	var public, near, circuits []string
	for _, text := range addrs {
		a, err := ma.NewMultiaddr(text)
		switch {
		case err != nil:
		case relayed(a):
			circuits = append(circuits, text)
		case manet.IsPublicAddr(a):
			public = append(public, text)
		default:
			near = append(near, text)
		}
	}
	direct := append(public, near...)
	c := min(len(circuits), max(n/2, n-len(direct)))
	return slices.Concat(direct[:min(len(direct), n-c)], circuits[:c])
}

var circuitAddr = ma.StringCast("/p2p-circuit")

// relayed reports whether an address is by way of a relay.
func relayed(a ma.Multiaddr) bool {
	_, err := a.ValueForProtocol(ma.P_CIRCUIT)
	return err == nil
}

// addresses lists where h can be dialled, without /p2p, loopback only if there
// is nothing else.
func addresses(h host.Host) []string {
	var far, near []string
	for _, a := range h.Addrs() {
		if manet.IsIPLoopback(a) {
			near = append(near, a.String())
		} else {
			far = append(far, a.String())
		}
	}
	if len(far) == 0 {
		return near
	}
	return far
}

// relayOf returns the relay by way of which an address leads.
func relayOf(a ma.Multiaddr) (relay peer.ID, ok bool) {
	before, circuit := ma.SplitFunc(a, func(c ma.Component) bool { return c.Protocol().Code == ma.P_CIRCUIT })
	if len(circuit) == 0 {
		return "", false
	}
	relay, err := peer.IDFromP2PAddr(before)
	return relay, err == nil
}

// AnyPort stands, in an address to announce, for the port that is listened on.
const AnyPort = "{port}"

// CheckAnnounce checks an address to announce: a multiaddr of a host by IP or
// name, with tcp, udp and quic-v1, or ws, perhaps behind TLS, whose text may have
// {port} for the port that the presence listens on by that transport.
func CheckAnnounce(text string) error {
	a, err := ma.NewMultiaddr(strings.ReplaceAll(text, AnyPort, "1"))
	if err != nil {
		return fmt.Errorf("p2p: an address to announce: %w", err)
	}
	switch a[0].Protocol().Code {
	case ma.P_IP4, ma.P_IP6, ma.P_DNS, ma.P_DNS4, ma.P_DNS6:
	default:
		return fmt.Errorf("p2p: an address to announce: %s names no host", text)
	}
	if transportOf(a) == "" || relayed(a) {
		return fmt.Errorf("p2p: an address to announce: %s is of no transport that relays listen by", text)
	}
	return nil
}

// transportOf names what an address is reached by, empty if that is unknown here.
func transportOf(a ma.Multiaddr) string {
	has := func(code int) bool { _, err := a.ValueForProtocol(code); return err == nil }
	switch {
	case has(ma.P_QUIC_V1):
		return "quic"
	case has(ma.P_WS), has(ma.P_WSS):
		return "ws"
	case has(ma.P_TCP):
		return "tcp"
	}
	return ""
}

// announced puts before a presence's own addresses those to announce, one for
// each of the ports that it listens on by the transport.
func announced(templates []string, own []ma.Multiaddr) (out []ma.Multiaddr) {
	for _, text := range templates {
		for _, a := range own {
			port, err := a.ValueForProtocol(ma.P_TCP)
			if err != nil {
				port, err = a.ValueForProtocol(ma.P_UDP)
			}
			to, bad := ma.NewMultiaddr(strings.ReplaceAll(text, AnyPort, port))
			if err == nil && bad == nil && !relayed(a) && transportOf(to) == transportOf(a) && !slices.ContainsFunc(out, to.Equal) {
				out = append(out, to)
			}
		}
	}
	return append(out, own...)
}
