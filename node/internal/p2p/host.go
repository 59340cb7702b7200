package p2p

import (
	"crypto/ed25519"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p"
	connmgriface "github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/libp2p/go-libp2p/p2p/net/connmgr"
	"github.com/libp2p/go-libp2p/x/rate"
	ma "github.com/multiformats/go-multiaddr"
	"go.uber.org/fx"
)

// agent is what identify tells every connected peer. It is the same for all
// nodes, versions and systems, so that it singles nobody out.
const agent = "metastate"

// An Underlay makes the libp2p host from what the presence needs of it: key,
// gater, limits, agent. The zero Underlay of a Config is the machine's network;
// package p2psim has a simulated one.
type Underlay func(needs ...libp2p.Option) (host.Host, error)

// system is the machine's network by the given transports, on the given addresses.
func system(listen []string, transports ...libp2p.Option) Underlay {
	return func(needs ...libp2p.Option) (host.Host, error) {
		addrs := libp2p.NoListenAddrs
		if len(listen) > 0 {
			addrs = libp2p.ListenAddrStrings(listen...)
		}
		h, err := libp2p.New(slices.Concat(needs, transports, []libp2p.Option{addrs, quietly})...)
		if err != nil {
			return nil, err
		}
		if err := listening(h, listen); err != nil {
			return nil, fmt.Errorf("%w (closing: %v)", err, h.Close())
		}
		return h, nil
	}
}

// quietly keeps the assembly of the host from logging: its errors are returned.
var quietly = libp2p.WithFxOption(fx.NopLogger)

// listening checks that each wanted address has a listener: libp2p's New is
// content with one of them.
func listening(h host.Host, want []string) error {
	have := h.Network().ListenAddresses()
	for _, s := range want {
		w, err := ma.NewMultiaddr(s)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(have, func(a ma.Multiaddr) bool { return sameEndpoint(w, a) }) {
			return fmt.Errorf("not listening on %s", s)
		}
	}
	return nil
}

// sameEndpoint reports whether have is what listening on want yields: the same
// components, but for a port 0 and what the transport appends.
func sameEndpoint(want, have ma.Multiaddr) bool {
	if len(have) < len(want) {
		return false
	}
	for i := range want {
		w, h := &want[i], &have[i]
		if w.Protocol().Code != h.Protocol().Code || (w.Value() != h.Value() && w.Value() != "0") {
			return false
		}
	}
	return true
}

// newHost builds a presence's host.
func newHost(cfg Config, r role, g connmgriface.ConnectionGater) (host.Host, error) {
	key, err := transportKey(cfg.Seed)
	if err != nil {
		return nil, err
	}
	l := cfg.Profile.limits()
	rm, err := l.resources()
	if err != nil {
		return nil, err
	}
	cm, err := connmgr.NewConnManager(l.Low, l.High, connmgr.WithGracePeriod(20*time.Second))
	if err != nil {
		return nil, err
	}
	needs := cfg.Profile.options(r)
	if len(cfg.Announce) > 0 {
		needs = append(needs, libp2p.AddrsFactory(func(addrs []ma.Multiaddr) []ma.Multiaddr { return announced(cfg.Announce, addrs) }))
	}
	return cfg.Underlay(append(needs,
		libp2p.Identity(key), libp2p.ConnectionGater(g), libp2p.ResourceManager(rm), libp2p.ConnectionManager(cm),
		libp2p.UserAgent(agent), libp2p.ProtocolVersion(agent), libp2p.Ping(false), libp2p.DisableMetrics(),
		// Members find each other on a LAN or one machine, too.
		libp2p.NonPublicAddrPublishing(true),
		libp2p.WithDialTimeout(cfg.Profile.patience()),
		// Peers that are off for days are dialled all the while: libp2p would
		// take their silence for a network without UDP and stop dialling.
		libp2p.UDPBlackHoleSuccessCounter(nil), libp2p.IPv6BlackHoleSuccessCounter(nil),
	)...)
}

