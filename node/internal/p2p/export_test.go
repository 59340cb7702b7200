package p2p

import (
	"github.com/libp2p/go-libp2p/core/peer"
)

// Told lists the addresses that a peer told m of.
func Told(m *Member, peerID string) (out []string) {
	p, _ := peer.Decode(peerID)
	for _, a := range m.host.Peerstore().Addrs(p) {
		out = append(out, a.String())
	}
	return out
}

// Speaks lists the protocols that a peer told m of.
func Speaks(m *Member, peerID string) (out []string) {
	p, _ := peer.Decode(peerID)
	protocols, _ := m.host.Peerstore().GetProtocols(p)
	for _, s := range protocols {
		out = append(out, string(s))
	}
	return out
}
