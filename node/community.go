package node

import (
	"context"
	"errors"
	"fmt"
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
	privEpoch        = "epoch"         // the epoch's secret
	privJoin         = "join"          // how far joining got
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
	privReceipt      = "receipt/"       // a clerk's receipt for an own ballot, by poll and the clerk's key
)

// A Community is one metastate on this node: its ledger, and the two presences
// by which it is met. Its methods are safe for concurrent use.
type Community struct {
	id    protocol.ID
	daily vault.Daily
	key   identity.SigningKey // this device's
	store *store.Store
	log   *slog.Logger
	ctx   context.Context // ends when the community closes
	stop  context.CancelFunc
	wg    sync.WaitGroup
	net   network

	tried    chan struct{} // closed once a member was asked to admit
	firstTry sync.Once

	mu      sync.Mutex
	ledger  *ledger       // guarded by mu, like all below; nil until admitted
	replica *replica      // nil with ledger
	clerk   *clerk        // nil with ledger
	member  *p2p.Member   // nil with ledger
	lobby   *p2p.Lobby    //
	joining *joining      // nil once admitted
	watch   chan struct{} // closed and replaced at every change
}

// network says how a community meets others.
type network struct {
	listen    []string // base addresses; a fixed port is the first lobby's
	lobby     []string // where the first lobby listened before; nil if it did not
	first     bool     // this community's lobby is the first
	underlay  p2p.Underlay
	syncEvery time.Duration
	history   History
	shortest  uint64                       // history that a snapshot is taken for, in heights; 0: as usual
	find      func(protocol.ID) *Community // another metastate on this node, nil if it has no part in it
}

func newCommunity(d vault.Daily, st *store.Store, n network, log *slog.Logger) *Community {
	ctx, stop := context.WithCancel(context.Background())
	return &Community{
		id: protocol.ID(d.Metastate), daily: d, key: deviceKey(d), store: st, log: log,
		ctx: ctx, stop: stop, net: n, watch: make(chan struct{}), tried: make(chan struct{}),
	}
}

// ID is the metastate's id.
func (c *Community) ID() protocol.ID { return c.id }

// Persona is this person's persona in it.
func (c *Community) Persona() protocol.ID { return protocol.ID(c.daily.Persona) }

// start opens the ledger and the presences, or goes on joining.
func (c *Community) start() error {
	secret, err := c.store.Private(privEpoch)
	if errors.Is(err, store.ErrNotFound) {
		return c.resumeJoin()
	}
	if err != nil {
		return storeError(err)
	}
	if len(secret) != 32 {
		return fmt.Errorf("node: the epoch's secret has %d bytes", len(secret))
	}
	return c.activate([32]byte(secret))
}

// activate begins life as a member.
func (c *Community) activate(secret [32]byte) error {
	l, err := openLedger(c.id, c.key.Public(), c.store, c.log, c.changed)
	if err != nil {
		return err
	}
	r := newReplica(l, secret)
	r.from, l.recent = c.net.history.snapshotFrom(), l.recent || c.net.history == HistoryNever
	if c.net.shortest > 0 {
		r.from = c.net.shortest
	}
	k := &clerk{ledger: l, device: c.key, log: c.log, wake: make(chan struct{}, 1)}
	r.clerk, r.device = k, c.key.Public()
	r.fetch = c.fetchSoon()
	bootstraps := r.named()
	for _, b := range bootstraps {
		r.befriend(b.ID)
	}
	peerID, err := p2p.PeerID([32]byte(c.daily.Member))
	if err != nil {
		return err
	}
	if err := c.bind(r, peerID, nil); err != nil {
		return err
	}
	m, err := listenAgain(c, privMemberListen, anyPorts(c.net.listen), func(listen []string) (*p2p.Member, error) {
		return p2p.NewMember(c.presenceConfig(c.daily.Member, listen), r)
	})
	if err == nil {
		err = c.bind(r, peerID, m.Addrs())
	}
	if err != nil {
		return errors.Join(err, closeIf(m))
	}
	k.send = func(parts [][]byte) { c.publish(p2p.Agreement, parts...) }
	k.synced = func() bool {
		return slices.ContainsFunc(m.Peers(), func(p p2p.PeerStatus) bool { return !p.LastSync.IsZero() })
	}
	k.announce, k.ahead = c.announce, r.fetch
	k.bring = func(e roll.EvidenceBody) { c.wg.Go(func() { c.bring(e) }) }
	c.mu.Lock()
	c.ledger, c.replica, c.clerk, c.member, c.joining = l, r, k, m, nil
	c.mu.Unlock()
	for _, p := range append(bootstraps, r.book()...) {
		if err := m.AddPeer(p); err != nil {
			c.log.Debug("a peer's address could not be used", "cause", err)
		}
	}
	c.wg.Go(func() { k.run(c.ctx) })
	c.wg.Go(c.renew)
	c.wg.Go(c.keepBook)
	return c.openLobby()
}

