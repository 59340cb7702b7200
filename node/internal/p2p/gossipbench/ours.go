package gossipbench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/metrics"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"

	"github.com/metastate-p2p/metastate/node/internal/p2p"
	"github.com/metastate-p2p/metastate/protocol"
)

const (
	meeting = 60 * time.Second // until all hosts are connected
	forming = 3 * time.Second  // heartbeats in which the mesh settles
)

// A party is members who all know each other.
type party struct {
	members  []*p2p.Member
	replicas []*replica
	bytes    sent
	now      current
}

// loopback is TCP on this machine, its bytes counted.
func loopback(count metrics.Reporter) p2p.Underlay {
	return func(needs ...libp2p.Option) (host.Host, error) {
		return libp2p.New(append(needs, libp2p.BandwidthReporter(count), libp2p.Transport(tcp.NewTCPTransport),
			libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"))...)
	}
}

// Ours measures members, 2 to 20, under one load after the other.
func Ours(ctx context.Context, hosts int, loads ...Load) (all []Figures, err error) {
	p, err := gather(ctx, hosts)
	defer func() { err = errors.Join(err, p.close()) }()
	if err != nil {
		return nil, err
	}
	for _, l := range loads {
		f, err := p.measure(ctx, l)
		if err != nil {
			return nil, err
		}
		all = append(all, f)
	}
	return all, nil
}

func (p *party) measure(ctx context.Context, l Load) (f Figures, err error) {
	w := newWatch(len(p.members), l)
	p.now.Store(w)
	before, sent := p.metrics(), p.bytes.n.Load()
	err = w.offer(ctx, len(p.members), l, func(host, record int) error {
		content := l.Contents[record]
		p.replicas[host].add(content)
		frame := p.replicas[host].epoch.Seal(protocol.ContentRecord, content)
		err := p.members[host].Publish(p2p.Records, frame)
		if errors.Is(err, p2p.ErrBusy) {
			return nil // a loss, and counted as one
		}
		return err
	})
	if err != nil {
		return f, err
	}
	f = w.figures(l)
	f.Overhead = float64(p.bytes.n.Load()-sent) / l.payload(len(p.members))
	after := p.metrics()
	if n := after.Gossip.ReceivedM - before.Gossip.ReceivedM; n > 0 {
		f.Duplicates = float64(after.Gossip.DuplicateM-before.Gossip.DuplicateM) / float64(n)
	}
	f.Dropped = losses(after.Loss) - losses(before.Loss)
	f.Missing, err = p.settle(ctx, l)
	return f, err
}

func losses(l p2p.LossMetrics) uint64 {
	return l.UnheardF + l.QueueF + l.OutM + l.InM + l.FailedF + l.PublishF
}

// gather starts hosts and waits until each is connected to all others.
func gather(ctx context.Context, hosts int) (*party, error) {
	p := &party{}
	secret := [32]byte{1}
	for i := range hosts {
		r := newReplica(secret, func(content []byte) { p.now.got(i, content) })
		m, err := p2p.NewMember(p2p.Config{Seed: [32]byte{2, byte(i), byte(i >> 8)}, Underlay: loopback(&p.bytes)}, r)
		if err != nil {
			return p, err
		}
		p.members, p.replicas = append(p.members, m), append(p.replicas, r)
	}
	for i, m := range p.members {
		for _, to := range p.members[:i] {
			if err := m.AddPeer(p2p.Peer{ID: to.ID(), Addrs: to.Addrs(), Bootstrap: true}); err != nil {
				return p, err
			}
		}
	}
	ctx, cancel := context.WithTimeout(ctx, meeting)
	defer cancel()
	for _, m := range p.members {
		for connected(m) < hosts-1 {
			if err := pause(ctx, 20*time.Millisecond); err != nil {
				return p, fmt.Errorf("waiting until all hosts are connected: %w", err)
			}
		}
	}
	return p, pause(ctx, forming)
}

func connected(m *p2p.Member) (n int) {
	for _, s := range m.Peers() {
		if s.Connected {
			n++
		}
	}
	return n
}

func (p *party) metrics() (sum p2p.Metrics) {
	for _, m := range p.members {
		c := m.Metrics()
		sum.Gossip.ReceivedM += c.Gossip.ReceivedM
		sum.Gossip.DuplicateM += c.Gossip.DuplicateM
		sum.Loss.UnheardF += c.Loss.UnheardF
		sum.Loss.QueueF += c.Loss.QueueF
		sum.Loss.OutM += c.Loss.OutM
		sum.Loss.InM += c.Loss.InM
		sum.Loss.FailedF += c.Loss.FailedF
		sum.Loss.PublishF += c.Loss.PublishF
	}
	return sum
}

// settle has each member sync with its peers, one after the other, and counts
// the records that somebody still lacks.
func (p *party) settle(ctx context.Context, l Load) (missing int, err error) {
	for range 2 { // what the first one gets last, the others lack until it asks again
		for i, m := range p.members {
			if p.replicas[i].holds(l.Contents) == len(l.Contents) {
				continue
			}
			if _, err := m.SyncNow(ctx); err != nil {
				return 0, err
			}
		}
	}
	for _, r := range p.replicas {
		missing = max(missing, len(l.Contents)-r.holds(l.Contents))
	}
	return missing, nil
}

func (p *party) close() error {
	var wg sync.WaitGroup
	errs := make([]error, len(p.members))
	for i, m := range p.members {
		wg.Go(func() { errs[i] = m.Close() })
	}
	wg.Wait()
	return errors.Join(errs...)
}
