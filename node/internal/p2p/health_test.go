package p2p

import (
	"slices"
	"testing"

	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	ma "github.com/multiformats/go-multiaddr"
)

// A listener that is gone, or takes no connections, is told.
func TestHealth(t *testing.T) {
	m, err := NewMember(Config{Seed: [32]byte{1}, Listen: []string{"/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"}}, NewMemReplica("b", [32]byte{2}))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if h := m.Health(t.Context(), true); h.Listens != 2 || len(h.Deaf) != 0 || !h.Near || h.Public || h.Reached || h.Relays != 0 {
		t.Errorf("%+v", h)
	}
	s, ok := m.host.Network().(*swarm.Swarm)
	if !ok {
		t.Fatal("the host's network is no swarm")
	}
	all := s.ListenAddresses()
	i := slices.IndexFunc(all, func(a ma.Multiaddr) bool { _, err := a.ValueForProtocol(ma.P_TCP); return err == nil })
	if i < 0 {
		t.Fatal(all)
	}
	s.ListenClose(all[i])
	if h := m.Health(t.Context(), true); h.Listens != 1 || !slices.Equal(h.Deaf, []string{"/ip4/127.0.0.1/tcp/0"}) {
		t.Errorf("%+v", h)
	}
	if takes(t.Context(), all[i]) {
		t.Errorf("%v takes connections", all[i])
	}
	if !takes(t.Context(), ma.StringCast("/ip4/127.0.0.1/udp/1/quic-v1")) {
		t.Error("of QUIC something was found out")
	}
}
