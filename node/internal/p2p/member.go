package p2p

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
)

// A Member is one metastate on a presence: its topics, peers, sync and dialling.
// Its methods may be called from several goroutines.
type Member struct {
	presence *Presence
	owner    bool // of the presence, which is for it alone
	host     host.Host
	replica  Replica
	gossip   *gossip
	dialler  *dialler
	syncer   *syncer
	book     *book
	life     *life
	places   *reserver
	answer   answerers
	nearby   nearby
}

// answerers serve what peers begin, until the member is closed.
type answerers struct {
	sync func(*visit) error
	push func(pushed) (receipts [][]byte, err error)
	meet func(peer.ID)             // syncs with a peer just dialled
	look func(time.Duration) error // on the local networks
}

// NewMember starts a presence for one metastate and serves r until Close.
func NewMember(cfg Config, r Replica) (*Member, error) {
	cfg.Shared = false
	pr, err := NewPresence(cfg)
	if err != nil {
		return nil, err
	}
	m, err := pr.Join(r)
	if err != nil {
		return nil, errors.Join(err, pr.Close())
	}
	m.owner = true
	return m, nil
}

// Join serves r on the presence until the member's Close. A shared presence
// takes any number up to 1,024, with one Replica each; any other takes one.
func (pr *Presence) Join(r Replica) (*Member, error) {
	if !pr.life.enter() {
		return nil, fmt.Errorf("p2p: joining a presence: %w", ErrClosed)
	}
	defer pr.life.wg.Done()
	ctx, cancel := context.WithCancel(context.Background())
	m := &Member{
		presence: pr, host: pr.host, replica: r, life: &life{cancel: cancel},
		book: &book{peers: map[peer.ID]*entry{}},
	}
	m.places = newReserver(ctx, pr.host, m.life)
	m.dialler = &dialler{member: m, timer: time.NewTimer(time.Hour)}
	m.syncer = newSyncer(m)
	m.syncer.news = func(from peer.ID) { m.syncer.tell(ctx, from) }
	m.answer = answerers{
		sync: func(v *visit) error { return m.syncer.serve(ctx, v) },
		push: func(p pushed) ([][]byte, error) { return m.takePush(ctx, p) },
		meet: func(p peer.ID) { m.life.run(func() { m.syncer.fresh(ctx, p) }) },
		look: func(d time.Duration) error { return m.look(ctx, d) },
	}
	m.gossip = newGossip(ctx, m)
	err := pr.add(m)
	if err == nil {
		if err = m.gossip.start(ctx); err != nil {
			m.leave()
		}
	}
	if err != nil {
		cancel()
		return nil, fmt.Errorf("p2p: joining a presence: %w", err)
	}
	m.life.run(func() { m.dialler.loop(ctx) })
	m.life.run(func() { m.syncer.loop(ctx) })
	return m, nil
}

// known asks the Replica.
func (m *Member) known(p peer.ID) bool {
	return m.life.call(func() bool { return m.replica.Known(m.presence.names.of(p)) })
}

// heard reports whether a peer is known and not shunned.
func (m *Member) heard(p peer.ID) bool {
	if !m.life.enter() {
		return false
	}
	defer m.life.wg.Done()
	name := m.presence.names.of(p)
	return m.replica.Known(name) && !m.replica.Shunned(name)
}

// peers are those connected that this metastate's members are.
func (m *Member) peers() []peer.ID {
	return slices.DeleteFunc(m.host.Network().Peers(), func(p peer.ID) bool { return !m.known(p) })
}

func (m *Member) connected(c network.Conn) {
	p := c.RemotePeer()
	dialled := c.Stat().Direction == network.DirOutbound
	m.book.seen(p, c.RemoteMultiaddr(), dialled)
	// Else the other side would begin a second session at the same time. Who has no
	// checkpoint yet is left to begin by itself.
	if dialled || m.life.call(m.replica.Newcomer) {
		m.answer.meet(p)
	}
}

func (m *Member) disconnected(c network.Conn) {
	m.book.note(c.RemotePeer(), func(e *entry) {
		e.lastSeen = time.Now()
		e.next = e.lastSeen.Add(jitter(minDialInterval))
	})
	m.dialler.wake()
	m.places.parted(c.RemotePeer())
}

// ID is the presence's transport peer id.
func (m *Member) ID() string { return m.host.ID().String() }

// Addrs lists multiaddrs, without /p2p, at which the presence may be dialled
// from where it stands, and by way of the relays it has a place with; loopback
// only if there is nothing else.
func (m *Member) Addrs() []string {
	var settle time.Duration
	if !m.presence.punches() { // who comes before would stay with the relay
		settle = punchWait
	}
	return append(addresses(m.host), m.places.circuits(settle)...)
}

// SetRelays tells through which relays, preferred ones first, the presence may
// have itself reached: it keeps places with two, of different operators if it
// can. A relay is used only while the Replica knows it.
func (m *Member) SetRelays(relays []Relay) error { return m.places.set(relays) }

