package p2p

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// gossip runs one metastate's topics on a host.
type gossip struct {
	ps      *pubsub.PubSub
	self    peer.ID
	host    host.Host
	replica Replica
	life    *life
	meter   *meter
	allow   *allowlist
	queue   queue
	window  time.Duration
	timer   *time.Timer  // wakes flushLoop
	reader  func(*topic) // delivers a topic until it is left

	mu     sync.Mutex
	topics []*topic // guarded by mu; newest epoch first
}

// A topic is one epoch's.
type topic struct {
	name string
	t    *pubsub.Topic
	sub  *pubsub.Subscription
	born time.Time // when this node joined it
}

func newGossip(ctx context.Context, h host.Host, cfg Config, r Replica, known func(peer.ID) bool, l *life, m *meter) (*gossip, error) {
	g := &gossip{
		self: h.ID(), host: h, replica: r, life: l, meter: m, allow: &allowlist{},
		window: cfg.Coalesce, timer: time.NewTimer(time.Hour),
	}
	params, thresholds := scoreParams(known)
	quiet := slog.New(slog.DiscardHandler) // pubsub logs peers and topics
	ps, err := pubsub.NewGossipSub(ctx, h,
		pubsub.WithGossipSubProtocols([]protocol.ID{gossipProtocol}, features),
		pubsub.WithGossipSubParams(routerParams()),
		pubsub.WithMessageSignaturePolicy(pubsub.StrictNoSign), pubsub.WithNoAuthor(),
		pubsub.WithMessageIdFn(messageID),
		pubsub.WithMaxMessageSize(maxRPC),
		pubsub.WithMaxControlMessageSize(maxRPC/2),
		pubsub.WithPeerOutboundQueueSize(gossipQueue),
		pubsub.WithValidateQueueSize(gossipQueue),
		pubsub.WithSeenMessagesTTL(seenTTL),
		pubsub.WithPeerExchange(false),
		// What this node says first goes to every peer on the topic: the mesh
		// may not have formed yet.
		pubsub.WithFloodPublish(true),
		pubsub.WithPeerScore(params, thresholds),
		pubsub.WithSubscriptionFilter(pubsub.WrapLimitSubscriptionFilter(g.allow, 16)),
		pubsub.WithRawTracer(tracer{m}),
		pubsub.WithLogger(quiet), pubsub.WithRPCLogger(quiet),
	)
	if err != nil {
		return nil, fmt.Errorf("starting gossip: %w", err)
	}
	g.ps = ps
	g.reader = func(t *topic) { g.read(ctx, t) }
	if err := g.refresh(); err != nil {
		return nil, err
	}
	l.run(func() { g.flushLoop(ctx) })
	return g, nil
}

