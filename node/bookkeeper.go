package node

import (
	"fmt"
	"slices"
	"time"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/node/internal/p2p"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/roll"
)

// bind signs which transport peer this device uses, and where.
func (c *Community) bind(r *replica, peerID string, addrs []string) error {
	now := time.Now().Add(time.Second) // newer than the one in the request to join
	r.mu.Lock()
	if old, err := identity.ParseBinding(r.own); err == nil && now.Unix() <= old.Issued {
		now = time.Unix(old.Issued+1, 0)
	}
	r.mu.Unlock()
	b, err := identity.SignBinding(identity.Binding{
		Metastate: c.daily.Metastate, Persona: c.daily.Persona, Device: c.key.Public(), PeerID: []byte(peerID),
		Addrs: addrs[:min(len(addrs), identity.MaxBindingAddrs)], Issued: now.Unix(), Expires: now.Add(bindingLife).Unix(),
	}, c.key)
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.own = b
	r.mu.Unlock()
	return nil
}

const (
	bindingLife = identity.MaxBindingLife * time.Second // a node that was off for less is met again
	bindEvery   = 24 * time.Hour
	bookEvery   = 5 * time.Second // how often new bindings are looked for
	fewPeers    = 3               // with fewer, a node asks those it has about others
	askEvery    = 2 * time.Second // how often
)

// keepBook tells the presence about peers learned of and members gone, and
// spreads this device's own binding: once it is final on the roll, when its
// addresses change, and daily.
func (c *Community) keepBook() {
	t := time.NewTicker(bookEvery)
	defer t.Stop()
	k := bookkeeper{Community: c, told: map[string]bool{}}
	e := envoy{Community: c, seen: map[protocol.ID]time.Time{}, brought: map[protocol.ID]uint64{}, scanned: map[protocol.ID]uint64{}}
	for {
		changed := c.Changed()
		c.mu.Lock()
		r, m := c.replica, c.member
		c.mu.Unlock()
		k.announce(r, m)
		k.tell(r, m)
		k.ask(r, m)
		k.serve(r)
		e.visit()
		k.offerAgain()
		k.seekReceipts(r)
		select {
		case <-c.ctx.Done():
			return
		case <-t.C:
		case <-changed:
		}
	}
}

// A bookkeeper is what keepBook remembers from turn to turn.
type bookkeeper struct {
	*Community
	told  map[string]bool // peers and addresses the presence knows
	roll  [32]byte        // digest of the final roll that the presence has seen
	where []string        // own addresses, as announced
	when  time.Time       // the last announcement
	asked time.Time       // when peers were last asked about others
	sent  time.Time       // when ballots were last looked for that clerks gave no receipt for
}

// announce spreads the own binding when there is news.
func (k *bookkeeper) announce(r *replica, m *p2p.Member) {
	if !r.ledger.mayMeet(k.Persona(), k.key.Public()) {
		return
	}
	where := m.Addrs()
	if slices.Equal(where, k.where) && time.Since(k.when) < bindEvery {
		return
	}
	if k.when.IsZero() {
		r.loadBindings()
	}
	if err := k.bind(r, m.ID(), where); err != nil {
		k.log.Warn("signing the own binding", "cause", err)
		return
	}
	if _, err := r.addBinding(r.Binding()); err == nil {
		k.publish(p2p.Bindings, r.Binding())
		k.where, k.when = where, time.Now()
	}
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
// members no more.
func (k *bookkeeper) tell(r *replica, m *p2p.Member) {
	r.retryEarly()
	for _, p := range r.book() {
		if at := p.ID + fmt.Sprint(p.Addrs); !k.told[at] && m.AddPeer(p) == nil {
			k.told[at] = true
		}
	}
	if members := r.ledger.currentTip().State().Roll().Roots().Members; members != k.roll {
		k.roll = members
		if err := m.Refresh(); err != nil {
			k.log.Debug("following a change of the roll", "cause", err)
		}
	}
}
