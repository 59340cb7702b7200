package p2p

import (
	"fmt"
	"slices"
	"testing"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// SPEC §9.7: who a relay lets hold a place, and connect to whom.
func TestRelayACL(t *testing.T) {
	known := func(p peer.ID) bool { return p == "a" || p == "b" }
	from := ma.StringCast("/ip4/192.0.2.1/tcp/1")
	m := membersOnly{known, func(x, y peer.ID) bool { return known(x) && known(y) }}
	lobbies := toLobbies{known, newRates(1, 3)}
	for _, c := range []struct {
		what       string
		have, want bool
	}{
		{"a member's place", m.AllowReserve("a", from), true},
		{"a stranger's place", m.AllowReserve("x", from), false},
		{"between members", m.AllowConnect("a", from, "b"), true},
		{"from a stranger", m.AllowConnect("x", from, "b"), false},
		{"to a stranger", m.AllowConnect("a", from, "x"), false},
		{"a lobby's place", lobbies.AllowReserve("a", from), true},
		{"a stranger's place among lobbies", lobbies.AllowReserve("x", from), false},
		{"a stranger to a lobby", lobbies.AllowConnect("x", from, "a"), true},
		{"to what is no lobby", lobbies.AllowConnect("a", from, "x"), false},
		{"the second from there", lobbies.AllowConnect("x", from, "a"), true},
		{"the third from there", lobbies.AllowConnect("y", from, "b"), true},
		{"the fourth from there", lobbies.AllowConnect("z", from, "b"), false},
		{"from elsewhere", lobbies.AllowConnect("z", ma.StringCast("/ip4/192.0.2.2/tcp/1"), "b"), true},
	} {
		if c.have != c.want {
			t.Errorf("%s: %v", c.what, c.have)
		}
	}
}

// An address has its share of connections, which is a household's. Circuits,
// which all come from their relay's, don't count as such, but in all.
func TestPerAddressLimits(t *testing.T) {
	for _, p := range []Profile{ProfileMember, ProfileRelay} {
		l := p.limits()
		rm, err := l.resources()
		if err != nil {
			t.Fatal(err)
		}
		defer rm.Close()
		open := func(addr string, n int) (got int) {
			for i := range n {
				c, err := rm.OpenConnection(network.DirInbound, true, ma.StringCast(addr))
				if err != nil {
					break
				}
				defer c.Done()
				if c.SetPeer(peer.ID(fmt.Sprint(addr, i))) != nil {
					break
				}
				got++
			}
			return got
		}
		if n := open("/ip4/203.0.113.1/tcp/4001", 200); n != l.PerAddress {
			t.Errorf("%v: %d connections from one address, want %d", p, n, l.PerAddress)
		}
		if n := open("/ip4/127.0.0.1/tcp/4101", l.PerAddress+8); n != l.PerAddress+8 {
			t.Errorf("%v: %d connections from what ends TLS in front", p, n)
		}
		// More than go-libp2p's 8 an address, and as many as a town's carrier has.
		if l.PerAddress < 32 {
			t.Errorf("%v: %d an address cut off households", p, l.PerAddress)
		}
		const circuit = "/ip4/203.0.113.1/tcp/4001/p2p/12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp/p2p-circuit"
		if n := open(circuit, 70); n != 70 {
			t.Errorf("%v: %d circuits through a relay", p, n)
		}
		if n := open(circuit, 4*l.Conns); n > l.Conns {
			t.Errorf("%v: %d circuits, over %d in all", p, n, l.Conns)
		}
	}
}

func TestPick(t *testing.T) {
	const relay = "/p2p/12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp/p2p-circuit"
	all := []string{"/ip4/10.0.0.1/tcp/1", "/ip4/20.0.0.1/tcp/1", "/ip4/10.0.0.1/udp/1/quic-v1", "/ip4/20.0.0.2/tcp/1" + relay, "/ip4/20.0.0.3/tcp/1" + relay, "/ip4/20.0.0.4/tcp/1" + relay}
	for _, c := range []struct {
		from []string
		n    int
		want []string
	}{
		{all, 6, []string{all[1], all[0], all[2], all[3], all[4], all[5]}},
		{all, 4, []string{all[1], all[0], all[3], all[4]}},
		{all, 1, []string{all[1]}},
		{all[3:], 2, []string{all[3], all[4]}},
		{all[:4], 4, []string{all[1], all[0], all[2], all[3]}},
		{[]string{"no address", all[0]}, 4, []string{all[0]}},
	} {
		if got := Pick(c.from, c.n); !slices.Equal(got, c.want) {
			t.Errorf("%d of %v: %v", c.n, c.from, got)
		}
	}
}

func TestAnnounced(t *testing.T) {
	for _, bad := range []string{"", "/tcp/1", "/p2p-circuit", "/ip4/192.0.2.1", "/ip4/192.0.2.1/udp/1", "192.0.2.1:1", "/dns4/a.example/tcp/{port", "/ip4/192.0.2.1/tcp/1/p2p/12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp/p2p-circuit"} {
		if CheckAnnounce(bad) == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	templates := []string{"/ip4/192.0.2.1/tcp/{port}", "/ip4/192.0.2.1/udp/{port}/quic-v1", "/dns4/p{port}.relay.example/tcp/443/tls/ws"}
	for _, good := range templates {
		if err := CheckAnnounce(good); err != nil {
			t.Error(err)
		}
	}
	var own []ma.Multiaddr
	for _, a := range []string{"/ip4/10.0.0.1/tcp/4001", "/ip4/10.0.0.2/tcp/4001", "/ip4/10.0.0.1/udp/4002/quic-v1", "/ip4/127.0.0.1/tcp/4101/ws"} {
		own = append(own, ma.StringCast(a))
	}
	got := announced(templates, own)
	want := []string{"/ip4/192.0.2.1/tcp/4001", "/ip4/192.0.2.1/udp/4002/quic-v1", "/dns4/p4101.relay.example/tcp/443/tls/ws"}
	if len(got) != len(want)+len(own) {
		t.Fatal(got)
	}
	for i, w := range want {
		if got[i].String() != w {
			t.Errorf("%v, want %s", got[i], w)
		}
	}
}
