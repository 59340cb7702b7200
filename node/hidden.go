package node

import (
	"bytes"
	"context"
	"crypto/sha3"
	"encoding/base32"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/metastate-p2p/metastate/node/internal/p2p"
	"github.com/metastate-p2p/metastate/node/internal/socks"
)

// torSOCKS is where Tor's SOCKS proxy is unless its configuration says otherwise.
const torSOCKS = "127.0.0.1:9050"

// Hidden is what a node of [ProfileHidden] needs to know.
type Hidden struct {
	// SOCKS is the IP address and port of Tor's SOCKS proxy. Empty: 127.0.0.1:9050.
	SOCKS string
	// Onions are onion services, each ADDRESS:PORT, the first for the first
	// metastate of this node, and so on: one address for two would tell that both
	// are the same person's. Those that share a presence share one. Tor leads PORT
	// and the port after it to the same ports of 127.0.0.1. A metastate without one
	// is not reached, only reaches.
	Onions []string
}

// Check tells in words what a node could not be hidden with.
func (h Hidden) Check() error {
	if _, err := netip.ParseAddrPort(h.socks()); err != nil {
		return &Error{
			Code: "usage", Exit: ExitUsage, Err: err,
			Message: fmt.Sprintf("the SOCKS proxy has to be an IP address and a port, such as %s, not %q", torSOCKS, h.SOCKS),
			Hint:    "a name would have to be looked up, which shows itself; give the address with --socks",
		}
	}
	ports, addresses := map[uint16]bool{}, map[string]bool{}
	for _, text := range h.Onions {
		o, err := parseOnion(text)
		if err != nil {
			return &Error{
				Code: "usage", Exit: ExitUsage, Err: err,
				Message: fmt.Sprintf("%q is no onion service: %v", text, err),
				Hint:    "copy the address from Tor's file hostname, and add a port: ADDRESS.onion:4001",
			}
		}
		if ports[o.port] || ports[o.port+1] {
			return &Error{
				Code: "usage", Exit: ExitUsage,
				Message: fmt.Sprintf("two onion services want port %d or the one after it", o.port),
				Hint:    "each needs two ports of its own: give the next one a port two higher",
			}
		}
		if addresses[o.address] {
			return &Error{
				Code: "usage", Exit: ExitUsage,
				Message: "one onion address is given for two metastates, which would show everybody that you are in both",
				Hint:    "give each metastate an onion service of its own",
			}
		}
		ports[o.port], ports[o.port+1], addresses[o.address] = true, true, true
	}
	return nil
}

func (h Hidden) socks() string {
	if h.SOCKS == "" {
		return torSOCKS
	}
	return h.SOCKS
}

// Locals are the addresses of this machine that the onion services lead to.
func (h Hidden) Locals() (out []string) {
	for _, text := range h.Onions {
		if o, err := parseOnion(text); err == nil {
			out = append(out, o.local(lobbyPort), o.local(memberPort))
		}
	}
	return out
}

// Reach reports whether the proxy answers and can keep presences apart.
func (h Hidden) Reach(ctx context.Context) error {
	if e := h.reach(ctx); e != nil {
		return e
	}
	return nil
}

// reach is Reach; nil if all is well.
func (h Hidden) reach(ctx context.Context) *Error {
	err := socks.Proxy{Addr: h.socks(), User: "doctor"}.Probe(ctx)
	if err == nil {
		return nil
	}
	return &Error{
		Code: "no-proxy", Exit: ExitFailed, Err: err,
		Message: fmt.Sprintf("Tor does not answer at %s, so this node reaches nobody", h.socks()),
		Hint:    "start Tor, or say with --socks where its SOCKS proxy is",
	}
}

// An onion is the onion service of one metastate.
type onion struct {
	address string // 56 letters and digits, without .onion
	port    uint16 // of the lobby
}

// What the ports from an onion's on lead to.
const (
	lobbyPort  = 0
	memberPort = 1
)

// parseOnion reads ADDRESS:PORT or ADDRESS.onion:PORT. The address must be of
// version 3 and have its checksum (Tor's rend-spec-v3 §6).
func parseOnion(text string) (o onion, err error) {
	address, port, ok := strings.Cut(strings.ToLower(text), ":")
	address = strings.TrimSuffix(address, ".onion")
	if !ok {
		return o, errors.New("it has no port")
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 || n == 1<<16-1 {
		return o, errors.New("the port has to be from 1 to 65534")
	}
	raw, err := base32.StdEncoding.DecodeString(strings.ToUpper(address))
	if err != nil || len(raw) != 35 || len(address) != 56 {
		return o, errors.New("the address has to be 56 letters and digits")
	}
	key, sum, version := raw[:32], raw[32:34], raw[34:]
	want := sha3.Sum256(slices.Concat([]byte(".onion checksum"), key, version))
	if version[0] != 3 || !bytes.Equal(sum, want[:2]) {
		return o, errors.New("letters of the address are missing or changed")
	}
	return onion{address, uint16(n)}, nil
}

// local is where a presence listens, for Tor.
func (o onion) local(which uint16) string { return fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", o.port+which) }

// public is where others dial it.
func (o onion) public(which uint16) string {
	return fmt.Sprintf("/onion3/%s:%d", o.address, o.port+which)
}

// hide makes the presence of a hidden node's metastate one that is reached by
// its onion service, if it has one. which is lobbyPort or memberPort.
func (o onion) hide(cfg *p2p.Config, h Hidden, which uint16) {
	cfg.Listen, cfg.Hidden = nil, p2p.Hidden{SOCKS: h.socks()}
	if o.address != "" {
		cfg.Listen, cfg.Hidden.Onion = []string{o.local(which)}, o.public(which)
	}
}

// onionFor is the onion service of a metastate that is about to begin: that of the
// others on its presence, or the next.
func (n *Node) onionFor(presence string) onion {
	seen, next := map[string]bool{}, 0
	for _, c := range n.Communities() {
		on := c.daily.Presence
		if on != "" && on == presence {
			return c.net.onion
		}
		if on == "" || !seen[on] {
			next++
		}
		seen[on] = true
	}
	return n.cfg.Hidden.onionOf(next)
}

// onionOf is the onion service of the node's presence of that number, from 0 on.
func (h Hidden) onionOf(i int) (o onion) {
	if i < len(h.Onions) {
		o, _ = parseOnion(h.Onions[i]) // Check was passed
	}
	return o
}
