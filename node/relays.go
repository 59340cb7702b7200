package node

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/node/internal/p2p"
	"github.com/metastate-p2p/metastate/protocol"
)

// parseRelays reads multiaddrs that end in a peer id.
func parseRelays(texts []string) (out []p2p.Peer, err error) {
	for _, text := range texts {
		addr, id, ok := strings.Cut(text, "/p2p/")
		p := p2p.Peer{ID: id, Addrs: []string{addr}}
		if _, _, err := p.Pack(); !ok || err != nil {
			return nil, &Error{
				Code: "usage", Exit: ExitUsage, Err: err,
				Message: fmt.Sprintf("a relay is given by an address that ends in its peer id, such as /ip4/192.0.2.1/tcp/4001/p2p/12D3KooW…, not by %q", text),
				Hint:    "copy an address that the relay's node shows when it starts",
			}
		}
		i := slices.IndexFunc(out, func(o p2p.Peer) bool { return o.ID == id })
		if i < 0 {
			out = append(out, p)
		} else if len(out[i].Addrs) < identity.MaxLobbyAddrs {
			out[i].Addrs = append(out[i].Addrs, addr)
		}
	}
	return out, nil
}

// forBinding picks at most n addresses that a binding or a link has room for.
func forBinding(addrs []string, n int) []string {
	return p2p.Pick(slices.DeleteFunc(slices.Clone(addrs), func(a string) bool { return len(a) > identity.MaxAddrBytes }), n)
}

// relays tells the presences through which relays they may have themselves
// reached.
func (k *bookkeeper) relays(r *replica, m *p2p.Member) {
	if k.net.cfg.Profile != ProfileMember {
		return
	}
	k.mu.Lock()
	l := k.lobby
	k.mu.Unlock()
	members, lobbies := r.relays(k.net.relays)
	via := relaysInWords(members, lobbies)
	if l == nil || via == k.via {
		return
	}
	if m.SetRelays(members) == nil && l.SetRelays(k.id.String(), lobbies) == nil {
		k.via = via
	}
}

func relaysInWords(members, lobbies []p2p.Relay) string { return fmt.Sprint(members, lobbies) }

// noRelays is that of none.
var noRelays = relaysInWords(nil, nil)

// relays are those that bindings of other devices name, for the presence among
// members and for the lobby. Those that the user named come first; as lobbies
// also if no member is known to run them. The others have an order of this
// node's own, so that each relay has its share.
func (r *replica) relays(named []p2p.Peer) (members, lobbies []p2p.Relay) {
	type relay struct {
		peerRecord
		named bool
		order [32]byte
	}
	var found []relay
	r.mu.Lock()
	for _, b := range r.bindings {
		id := string(b.PeerID)
		if !b.Relay || b.Device == r.device || !r.inForce(b) {
			continue
		}
		mine := b.Lobby != nil && slices.ContainsFunc(named, func(p p2p.Peer) bool { return p.ID == string(b.Lobby.PeerID) })
		found = append(found, relay{b, mine, sha256.Sum256([]byte(r.ownPeer + id))})
	}
	r.mu.Unlock()
	slices.SortFunc(found, func(a, b relay) int {
		if a.named != b.named {
			return map[bool]int{true: -1, false: 1}[a.named]
		}
		return bytes.Compare(a.order[:], b.order[:])
	})
	for _, p := range named {
		lobbies = append(lobbies, p2p.Relay{ID: p.ID, Addrs: p.Addrs, Operator: p.ID, Named: true})
	}
	for _, f := range found {
		operator := protocol.ID(f.Persona).String()
		if len(f.Addrs) > 0 {
			members = append(members, p2p.Relay{ID: string(f.PeerID), Addrs: f.Addrs, Operator: operator})
		}
		if f.Lobby == nil {
			continue
		}
		at := p2p.Relay{ID: string(f.Lobby.PeerID), Addrs: f.Lobby.Addrs, Operator: operator}
		if i := slices.IndexFunc(lobbies, func(o p2p.Relay) bool { return o.ID == at.ID }); i >= 0 {
			lobbies[i].Operator = operator
		} else {
			lobbies = append(lobbies, at)
		}
	}
	return members, lobbies
}

// knowsLobby reports whether a peer is the lobby of a member, or, while this node
// asks to be one, a lobby of its invite: if this node is the first relay of a
// metastate, it is the way to itself.
func (c *Community) knowsLobby(peerID string) bool {
	c.mu.Lock()
	r, s, asked := c.replica, c.rested, slices.Contains(c.asked, peerID)
	c.mu.Unlock()
	return asked || r != nil && r.knowsLobby(peerID) || s != nil && stillFor(s.Doors, peerID)
}

// asks notes at which lobbies this node knocks, until it has met somebody.
func (c *Community) asks(j *joining) {
	var lobbies []string
	if j != nil {
		for _, p := range j.lobbies() {
			lobbies = append(lobbies, p.ID)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = lobbies
}
