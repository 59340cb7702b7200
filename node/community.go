package node

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/identity/vault"
	"github.com/metastate-p2p/metastate/node/internal/p2p"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/roll"
	"github.com/metastate-p2p/metastate/store"
)

// Names of private values in a community's store. Those that end in a slash
// are followed by what they are of.
const (
	privEpoch        = "epoch"         // the epochs' secrets
	privJoin         = "join"          // how far joining got
	privDoor         = "door"          // how joining ended, until somebody was met
	privRebuilt      = "rebuilt"       // when the store was rebuilt and votes may have been lost
	privMemberListen = "listen/member" // ports, so that others' books stay true
	privLobbyListen  = "listen/lobby"
	privBinding      = "binding/"       // a peer's signed binding, by device
	privVotes        = "agree/"         // what a clerk signed, by height
	privEvidence     = "evidence/"      // two messages of a clerk that can't both be honest
	privLapsed       = "lapsed/"        // what became of an own record that can't become final here, by its id
	privDisputed     = "disputed/"      // a certificate of another branch than this node follows, one that stopped finality first
	privDisputedList = "disputed-list/" // a list of ids that such a certificate names
	privLeft         = "left/"          // marks such a certificate as left behind by order
	privOrder        = "order"          // the order about a dispute that is being carried out
	privOrders       = "orders/"        // those that were, by time
	privUncertain    = "uncertain"      // when the store was last rebuilt from files that may have lost what a trustee chose; it stays
	privTrustee      = "trustee/"       // what a trustee keeps, by committee
	privBallot       = "ballot/"        // a secret ballot that is prepared and not sent, by proposal
	privReceipt      = "receipt/"       // a clerk's receipt for an own ballot, by poll and the clerk's key
)

// A Community is one metastate on this node: its ledger, and the two presences
// by which it is met. Its methods are safe for concurrent use.
type Community struct {
	id    protocol.ID
	daily vault.Daily
	key   identity.SigningKey // this device's
	log   *slog.Logger
	ctx   context.Context // ends when the community closes
	stop  context.CancelFunc
	wg    sync.WaitGroup
	net   network

	rousing sync.Mutex    // held while it wakes, and while it is put to rest
	keeper  *bookkeeper   // of the shift's goroutine
	fetch   chan struct{} // capacity 1: sync soon
	losses  losses        // who was losing votes

	mu      sync.Mutex
	desk                  // guarded by mu, like all below
	member  *p2p.Member   // nil until admitted
	lobby   *p2p.Lobby    //
	lobbied bool          // all that a member has is there
	joining *joining      // nil once admitted
	tried   chan struct{} // closed once a member was asked to admit by the latest link
	hurry   func()        // ends a try to join, or the wait for the next
	asked   []string      // peer ids of the lobbies where it knocks
	watch   chan struct{} // closed and replaced at every change
}

// A desk is what a community works with while it is awake.
type desk struct {
	store    *store.Store  // nil at rest
	ledger   *ledger       // nil at rest, and until admitted
	replica  *replica      // nil with ledger
	clerk    *clerk        // nil with ledger
	shift    *shift        // nil with ledger, and while that begins or ends
	rested   *rested       // nil unless at rest
	retiring bool          // it is being put to rest
	users    int           // who hold it
	used     time.Time     // last
	took     time.Duration // to open and load it
	failed   setback       // when it could not be woken
}

func newCommunity(d vault.Daily, st *store.Store, n network, log *slog.Logger) *Community {
	ctx, stop := context.WithCancel(context.Background())
	return &Community{
		id: protocol.ID(d.Metastate), daily: d, key: deviceKey(d), desk: desk{store: st}, log: log,
		ctx: ctx, stop: stop, net: n, watch: make(chan struct{}), tried: make(chan struct{}), fetch: make(chan struct{}, 1),
	}
}

// ID is the metastate's id.
func (c *Community) ID() protocol.ID { return c.id }

// Persona is this person's persona in it.
func (c *Community) Persona() protocol.ID { return protocol.ID(c.daily.Persona) }

