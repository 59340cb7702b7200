package p2p

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/transport"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/metastate-p2p/metastate/node/internal/socks"
)

// Hidden is what a presence of ProfileHidden needs to know. The presence
// listens on Config.Listen, loopback TCP only, or nowhere.
type Hidden struct {
	// SOCKS is the IP address and port of the SOCKS5 proxy, Tor's, through which
	// everything is dialled.
	SOCKS string
	// Onion is the multiaddr /onion3/ADDRESS:PORT of the onion service that leads
	// to where the presence listens: the one address it tells. Empty: none.
	Onion string
}

// complete checks what a hidden presence must not be without.
func (h Hidden) complete(listen []string) error {
	if _, err := netip.ParseAddrPort(h.SOCKS); err != nil {
		return fmt.Errorf("the SOCKS proxy's address: %w", err)
	}
	for _, s := range listen {
		a, err := ma.NewMultiaddr(s)
		if err != nil {
			return err
		}
		if _, _, ok := target(a); !ok || !manet.IsIPLoopback(a) {
			return fmt.Errorf("a hidden presence listens on loopback TCP only, not on %s", s)
		}
	}
	if h.Onion == "" {
		return nil
	}
	a, err := ma.NewMultiaddr(h.Onion)
	if err != nil {
		return fmt.Errorf("the onion address: %w", err)
	}
	if len(a) != 1 || a[0].Protocol().Code != ma.P_ONION3 {
		return fmt.Errorf("the onion address: %s is none", h.Onion)
	}
	return nil
}

// underlay is a network with one way out, the proxy. Each host that it makes has
// a user name of its own there.
func (h Hidden) underlay(listen []string) Underlay {
	return func(needs ...libp2p.Option) (host.Host, error) {
		var told []ma.Multiaddr
		if h.Onion != "" {
			a, err := ma.NewMultiaddr(h.Onion)
			if err != nil {
				return nil, err
			}
			told = []ma.Multiaddr{a}
		}
		proxy := socks.Proxy{Addr: h.SOCKS, User: rand.Text()}
		through := func(up transport.Upgrader, rm network.ResourceManager) *torTransport {
			return &torTransport{proxy: proxy, upgrader: up, rcmgr: rm}
		}
		return system(listen,
			libp2p.Transport(through),
			libp2p.MultiaddrResolver(noResolver{}),
			libp2p.AddrsFactory(func([]ma.Multiaddr) []ma.Multiaddr { return told }),
			libp2p.DisableIdentifyAddressDiscovery(),
		)(needs...)
	}
}

// noResolver looks up no names: the proxy does. What only a look-up could turn
// into addresses (/dnsaddr) is not dialled.
type noResolver struct{}

var errNoLookup = errors.New("a hidden presence looks up no names")

func (noResolver) ResolveDNSAddr(context.Context, peer.ID, ma.Multiaddr, int, int) ([]ma.Multiaddr, error) {
	return nil, errNoLookup
}

func (noResolver) ResolveDNSComponent(context.Context, ma.Multiaddr, int) ([]ma.Multiaddr, error) {
	return nil, errNoLookup
}

// A torTransport dials through a SOCKS proxy only, and listens on TCP, for the
// onion service that stands before it.
type torTransport struct {
	proxy    socks.Proxy
	upgrader transport.Upgrader
	rcmgr    network.ResourceManager
}

var _ interface {
	transport.Transport
	transport.SkipResolver
} = (*torTransport)(nil)

// Dial connects and upgrades. The proxy is all that the machine's network sees.
func (t *torTransport) Dial(ctx context.Context, to ma.Multiaddr, p peer.ID) (transport.CapableConn, error) {
	scope, err := t.rcmgr.OpenConnection(network.DirOutbound, true, to)
	if err != nil {
		return nil, err
	}
	c, err := t.dial(ctx, to, p, scope)
	if err != nil {
		scope.Done()
		return nil, err
	}
	return c, nil
}

func (t *torTransport) dial(ctx context.Context, to ma.Multiaddr, p peer.ID, scope network.ConnManagementScope) (transport.CapableConn, error) {
	if err := scope.SetPeer(p); err != nil {
		return nil, err
	}
	name, port, ok := target(to)
	if !ok {
		return nil, fmt.Errorf("p2p: dialling: %s does not go through a proxy", to)
	}
	c, err := t.proxy.Dial(ctx, name, port)
	if err != nil {
		return nil, err
	}
	return t.upgrader.Upgrade(ctx, t, torConn{Conn: c, to: to}, network.DirOutbound, p, scope)
}

func (t *torTransport) CanDial(a ma.Multiaddr) bool {
	_, _, ok := target(a)
	return ok
}

// SkipResolve has names reach Dial as they are.
func (t *torTransport) SkipResolve(context.Context, ma.Multiaddr) bool { return true }

func (t *torTransport) Listen(at ma.Multiaddr) (transport.Listener, error) {
	l, err := manet.Listen(at)
	if err != nil {
		return nil, err
	}
	return t.upgrader.UpgradeGatedMaListener(t, t.upgrader.GateMaListener(l)), nil
}

func (t *torTransport) Protocols() []int { return []int{ma.P_TCP, ma.P_ONION3} }

// Proxy is for transports whose connections are not with the peer itself.
func (t *torTransport) Proxy() bool { return false }

// target is the host, an IP address or name, and the port of an address that a
// SOCKS proxy can connect to: of an onion service, or of TCP and nothing more.
func target(a ma.Multiaddr) (host string, port uint16, ok bool) {
	var number string
	switch {
	case len(a) == 1 && a[0].Protocol().Code == ma.P_ONION3:
		host, number, ok = strings.Cut(a[0].Value(), ":")
		host += ".onion"
	case len(a) == 2 && a[1].Protocol().Code == ma.P_TCP:
		switch a[0].Protocol().Code {
		case ma.P_IP4, ma.P_IP6, ma.P_DNS, ma.P_DNS4, ma.P_DNS6:
			host, number, ok = a[0].Value(), a[1].Value(), true
		}
	}
	n, err := strconv.ParseUint(number, 10, 16)
	return host, uint16(n), ok && err == nil && len(host) <= 255
}

// here stands for the own end of a dialled connection, which no peer is told.
var here = ma.StringCast("/ip4/127.0.0.1/tcp/0")

// A torConn is a connection through the proxy, which is with the address that
// was dialled, not with the proxy's.
type torConn struct {
	net.Conn
	to ma.Multiaddr
}

func (c torConn) LocalMultiaddr() ma.Multiaddr  { return here }
func (c torConn) RemoteMultiaddr() ma.Multiaddr { return c.to }