func transportKey(seed [32]byte) (crypto.PrivKey, error) {
	if seed == ([32]byte{}) {
		return nil, fmt.Errorf("the transport key's seed is zero")
	}
	return crypto.UnmarshalEd25519PrivateKey(ed25519.NewKeyFromSeed(seed[:]))
}

// PeerID returns the transport peer id of the key with that seed.
func PeerID(seed [32]byte) (string, error) {
	key, err := transportKey(seed)
	if err != nil {
		return "", fmt.Errorf("p2p: peer id: %w", err)
	}
	id, err := peer.IDFromPrivateKey(key)
	if err != nil {
		return "", fmt.Errorf("p2p: peer id: %w", err)
	}
	return id.String(), nil
}

// resources turns l into a resource manager. libp2p's defaults per address
// would cut off households behind one NAT.
func (l limits) resources() (network.ResourceManager, error) {
	lim := func(n int) rcmgr.LimitVal { return rcmgr.LimitVal(n) }
	all := rcmgr.ResourceLimits{
		Conns: lim(l.Conns), ConnsInbound: lim(l.Conns), ConnsOutbound: lim(l.Conns), FD: lim(2 * l.Conns),
		Streams: lim(l.Conns * l.Streams), StreamsInbound: lim(l.Conns * l.Streams), StreamsOutbound: lim(l.Conns * l.Streams),
		Memory: rcmgr.LimitVal64(l.Memory),
	}
	// Connections not yet authenticated: a quarter, so that strangers who
	// never finish their handshake leave room for members.
	transient := all
	transient.Conns, transient.ConnsInbound, transient.ConnsOutbound = lim(l.Conns/4), lim(l.Conns/4), lim(l.Conns/4)
	transient.Memory = rcmgr.LimitVal64(l.Memory / 4)
	one := rcmgr.ResourceLimits{
		Conns: lim(l.PeerConns), ConnsInbound: lim(l.PeerConns), ConnsOutbound: lim(l.PeerConns), FD: lim(l.PeerConns),
		Streams: lim(l.Streams), StreamsInbound: lim(l.Streams), StreamsOutbound: lim(l.Streams),
		Memory: rcmgr.LimitVal64(l.Memory / 4),
	}
	cfg := rcmgr.PartialLimitConfig{System: all, Transient: transient, PeerDefault: one}
	perAddr := rate.Limit{RPS: float64(l.PerAddress) / 8, Burst: 4 * l.PerAddress}
	loopback := []rate.PrefixLimit{
		{Prefix: netip.MustParsePrefix("127.0.0.0/8")}, {Prefix: netip.MustParsePrefix("::1/128")},
	}
	m, err := rcmgr.NewResourceManager(rcmgr.NewFixedLimiter(cfg.Build(rcmgr.DefaultLimits.AutoScale())),
		rcmgr.WithMetricsDisabled(),
		rcmgr.WithLimitPerSubnet(
			[]rcmgr.ConnLimitPerSubnet{{ConnCount: l.PerAddress, PrefixLength: 32}},
			[]rcmgr.ConnLimitPerSubnet{{ConnCount: l.PerAddress, PrefixLength: 56}, {ConnCount: 4 * l.PerAddress, PrefixLength: 48}}),
		rcmgr.WithConnRateLimiters(&rate.Limiter{
			NetworkPrefixLimits: loopback,
			SubnetRateLimiter: rate.SubnetLimiter{
				IPv4SubnetLimits: []rate.SubnetLimit{{PrefixLength: 32, Limit: perAddr}},
				IPv6SubnetLimits: []rate.SubnetLimit{{PrefixLength: 56, Limit: perAddr}},
				GracePeriod:      time.Minute,
			},
		}))
	if err != nil {
		return nil, err
	}
	return throughRelays{m}, nil
}

// throughRelays does not count circuits as connections from their relay's
// address: everybody who is behind a NAT comes from there.
type throughRelays struct{ network.ResourceManager }

func (m throughRelays) OpenConnection(dir network.Direction, fd bool, from ma.Multiaddr) (network.ConnManagementScope, error) {
	if relayed(from) {
		from = circuitAddr
	}
	return m.ResourceManager.OpenConnection(dir, fd, from)
}