// start opens the ledger and the presences, or goes on joining.
func (c *Community) start() error {
	keys, err := openKeyring(c.store)
	if errors.Is(err, store.ErrNotFound) {
		return c.resumeJoin()
	}
	if err != nil {
		return err
	}
	return c.activate(keys)
}

// load opens the ledger on a store, and what stands on it.
func (c *Community) load(st *store.Store, keys *keyring) (*ledger, *replica, *clerk, error) {
	l, err := openLedger(c.id, c.key.Public(), st, c.log, c.changed)
	if err != nil {
		return nil, nil, nil, err
	}
	l.keys = c.net.keys
	r := newReplica(l, keys)
	r.from, l.recent = c.net.cfg.History.snapshotFrom(), l.recent || c.net.cfg.History == HistoryNever
	if c.net.cfg.shortest > 0 {
		r.from = c.net.cfg.shortest
	}
	k := &clerk{ledger: l, device: c.key, log: c.log, wake: make(chan struct{}, 1)}
	r.clerk, r.device, r.fetch = k, c.key.Public(), c.fetchSoon
	return l, r, k, nil
}

// equip gives a clerk what it needs of the presence.
func (c *Community) equip(r *replica, k *clerk) {
	k.send = func(parts [][]byte) { c.publish(p2p.Agreement, parts...) }
	k.synced = func() bool {
		return slices.ContainsFunc(c.presence().Peers(), func(p p2p.PeerStatus) bool { return !p.LastSync.IsZero() })
	}
	k.announce, k.ahead = c.announce, r.fetch
	k.bring = func(e roll.EvidenceBody) {
		c.mu.Lock()
		s := c.shift
		c.mu.Unlock()
		if s != nil { // it is the shift's own goroutine that asks
			s.wg.Go(func() { c.bring(e) })
		}
	}
}

// activate begins life as a member.
func (c *Community) activate(keys *keyring) error {
	l, r, k, err := c.load(c.store, keys)
	if err != nil {
		return err
	}
	bootstraps := r.named()
	for _, b := range bootstraps {
		r.befriend(b.ID)
	}
	peerID, err := p2p.PeerID([32]byte(c.daily.Member))
	if err != nil {
		return err
	}
	bound := r.goOn(peerID)
	if !bound {
		if err := c.bind(r, peerID, nil); err != nil {
			return err
		}
	}
	c.equip(r, k)
	c.mu.Lock()
	j := c.joining
	c.ledger, c.replica, c.clerk, c.joining, c.used = l, r, k, nil, time.Now()
	c.mu.Unlock()
	m, err := c.enterNetwork(append(bootstraps, r.book()...))
	if err == nil && !bound {
		err = c.bind(r, peerID, m.Addrs())
	}
	if err != nil {
		return errors.Join(err, c.stepBack(j))
	}
	c.keeper = newBookkeeper(c)
	c.beginShift()
	return nil
}

// stepBack undoes what failed to begin, for who joins to try again.
func (c *Community) stepBack(j *joining) error {
	c.mu.Lock()
	m := c.member
	c.ledger, c.replica, c.clerk, c.member, c.joining = nil, nil, nil, nil, j
	c.mu.Unlock()
	return errors.Join(closeIf(m), c.moveOut())
}

// resume begins at rest, as an earlier run left it.
func (c *Community) resume(s *rested) error {
	if s.Relays { // whoever can't be reached otherwise asks them soon
		s.Due = time.Now()
	}
	c.mu.Lock()
	c.rested, c.used = s, time.Now()
	c.mu.Unlock()
	c.keeper = newBookkeeper(c)
	c.keeper.where, c.keeper.when = s.Where, s.When
	_, err := c.enterNetwork(s.Book)
	return err
}

// closeIf closes a presence if there is one.
func closeIf[P interface {
	comparable
	Close() error
}](p P,
) error {
	var none P
	if p == none {
		return nil
	}
	return p.Close()
}

// publish seals contents and gossips them. Gossip is a hint: what it loses,
// sync brings.
func (c *Community) publish(kind p2p.Kind, contents ...[]byte) {
	c.mu.Lock()
	r, m := c.replica, c.member
	c.mu.Unlock()
	if m == nil || r == nil || len(contents) == 0 {
		return
	}
	if err := m.Publish(kind, r.seal(kind, contents...)...); err != nil {
		c.log.Debug("gossip was not sent", "cause", err)
	}
}

