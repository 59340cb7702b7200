package p2p

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

const pushProtocol protocol.ID = "/metastate/push/1"

// Frame types of /metastate/push/1: one message, one answer.
const (
	pushFrame byte = 1
	pushTaken byte = 2 // with the receipts of a clerk, or empty
)

// Push hands frames to every connected peer at once and waits until each has
// taken them, failed, or ctx or 10 seconds have ended. It returns how many took
// them all, 0 if no peer is connected, and the receipts that they answered with,
// in outer form and as they came: at most [MaxReceipts] of a peer for a message.
// A peer takes frames when its Replica's Deliver returned without error.
func (m *Member) Push(ctx context.Context, kind Kind, frames ...[]byte) (acked int, receipts [][]byte, err error) {
	if !m.life.enter() {
		return 0, nil, fmt.Errorf("p2p: pushing: %w", ErrClosed)
	}
	defer m.life.wg.Done()
	var msgs [][]byte
	for _, f := range frames {
		if len(f) == 0 || len(f) > MaxFrame {
			return 0, nil, fmt.Errorf("p2p: pushing: %w: frame of %d bytes, want 1 to %d", ErrTooBig, len(f), MaxFrame)
		}
	}
	for _, part := range split(kind, frames) {
		msgs = append(msgs, appendEnvelope(nil, part.kind, part.frames))
	}
	ctx, cancel := context.WithTimeout(ctx, pushTimeout)
	defer cancel()
	var (
		wg sync.WaitGroup
		mu sync.Mutex
	)
	for _, p := range m.peers() {
		wg.Go(func() {
			m.presence.meter.count(func(c *Metrics) { c.Push.Sent++ })
			got, err := m.pushTo(ctx, p, msgs)
			if err != nil {
				return
			}
			m.presence.meter.count(func(c *Metrics) { c.Push.Acked++ })
			mu.Lock()
			acked++
			receipts = append(receipts, got...)
			mu.Unlock()
		})
	}
	wg.Wait()
	return acked, receipts, nil
}

func (m *Member) pushTo(ctx context.Context, p peer.ID, msgs [][]byte) (receipts [][]byte, err error) {
	for _, msg := range msgs {
		s, err := m.host.NewStream(network.WithNoDial(ctx, "push"), p, pushProtocol)
		if err != nil {
			return nil, fmt.Errorf("p2p: pushing: %w", err)
		}
		got, err := pushOne(ctx, s, msg)
		if err != nil {
			_ = s.Reset()
			return nil, err
		}
		receipts = append(receipts, got...)
		_ = s.Close()
	}
	return receipts, nil
}

func pushOne(ctx context.Context, s network.Stream, msg []byte) (receipts [][]byte, err error) {
	stop := context.AfterFunc(ctx, func() { _ = s.Reset() })
	defer stop()
	w := newWire(s)
	if err := w.send(pushFrame, msg); err != nil {
		return nil, err
	}
	body, err := w.expect(pushTaken, maxTaken, pushTimeout)
	if err != nil {
		return nil, err
	}
	return parseTaken(body)
}

// appendTaken writes the body of an answer to a push.
func appendTaken(b []byte, receipts [][]byte) []byte {
	if len(receipts) == 0 {
		return b
	}
	return appendEnvelope(b, Receipts, receipts)
}

// parseTaken reads what appendTaken writes, at most maxTaken bytes.
func parseTaken(body []byte) (receipts [][]byte, err error) {
	if len(body) == 0 {
		return nil, nil
	}
	kind, receipts, err := parseMessage(body, MaxReceipts)
	if err == nil && kind != Receipts {
		err = fmt.Errorf("p2p: message: %w: an answer of kind %d", ErrPeer, kind)
	}
	if err != nil {
		return nil, err
	}
	return receipts, nil
}

// A pushed message is one that came, and whose metastate's it is.
type pushed struct {
	from   peer.ID
	kind   Kind
	frames [][]byte
}

// servePush takes one message. Nothing but its verdict and a full Deliver says
// anything to the peer.
func (pr *Presence) servePush(ctx context.Context, s network.Stream) error {
	if !pr.slots.pushes.TryAcquire(1) {
		return fmt.Errorf("p2p: serving push: %w", ErrBusy)
	}
	defer pr.slots.pushes.Release(1)
	if err := s.Scope().ReserveMemory(pushMemory, network.ReservationPriorityMedium); err != nil {
		return fmt.Errorf("p2p: serving push: %w", err)
	}
	defer s.Scope().ReleaseMemory(pushMemory)
	stop := context.AfterFunc(ctx, func() { _ = s.Reset() })
	defer stop()
	w := newWire(s)
	msg, err := w.expect(pushFrame, MaxMessage, pushTimeout)
	if err != nil {
		return err
	}
	m, p, err := pr.addressee(s.Conn().RemotePeer(), msg)
	if err != nil {
		return fmt.Errorf("p2p: serving push: %w", err)
	}
	receipts, err := m.answer.push(p)
	if err != nil {
		return fmt.Errorf("p2p: serving push: %w", err)
	}
	pr.meter.count(func(c *Metrics) { c.Push.Received++ })
	return w.send(pushTaken, appendTaken(nil, receipts))
}

// addressee finds the metastate that a peer's message is for: one that knows the
// peer and whose epoch the frames are of.
func (pr *Presence) addressee(from peer.ID, msg []byte) (*Member, pushed, error) {
	for _, m := range pr.all() {
		verdict, kind, frames := m.judge(from, msg)
		switch verdict {
		case Accept:
			return m, pushed{from, kind, frames}, nil
		case Reject:
			return nil, pushed{}, ErrPeer
		}
	}
	return nil, pushed{}, errNotMine
}

// judge judges a peer's message as this metastate's. What of a peer it does not
// know comes is not for it.
func (m *Member) judge(from peer.ID, msg []byte) (Verdict, Kind, [][]byte) {
	if !m.life.enter() { // pubsub's workers may outlive Close
		return Ignore, 0, nil
	}
	defer m.life.wg.Done()
	if !m.replica.Known(m.presence.names.of(from)) {
		return Ignore, 0, nil
	}
	return judge(m.replica, msg)
}

// errNotMine: a message of no epoch that this node has.
var errNotMine = errors.New("not for this node")

// takePush hands over what came.
func (m *Member) takePush(ctx context.Context, p pushed) (receipts [][]byte, err error) {
	if !m.life.enter() {
		return nil, ErrClosed
	}
	defer m.life.wg.Done()
	ctx, cancel := context.WithTimeout(ctx, pushTimeout)
	defer cancel()
	for i := range p.frames { // the Replica keeps them; the message goes
		p.frames[i] = bytes.Clone(p.frames[i])
	}
	if _, err := m.replica.Deliver(ctx, p.from.String(), p.kind, p.frames); err != nil {
		return nil, err
	}
	if p.kind == Records {
		receipts = m.replica.Receipts(p.frames)
	}
	return receipts, nil
}
