package node

import (
	"context"
	"runtime/debug"
	"slices"
	"time"

	"github.com/metastate-p2p/metastate/identity/vault"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/store"
)

// How a node has its communities rest, unless its Config says otherwise.
const (
	restAfter = time.Minute            // without use
	pressed   = time.Second / 4        // the same, when another needs the room
	maxAwake  = 14                     // stores open; more only while more than that are at work
	wakeRound = 3 * time.Second        // between those woken because something is due, a few at a time
	quick     = 600 * time.Millisecond // one that takes longer to wake is left awake as many times longer
)

// A room is what the stores that are open, or about to be, are counted by.
type room struct {
	after time.Duration       // restAfter
	most  int                 // maxAwake
	taken map[protocol.ID]int // guarded by the node's mu: whose stores are about to be opened
}

// storesOf is how a community gets at its store. One in memory stays awake.
func (n *Node) storesOf(d vault.Daily) stores {
	if n.cfg.Ephemeral {
		return stores{}
	}
	return stores{
		open:     func() (*store.Store, error) { return n.openStore(d) },
		makeRoom: func() (done func()) { return n.makeRoom(protocol.ID(d.Metastate), min(pressed, n.room.after)) },
	}
}

// makeRoom reserves room for a metastate's store until done, when it is open: if
// there is none, those that were used longest ago are put to rest.
func (n *Node) makeRoom(whose protocol.ID, idle time.Duration) (done func()) {
	n.mu.Lock()
	n.room.taken[whose]++
	taken := len(n.room.taken)
	n.mu.Unlock()
	var awake []*Community
	last := map[*Community]time.Time{}
	for _, c := range n.Communities() {
		c.mu.Lock()
		if c.store != nil {
			awake = append(awake, c)
			last[c] = c.used
		}
		c.mu.Unlock()
	}
	slices.SortFunc(awake, func(a, b *Community) int { return last[a].Compare(last[b]) })
	over := len(awake) + taken - n.room.most
	for _, c := range awake {
		if over > 0 && c.tryRest(idle) {
			over--
		}
	}
	return func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.room.taken[whose]--; n.room.taken[whose] == 0 {
			delete(n.room.taken, whose)
		}
	}
}

// watchOver puts communities to rest, and wakes those that are due, until ctx
// ends.
func (n *Node) watchOver(ctx context.Context) {
	t := time.NewTimer(n.room.after / 4)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		t.Reset(n.round())
	}
}

// round is one look at all communities. It returns how long nothing more is to be
// done.
func (n *Node) round() time.Duration {
	next := n.room.after / 4
	slept, woken := 0, 0
	where := map[string][]string{} // by presence
	for _, c := range n.Communities() {
		_, s := c.at()
		if s == nil {
			if c.tryRest(c.patience(n.room.after)) {
				slept++
			}
			continue
		}
		wait := time.Until(s.wakeAt())
		if wait > 0 && !c.moved(s, where) {
			next = min(next, wait)
			continue
		}
		if woken++; woken > n.room.most/2 {
			next = min(next, wakeRound)
		} else {
			_ = c.rouse() // which says why it can't
		}
	}
	if slept > 0 { // what they took would be the process's for minutes
		debug.FreeOSMemory()
	}
	return max(next, 10*time.Millisecond)
}

// moved reports whether a community at rest has other addresses than it
// announced. where remembers presences' addresses for a round.
func (c *Community) moved(s *rested, where map[string][]string) bool {
	m := c.presence()
	if m == nil {
		return false
	}
	at, ok := where[m.ID()]
	if !ok {
		at = c.whereabouts(m.Addrs())
		where[m.ID()] = at
	}
	return !slices.Equal(at, s.Where)
}

// resumed takes up a community as an earlier run left it at rest; nil if it did
// not.
func (n *Node) resumed(d vault.Daily) (*Community, error) {
	if n.cfg.Ephemeral {
		return nil, nil
	}
	c := n.community(d, nil, nil)
	s, err := c.loadRest()
	if err != nil {
		return nil, nil
	}
	return n.list(c, c.resume(s))
}