// announce gossips the checkpoint at a height.
func (c *Community) announce(height uint64) {
	c.mu.Lock()
	r, m := c.replica, c.member
	c.mu.Unlock()
	if m == nil || r == nil {
		return
	}
	frames, err := r.checkpointFrames(height)
	if err != nil {
		return
	}
	if err := m.Publish(p2p.Certificates, frames...); err != nil {
		c.log.Debug("a checkpoint was not sent", "cause", err)
	}
}

// fetchSoon asks for a sync with all peers, of which there is one at a time, and
// none again within a second.
func (c *Community) fetchSoon() {
	select {
	case c.fetch <- struct{}{}:
	default:
	}
}

// fetches makes those syncs until ctx ends.
func (c *Community) fetches(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.fetch:
		}
		if m := c.presence(); m != nil {
			ctx, cancel := context.WithTimeout(ctx, time.Minute)
			_, _ = m.SyncNow(ctx)
			cancel()
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Second):
		}
	}
}

func (c *Community) presence() *p2p.Member {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.member
}

// changed tells whoever waits that something was taken in.
func (c *Community) changed() {
	c.mu.Lock()
	close(c.watch)
	c.watch = make(chan struct{})
	k := c.clerk
	c.mu.Unlock()
	if k != nil {
		k.poke()
	}
}

// Changed is closed at the next change of what [Community.Snapshot] shows.
func (c *Community) Changed() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.watch
}

// Snapshot is the metastate as this node sees it, nil while joining.
func (c *Community) Snapshot() *Snapshot {
	l := c.book()
	if l == nil {
		return nil
	}
	return l.Snapshot()
}

// book is the ledger, nil until admitted. It wakes a community at rest, which
// then stays awake for a while; who needs it for longer holds it.
func (c *Community) book() *ledger {
	release, err := c.Hold()
	if err != nil {
		return nil
	}
	defer release()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ledger
}

// listenAgain opens a presence where it listened last time, so that others'
// books stay true, or where there is room.
func listenAgain[P interface{ Addrs() []string }](c *Community, key string, base []string, open func(listen []string) (P, error)) (P, error) {
	ports := c.ports(key)
	p, err := open(samePorts(base, ports))
	if err != nil { // the port is another's now, or became so between being drawn and used
		p, err = open(base)
	}
	if err != nil && c.net.cfg.Profile == ProfileRelay && !slices.Equal(base, c.net.cfg.Listen) {
		c.log.Warn("a port that follows those given is taken, and another used: firewalls must let it pass", "cause", err)
		p, err = open(anyPorts(base))
	}
	if err != nil {
		return p, err
	}
	return p, c.notePorts(key, p.Addrs())
}

// close ends the presences and waits for everything the community started.
func (c *Community) close() error {
	defer c.key.Erase()
	return errors.Join(c.halt(), c.putAway())
}

// halt ends all but the store.
func (c *Community) halt() error {
	c.stop()
	c.rousing.Lock()
	c.endShift()
	c.rousing.Unlock()
	c.wg.Wait() // what still joins may open presences until then
	c.mu.Lock()
	m, l := c.member, c.lobby
	c.mu.Unlock()
	var errs []error
	if l != nil && c.daily.Presence == "" {
		errs = append(errs, l.Close())
	}
	if m != nil {
		errs = append(errs, m.Close())
	}
	return errors.Join(append(errs, c.moveOut())...)
}

// putAway closes the store, if it is open. What could rest begins at rest when
// the node starts again.
func (c *Community) putAway() error {
	c.mu.Lock()
	st, ready := c.store, c.lobbied && c.net.stores.open != nil
	c.mu.Unlock()
	if st == nil {
		return nil
	}
	var s *rested
	if ready && c.restful() {
		s = c.summary()
	}
	if err := st.Close(); err != nil || s == nil {
		return err
	}
	if err := c.saveRest(s); err != nil {
		c.log.Warn("a community will be opened when the node starts", "cause", err)
	}
	return nil
}
