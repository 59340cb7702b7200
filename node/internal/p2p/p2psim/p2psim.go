// Package p2psim is a simulated network for tests of package p2p and of whole
// nodes: many hosts in one process, with latency and partitions, under
// testing/synctest's clock. It runs libp2p with QUIC over in-memory packets
// (marcopolo/simnet, after go-libp2p's x/simlibp2p).
//
//	synctest.Test(t, func(t *testing.T) {
//		net := p2psim.New(50 * time.Millisecond)
//		defer net.Close()
//		cfg := p2p.Config{Seed: seed, Underlay: net.Underlay(0, 8000)}
//		…
//	})
//
// Close the presences before the network.
package p2psim

import (
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/p2p/transport/quicreuse"
	"github.com/marcopolo/simnet"
	"github.com/quic-go/quic-go"
	"go.uber.org/fx"

	"github.com/metastate-p2p/metastate/node/internal/p2p"
)

// bandwidth of each host's link, bits per second, each way.
const bandwidth = 1 << 30

// A Network connects simulated machines, numbered from 0. Its methods may be
// called from several goroutines.
type Network struct {
	net *simnet.Simnet // endpoints are added with mu held

	mu    sync.Mutex
	side  map[string]int // guarded by mu; of each IP while partitioned
	bytes map[string]int // guarded by mu; sent by each IP
	nats  map[string]nat // guarded by mu; of the IPs behind one
	next  int            // guarded by mu; ephemeral ports
}

// New starts a network whose packets take latency one way.
func New(latency time.Duration) *Network {
	n := &Network{
		net:   &simnet.Simnet{LatencyFunc: simnet.StaticLatency(latency), Logger: slog.New(slog.DiscardHandler)},
		bytes: map[string]int{}, nats: map[string]nat{}, next: 20000,
	}
	n.net.Start()
	return n
}

// Close ends the network.
func (n *Network) Close() { n.net.Close() }

// Addr is where a presence on that machine and port is dialled.
func Addr(machine, port int) string {
	return fmt.Sprintf("/ip4/%s/udp/%d/quic-v1", ip(machine), port)
}

func ip(machine int) net.IP { return simnet.IntToPublicIPv4(machine).To4() }

// Partition cuts the network: packets pass only between machines for which side
// returns the same number. A nil side heals it.
func (n *Network) Partition(machines int, side func(machine int) int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.side = nil
	if side == nil {
		return
	}
	n.side = map[string]int{}
	for i := range machines {
		n.side[ip(i).String()] = side(i)
	}
}

// Sent is the number of bytes the machine has put on the network.
func (n *Network) Sent(machine int) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.bytes[ip(machine).String()]
}

// A nat lets a packet in only from where its machine sent one to lately.
type nat struct {
	hard bool
	sent map[string]time.Time // when last from and to which addresses, each with its port
}

// natMemory is how long a nat remembers what was sent.
const natMemory = time.Minute

// NAT puts machines each behind a NAT of its own. Holes can be punched through it,
// but if it is hard then not between two machines that are both behind one.
func (n *Network) NAT(hard bool, machines ...int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, m := range machines {
		n.nats[ip(m).String()] = nat{hard, map[string]time.Time{}}
	}
}

// pass counts a packet and reports whether it gets through.
func (n *Network) pass(from, to net.Addr, size int) bool {
	f, ok1 := from.(*net.UDPAddr)
	t, ok2 := to.(*net.UDPAddr)
	if !ok1 || !ok2 {
		return false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.bytes[f.IP.String()] += size
	own, behind := n.nats[f.IP.String()]
	if behind {
		own.sent[f.String()+" "+t.String()] = time.Now()
	}
	if their, ok := n.nats[t.IP.String()]; ok {
		last, open := their.sent[t.String()+" "+f.String()]
		if !open || time.Since(last) > natMemory || behind && own.hard && their.hard {
			return false
		}
	}
	return n.side == nil || n.side[f.IP.String()] == n.side[t.IP.String()]
}

// Underlay puts a presence on a machine; port 0 makes one that only dials.
func (n *Network) Underlay(machine, port int) p2p.Underlay {
	return func(needs ...libp2p.Option) (host.Host, error) {
		listen := libp2p.NoListenAddrs
		if port != 0 {
			listen = libp2p.ListenAddrStrings(Addr(machine, port))
		}
		return libp2p.New(append(needs, listen, n.quic(machine),
			// It stalls synctest.
			libp2p.DisableIdentifyAddressDiscovery())...)
	}
}

// source makes a machine's packets carry its address.
type source struct{ ip net.IP }

func (s source) PreferredSourceIPForDestination(*net.UDPAddr) (net.IP, error) { return s.ip, nil }

func (n *Network) quic(machine int) libp2p.Option {
	own := ip(machine)
	build := func(lc fx.Lifecycle, reset quic.StatelessResetKey, token quic.TokenGeneratorKey, opts ...quicreuse.Option) (*quicreuse.ConnManager, error) {
		cm, err := quicreuse.NewConnManager(reset, token, opts...)
		if err != nil {
			return nil, err
		}
		lc.Append(fx.StopHook(cm.Close))
		return cm, nil
	}
	return libp2p.QUICReuse(build,
		quicreuse.OverrideSourceIPSelector(func() (quicreuse.SourceIPSelector, error) { return source{own}, nil }),
		quicreuse.OverrideListenUDP(func(_ string, a *net.UDPAddr) (net.PacketConn, error) {
			if a.IP == nil || a.IP.IsUnspecified() {
				a = &net.UDPAddr{IP: own, Port: a.Port}
			}
			return n.endpoint(a), nil
		}))
}

func (n *Network) endpoint(addr *net.UDPAddr) net.PacketConn {
	link := simnet.LinkSettings{BitsPerSecond: bandwidth}
	n.mu.Lock()
	defer n.mu.Unlock() // also while simnet, which does not lock, adds it
	if addr.Port == 0 {
		n.next++
		addr = &net.UDPAddr{IP: addr.IP, Port: n.next}
	}
	return &conn{SimConn: n.net.NewEndpoint(addr, simnet.NodeBiDiLinkSettings{Downlink: link, Uplink: link}), net: n, own: addr}
}

// A conn drops what a partition cuts.
type conn struct {
	*simnet.SimConn
	net *Network
	own *net.UDPAddr
}

func (c *conn) WriteTo(p []byte, to net.Addr) (int, error) {
	if !c.net.pass(c.own, to, len(p)) {
		return len(p), nil
	}
	return c.SimConn.WriteTo(p, to)
}