// AddPeer tells where a peer can be dialled. It is dialled only while the
// Replica knows it. The presence itself is nobody to dial, and passed over.
func (m *Member) AddPeer(p Peer) error {
	if p.ID == m.ID() {
		return nil
	}
	if err := m.book.put(p); err != nil {
		return err
	}
	m.dialler.wake()
	return nil
}

// Holds reports whether a peer is in the book: one that was added may have been
// given up since.
func (m *Member) Holds(peerID string) bool {
	id, err := peer.Decode(peerID)
	return err == nil && m.book.holds(id)
}

// Publish queues frames to be gossiped within the coalescing window. A nil
// error promises nothing: gossip is a hint. ErrTooBig and ErrBusy mean that
// nothing of it will be sent. The slices must not be changed afterwards.
func (m *Member) Publish(kind Kind, frames ...[]byte) error {
	if !kind.known() {
		return fmt.Errorf("p2p: publishing: unknown kind %d", kind)
	}
	if !m.life.enter() {
		return fmt.Errorf("p2p: publishing: %w", ErrClosed)
	}
	defer m.life.wg.Done()
	return m.gossip.publish(kind, frames)
}

// meetStrangers begins to sync with the connected peers with whom it never did.
func (m *Member) meetStrangers() {
	for _, p := range m.peers() {
		met := true
		m.book.note(p, func(e *entry) { met = !e.lastSync.IsZero() || !e.served.IsZero() })
		if !met {
			m.answer.meet(p)
		}
	}
}

// Refresh follows a change of the Replica's epochs or known peers: it joins and
// leaves topics and disconnects and forgets whoever is no longer known.
func (m *Member) Refresh() error {
	if !m.life.enter() {
		return fmt.Errorf("p2p: refreshing: %w", ErrClosed)
	}
	defer m.life.wg.Done()
	m.book.keep(m.known)
	var errs []error
	for _, p := range m.host.Network().Peers() {
		// A peer that another metastate on this presence knows is let in again, but
		// no more to this one's mesh.
		if !m.known(p) && (m.gossip.hears(p) || !m.presence.known(p)) {
			errs = append(errs, m.presence.part(p))
		}
	}
	fresh, err := m.gossip.refresh()
	if fresh { // who refused this node, or was refused, as a stranger need be none under it
		m.meetStrangers()
	}
	errs = append(errs, err)
	m.dialler.wake()
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("p2p: refreshing: %w", err)
	}
	return nil
}

// Peers lists the peers in the book and those connected, connected first, then
// by when they were last seen.
func (m *Member) Peers() []PeerStatus {
	var out []PeerStatus
	m.book.mu.Lock()
	for id, e := range m.book.peers {
		s := PeerStatus{ID: id.String(), LastSeen: e.lastSeen, LastSync: e.lastSync, Served: e.served}
		if len(e.addrs) > 0 {
			s.Address = e.addrs[0].String()
		}
		if conns := m.host.Network().ConnsToPeer(id); len(conns) > 0 {
			best := conns[max(0, slices.IndexFunc(conns, direct))]
			s.Connected, s.Direct, s.Address, s.LastSeen = true, direct(best), best.RemoteMultiaddr().String(), time.Now()
		}
		out = append(out, s)
	}
	m.book.mu.Unlock()
	slices.SortFunc(out, func(a, b PeerStatus) int {
		if a.Connected != b.Connected {
			if a.Connected {
				return -1
			}
			return 1
		}
		return cmp.Or(b.LastSeen.Compare(a.LastSeen), cmp.Compare(a.ID, b.ID))
	})
	return out
}

func direct(c network.Conn) bool { return !byRelay(c) }

func byRelay(c network.Conn) bool { return relayed(c.RemoteMultiaddr()) }

// SyncNow runs a sync session with every connected peer and returns when they
// have ended. Sessions that fail are counted, not reported: the next one
// repairs. The error is ctx's or ErrClosed.
func (m *Member) SyncNow(ctx context.Context) (SyncResult, error) {
	if !m.life.enter() {
		return SyncResult{}, fmt.Errorf("p2p: syncing: %w", ErrClosed)
	}
	defer m.life.wg.Done()
	return m.syncer.all(ctx)
}

// Metrics returns the counters so far, of the whole presence.
func (m *Member) Metrics() Metrics { return m.presence.meter.snapshot() }

// Close ends the member, and the presence if it is for it alone, and waits for
// all it started. Closing twice is fine.
func (m *Member) Close() error {
	m.leave()
	if m.owner {
		return m.presence.Close()
	}
	return nil
}

// leave ends the member's part. Peers that nobody else on the presence knows
// are parted from.
func (m *Member) leave() {
	if !m.life.end() {
		return
	}
	m.presence.remove(m)
	m.gossip.leave()
	m.life.wg.Wait()
	if !m.presence.life.enter() {
		return // it goes as a whole
	}
	defer m.presence.life.wg.Done()
	for _, p := range m.host.Network().Peers() {
		if !m.presence.known(p) {
			_ = m.presence.part(p)
		}
	}
}
