package node

import (
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/node/internal/p2p"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/roll"
)

// bootstraps are the lobbies that an invite names: this node's own, and those of
// other members who are connected now, each of another, any of whom can serve
// the newcomer when this node is off (SPEC §9.1).
func (c *Community) bootstraps(s *Snapshot) (out []bootstrap) {
	here := false // all is on this machine
	if own := c.ownLobby(); own != nil {
		here = isLoopback(own.Addrs[0])
		if b, err := bootstrapAt(p2p.Peer{ID: string(own.PeerID), Addrs: own.Addrs}); err == nil {
			out = append(out, b)
		}
	}
	for _, l := range c.lobbiesOfOthers(s) {
		p := p2p.Peer{ID: string(l.PeerID)}
		for _, a := range l.Addrs {
			if here || !isLoopback(a) {
				p.Addrs = append(p.Addrs, a)
			}
		}
		if b, err := bootstrapAt(p); err == nil && len(out) < maxBootstraps {
			out = append(out, b)
		}
	}
	return out
}

// ownLobby is this device's lobby as others may name it, nil if strangers can't
// come to it.
func (c *Community) ownLobby() *identity.Lobby {
	c.mu.Lock()
	l := c.lobby
	c.mu.Unlock()
	if l == nil {
		return nil
	}
	addrs := l.Addrs()
	for _, p := range c.net.relays { // before it takes its place, too: so the relay's own person can join
		if a := p.Addrs[0] + "/p2p/" + p.ID + "/p2p-circuit"; !slices.Contains(addrs, a) && c.net.cfg.Profile == ProfileMember {
			addrs = append(addrs, a)
		}
	}
	addrs = forBinding(addrs, identity.MaxLobbyAddrs)
	if len(addrs) == 0 {
		return nil
	}
	return &identity.Lobby{PeerID: []byte(l.ID()), Addrs: addrs}
}

// lobbiesOfOthers are those of members who are connected and may admit, one of
// each member, in random order: so that no member's has to serve everybody.
func (c *Community) lobbiesOfOthers(s *Snapshot) (out []*identity.Lobby) {
	c.mu.Lock()
	r, m := c.replica, c.member
	c.mu.Unlock()
	if m == nil || r == nil {
		return nil
	}
	peers := m.Peers()
	rand.Shuffle(len(peers), func(i, j int) { peers[i], peers[j] = peers[j], peers[i] })
	seen := map[protocol.ID]bool{c.Persona(): true}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range peers {
		if !p.Connected {
			continue
		}
		for device := range r.claims[p.ID] {
			b := r.bindings[device]
			who := s.View.Roll().Member(protocol.ID(b.Persona))
			if b.Lobby == nil || !b.proven || who == nil || who.Standing() != roll.Full || seen[who.Persona] {
				continue
			}
			seen[who.Persona] = true
			out = append(out, b.Lobby)
		}
	}
	return out
}

// isLoopback reports whether an address leads to the machine that reads it.
func isLoopback(addr string) bool {
	return strings.HasPrefix(addr, "/ip4/127.") || strings.HasPrefix(addr, "/ip6/::1/")
}
