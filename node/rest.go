package node

import (
	"slices"
	"time"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/abroad"
	"github.com/metastate-p2p/metastate/protocol/certificate"
	"github.com/metastate-p2p/metastate/store"
)

// A community that nothing happens in is put to rest: its store is closed, its
// ledger given up, and nothing of it runs but its presence, which meets peers and
// tells those that hold the same so, by what rested keeps. Whatever needs more
// wakes it. Nothing is lost by it, since the ledger acknowledges only what is
// stored; what it has besides, of which something is under way, keeps it awake
// (restful).
//
// Who works with a community holds it, by [Community.Hold]. rousing is held while
// it wakes and while it is put to rest; who holds it waits for no other's.

// stores is how communities get at their stores. The zero stores are for one that
// stays awake.
type stores struct {
	open     func() (*store.Store, error) // this community's
	makeRoom func() (done func())         // has others rest, if many are awake, until it is open
}

// Hold keeps the community awake until release, which is called once; it wakes it
// first if it is at rest. Its methods do so by themselves, but for what takes
// longer than moments.
func (c *Community) Hold() (release func(), err error) {
	for {
		c.mu.Lock()
		if c.rested == nil && !c.retiring {
			c.users++
			c.used = time.Now()
			c.mu.Unlock()
			return c.letGo, nil
		}
		c.mu.Unlock()
		if err := c.rouse(); err != nil {
			return nil, err
		}
	}
}

func (c *Community) letGo() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.users--
	c.used = time.Now()
}

// peek is the ledger of a community that is awake, which it stays until done, or
// what is kept of one at rest. It wakes nothing, and counts as no use.
func (c *Community) peek() (l *ledger, s *rested, done func()) {
	if l, s, done = c.look(); done != nil {
		return l, s, done
	}
	c.rousing.Lock() // it is being put to rest: until that is over
	defer c.rousing.Unlock()
	return c.look()
}

// peekReplica is peek for who needs more than the ledger.
func (c *Community) peekReplica() (r *replica, s *rested, done func()) {
	l, s, done := c.peek()
	if l == nil {
		return nil, s, done
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.replica, s, done
}

// look is peek; done is nil while the community is being put to rest.
func (c *Community) look() (l *ledger, s *rested, done func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.retiring {
		return nil, nil, nil
	}
	c.users++
	return c.ledger, c.rested, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.users--
	}
}

