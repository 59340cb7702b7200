package gossipbench

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p"
	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/metrics"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
)

// A rival is a host with pubsub as it comes.
type rival struct {
	host  host.Host
	topic *pubsub.Topic
	sub   *pubsub.Subscription
}

// A tally counts what happens at all rivals.
type tally struct {
	duplicates, delivered, dropped atomic.Uint64
}

func (t *tally) DuplicateMessage(*pubsub.Message)      { t.duplicates.Add(1) }
func (t *tally) DeliverMessage(*pubsub.Message)        { t.delivered.Add(1) }
func (t *tally) RejectMessage(*pubsub.Message, string) { t.dropped.Add(1) }
func (t *tally) UndeliverableMessage(*pubsub.Message)  { t.dropped.Add(1) }
func (t *tally) DropRPC(rpc *pubsub.RPC, _ peer.ID)    { t.dropped.Add(uint64(len(rpc.GetPublish()))) }

func (t *tally) OnNewOutboundStream(peer.ID, protocol.ID)             {}
func (t *tally) OnClosedOutboundStream(peer.ID)                       {}
func (t *tally) Join(string)                                          {}
func (t *tally) Leave(string)                                         {}
func (t *tally) Graft(peer.ID, string)                                {}
func (t *tally) Prune(peer.ID, string)                                {}
func (t *tally) ValidateMessage(*pubsub.Message)                      {}
func (t *tally) ThrottlePeer(peer.ID)                                 {}
func (t *tally) RecvRPC(*pubsub.RPC)                                  {}
func (t *tally) SendRPC(*pubsub.RPC, peer.ID)                         {}
func (t *tally) SendRPCCompleted(*pubsub.RPC, peer.ID, time.Duration) {}

// Defaults measures go-libp2p-pubsub's GossipSub, with every option as it comes,
// under the same loads. It repairs nothing: what is lost stays missing.
func Defaults(ctx context.Context, hosts int, loads ...Load) (all []Figures, err error) {
	ctx, cancel := context.WithCancel(ctx)
	p := &rivals{}
	defer func() {
		cancel()
		err = errors.Join(err, p.close())
	}()
	if err := p.gather(ctx, hosts); err != nil {
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

// rivals are connected with each other.
type rivals struct {
	hosts   []*rival
	readers sync.WaitGroup
	bytes   sent
	seen    tally
	now     current
}

func (p *rivals) close() (err error) {
	for _, r := range p.hosts {
		err = errors.Join(err, r.host.Close())
	}
	p.readers.Wait()
	return err
}

func (p *rivals) measure(ctx context.Context, l Load) (f Figures, err error) {
	w := newWatch(len(p.hosts), l)
	p.now.Store(w)
	sent := p.bytes.n.Load()
	dup, got, lost := p.seen.duplicates.Load(), p.seen.delivered.Load(), p.seen.dropped.Load()
	err = w.offer(ctx, len(p.hosts), l, func(host, record int) error {
		return p.hosts[host].topic.Publish(ctx, l.Contents[record])
	})
	if err != nil {
		return f, err
	}
	f = w.figures(l)
	f.Missing = f.Lost
	f.Overhead = float64(p.bytes.n.Load()-sent) / l.payload(len(p.hosts))
	f.Dropped = p.seen.dropped.Load() - lost
	if n := p.seen.delivered.Load() - got; n > 0 {
		f.Duplicates = float64(p.seen.duplicates.Load()-dup) / float64(n)
	}
	return f, nil
}

// gather starts hosts and waits until each has all others on its topic.
func (p *rivals) gather(ctx context.Context, hosts int) error {
	for i := range hosts {
		r, err := newRival(ctx, i, &p.bytes, &p.seen)
		if err != nil {
			return err
		}
		p.hosts = append(p.hosts, r)
		p.readers.Go(func() { r.read(ctx, func(content []byte) { p.now.got(i, content) }) })
		for _, to := range p.hosts[:i] {
			if err := r.host.Connect(ctx, peer.AddrInfo{ID: to.host.ID(), Addrs: to.host.Addrs()}); err != nil {
				return fmt.Errorf("connecting two hosts: %w", err)
			}
		}
	}
	met, cancel := context.WithTimeout(ctx, meeting)
	defer cancel()
	for _, r := range p.hosts {
		for len(r.topic.ListPeers()) < hosts-1 {
			if err := pause(met, 20*time.Millisecond); err != nil {
				return fmt.Errorf("waiting until all hosts are connected: %w", err)
			}
		}
	}
	return pause(ctx, forming)
}

// read hands over what others publish, until ctx ends.
func (r *rival) read(ctx context.Context, got func([]byte)) {
	for {
		m, err := r.sub.Next(ctx)
		if err != nil {
			return
		}
		if m.ReceivedFrom != r.host.ID() {
			got(m.GetData())
		}
	}
}

func newRival(ctx context.Context, i int, count metrics.Reporter, seen *tally) (*rival, error) {
	key, err := crypto.UnmarshalEd25519PrivateKey(ed25519.NewKeyFromSeed(append(make([]byte, 30), 3, byte(i))))
	if err != nil {
		return nil, err
	}
	h, err := libp2p.New(libp2p.Identity(key), libp2p.DisableMetrics(), libp2p.DisableRelay(), libp2p.Ping(false),
		libp2p.BandwidthReporter(count), libp2p.Transport(tcp.NewTCPTransport), libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"))
	if err != nil {
		return nil, err
	}
	fail := func(err error) (*rival, error) { return nil, errors.Join(err, h.Close()) }
	silent := slog.New(slog.DiscardHandler)
	ps, err := pubsub.NewGossipSub(ctx, h, pubsub.WithRawTracer(seen), pubsub.WithLogger(silent), pubsub.WithRPCLogger(silent))
	if err != nil {
		return fail(err)
	}
	topic, err := ps.Join("records")
	if err != nil {
		return fail(err)
	}
	sub, err := topic.Subscribe()
	if err != nil {
		return fail(err)
	}
	return &rival{h, topic, sub}, nil
}
