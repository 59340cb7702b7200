package p2p

import (
	"context"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	ma "github.com/multiformats/go-multiaddr"
)

// explore is how often one more peer is dialled though enough are connected:
// two groups of nodes, each content with itself, must meet again.
const explore = 5 * time.Minute

// A dialler keeps the presence connected to peers of the book.
type dialler struct {
	host  host.Host
	book  *book
	life  *life
	meter *meter
	low   int // dial until so many peers are connected
	known func(peer.ID) bool
	timer *time.Timer // wakes loop
}

func (d *dialler) wake() { d.timer.Reset(0) }

func (d *dialler) loop(ctx context.Context) {
	defer d.timer.Stop()
	explored := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.timer.C:
		}
		want := min(maxDials, d.low-len(d.host.Network().Peers()))
		if want < 1 && time.Since(explored) > explore {
			want, explored = 1, time.Now()
		}
		due, next := d.book.pick(max(want, 0), func(p peer.ID) bool {
			return !d.known(p) || d.host.Network().Connectedness(p) == network.Connected
		})
		for _, c := range due {
			if !d.life.run(func() { d.dial(ctx, c) }) {
				return
			}
		}
		wait := jitter(explore / 4)
		if !next.IsZero() {
			wait = min(wait, max(time.Until(next), 10*time.Millisecond))
		}
		d.timer.Reset(wait)
	}
}

func (d *dialler) dial(ctx context.Context, c candidate) {
	d.meter.count(func(m *Metrics) { m.Dials++ })
	err := connect(ctx, d.host, c.id, c.addrs)
	if err != nil && ctx.Err() == nil {
		d.meter.count(func(m *Metrics) { m.Failures++ })
	}
	d.book.dialled(c.id, err)
	d.wake()
}

// connect dials within dialTimeout. The swarm's own back-off is lifted: the
// book decides when.
func connect(ctx context.Context, h host.Host, id peer.ID, addrs []ma.Multiaddr) error {
	if s, ok := h.Network().(*swarm.Swarm); ok {
		s.Backoff().Clear(id)
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	return h.Connect(ctx, peer.AddrInfo{ID: id, Addrs: addrs})
}
