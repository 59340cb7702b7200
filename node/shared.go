package node

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/identity/vault"
	"github.com/metastate-p2p/metastate/node/internal/p2p"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
)

// residences are the presences that several metastates of a node share, by the
// name their person gave them.
type residences struct {
	mu   sync.Mutex
	open map[string]*residence // guarded by mu; only those in use
}

// A residence is a shared presence, and the lobby that goes with it.
type residence struct {
	presence *p2p.Presence
	lobby    *p2p.Lobby   // nil until a community is a member
	users    []*Community // in the order they came
}

// checkPresence checks a presence's name; none is one of its own.
func checkPresence(name string) error {
	if err := identity.ValidName(name); err != nil {
		return &Error{Code: "usage", Exit: ExitUsage, Message: "a presence can't have that name: " + err.Error(), Err: err}
	}
	return nil
}

// settle gives a citizenship the keys of the presence that it shares with others
// in the vault.
func settle(d *vault.Daily, presence string, others []vault.Citizenship) {
	d.Presence = presence
	if presence == "" {
		return
	}
	if i := slices.IndexFunc(others, func(o vault.Citizenship) bool { return o.Presence == presence }); i >= 0 {
		d.Member, d.Lobby = others[i].Member, others[i].Lobby
	}
}

// join puts a community's replica on its shared presence, which it opens if it is
// the first there.
func (s *residences) join(c *Community, r p2p.Replica) (*p2p.Member, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	home := s.open[c.daily.Presence]
	if home == nil {
		pr, err := listenAgain(c, privMemberListen, c.net.at(2*c.net.ordinal-1), func(listen []string) (*p2p.Presence, error) {
			cfg := c.presenceConfig(c.daily.Member, listen, memberPort)
			cfg.Shared = true
			return p2p.NewPresence(cfg)
		})
		if err != nil {
			return nil, errors.Join(err, closeIf(pr))
		}
		home = &residence{presence: pr}
		if s.open == nil {
			s.open = map[string]*residence{}
		}
		s.open[c.daily.Presence] = home
	}
	home.users = append(home.users, c)
	m, err := home.presence.Join(r)
	if err == nil {
		err = c.notePorts(privMemberListen, m.Addrs())
	}
	return m, err // the caller leaves
}

// leave ends a community's part in its presence. The last closes it.
func (s *residences) leave(c *Community) error {
	home := s.without(c)
	if home == nil {
		return nil
	}
	return errors.Join(closeIf(home.lobby), home.presence.Close())
}

// without takes a community off its presence, and returns that if it is empty
// then. It must be closed without mu: who knocks just then is being served.
func (s *residences) without(c *Community) *residence {
	s.mu.Lock()
	defer s.mu.Unlock()
	home := s.open[c.daily.Presence]
	if home == nil {
		return nil
	}
	home.users = slices.DeleteFunc(home.users, func(o *Community) bool { return o == c })
	if len(home.users) > 0 {
		return nil
	}
	delete(s.open, c.daily.Presence)
	return home
}

// lobby is that of a community's presence, which open makes if there is none.
func (s *residences) lobby(c *Community, open func(p2p.Serve) (*p2p.Lobby, error)) (*p2p.Lobby, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	home := s.open[c.daily.Presence]
	if home == nil {
		return nil, errClosed()
	}
	if home.lobby == nil {
		l, err := open(s.server(c.daily.Presence))
		if err != nil {
			return nil, errors.Join(err, closeIf(l))
		}
		home.lobby = l
	}
	return home.lobby, c.notePorts(privLobbyListen, home.lobby.Addrs())
}

// knowsLobby returns a function that asks the communities on a presence.
func (s *residences) knowsLobby(name string) func(string) bool {
	return func(peerID string) bool {
		s.mu.Lock()
		var users []*Community
		if home := s.open[name]; home != nil {
			users = slices.Clone(home.users)
		}
		s.mu.Unlock()
		return slices.ContainsFunc(users, func(c *Community) bool { return c.knowsLobby(peerID) })
	}
}

// server answers who knocks at a shared lobby for the metastate that they ask to
// join.
func (s *residences) server(name string) p2p.Serve {
	return func(ctx context.Context, peerID string, raw []byte) ([]byte, error) {
		ms, err := asksFor(raw)
		if err != nil {
			return nil, err
		}
		s.mu.Lock()
		var c *Community
		if home := s.open[name]; home != nil {
			if i := slices.IndexFunc(home.users, func(c *Community) bool { return c.id == ms }); i >= 0 {
				c = home.users[i]
			}
		}
		s.mu.Unlock()
		if c == nil {
			return nil, errors.New("node: a knock for a metastate that is not here")
		}
		return c.serveJoin(ctx, peerID, raw)
	}
}

// asksFor is the metastate that a request to join is about.
func asksFor(raw []byte) (ms protocol.ID, err error) {
	var req joinRequest
	if err := dagcbor.Unmarshal(raw, &req); err != nil {
		return ms, err
	}
	grant, err := protocol.Parse(req.Grant)
	if err != nil {
		return ms, err
	}
	return grant.Header().Metastate, nil
}
