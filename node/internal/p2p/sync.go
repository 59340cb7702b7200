package p2p

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

const syncProtocol protocol.ID = "/metastate/sync/1"

// SyncResult sums up sync sessions. Frames are records, certificates and
// bindings.
type SyncResult struct {
	Peers    int // sessions that ended in agreement
	Failed   int // sessions that failed or ended before agreement
	Received int // frames that were not held before
	Sent     int // frames sent
}

// A syncer begins a metastate's sessions when a peer is dialled, every so often,
// and on demand, and serves those that peers begin.
type syncer struct {
	member *Member
	fetch  *floor

	led      turns // one session per peer and direction
	answered turns

	news    func(from peer.ID) // see tell
	telling atomic.Bool        // a round of it waits to begin
}

func newSyncer(m *Member) *syncer {
	return &syncer{
		member: m, fetch: newFloor(), led: turns{size: 1}, answered: turns{size: 1},
	}
}

// there reports whether a peer is connected.
func (pr *Presence) there(p peer.ID) bool {
	return pr.host.Network().Connectedness(p) == network.Connected
}

// every is the mean time between sessions with a peer.
func (y *syncer) every() time.Duration { return y.member.presence.cfg.SyncEvery }

// loop syncs each connected peer about y.every(): it looks often, and asks
// those whose last session is longer ago than a freshly drawn interval.
func (y *syncer) loop(ctx context.Context) {
	tick := time.NewTicker(y.every() / 8)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, p := range y.member.peers() {
			due := false
			y.member.book.note(p, func(e *entry) {
				if due = time.Now().After(e.syncDue); due {
					e.syncDue = time.Now().Add(jitter(y.every())) // also while the session runs
				}
			})
			if due {
				y.member.life.run(func() { _, _ = y.with(ctx, p) })
			}
		}
	}
}

// tell syncs soon with every peer but the one whose session brought something
// new: what comes by gossip goes on by gossip, and where two groups of nodes
// meet again the others would wait for their turn, one after the other.
func (y *syncer) tell(ctx context.Context, from peer.ID) {
	if !y.telling.CompareAndSwap(false, true) {
		return
	}
	y.member.life.run(func() {
		select {
		case <-ctx.Done():
		case <-time.After(jitter(tellAfter)):
		}
		y.telling.Store(false) // what comes from now on is told in a round of its own
		for _, p := range y.member.peers() {
			if p != from && ctx.Err() == nil {
				y.member.life.run(func() { _, _ = y.with(ctx, p) })
			}
		}
	})
}

// fresh syncs with a peer just dialled. A peer that is busy, or does not know
// this node yet, is asked again soon: until then a newcomer has nothing.
func (y *syncer) fresh(ctx context.Context, p peer.ID) {
	y.member.book.note(p, func(e *entry) { e.syncDue = time.Now().Add(jitter(y.every())) })
	for wait := freshRetry; wait <= freshRetryMax; wait *= 2 {
		_, err := y.with(ctx, p)
		if err == nil || errors.Is(err, ErrPeer) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(jitter(wait)):
		}
		if y.member.host.Network().Connectedness(p) != network.Connected {
			return
		}
	}
}

// all syncs with every connected peer.
func (y *syncer) all(ctx context.Context) (SyncResult, error) {
	var (
		wg  sync.WaitGroup
		mu  sync.Mutex
		sum SyncResult
	)
	for _, p := range y.member.peers() {
		wg.Go(func() {
			res, err := y.with(ctx, p)
			mu.Lock()
			defer mu.Unlock()
			sum.Received += res.Received
			sum.Sent += res.Sent
			if err == nil {
				sum.Peers++
			} else {
				sum.Failed++
			}
		})
	}
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return sum, fmt.Errorf("p2p: syncing: %w", err)
	}
	return sum, nil
}

// with runs one session with a connected peer.
func (y *syncer) with(ctx context.Context, p peer.ID) (res SyncResult, err error) {
	mine := y.led.of(p, y.member.presence.there)
	if err := mine.Acquire(ctx, 1); err != nil {
		return res, err
	}
	defer mine.Release(1)
	if err := y.member.presence.slots.outbound.Acquire(ctx, 1); err != nil {
		return res, err
	}
	defer y.member.presence.slots.outbound.Release(1)
	ctx, cancel := context.WithTimeout(ctx, sessionTimeout)
	defer cancel()
	defer func() {
		if y.finished(p, err); res.Received > 0 {
			y.news(p)
		}
	}()
	y.member.presence.meter.count(func(m *Metrics) { m.Sync.Sessions++ })
	open, cancelOpen := context.WithTimeout(network.WithNoDial(ctx, "sync"), frameTimeout)
	defer cancelOpen()
	s, err := y.member.host.NewStream(open, p, syncProtocol)
	if err != nil {
		return res, fmt.Errorf("p2p: syncing: %w", err)
	}
	x, release, err := y.session(ctx, s, newWire(s))
	if err != nil {
		_ = s.Reset()
		return res, err
	}
	defer release()
	secret, err := greet(x.w, y.member.host.ID(), p, y.member.replica)
	if err == nil {
		x.secret = secret
		err = x.initiate(ctx, y.fetch)
	}
	if err != nil {
		_ = s.Reset()
	} else {
		_ = s.Close()
	}
	return SyncResult{Received: x.fresh, Sent: x.sent}, err
}

