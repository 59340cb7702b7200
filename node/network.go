package node

import (
	"errors"
	"slices"
	"strings"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/identity/vault"
	"github.com/metastate-p2p/metastate/node/internal/p2p"
	"github.com/metastate-p2p/metastate/protocol"
)

// network says how a community meets others.
type network struct {
	cfg     *Config                      // the node's; not changed
	onion   onion                        // this metastate's, if it has one
	lobby   []string                     // where the first lobby listened before; nil if it did not
	ordinal int                          // of this community on the node, from 1
	relays  []p2p.Peer                   // that the user named
	find    func(protocol.ID) *Community // another metastate on this node, nil if it has no part in it
	shared  *residences                  // presences that metastates of this node share
	dir     string                       // of its store; empty if that is in memory
	stores  stores
	keys    *identity.Verifier // of whoever signed lately, in all metastates of the node
}

// at is where the node's nth presence listens, from 0: the first lobby.
func (n network) at(nth int) []string {
	switch {
	case nth == 0:
		return n.cfg.Listen
	case n.cfg.Profile == ProfileRelay:
		return laterPorts(n.cfg.Listen, nth)
	}
	return anyPorts(n.cfg.Listen)
}

// enterNetwork opens the presence and the lobby, and names the peers to meet.
func (c *Community) enterNetwork(peers []p2p.Peer) (*p2p.Member, error) {
	m, err := c.appear(doorkeeper{c})
	if err != nil {
		return nil, errors.Join(err, closeIf(m), c.moveOut())
	}
	c.mu.Lock()
	c.member = m
	c.mu.Unlock()
	for _, p := range peers {
		if err := m.AddPeer(p); err != nil {
			c.log.Debug("a peer's address could not be used", "cause", err)
		}
	}
	if err := c.openLobby(); err != nil {
		return m, err
	}
	c.mu.Lock()
	c.lobbied = true
	c.mu.Unlock()
	return m, nil
}

// appear puts the community on its presence.
func (c *Community) appear(r p2p.Replica) (*p2p.Member, error) {
	if c.daily.Presence != "" {
		return c.net.shared.join(c, r)
	}
	return listenAgain(c, privMemberListen, c.net.at(2*c.net.ordinal-1), func(listen []string) (*p2p.Member, error) {
		return p2p.NewMember(c.presenceConfig(c.daily.Member, listen, memberPort), r)
	})
}

// moveOut ends the community's part in a presence that it shares.
func (c *Community) moveOut() error {
	if c.daily.Presence == "" {
		return nil
	}
	return c.net.shared.leave(c)
}

// openLobby lets strangers knock who hold an invite.
func (c *Community) openLobby() error {
	c.mu.Lock()
	open := c.lobby != nil
	c.mu.Unlock()
	if open || c.net.cfg.Profile == ProfileHidden && c.net.onion == (onion{}) { // nobody could knock
		return nil
	}
	base := c.net.at(2*c.net.ordinal - 2)
	if c.net.lobby != nil {
		base = c.net.lobby
	}
	begin := func(serve p2p.Serve) (*p2p.Lobby, error) {
		return listenAgain(c, privLobbyListen, base, func(listen []string) (*p2p.Lobby, error) {
			cfg := c.presenceConfig(c.daily.Lobby, listen, lobbyPort)
			if cfg.Lobby = c.knowsLobby; c.daily.Presence != "" {
				cfg.Lobby = c.net.shared.knowsLobby(c.daily.Presence)
			}
			if c.net.ordinal == 1 {
				cfg.Announce = c.net.cfg.Announce
			}
			return p2p.NewLobby(cfg, serve)
		})
	}
	var l *p2p.Lobby
	var err error
	if c.daily.Presence != "" {
		l, err = c.net.shared.lobby(c, begin)
	} else if l, err = begin(c.serveJoin); err != nil {
		err = errors.Join(err, closeIf(l))
	}
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.lobby = l
	c.mu.Unlock()
	return nil
}

// presenceConfig describes a presence that listens there, or at its port of the
// metastate's onion service.
func (c *Community) presenceConfig(seed vault.Secret, listen []string, port uint16) p2p.Config {
	cfg := p2p.Config{
		Seed: [32]byte(seed), Profile: c.net.cfg.Profile, Listen: listen, Underlay: c.net.cfg.underlay, SyncEvery: c.net.cfg.syncEvery, Bulk: c.net.cfg.Bulk, Log: c.log,
		Announce: slices.DeleteFunc(slices.Clone(c.net.cfg.Announce), func(a string) bool { return !strings.Contains(a, p2p.AnyPort) }),
	}
	if cfg.Profile == ProfileHidden {
		c.net.onion.hide(&cfg, c.net.cfg.Hidden, port)
	}
	return cfg
}

// ports are those that a presence had last time; none the first time.
func (c *Community) ports(key string) []byte {
	c.mu.Lock()
	st, s := c.store, c.rested
	c.mu.Unlock()
	switch {
	case s != nil && key == privMemberListen:
		return s.Ports[0]
	case s != nil:
		return s.Ports[1]
	}
	ports, _ := st.Private(key)
	return ports
}

// notePorts remembers where a presence listens.
func (c *Community) notePorts(key string, addrs []string) error {
	now := portsOf(addrs)
	if len(now) == 0 || string(now) == string(c.ports(key)) {
		return nil
	}
	st, err := c.disk()
	if err != nil {
		return err
	}
	if err := st.PutPrivate(key, now); err != nil {
		return storeError(err)
	}
	return nil
}
