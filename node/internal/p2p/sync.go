package p2p

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"golang.org/x/sync/semaphore"
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

// A syncer begins sessions when a peer is dialled, every so often, and on
// demand, and serves those that peers begin.
type syncer struct {
	host     host.Host
	replica  Replica
	book     *book
	life     *life
	meter    *meter
	every    time.Duration
	inbound  *semaphore.Weighted
	outbound *semaphore.Weighted
	// fetch is held by the one session that transfers, so that a fresh node
	// does not fetch everything from each of its peers at once.
	fetch *semaphore.Weighted

	resume cursor // of broken-off streams

	mu    sync.Mutex
	turns map[turn]*semaphore.Weighted // guarded by mu; one session per peer and direction
}

// A turn names the sessions of one peer in one direction.
type turn struct {
	peer    peer.ID
	inbound bool
}

func newSyncer(h host.Host, cfg Config, r Replica, b *book, l *life, m *meter) *syncer {
	return &syncer{
		host: h, replica: r, book: b, life: l, meter: m, every: cfg.SyncEvery,
		inbound: semaphore.NewWeighted(maxInbound), outbound: semaphore.NewWeighted(maxOutbound),
		fetch: semaphore.NewWeighted(1), turns: map[turn]*semaphore.Weighted{},
	}
}

// turn returns the semaphore of the peer's sessions in one direction.
func (y *syncer) turn(t turn) *semaphore.Weighted {
	y.mu.Lock()
	defer y.mu.Unlock()
	if len(y.turns) > 4*maxBook {
		y.prune()
	}
	s := y.turns[t]
	if s == nil {
		s = semaphore.NewWeighted(1)
		y.turns[t] = s
	}
	return s
}

// prune forgets the turns of peers no longer connected. The caller holds y.mu.
func (y *syncer) prune() {
	for t := range y.turns {
		if y.host.Network().Connectedness(t.peer) != network.Connected {
			delete(y.turns, t)
		}
	}
}

// loop syncs each connected peer about every y.every: it looks often, and asks
// those whose last session is longer ago than a freshly drawn interval.
func (y *syncer) loop(ctx context.Context) {
	tick := time.NewTicker(y.every / 8)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, p := range y.host.Network().Peers() {
			due := false
			y.book.note(p, func(e *entry) {
				if due = time.Now().After(e.syncDue); due {
					e.syncDue = time.Now().Add(jitter(y.every)) // also while the session runs
				}
			})
			if due {
				y.life.run(func() { _, _ = y.with(ctx, p) })
			}
		}
	}
}

// fresh syncs with a peer just dialled. A peer that is busy, or does not know
// this node yet, is asked again soon: until then a newcomer has nothing.
func (y *syncer) fresh(ctx context.Context, p peer.ID) {
	y.book.note(p, func(e *entry) { e.syncDue = time.Now().Add(jitter(y.every)) })
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
		if y.host.Network().Connectedness(p) != network.Connected {
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
	for _, p := range y.host.Network().Peers() {
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
	mine := y.turn(turn{p, false})
	if err := mine.Acquire(ctx, 1); err != nil {
		return res, err
	}
	defer mine.Release(1)
	if err := y.outbound.Acquire(ctx, 1); err != nil {
		return res, err
	}
	defer y.outbound.Release(1)
	ctx, cancel := context.WithTimeout(ctx, sessionTimeout)
	defer cancel()
	defer func() { y.finished(p, err) }()
	y.meter.count(func(m *Metrics) { m.Sync.Sessions++ })
	open, cancelOpen := context.WithTimeout(network.WithNoDial(ctx, "sync"), frameTimeout)
	defer cancelOpen()
	s, err := y.host.NewStream(open, p, syncProtocol)
	if err != nil {
		return res, fmt.Errorf("p2p: syncing: %w", err)
	}
	x, release, err := y.session(ctx, s)
	if err != nil {
		_ = s.Reset()
		return res, err
	}
	defer release()
	if err = greet(x.w, y.host.ID(), p, y.replica); err == nil {
		err = x.initiate(ctx, y.fetch)
	}
	if err != nil {
		_ = s.Reset()
	} else {
		_ = s.Close()
	}
	return SyncResult{Received: x.fresh, Sent: x.sent}, err
}

// serve answers a session that a peer began.
func (y *syncer) serve(ctx context.Context, s network.Stream) error {
	p := s.Conn().RemotePeer()
	theirs := y.turn(turn{p, true})
	if !acquireWithin(ctx, theirs, turnTimeout) { // the session before may be just ending here
		return fmt.Errorf("p2p: serving sync: %w: one at a time", ErrBusy)
	}
	defer theirs.Release(1)
	if !y.inbound.TryAcquire(1) {
		return fmt.Errorf("p2p: serving sync: %w", ErrBusy)
	}
	defer y.inbound.Release(1)
	ctx, cancel := context.WithTimeout(ctx, sessionTimeout)
	defer cancel()
	y.meter.count(func(m *Metrics) { m.Sync.Served++ })
	x, release, err := y.session(ctx, s)
	if err != nil {
		return err
	}
	defer release()
	if err = answer(x.w, y.host.ID(), p, y.replica); err == nil {
		err = x.respond(ctx)
	}
	if err == nil {
		y.book.note(p, func(e *entry) { e.served = time.Now() })
	}
	y.misbehaved(err)
	return err
}

// session prepares a session on a stream; ctx's end resets the stream.
func (y *syncer) session(ctx context.Context, s network.Stream) (*session, func(), error) {
	if err := s.Scope().ReserveMemory(sessionMemory, network.ReservationPriorityMedium); err != nil {
		return nil, nil, fmt.Errorf("p2p: syncing: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = s.Reset() })
	x := &session{w: newWire(s), peer: s.Conn().RemotePeer().String(), replica: y.replica, resume: &y.resume}
	return x, func() {
		stop()
		s.Scope().ReleaseMemory(sessionMemory)
		y.meter.count(func(m *Metrics) {
			m.Sync.FramesIn += uint64(x.got)
			m.Sync.FreshIn += uint64(x.fresh)
			m.Sync.FramesOut += uint64(x.sent)
			m.Sync.BytesIn += uint64(x.w.recvd)
			m.Sync.BytesOut += uint64(x.w.sent)
		})
	}, nil
}

func (y *syncer) finished(p peer.ID, err error) {
	y.misbehaved(err)
	if err != nil {
		y.meter.count(func(m *Metrics) { m.Sync.Failed++ })
	}
	y.book.note(p, func(e *entry) {
		if err != nil {
			e.lastErr = "sync: " + cause(err)
			return
		}
		e.lastSync, e.lastErr = time.Now(), ""
	})
}

func (y *syncer) misbehaved(err error) {
	if errors.Is(err, ErrPeer) || errors.Is(err, ErrStranger) {
		y.meter.count(func(m *Metrics) { m.Sync.Misbehaved++ })
	}
}
