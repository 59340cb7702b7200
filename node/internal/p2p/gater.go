package p2p

import (
	"github.com/libp2p/go-libp2p/core/control"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// A gater refuses connections to and from peers that allow does not know. It
// decides once the peer has proven its transport key and before a muxer is
// negotiated, in both directions, so that no protocol ever runs with a
// stranger: gossipsub's first message would tell it our topics (SPEC §9.1).
//
// Circuits come only by way of relays that this side chose: else anybody who may
// connect could pass as one, and past the limits on its address.
type gater struct {
	allow func(peer.ID) bool
	via   func(relay peer.ID) bool // nil: none
	meter *meter
}

// InterceptPeerDial saves the round trips of a dial that would be refused.
func (g gater) InterceptPeerDial(p peer.ID) bool { return g.allow(p) }

func (g gater) InterceptAddrDial(peer.ID, ma.Multiaddr) bool { return true }

func (g gater) InterceptAccept(c network.ConnMultiaddrs) bool {
	if !relayed(c.RemoteMultiaddr()) {
		return true
	}
	relay, ok := relayOf(c.RemoteMultiaddr())
	if ok && g.via != nil && g.via(relay) {
		return true
	}
	g.meter.count(func(m *Metrics) { m.Refused++ })
	return false
}

func (g gater) InterceptSecured(_ network.Direction, p peer.ID, _ network.ConnMultiaddrs) bool {
	if g.allow(p) {
		return true
	}
	g.meter.count(func(m *Metrics) { m.Refused++ })
	return false
}

func (g gater) InterceptUpgraded(network.Conn) (bool, control.DisconnectReason) { return true, 0 }
