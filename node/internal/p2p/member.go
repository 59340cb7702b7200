package p2p

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	"golang.org/x/sync/semaphore"
)

// A Member is the presence among the members of one metastate. Its methods may
// be called from several goroutines.
type Member struct {
	host    host.Host
	replica Replica
	gossip  *gossip
	dialler *dialler
	syncer  *syncer
	book    *book
	pushes  *semaphore.Weighted
	meter   *meter
	life    *life
	names   idNames
	log     *slog.Logger
}

// NewMember starts a presence and serves r until Close.
func NewMember(cfg Config, r Replica) (*Member, error) {
	if err := cfg.complete(); err != nil {
		return nil, fmt.Errorf("p2p: starting a presence: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	m := &Member{
		replica: r, meter: &meter{}, life: &life{cancel: cancel}, log: cfg.Log,
		book: &book{peers: map[peer.ID]*entry{}}, pushes: semaphore.NewWeighted(maxPushes),
	}
	known := m.known
	h, err := newHost(cfg.Seed, cfg.Underlay, cfg.Limits, gater{allow: known, meter: m.meter})
	if err != nil {
		cancel()
		return nil, fmt.Errorf("p2p: starting a presence: %w", err)
	}
	m.host = h
	m.dialler = &dialler{
		host: h, book: m.book, life: m.life, meter: m.meter, low: cfg.Limits.Low, known: known,
		timer: time.NewTimer(time.Hour),
	}
	m.syncer = newSyncer(h, cfg, r, m.book, m.life, m.meter)
	m.gossip, err = newGossip(ctx, h, cfg, r, known, m.life, m.meter)
	if err != nil {
		return nil, fmt.Errorf("p2p: starting a presence: %w", errors.Join(err, m.Close()))
	}
	h.SetStreamHandler(pushProtocol, m.handler(ctx, m.servePush, func(c *Metrics) { c.Push.Refused++ }))
	h.SetStreamHandler(syncProtocol, m.handler(ctx, m.syncer.serve, func(c *Metrics) { c.Sync.ServedFailed++ }))
	h.Network().Notify(&network.NotifyBundle{
		ConnectedF:    func(_ network.Network, c network.Conn) { m.connected(ctx, c) },
		DisconnectedF: func(_ network.Network, c network.Conn) { m.disconnected(c) },
	})
	m.life.run(func() { m.dialler.loop(ctx) })
	m.life.run(func() { m.syncer.loop(ctx) })
	return m, nil
}

// known asks the Replica on behalf of libp2p's own goroutines, which may
// outlive Close: then it knows nobody.
func (m *Member) known(p peer.ID) bool {
	if !m.life.enter() {
		return false
	}
	defer m.life.wg.Done()
	return m.replica.Known(m.names.of(p))
}

// handler runs serve for each stream of a protocol, counted by the presence's
// life, and resets the stream when serve fails.
func (m *Member) handler(ctx context.Context, serve func(context.Context, network.Stream) error, failed func(*Metrics)) network.StreamHandler {
	return func(s network.Stream) {
		if !m.life.enter() {
			_ = s.Reset()
			return
		}
		defer m.life.wg.Done()
		if err := serve(ctx, s); err != nil {
			_ = s.Reset()
			m.meter.count(failed)
			m.log.Debug("stream refused", "protocol", string(s.Protocol()), "cause", cause(err))
			return
		}
		_ = s.Close()
	}
}

// cause names an error's class without the peer's words or addresses.
func cause(err error) string {
	for _, e := range []error{ErrStranger, ErrPeer, ErrTooBig, ErrBusy, ErrClosed, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, e) {
			return e.Error()
		}
	}
	return "connection or replica failed"
}

func (m *Member) connected(ctx context.Context, c network.Conn) {
	p := c.RemotePeer()
	dialled := c.Stat().Direction == network.DirOutbound
	m.book.seen(p, c.RemoteMultiaddr(), dialled)
	if dialled { // the other side would begin a second session at the same time
		m.life.run(func() { m.syncer.fresh(ctx, p) })
	}
}

func (m *Member) disconnected(c network.Conn) {
	m.book.note(c.RemotePeer(), func(e *entry) {
		e.lastSeen = time.Now()
		e.next = e.lastSeen.Add(jitter(minDialInterval))
	})
	m.dialler.wake()
}

// ID is the presence's transport peer id.
func (m *Member) ID() string { return m.host.ID().String() }

// Addrs lists multiaddrs, without /p2p, at which the presence may be dialled
// from where it stands; loopback only if there is nothing else.
func (m *Member) Addrs() []string { return addresses(m.host) }

// AddPeer tells where a peer can be dialled. It is dialled only while the
// Replica knows it.
func (m *Member) AddPeer(p Peer) error {
	if err := m.book.put(p); err != nil {
		return err
	}
	m.dialler.wake()
	return nil
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
		if !m.known(p) {
			errs = append(errs, m.host.Network().ClosePeer(p))
		}
	}
	errs = append(errs, m.gossip.refresh())
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
		s := PeerStatus{ID: id.String(), LastSeen: e.lastSeen, LastSync: e.lastSync, Served: e.served, LastError: e.lastErr}
		if len(e.addrs) > 0 {
			s.Address = e.addrs[0].String()
		}
		if conns := m.host.Network().ConnsToPeer(id); len(conns) > 0 {
			s.Connected, s.Address, s.LastSeen = true, conns[0].RemoteMultiaddr().String(), time.Now()
			s.Direct = slices.ContainsFunc(conns, direct)
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

func direct(c network.Conn) bool {
	_, err := c.RemoteMultiaddr().ValueForProtocol(ma.P_CIRCUIT)
	return err != nil
}

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

// Metrics returns the counters so far.
func (m *Member) Metrics() Metrics { return m.meter.snapshot() }

// Close ends the presence and waits for all it started. Closing twice is fine.
func (m *Member) Close() error {
	if !m.life.end() {
		return nil
	}
	err := m.host.Close()
	m.life.wg.Wait()
	if err != nil {
		return fmt.Errorf("p2p: closing a presence: %w", err)
	}
	return nil
}
