package p2p

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"golang.org/x/time/rate"
)

// shares divides a bandwidth equally among sources that want more than there is,
// however many streams each has: of those that wait the one goes first whose source
// has had least (start-time fair queueing).
type shares struct {
	rate *rate.Limiter

	mu      sync.Mutex
	busy    bool             // what was given last is not paid for; guarded by mu, like all below
	now     int64            // the start of what was given last, in bytes of each source
	ends    map[string]int64 // where what was given to a source ends, if that is after now
	waiting []turn           // by start, then by arrival
}

// A turn is one stream's that waits for n bytes.
type turn struct {
	start int64
	n     int
	begin func()
}

func newShares(r *rate.Limiter) *shares { return &shares{rate: r, ends: map[string]int64{}} }

// wait returns once a source may have n bytes, at most the rate's burst, or ctx has
// ended. Bytes are paid for by those that come after: who has one stream is back by
// then with what it wants next.
func (s *shares) wait(ctx context.Context, source string, n int) {
	s.mu.Lock()
	start := max(s.now, s.ends[source])
	s.ends[source] = start + int64(n)
	ready := make(chan struct{})
	s.enqueue(turn{start, n, func() { close(ready) }})
	if !s.busy {
		s.give()
	}
	s.mu.Unlock()
	select {
	case <-ready:
	case <-ctx.Done():
	}
}

// next gives to those that wait, once what was given before is paid for.
func (s *shares) next() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.give()
}

// give is next with s.mu held.
func (s *shares) give() {
	for len(s.waiting) > 0 {
		t := s.waiting[0]
		s.waiting = slices.Delete(s.waiting, 0, 1)
		s.now = t.start
		if len(s.ends) >= maxRateEntries {
			s.forget()
		}
		t.begin()
		if d := s.rate.ReserveN(time.Now(), t.n).Delay(); d > 0 {
			s.busy = true
			time.AfterFunc(d, s.next)
			return
		}
	}
	s.busy, s.now = false, 0
	clear(s.ends)
}

// enqueue puts a turn in its place. The caller holds s.mu.
func (s *shares) enqueue(t turn) {
	i, _ := slices.BinarySearchFunc(s.waiting, t, func(a, b turn) int { return cmp.Or(cmp.Compare(a.start, b.start), -1) })
	s.waiting = slices.Insert(s.waiting, i, t)
}

// forget drops sources that have nothing to come. The caller holds s.mu.
func (s *shares) forget() {
	for source, end := range s.ends {
		if end <= s.now {
			delete(s.ends, source)
		}
	}
}

// A sharedHost is a host all of whose streams of a service share a bandwidth: what
// is read from one waits for its source's share, which holds the sender back.
type sharedHost struct {
	host.Host
	ctx    context.Context // ends with the presence
	shares *shares
	source func(network.Conn) string
}

func (h sharedHost) SetStreamHandler(id protocol.ID, f network.StreamHandler) {
	h.Host.SetStreamHandler(id, func(s network.Stream) { f(h.share(s)) })
}

func (h sharedHost) NewStream(ctx context.Context, p peer.ID, ids ...protocol.ID) (network.Stream, error) {
	s, err := h.Host.NewStream(ctx, p, ids...)
	if err != nil {
		return nil, err
	}
	return h.share(s), nil
}

func (h sharedHost) share(s network.Stream) network.Stream {
	return sharedStream{s, h, h.source(s.Conn())}
}

type sharedStream struct {
	network.Stream
	host   sharedHost
	source string
}

func (s sharedStream) Read(b []byte) (n int, err error) {
	n, err = s.Stream.Read(b[:min(len(b), circuitBuffer)])
	if n > 0 {
		s.host.shares.wait(s.host.ctx, s.source, n)
	}
	return n, err
}