// refresh joins the topics of the replica's newest epochs and leaves others.
func (g *gossip) refresh() error {
	var names []string
	for i, e := range g.replica.Epochs() {
		if i == maxTopics {
			break
		}
		names = append(names, topicName(e.Secret))
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.allow.set(names)
	old := make(map[string]*topic, len(g.topics))
	for _, t := range g.topics {
		old[t.name] = t
	}
	g.topics = nil
	var errs []error
	for _, name := range names {
		t := old[name]
		delete(old, name)
		if t == nil {
			var err error
			if t, err = g.join(name); err != nil {
				errs = append(errs, err)
				continue
			}
		}
		g.topics = append(g.topics, t)
	}
	for _, t := range old {
		t.sub.Cancel() // its reader then leaves the topic
	}
	return errors.Join(errs...)
}

func (g *gossip) join(name string) (*topic, error) {
	fail := func(err error) (*topic, error) { return nil, fmt.Errorf("joining a topic: %w", err) }
	if err := g.ps.RegisterTopicValidator(name, g.validate, pubsub.WithValidatorInline(true)); err != nil {
		return fail(err)
	}
	t, err := g.ps.Join(name)
	if err != nil {
		return fail(err)
	}
	if err := t.SetScoreParams(topicScore()); err != nil {
		return fail(err)
	}
	sub, err := t.Subscribe(pubsub.WithBufferSize(gossipQueue))
	if err != nil {
		return fail(err)
	}
	joined := &topic{name: name, t: t, sub: sub, born: time.Now()}
	if !g.life.run(func() { g.reader(joined) }) {
		return fail(ErrClosed)
	}
	return joined, nil
}

// validate judges a message by its form and transit MACs. Only what is wrong
// for everyone is rejected (SPEC §9.3).
func (g *gossip) validate(_ context.Context, from peer.ID, m *pubsub.Message) pubsub.ValidationResult {
	if from == g.self {
		return pubsub.ValidationAccept
	}
	if !g.life.enter() { // pubsub's workers may outlive Close
		return pubsub.ValidationIgnore
	}
	defer g.life.wg.Done()
	verdict, kind, frames := judge(g.replica, m.GetData())
	switch verdict {
	case Accept:
		m.ValidatorData = message{kind, frames}
		return pubsub.ValidationAccept
	case Ignore:
		return pubsub.ValidationIgnore
	}
	return pubsub.ValidationReject
}

// judge parses a gossip or push message and asks the replica about each frame;
// the worst verdict is the message's.
func judge(r Replica, data []byte) (Verdict, Kind, [][]byte) {
	kind, frames, err := parseEnvelope(data)
	if err != nil {
		return Reject, 0, nil
	}
	if !kind.known() {
		return Ignore, 0, nil // a later version's
	}
	worst := Accept
	for _, f := range frames {
		switch r.Check(kind, f) {
		case Accept:
		case Ignore:
			worst = Ignore
		default:
			return Reject, 0, nil
		}
	}
	return worst, kind, frames
}

// read delivers a topic's messages until it is left. While Deliver works,
// messages wait in the subscription's queue; what overflows is counted.
func (g *gossip) read(ctx context.Context, t *topic) {
	for {
		m, err := t.sub.Next(ctx)
		if err != nil {
			break
		}
		got, ok := m.ValidatorData.(message)
		if !ok {
			continue // our own
		}
		g.meter.count(func(c *Metrics) { c.Gossip.ReceivedM++; c.Gossip.ReceivedF += uint64(len(got.frames)) })
		if _, err := g.replica.Deliver(ctx, m.ReceivedFrom.String(), got.kind, got.frames); err != nil {
			g.meter.count(func(c *Metrics) { c.Loss.FailedF += uint64(len(got.frames)) })
		}
	}
	t.sub.Cancel()
	if ctx.Err() != nil {
		return // the host goes as a whole
	}
	_ = g.ps.UnregisterTopicValidator(t.name)
	_ = t.t.Close()
}

// publish queues frames for the next message.
func (g *gossip) publish(kind Kind, frames [][]byte) error {
	filled, first, err := g.queue.add(kind, frames)
	switch {
	case err != nil:
		g.meter.count(func(c *Metrics) { c.Loss.QueueF += uint64(len(frames)) })
	case filled:
		g.timer.Reset(0)
	case first:
		g.timer.Reset(g.window)
	}
	return err
}

func (g *gossip) flushLoop(ctx context.Context) {
	defer g.timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-g.timer.C:
		}
		t, wait := g.ready()
		if wait > 0 {
			g.timer.Reset(wait)
			continue
		}
		g.flush(ctx, t)
	}
}

// ready returns the topic to publish on, nil if nobody would hear, or how long
// to wait first: what is published in the first second after a peer has come
// reaches nobody and is never repaired by gossip.
func (g *gossip) ready() (*topic, time.Duration) {
	age, ok := g.queue.age()
	if !ok {
		return nil, 0
	}
	g.mu.Lock()
	var t *topic
	if len(g.topics) > 0 {
		t = g.topics[0]
	}
	g.mu.Unlock()
	if t == nil {
		return nil, 0
	}
	peers := t.t.ListPeers()
	if len(peers) == 0 {
		if age >= maxHold || len(g.host.Network().Peers()) == 0 {
			return nil, 0
		}
		return nil, 50 * time.Millisecond
	}
	settled := time.Duration(0) // how long the longest connected has been on the topic, at most
	for _, p := range peers {
		for _, c := range g.host.Network().ConnsToPeer(p) {
			settled = max(settled, time.Since(c.Stat().Opened))
		}
	}
	settled = min(settled, time.Since(t.born))
	return t, min(settleTime-settled, maxHold-age)
}

// flush sends what is queued; with nobody on the topic it is left to sync.
func (g *gossip) flush(ctx context.Context, t *topic) {
	for _, m := range g.queue.take() {
		n := uint64(len(m.frames))
		if t == nil {
			g.meter.count(func(c *Metrics) { c.Loss.UnheardF += n })
			continue
		}
		if err := t.t.Publish(ctx, appendEnvelope(nil, m.kind, m.frames)); err != nil {
			g.meter.count(func(c *Metrics) { c.Loss.PublishF += n })
			continue
		}
		g.meter.count(func(c *Metrics) { c.Gossip.SentM++; c.Gossip.SentF += n })
	}
}