// openLobby lets strangers knock who hold an invite.
func (c *Community) openLobby() error {
	c.mu.Lock()
	open := c.lobby != nil
	c.mu.Unlock()
	if open {
		return nil
	}
	base := c.net.listen
	if c.net.lobby != nil {
		base = c.net.lobby
	} else if !c.net.first { // a fixed port is the first lobby's
		base = anyPorts(base)
	}
	l, err := listenAgain(c, privLobbyListen, base, func(listen []string) (*p2p.Lobby, error) {
		return p2p.NewLobby(c.presenceConfig(c.daily.Lobby, listen), c.serveJoin)
	})
	if err != nil {
		return errors.Join(err, closeIf(l))
	}
	c.mu.Lock()
	c.lobby = l
	c.mu.Unlock()
	return nil
}

func (c *Community) presenceConfig(seed vault.Secret, listen []string) p2p.Config {
	return p2p.Config{
		Seed: [32]byte(seed), Listen: listen, Underlay: c.net.underlay, SyncEvery: c.net.syncEvery, Log: c.log,
	}
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
	if m == nil || len(contents) == 0 {
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
	if m == nil {
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

// fetchSoon returns a function that asks for a sync with all peers, at most one
// at a time and not again within a second.
func (c *Community) fetchSoon() func() {
	ask := make(chan struct{}, 1)
	c.wg.Go(func() {
		for {
			select {
			case <-c.ctx.Done():
				return
			case <-ask:
			}
			if m := c.presence(); m != nil {
				ctx, cancel := context.WithTimeout(c.ctx, time.Minute)
				_, _ = m.SyncNow(ctx)
				cancel()
			}
			select {
			case <-c.ctx.Done():
				return
			case <-time.After(time.Second):
			}
		}
	})
	return func() {
		select {
		case ask <- struct{}{}:
		default:
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

func (c *Community) book() *ledger {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ledger
}

// listenAgain opens a presence where it listened last time, so that others'
// books stay true, or where there is room.
func listenAgain[P interface{ Addrs() []string }](c *Community, key string, base []string, open func(listen []string) (P, error)) (P, error) {
	ports, _ := c.store.Private(key) // none the first time
	p, err := open(samePorts(base, ports))
	if err != nil && len(ports) > 0 {
		p, err = open(base)
	}
	if err != nil {
		return p, err
	}
	if now := portsOf(p.Addrs()); string(now) != string(ports) {
		if err := c.store.PutPrivate(key, now); err != nil {
			return p, storeError(err)
		}
	}
	return p, nil
}

// close ends the presences and waits for everything the community started.
func (c *Community) close() error {
	c.stop()
	c.wg.Wait() // what still joins may open presences until then
	c.mu.Lock()
	m, l := c.member, c.lobby
	c.mu.Unlock()
	var errs []error
	if l != nil {
		errs = append(errs, l.Close())
	}
	if m != nil {
		errs = append(errs, m.Close())
	}
	errs = append(errs, c.store.Close())
	c.key.Erase()
	return errors.Join(errs...)
}
