package node

import (
	"slices"
	"strings"
	"testing"

	"github.com/metastate-p2p/metastate/identity"
)

func TestParseRelays(t *testing.T) {
	const a, b = "12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp", "12D3KooWPjceQrSwdWXPyLLeABRXmuqt69Rg3sBYbU1Nft9HyQ6X"
	got, err := parseRelays([]string{"/ip4/192.0.2.1/tcp/1/p2p/" + a, "/dns4/r.example/udp/2/quic-v1/p2p/" + b, "/ip4/192.0.2.1/udp/1/quic-v1/p2p/" + a})
	if err != nil || len(got) != 2 || got[0].ID != a || len(got[0].Addrs) != 2 || got[1].ID != b || got[1].Addrs[0] != "/dns4/r.example/udp/2/quic-v1" {
		t.Error(got, err)
	}
	for _, bad := range []string{"", "/ip4/192.0.2.1/tcp/1", "/ip4/192.0.2.1/tcp/1/p2p/", "/ip4/192.0.2.1/tcp/1/p2p/me", "192.0.2.1:1/p2p/" + a, "/p2p/" + a} {
		if got, err := parseRelays([]string{bad}); err == nil {
			t.Errorf("%q: %v", bad, got)
		}
	}
}

// A relay's ports follow each other, so that a firewall can let them pass.
func TestRelayPorts(t *testing.T) {
	n := network{cfg: &Config{Profile: ProfileRelay, Listen: []string{"/ip4/0.0.0.0/tcp/4001", "/ip4/0.0.0.0/udp/4001/quic-v1", "/ip4/127.0.0.1/tcp/4101/ws", "/ip6/::/tcp/0"}}}
	for nth, want := range []string{
		"/ip4/0.0.0.0/tcp/4001 /ip4/0.0.0.0/udp/4001/quic-v1 /ip4/127.0.0.1/tcp/4101/ws /ip6/::/tcp/0",
		"/ip4/0.0.0.0/tcp/4002 /ip4/0.0.0.0/udp/4002/quic-v1 /ip4/127.0.0.1/tcp/4102/ws /ip6/::/tcp/0",
		"/ip4/0.0.0.0/tcp/4003 /ip4/0.0.0.0/udp/4003/quic-v1 /ip4/127.0.0.1/tcp/4103/ws /ip6/::/tcp/0",
	} {
		if got := strings.Join(n.at(nth), " "); got != want {
			t.Errorf("%d: %s", nth, got)
		}
	}
	n.cfg.Profile = ProfileMember
	if got := n.at(1); !slices.Equal(got, anyPorts(n.cfg.Listen)) {
		t.Error(got)
	}
	if got := laterPorts([]string{"/ip4/0.0.0.0/tcp/65535"}, 1); got[0] != "/ip4/0.0.0.0/tcp/0" {
		t.Error(got)
	}
	// Each transport remembers its own port, and no relay's.
	kept := portsOf([]string{"/ip4/1.1.1.1/tcp/5", "/ip4/1.1.1.1/tcp/6/ws", "/ip4/1.1.1.1/udp/7/quic-v1", "/ip4/2.2.2.2/tcp/9/p2p/12D3/p2p-circuit"})
	if got := samePorts([]string{"/ip4/0.0.0.0/tcp/0", "/ip4/0.0.0.0/tcp/0/ws", "/ip4/0.0.0.0/udp/0/quic-v1"}, kept); strings.Join(got, " ") !=
		"/ip4/0.0.0.0/tcp/5 /ip4/0.0.0.0/tcp/6/ws /ip4/0.0.0.0/udp/7/quic-v1" {
		t.Error(got)
	}
}

// A node of the profile relay truly listens on all that the profile promises.
func TestRelayListens(t *testing.T) {
	n, err := Open(t.Context(), Config{Ephemeral: true, Profile: ProfileRelay, Listen: []string{
		"/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1", "/ip4/127.0.0.1/tcp/0/ws",
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	if _, err := n.Found(t.Context(), FoundRequest{Name: "relayed"}); err != nil {
		t.Fatal(err)
	}
	for what, addrs := range map[string][]string{"lobby": n.Listen(), "members": n.Communities()[0].presence().Addrs()} {
		for _, has := range []string{"/tcp/", "/quic-v1", "/ws"} {
			if !slices.ContainsFunc(addrs, func(a string) bool { return strings.Contains(a, has) }) {
				t.Errorf("%s: nothing with %s in %v", what, has, addrs)
			}
		}
	}
	c := n.Communities()[0]
	if b, err := identity.ParseBinding(c.replica.Binding()); err != nil || !b.Relay {
		t.Errorf("its binding does not say what it is: %+v, %v", b, err)
	}
}
