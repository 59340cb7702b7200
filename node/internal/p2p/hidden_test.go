package p2p_test

import (
	"bytes"
	"context"
	"encoding/base32"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/metastate-p2p/metastate/node/internal/p2p"
	"github.com/metastate-p2p/metastate/node/internal/socks/sockstest"
)

// onion is the name of an onion service that only a test's proxy knows.
func onion(i int) string {
	key := bytes.Repeat([]byte{byte(i + 1)}, 35)
	return strings.ToLower(base32.StdEncoding.EncodeToString(key))
}

// freePort is one that nothing listened on a moment ago, and that no connection
// gets for its own end.
func freePort(t *testing.T) int {
	t.Helper()
	for range 100 {
		port := 26000 + rand.IntN(6000)
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal("no free port")
	return 0
}

func startProxy(t *testing.T) *sockstest.Proxy {
	t.Helper()
	proxy, err := sockstest.Listen()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { proxy.Close() })
	return proxy
}

// hidden describes presence i, behind an onion service of its own.
func hidden(t *testing.T, proxy *sockstest.Proxy, i int) p2p.Config {
	port := freePort(t)
	proxy.Serve(onion(i) + ".onion")
	return p2p.Config{
		Seed: seed(i), Profile: p2p.ProfileHidden,
		Hidden: p2p.Hidden{SOCKS: proxy.Addr(), Onion: fmt.Sprintf("/onion3/%s:%d", onion(i), port)},
		Listen: []string{fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", port)},
	}
}

// Two hidden members and one that is not: they sync, gossip and push, and
// whatever the hidden ones dial they dial through the proxy, each by a name of
// its own.
func TestHidden(t *testing.T) {
	proxy := startProxy(t)
	var ms []*p2p.Member
	var rs []*p2p.MemReplica
	var arrived []<-chan string
	for i := range 3 {
		r := p2p.NewMemReplica(fmt.Sprint("binding of ", i), secret)
		r.Know(true, id(0), id(1), id(2))
		cfg := p2p.Config{Seed: seed(i), Listen: []string{"/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"}}
		if i < 2 {
			cfg = hidden(t, proxy, i)
		}
		arrived = append(arrived, arrivals(r))
		m, err := p2p.NewMember(cfg, r)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		if i < 2 && !slices.Equal(m.Addrs(), []string{cfg.Hidden.Onion}) {
			t.Errorf("a hidden presence tells its addresses as %v", m.Addrs())
		}
		ms, rs = append(ms, m), append(rs, r)
	}
	for i, addrs := range [][]string{nil, ms[0].Addrs(), ms[2].Addrs()} { // 1 dials 0, 0 dials 2
		if i > 0 {
			from, to := ms[2-i], ms[2*(i-1)]
			if err := from.AddPeer(p2p.Peer{ID: to.ID(), Addrs: addrs}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i := range rs {
		body := fmt.Sprint("of ", i)
		if err := ms[i].Publish(p2p.Records, rs[i].Add(plane, body)); err != nil {
			t.Fatal(err)
		}
		for j := range rs {
			if j != i {
				await(t, arrived[j], body)
			}
		}
	}
	users := map[string]string{} // who asked for each host
	for _, r := range proxy.Requests() {
		users[r.Host] = r.User
	}
	if len(users) != 2 || users[onion(0)+".onion"] == "" || users["127.0.0.1"] == "" || users[onion(0)+".onion"] == users["127.0.0.1"] {
		t.Errorf("the proxy was asked by and for %v", proxy.Requests())
	}
	if told := p2p.Told(ms[2], ms[0].ID()); !slices.Equal(told, ms[0].Addrs()) {
		t.Errorf("a hidden presence told a peer of %v", told)
	}
	for _, protocol := range p2p.Speaks(ms[2], ms[0].ID()) {
		if !strings.HasPrefix(protocol, "/metastate/") && !strings.HasPrefix(protocol, "/ipfs/id/") && protocol != "/libp2p/circuit/relay/0.2.0/stop" {
			t.Errorf("a hidden presence speaks %s", protocol)
		}
	}
	for _, s := range ms[1].Peers() {
		if s.ID == ms[0].ID() && (!s.Connected || s.Address != ms[0].Addrs()[0]) {
			t.Errorf("%+v", s)
		}
	}
}

// Names go to the proxy as they are. What only a look-up could make an address
// of is not dialled, and nothing is looked up. So it is with UDP.
func TestHiddenNames(t *testing.T) {
	var lookups atomic.Int64
	system := net.DefaultResolver
	preferGo, dial := system.PreferGo, system.Dial
	system.PreferGo = true
	system.Dial = func(context.Context, string, string) (net.Conn, error) {
		lookups.Add(1)
		return nil, errors.New("no look-ups")
	}
	t.Cleanup(func() { system.PreferGo, system.Dial = preferGo, dial })
	proxy := startProxy(t)
	const name = "lobby.invalid"
	proxy.Serve(name)
	l, err := p2p.NewLobby(p2p.Config{Seed: seed(1), Listen: []string{"/ip4/127.0.0.1/tcp/0"}}, echo)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := strings.TrimPrefix(l.Addrs()[0], "/ip4/127.0.0.1/tcp/")
	cfg := p2p.Config{Seed: seed(2), Profile: p2p.ProfileHidden, Hidden: p2p.Hidden{SOCKS: proxy.Addr()}}
	knock := func(addrs ...string) (answer string, err error) {
		err = p2p.Knock(t.Context(), cfg, []p2p.Peer{{ID: l.ID(), Addrs: addrs}}, []byte("hello"), func(_ string, a []byte) bool {
			answer = string(a)
			return true
		})
		return answer, err
	}
	for _, bad := range []string{"/dnsaddr/" + name, "/dnsaddr/" + name + "/tcp/" + port, "/dns4/" + name + "/udp/" + port + "/quic-v1", "/dns4/" + name + "/tcp/" + port + "/tls/ws"} {
		if _, err := knock(bad); !errors.Is(err, p2p.ErrUnreachable) {
			t.Errorf("%s: %v", bad, err)
		}
	}
	if asked := proxy.Requests(); len(asked) != 0 {
		t.Errorf("the proxy was asked for %v", asked)
	}
	for _, kind := range []string{"/dns/", "/dns4/", "/dns6/"} {
		if answer, err := knock(kind + name + "/tcp/" + port); err != nil || answer == "" {
			t.Errorf("%s: %q, %v", kind, answer, err)
		}
	}
	users := map[string]bool{}
	for _, r := range proxy.Requests() {
		users[r.User] = true
		if r.Host != name {
			t.Errorf("the proxy was asked for %v", r)
		}
	}
	if len(users) != 3 {
		t.Errorf("three hosts had %d names at the proxy", len(users))
	}
	if n := lookups.Load(); n != 0 {
		t.Errorf("%d look-ups", n)
	}
}

// A presence that would show itself is not started.
func TestHiddenRefused(t *testing.T) {
	const port = "127.0.0.1:9050"
	for _, c := range []struct {
		hidden p2p.Hidden
		listen string
	}{
		{p2p.Hidden{}, ""},
		{p2p.Hidden{SOCKS: "localhost:9050"}, ""},
		{p2p.Hidden{SOCKS: port}, "/ip4/0.0.0.0/tcp/0"},
		{p2p.Hidden{SOCKS: port}, "/ip4/127.0.0.1/udp/0/quic-v1"},
		{p2p.Hidden{SOCKS: port}, "/ip4/20.0.0.1/tcp/1"},
		{p2p.Hidden{SOCKS: port, Onion: "/ip4/20.0.0.1/tcp/1"}, ""},
		{p2p.Hidden{SOCKS: port, Onion: "/onion3/" + onion(1) + ":1/tcp/1"}, ""},
	} {
		cfg := p2p.Config{Seed: seed(1), Profile: p2p.ProfileHidden, Hidden: c.hidden}
		if c.listen != "" {
			cfg.Listen = []string{c.listen}
		}
		if l, err := p2p.NewLobby(cfg, echo); err == nil {
			l.Close()
			t.Errorf("%+v: started", c)
		}
	}
}

// Whoever comes through Tor comes from one address: 40 strangers at once are
// more than one address may send, and yet all are answered.
func TestHiddenLobbyCrowd(t *testing.T) {
	proxy := startProxy(t)
	cfg := hidden(t, proxy, 1)
	l, err := p2p.NewLobby(cfg, echo)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for i := range 40 {
		from := p2p.Config{Seed: seed(10 + i), Profile: p2p.ProfileHidden, Hidden: p2p.Hidden{SOCKS: proxy.Addr()}}
		err := p2p.Knock(t.Context(), from, []p2p.Peer{{ID: l.ID(), Addrs: l.Addrs()}}, []byte("hello"), func(string, []byte) bool { return true })
		if err != nil {
			t.Fatalf("knock %d: %v", i, err)
		}
	}
}

// Who is behind a NAT can't dial an onion service, and is dialled by way of a
// relay: through the proxy, which sees the relay's address alone. The one behind
// the NAT does not punch through to a hidden presence.
func TestHiddenDialsCircuits(t *testing.T) {
	proxy := startProxy(t)
	const relay, inside, outside = 0, 1, 2
	var ms []*p2p.Member
	var rs []*p2p.MemReplica
	var arrived []<-chan string
	for i := range 3 {
		epoch := secret
		if i == relay { // nothing spreads by it but through circuits
			epoch = [32]byte{99}
		}
		r := p2p.NewMemReplica(fmt.Sprint("binding of ", i), epoch)
		r.Know(true, id(relay), id(inside), id(outside))
		arrived = append(arrived, arrivals(r))
		cfg := p2p.Config{Seed: seed(i), Listen: []string{"/ip4/127.0.0.1/tcp/0"}}
		switch i {
		case relay:
			cfg.Profile = p2p.ProfileRelay
		case outside:
			cfg = hidden(t, proxy, i)
		}
		m, err := p2p.NewMember(cfg, r)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		ms, rs = append(ms, m), append(rs, r)
	}
	if err := ms[inside].SetRelays([]p2p.Relay{{ID: id(relay), Addrs: ms[relay].Addrs(), Operator: "a"}}); err != nil {
		t.Fatal(err)
	}
	var circuits []string
	eventually(t, patience, "a place with the relay", func() bool {
		circuits = slices.DeleteFunc(ms[inside].Addrs(), func(a string) bool { return !strings.Contains(a, "p2p-circuit") })
		return len(circuits) > 0
	})
	rs[inside].Add(plane, "written behind a NAT")
	if err := ms[outside].AddPeer(p2p.Peer{ID: id(inside), Addrs: circuits}); err != nil {
		t.Fatal(err)
	}
	await(t, arrived[outside], "written behind a NAT")
	if err := ms[outside].Publish(p2p.Records, rs[outside].Add(plane, "hidden")); err != nil {
		t.Fatal(err)
	}
	await(t, arrived[inside], "hidden")
	if p := status(ms[outside], inside); !p.Connected || p.Direct {
		t.Errorf("%+v", p)
	}
	users := map[string]bool{}
	for _, r := range proxy.Requests() {
		users[r.User] = true
		if !strings.HasSuffix(ms[relay].Addrs()[0], fmt.Sprintf("/tcp/%d", r.Port)) {
			t.Errorf("the proxy was asked for %v, the relay is at %v", r, ms[relay].Addrs())
		}
	}
	if len(users) != 1 {
		t.Errorf("the proxy was asked %v", proxy.Requests())
	}
}