// rouse wakes the community if it is at rest. Who asks soon after that failed is
// told what went wrong then: to open a store costs much, and whatever a peer sends
// asks for it.
func (c *Community) rouse() error {
	began := time.Now()
	if err := c.notYet(began); err != nil {
		return err
	}
	// Before the lock: who is put to rest for it may just be waiting for this one.
	defer c.net.stores.makeRoom()()
	c.rousing.Lock()
	defer c.rousing.Unlock()
	if err := c.notYet(time.Now()); err != nil { // others waited for the same attempt
		return err
	}
	c.mu.Lock()
	s := c.rested
	c.mu.Unlock()
	if s == nil {
		return nil
	}
	if c.ctx.Err() != nil {
		return errClosed()
	}
	st, err := c.net.stores.open()
	if err == nil {
		if err = c.wake(st, s); err != nil {
			err = closeAnd(st, err)
		}
	}
	if err != nil {
		c.log.Error("a community can't be woken", "cause", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.took, c.failed = time.Since(began), c.failed.after(err, time.Now())
	return err
}

// A setback is why a community could not be woken, and when that is tried again.
type setback struct {
	err   error
	wait  time.Duration
	until time.Time
}

// How long a community that could not be woken is left alone: doubled each time.
const (
	leastSetback = time.Second
	mostSetback  = time.Minute
)

// after is the setback after another attempt, zero if that went well.
func (s setback) after(err error, now time.Time) setback {
	if err == nil {
		return setback{}
	}
	wait := min(max(2*s.wait, leastSetback), mostSetback)
	return setback{err, wait, now.Add(wait)}
}

// notYet is why the community could not be woken, if it is too early to try again.
func (c *Community) notYet(now time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Before(c.failed.until) {
		return c.failed.err
	}
	return nil
}

// wake begins a shift on an open store. Caller holds rousing.
func (c *Community) wake(st *store.Store, s *rested) error {
	keys, err := openKeyring(st)
	if err != nil {
		return err
	}
	l, r, k, err := c.load(st, keys)
	if err != nil {
		return err
	}
	r.own, r.ownPeer = s.Own, s.Peer
	r.proven(s.Proven)
	c.equip(r, k)
	c.mu.Lock()
	c.store, c.ledger, c.replica, c.clerk, c.rested, c.used = st, l, r, k, nil, time.Now()
	c.mu.Unlock()
	c.beginShift()
	return nil
}

// beginShift starts what runs while the community is awake. Caller holds rousing,
// or is the one that makes it awake first.
func (c *Community) beginShift() {
	c.mu.Lock()
	s, k, l, r, m := newShift(c.ctx), c.clerk, c.ledger, c.replica, c.member
	c.shift = s
	c.mu.Unlock()
	s.wg.Go(func() { k.run(s.ctx) })
	s.wg.Go(func() { c.renew(s.ctx, l) })
	s.wg.Go(func() { c.fetches(s.ctx) })
	s.wg.Go(func() { c.serveAsTrustee(s.ctx, l) })
	s.wg.Go(func() { c.keepBook(s) })
	s.wg.Go(func() { c.knockAgain(s.ctx, r, m, l.store) })
}

// endShift waits for all of it. Caller holds rousing.
func (c *Community) endShift() {
	c.mu.Lock()
	s := c.shift
	c.shift = nil
	c.mu.Unlock()
	s.end()
}

// tryRest puts the community to rest if nobody has used it for some time and
// nothing is under way, and reports whether it is at rest now.
func (c *Community) tryRest(idle time.Duration) bool {
	if c.net.stores.open == nil || !c.rousing.TryLock() {
		return false
	}
	defer c.rousing.Unlock()
	used, ok := c.unused(idle)
	if !ok || !c.restful() {
		return false
	}
	c.endShift()
	c.mu.Lock()
	// From here on whoever comes waits until this is over. Who came before, and
	// what the shift did last, is seen.
	c.retiring = c.users == 0 && c.used.Equal(used) && c.ctx.Err() == nil
	retiring, st := c.retiring, c.store
	c.mu.Unlock()
	var s *rested
	if retiring && c.restful() {
		s = c.summary()
	}
	c.mu.Lock()
	c.retiring = false
	if s != nil {
		c.rested, c.store, c.ledger, c.replica, c.clerk = s, nil, nil, nil, nil
	}
	c.mu.Unlock()
	if s == nil {
		if c.ctx.Err() == nil {
			c.beginShift()
		}
		return false
	}
	if err := st.Close(); err != nil {
		c.log.Error("closing the store of a community at rest", "cause", err)
	} else if err := c.saveRest(s); err != nil {
		c.log.Warn("a community at rest will be opened when the node starts", "cause", err)
	}
	return true
}

// unused reports whether nobody has used an awake community for some time, and
// since when.
func (c *Community) unused(idle time.Duration) (since time.Time, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	awake := c.ledger != nil && c.rested == nil && c.lobbied && c.ctx.Err() == nil
	return c.used, awake && c.users == 0 && time.Since(c.used) >= idle
}

// patience is how long a community is left awake that may be used again: longer if
// it took long to wake.
func (c *Community) patience(least time.Duration) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return least * max(1, c.took/quick)
}

// restful reports whether nothing is under way that only an awake community goes
// on with.
func (c *Community) restful() bool {
	c.mu.Lock()
	l, r, k := c.ledger, c.replica, c.clerk
	c.mu.Unlock()
	if l == nil || !r.onRoll() || !l.restful() || !r.restful() || c.hasNeighbours(l) || l.isAsked(c.Persona()) {
		return false
	}
	return !l.isSigner() || k.restful()
}

// hasNeighbours reports whether the metastate has a parent or a pact whose other
// side is on this node, too: each brings to the other what happens there.
func (c *Community) hasNeighbours(l *ledger) bool {
	s := l.currentTip().State()
	if parent, _, ok := s.Abroad().Parent(); ok && c.net.find(parent) != nil {
		return true
	}
	for _, p := range s.Abroad().Pacts() {
		if p.Standing != abroad.Ended && c.net.find(p.With) != nil {
			return true
		}
	}
	return false
}

// restful reports whether the ledger waits for nothing: all that it has which is
// not stored would come again, but later, or be looked for anew.
func (l *ledger) restful() bool {
	if _, err := l.store.Private(privDoor); err == nil || l.store.Full() != nil || !l.store.Roomy() { // it has met nobody yet, or could not be opened again
		return false
	}
	if act, _, _ := l.recall(); !act.IsZero() || l.isContested() || l.unfilled() != 0 {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tip.Ref().Height == 0 || l.trouble != nil || l.back != 0 || l.alarm != 0 {
		return false
	}
	if len(l.pending.records)+len(l.wanted)+len(l.needed)+len(l.proof)+len(l.lapsed)+len(l.recalls)+len(l.rivals)+len(l.shed)+len(l.past.want) > 0 {
		return false
	}
	for _, r := range l.open {
		if r.Header().Key == l.own { // it is handed out again, and signed anew if it must be
			return false
		}
	}
	return !l.signs() || !l.due()
}

// isSigner reports whether this device signs checkpoints.
func (l *ledger) isSigner() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.signs()
}

// signs is isSigner with mu held.
func (l *ledger) signs() bool {
	return slices.ContainsFunc(l.tip.Clerks(), func(c certificate.Clerk) bool { return c.Key == l.own })
}

// dueAt is when a device that signs checkpoints has to make one though nobody
// writes anything; zero if never.
func (l *ledger) dueAt() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	if at, ok := l.tip.State().NextDeadline(); ok && l.signs() {
		return time.Unix(at, 0)
	}
	return time.Time{}
}

// restful reports whether no binding waits for its device to come on the roll.
func (r *replica) restful() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.early) == 0
}

// restful reports whether the clerk is not agreeing on anything.
func (c *clerk) restful() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.inbox) == 0 && !c.agreeing
}

// note tells others than its goroutine whether there is a machine at work, or it
// signs nothing more.
func (h *heightDriver) note() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.agreeing = h.machine != nil || h.stuck != nil
}

// closeAnd closes a store for an error.
func closeAnd(st *store.Store, err error) error {
	if cerr := st.Close(); cerr != nil {
		return storeError(cerr)
	}
	return err
}

// at is the replica of a community that is awake, or what is kept of it.
func (c *Community) at() (*replica, *rested) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.replica, c.rested
}

// disk is the store of a community that its caller holds, or has just used.
func (c *Community) disk() (*store.Store, error) {
	release, err := c.Hold()
	if err != nil {
		return nil, err
	}
	defer release()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.store, nil
}

// stored reads a record's inner form.
func (c *Community) stored(id protocol.ID) ([]byte, error) {
	st, err := c.disk()
	if err != nil {
		return nil, err
	}
	return st.Get(id)
}
