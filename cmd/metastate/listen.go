package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/metastate-p2p/metastate/node"
)

// parseListen reads a multiaddress that a node can listen on: an IP address and
// a port.
func parseListen(text string) (addr multiaddr.Multiaddr, ok bool) {
	addr, err := multiaddr.NewMultiaddr(text)
	if err != nil { // in words for programmers
		return nil, false
	}
	var parts []string
	for _, p := range addr.Protocols() {
		parts = append(parts, p.Name)
	}
	switch strings.TrimPrefix(strings.Join(parts, "/"), "ip6zone/") {
	case "ip4/tcp", "ip6/tcp", "ip4/udp/quic-v1", "ip6/udp/quic-v1", "ip4/tcp/ws", "ip6/tcp/ws":
		return addr, true
	}
	return nil, false
}

// whyNotListening finds out which of the addresses given cannot be listened on,
// after a node failed to start: its network says so without the reason in a form
// that can be told. It returns nil where all of them can.
func whyNotListening(listen []string) error {
	for _, text := range listen {
		addr, ok := parseListen(text)
		if !ok {
			continue
		}
		if err := tryListen(addr); err != nil {
			why := err
			if sys, ok := errors.AsType[*os.SyscallError](err); ok {
				why = sys.Err
			}
			hint := "give an address that this computer has with --listen"
			if errors.Is(err, syscall.EADDRINUSE) {
				hint = "stop the program that listens there, or give another port with --listen; port 0 takes a free one"
			}
			return &failure{
				Code: "cannot-listen", Exit: node.ExitFailed,
				Message: fmt.Sprintf("the node cannot listen on %s: %v", text, why), Hint: hint,
			}
		}
	}
	return nil
}

func tryListen(addr multiaddr.Multiaddr) error {
	a, err := manet.ToNetAddr(firstTwo(addr))
	if err != nil {
		return err
	}
	if a.Network() == "udp" {
		c, err := net.ListenPacket("udp", a.String())
		if err != nil {
			return err
		}
		return c.Close()
	}
	l, err := net.Listen("tcp", a.String())
	if err != nil {
		return err
	}
	return l.Close()
}

// firstTwo is an address up to its port: what comes after is no matter of the
// system's.
func firstTwo(addr multiaddr.Multiaddr) multiaddr.Multiaddr {
	before, _ := multiaddr.SplitFunc(addr, func(c multiaddr.Component) bool {
		return c.Protocol().Code == multiaddr.P_QUIC_V1 || c.Protocol().Code == multiaddr.P_WS
	})
	return before
}

// reach says who can reach a node that listens as it was told to.
func (f runFlags) reach() string {
	if f.profile == node.ProfileHidden.String() {
		return reachHidden(len(f.onions))
	}
	return reach(f.listen)
}

// linkable says who can tell that what the node does in several metastates is
// one person's, or what else shows.
func (f runFlags) linkable() string {
	if f.profile == node.ProfileHidden.String() {
		see := "when you are on, and what you write"
		if len(f.onions) > 0 {
			see = "its onion address, " + see
		}
		return "Members of a metastate still see " + see + "; your provider sees that you use Tor."
	}
	return "In each metastate it goes by another key, but from one internet address: peers and providers who compare can tell that it is one computer. Only --profile hidden, through Tor, keeps that apart."
}

// reach says who can reach a node that listens as it was told to.
func reach(listen []string) string {
	if len(listen) == 0 {
		return "It listens on every interface, as no --listen is given: other computers can reach it."
	}
	near := !slices.ContainsFunc(listen, func(text string) bool {
		addr, ok := parseListen(text)
		return !ok || !manet.IsIPLoopback(addr)
	})
	if near {
		return "It listens for this computer alone, as --listen says. Give --listen each time: without, it listens on every interface."
	}
	return "It listens as --listen says. Give --listen each time: without, it listens on every interface."
}