// A visit is a session that a peer began, up to its greeting.
type visit struct {
	from  peer.ID
	s     network.Stream
	w     *wire
	hello greeting
}

// serveSync answers a session that a peer began, for the metastate that it
// greets.
func (pr *Presence) serveSync(ctx context.Context, s network.Stream) error {
	v := &visit{from: s.Conn().RemotePeer(), s: s, w: newWire(s)}
	theirs := pr.visits.of(v.from, pr.there)
	if !acquireWithin(ctx, theirs, turnTimeout) { // the session before may be just ending here
		return fmt.Errorf("p2p: serving sync: %w: one at a time", ErrBusy)
	}
	defer theirs.Release(1)
	if !pr.slots.inbound.TryAcquire(1) {
		return fmt.Errorf("p2p: serving sync: %w", ErrBusy)
	}
	defer pr.slots.inbound.Release(1)
	pr.meter.count(func(m *Metrics) { m.Sync.Served++ })
	stop := context.AfterFunc(ctx, func() { _ = s.Reset() })
	defer stop()
	var err error
	if v.hello, err = hear(v.w); err != nil {
		pr.misbehaved(err)
		return err
	}
	for _, m := range pr.all() {
		if m.meant(v) {
			return m.answer.sync(v)
		}
	}
	err = dismiss(v.w)
	pr.misbehaved(err)
	if errors.Is(err, ErrStranger) {
		pr.meter.count(func(m *Metrics) { m.Sync.ServedFailed++ })
		return s.CloseWrite() // it must arrive before a reset would
	}
	return err
}

// meant reports whether a visit's greeting is under an epoch of this metastate,
// from a peer that it knows.
func (m *Member) meant(v *visit) bool {
	if !m.known(v.from) || !m.life.enter() {
		return false
	}
	defer m.life.wg.Done()
	return v.hello.meant(m.host.ID(), v.from, m.replica)
}

// serve answers a session from its greeting on.
func (y *syncer) serve(ctx context.Context, v *visit) error {
	if !y.member.life.enter() {
		return ErrClosed
	}
	defer y.member.life.wg.Done()
	theirs := y.answered.of(v.from, y.member.presence.there)
	if !acquireWithin(ctx, theirs, turnTimeout) {
		return fmt.Errorf("p2p: serving sync: %w: one at a time", ErrBusy)
	}
	defer theirs.Release(1)
	ctx, cancel := context.WithTimeout(ctx, sessionTimeout)
	defer cancel()
	x, release, err := y.session(ctx, v.s, v.w)
	if err != nil {
		return err
	}
	defer release()
	secret, err := answer(x.w, y.member.host.ID(), v.from, v.hello, y.member.replica)
	if err == nil {
		x.secret = secret
		err = x.respond(ctx)
	}
	if err == nil {
		y.member.book.note(v.from, func(e *entry) { e.served = time.Now() })
	}
	if x.fresh > 0 {
		y.news(v.from)
	}
	y.member.presence.misbehaved(err)
	return err
}

// session prepares a session on a stream; ctx's end resets the stream.
func (y *syncer) session(ctx context.Context, s network.Stream, w *wire) (*session, func(), error) {
	if err := s.Scope().ReserveMemory(sessionMemory, network.ReservationPriorityMedium); err != nil {
		return nil, nil, fmt.Errorf("p2p: syncing: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = s.Reset() })
	x := newSession(w, s.Conn().RemotePeer().String(), y.member.replica, y.member.presence.slots.accounts)
	x.haul.tell = y.member.presence.cfg.Bulk
	return x, func() {
		stop()
		x.haul.end()
		x.stay.end()
		s.Scope().ReleaseMemory(sessionMemory)
		y.member.presence.meter.count(func(m *Metrics) {
			m.Sync.FramesIn += uint64(x.got)
			m.Sync.FreshIn += uint64(x.fresh)
			m.Sync.FramesOut += uint64(x.sent)
			m.Sync.BytesIn += uint64(x.w.recvd)
			m.Sync.BytesOut += uint64(x.w.sent)
		})
	}, nil
}

func (y *syncer) finished(p peer.ID, err error) {
	y.member.presence.misbehaved(err)
	if err != nil {
		y.member.presence.meter.count(func(m *Metrics) { m.Sync.Failed++ })
		y.member.presence.log.Debug("session failed", "cause", cause(err))
		return
	}
	y.member.book.note(p, func(e *entry) { e.lastSync = time.Now() })
}

func (pr *Presence) misbehaved(err error) {
	if errors.Is(err, ErrPeer) || errors.Is(err, ErrStranger) {
		pr.meter.count(func(m *Metrics) { m.Sync.Misbehaved++ })
	}
}
