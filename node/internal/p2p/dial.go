package p2p

import (
	"context"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
)

// explore is how often one more peer is dialled though enough are connected:
// two groups of nodes, each content with itself, must meet again.
const explore = 5 * time.Minute

// A dialler keeps the member connected to peers of the book.
type dialler struct {
	member *Member
	timer  *time.Timer // wakes loop
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
		want := min(maxDials, d.lacking())
		if want < 1 && time.Since(explored) > explore {
			want, explored = 1, time.Now()
		}
		due, next := d.member.book.pick(max(want, 0), func(p peer.ID) bool {
			return !d.member.known(p) || d.member.host.Network().Connectedness(p) == network.Connected
		})
		for _, c := range due {
			if !d.member.life.run(func() { d.dial(ctx, c) }) {
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

// lacking is how many more peers to be connected with. Where many metastates
// share a presence and have no peers in common, each has its turn: those whose
// last session is long ago dial also when there are peers enough for all others.
func (d *dialler) lacking() int {
	m := d.member
	n := m.presence.low() - len(m.peers())
	if n > 0 && m.presence.crowded() && time.Since(m.book.lastSync()) < m.presence.cfg.SyncEvery {
		return 0
	}
	return n
}

func (d *dialler) dial(ctx context.Context, c candidate) {
	d.member.presence.meter.count(func(m *Metrics) { m.Dials++ })
	if pr := d.member.presence; !pr.punches() && time.Since(pr.born) < punchWait {
		c.addrs = slices.DeleteFunc(slices.Clone(c.addrs), relayed)
	}
	err := connect(ctx, d.member.host, c, d.member.presence.cfg.Profile.patience())
	if err != nil && ctx.Err() == nil {
		d.member.presence.meter.count(func(m *Metrics) { m.Failures++ })
	}
	d.member.book.dialled(c.id, err)
	d.wake()
}

// connect dials within patience. The swarm's own back-off is lifted: the
// book decides when.
func connect(ctx context.Context, h host.Host, to candidate, patience time.Duration) error {
	if s, ok := h.Network().(*swarm.Swarm); ok {
		s.Backoff().Clear(to.id)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return h.Connect(ctx, peer.AddrInfo{ID: to.id, Addrs: to.addrs})
}
