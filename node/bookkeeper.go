package node

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/node/internal/p2p"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/roll"
)

// bind signs which transport peer this device uses and where, where its lobby is,
// and whether it is a relay.
func (c *Community) bind(r *replica, peerID string, addrs []string) error {
	now := time.Now().Add(time.Second) // newer than the one in the request to join
	if last := r.lastIssued(); now.Unix() <= last {
		now = time.Unix(last+1, 0)
	}
	b, err := identity.SignBinding(identity.Binding{
		Metastate: c.daily.Metastate, Persona: c.daily.Persona, Device: c.key.Public(), PeerID: []byte(peerID),
		Addrs: forBinding(addrs, identity.MaxBindingAddrs), Lobby: c.ownLobby(), Relay: c.net.cfg.Profile == ProfileRelay,
		Issued: now.Unix(), Expires: now.Add(bindingLife).Unix(),
	}, c.key)
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.own, r.ownPeer = b, peerID
	r.mu.Unlock()
	return nil
}

const (
	bindingLife = identity.MaxBindingLife * time.Second // a node that was off for less is met again
	bindEvery   = 24 * time.Hour
	bookEvery   = 5 * time.Second // how often new bindings are looked for
	fewPeers    = 3               // with fewer, a node asks those it has about others
	askEvery    = 2 * time.Second // how often
	addrGrace   = 2 * time.Minute // an address that is gone stays announced
)

// keepBook tells the presence about peers learned of and members gone, and
// spreads this device's own binding: once it is final on the roll, when its
// addresses change, and daily.
func (c *Community) keepBook(s *shift) {
	t := time.NewTicker(bookEvery)
	defer t.Stop()
	c.mu.Lock()
	r, m := c.replica, c.member
	c.mu.Unlock()
	k := c.keeper
	e := envoy{Community: c, own: r.ledger, seen: map[protocol.ID]time.Time{}, brought: map[protocol.ID]uint64{}, scanned: map[protocol.ID]uint64{}}
	for {
		changed := c.Changed()
		k.announce(r, m)
		k.tell(r, m)
		k.relays(r, m)
		k.ask(r, m)
		k.serve(r)
		e.visit()
		k.offerAgainOf(r.ledger)
		k.seekReceipts(r, s)
		select {
		case <-s.ctx.Done():
			return
		case <-t.C:
		case <-changed:
		}
	}
}

// A bookkeeper is what keepBook remembers from turn to turn, also over rests.
type bookkeeper struct {
	*Community
	told   map[string]string // addresses of peers, as the presence was told last
	roll   roll.Roots        // of the final roll that the presence has seen
	epochs int               // in force, as the presence has seen
	where  []string          // own addresses and those of the lobby, as announced
	when   time.Time         // the last announcement
	since  time.Time         // some of them are gone; zero: none
	pace   pace              // of announcements
	via    string            // the relays that the presences know
	asked  time.Time         // when peers were last asked about others
	sent   time.Time         // when ballots were last looked for that clerks gave no receipt for
}

func newBookkeeper(c *Community) *bookkeeper {
	return &bookkeeper{Community: c, told: map[string]string{}}
}

// announce spreads the own binding when there is news, at its pace: what changes
// meanwhile is told together.
func (k *bookkeeper) announce(r *replica, m *p2p.Member) {
	if !r.ledger.mayMeet(k.Persona(), k.key.Public()) {
		return
	}
	addrs := m.Addrs()
	where := k.whereabouts(addrs)
	if slices.Equal(where, k.where) && time.Since(k.when) < bindEvery || k.shrunk(where) || !k.pace.allow(time.Now(), ownBurst) {
		return
	}
	if k.when.IsZero() {
		r.loadBindings()
	}
	if err := k.bind(r, m.ID(), addrs); err != nil {
		k.log.Warn("signing the own binding", "cause", err)
		return
	}
	if _, err := r.addBinding(r.Binding()); err == nil {
		k.publish(p2p.Bindings, r.Binding())
		k.where, k.when = where, time.Now()
	}
}

// shrunk reports whether addresses only went, and lately: a relay that is started
// again is back soon, and its members need not all tell each other twice.
func (k *bookkeeper) shrunk(where []string) bool {
	gone := len(where) < len(k.where) && !slices.ContainsFunc(where, func(a string) bool { return !slices.Contains(k.where, a) })
	switch {
	case !gone:
		k.since = time.Time{}
	case k.since.IsZero():
		k.since = time.Now()
	}
	return gone && time.Since(k.since) < addrGrace
}

// whereabouts are a presence's addresses and where the lobby is.
func (c *Community) whereabouts(addrs []string) []string {
	where := slices.Clone(addrs)
	if l := c.ownLobby(); l != nil {
		where = append(append(where, string(l.PeerID)), l.Addrs...)
	}
	return where
}

// ask has a node that hangs on few others sync with them often. It would be cut
// off if they went before it has learned from them where the rest are.
func (k *bookkeeper) ask(r *replica, m *p2p.Member) {
	connected := 0
	for _, p := range m.Peers() {
		if p.Connected {
			connected++
		}
	}
	others := int(r.ledger.currentTip().State().Roll().Size()) - 1
	if connected > 0 && connected < min(fewPeers, others) && time.Since(k.asked) >= askEvery {
		k.asked = time.Now()
		r.fetch()
	}
}

// serve takes up the office of clerk with this device, if this persona holds it
// and no live device of theirs signs checkpoints. Whoever loses the office, or the
// device, by a record that is not final yet takes up nothing: what they write is
// void, and they would find themselves without it, and write, again and again.
func (k *bookkeeper) serve(r *replica) {
	s := r.ledger.Snapshot()
	m := s.View.Roll().Member(k.Persona())
	final := s.Final.Roll().Member(k.Persona())
	if final.Rank() != roll.RankClerk || m.Rank() != roll.RankClerk || s.Trouble != nil {
		return
	}
	device := k.key.Public()
	if !s.Final.Roll().Device(device).Live(s.Final.AsOf()) || !s.View.Roll().Device(device).Live(s.View.AsOf()) {
		return
	}
	if _, ok := s.View.Roll().Serving(m, s.View.AsOf()); ok {
		return
	}
	if _, err := k.act(protocol.Serve, roll.ServeBody{}); err != nil {
		k.log.Warn("taking up the office of clerk", "cause", err)
	}
}

// tell passes on peers learned of, and has the presence part from those who are
// members no more, or whose device uses another peer now.
func (k *bookkeeper) tell(r *replica, m *p2p.Member) {
	r.retryEarly()
	listed, replaced := map[string]bool{}, false
	for _, p := range r.book() {
		listed[p.ID] = true
		if at := fmt.Sprint(p.Addrs); k.told[p.ID] != at && m.AddPeer(p) == nil {
			k.told[p.ID] = at
		}
	}
	for id := range k.told {
		replaced = replaced || !listed[id]
	}
	now, epochs := r.ledger.currentTip().State().Roll().Roots(), len(r.keys.inForce(time.Now()))
	was := k.roll
	// Devices change with all that they write, but seldom so that it matters here.
	dropped := (now.Members != was.Members || now.Devices != was.Devices) && r.review()
	k.roll = now
	if !replaced && !dropped && now.Members == was.Members && epochs == k.epochs { // else, also, an overlap is over
		return
	}
	k.epochs = epochs
	if err := m.Refresh(); err != nil {
		k.log.Debug("following a change of the roll or the epochs", "cause", err)
	}
	maps.DeleteFunc(k.told, func(id, _ string) bool { return !listed[id] || !m.Holds(id) })
}
