package p2p

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// gossip runs one metastate's topics on a presence.
type gossip struct {
	member *Member
	meter  *meter
	queue  queue
	heard  pulse        // frames, others' and own
	timer  *time.Timer  // wakes flushLoop
	reader func(*topic) // delivers a topic until it is left

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

// newPubSub starts a presence's gossip, on no topic yet.
func newPubSub(ctx context.Context, pr *Presence) (*pubsub.PubSub, error) {
	params, thresholds := scoreParams(pr.heard)
	quiet := slog.New(slog.DiscardHandler) // pubsub logs peers and topics
	ps, err := pubsub.NewGossipSub(ctx, pr.host,
		pubsub.WithGossipSubProtocols([]protocol.ID{gossipProtocol}, features),
		pubsub.WithGossipSubParams(routerParams()),
		pubsub.WithMessageSignaturePolicy(pubsub.StrictNoSign), pubsub.WithNoAuthor(),
		pubsub.WithMessageIdFn(messageID),
		pubsub.WithMaxMessageSize(maxRPC),
		pubsub.WithMaxControlMessageSize(maxControl),
		pubsub.WithPeerOutboundQueueSize(gossipQueue),
		pubsub.WithValidateQueueSize(gossipQueue),
		pubsub.WithSeenMessagesTTL(seenTTL),
		pubsub.WithPeerExchange(false),
		// Not to every peer on the topic: who is at hand gets what matters by
		// push, and the uplink of a laptop is narrow. Nor does a flood heed the
		// filter of peers, which a shared presence needs.
		pubsub.WithFloodPublish(false),
		pubsub.WithPeerScore(params, thresholds),
		pubsub.WithSubscriptionFilter(pr.topics),
		pubsub.WithPeerFilter(pr.topics.may),
		pubsub.WithRawTracer(tracer{pr.meter}),
		pubsub.WithLogger(quiet), pubsub.WithRPCLogger(quiet),
	)
	if err != nil {
		return nil, fmt.Errorf("starting gossip: %w", err)
	}
	return ps, nil
}

func newGossip(ctx context.Context, m *Member) *gossip {
	g := &gossip{member: m, meter: m.presence.meter, timer: time.NewTimer(time.Hour)}
	g.reader = func(t *topic) { g.read(ctx, t) }
	return g
}

// start joins the topics.
func (g *gossip) start(ctx context.Context) error {
	if _, err := g.refresh(); err != nil {
		return err
	}
	g.member.life.run(func() { g.flushLoop(ctx) })
	return nil
}

// leave leaves every topic; their readers do the rest.
func (g *gossip) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, t := range g.topics {
		t.sub.Cancel()
	}
	g.topics = nil
}

// hears reports whether a peer is on one of the topics.
func (g *gossip) hears(p peer.ID) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.ContainsFunc(g.topics, func(t *topic) bool { return slices.Contains(t.t.ListPeers(), p) })
}

// refresh joins the topics of the replica's epochs in force and leaves others.
// fresh reports whether it joined any.
func (g *gossip) refresh() (fresh bool, err error) {
	var names []string
	for _, e := range g.member.replica.Epochs() {
		if e.Gossip && len(names) < maxTopics {
			names = append(names, topicName(e.Secret))
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
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
			fresh = true
		}
		g.topics = append(g.topics, t)
	}
	for _, t := range old {
		t.sub.Cancel() // its reader then leaves the topic
	}
	return fresh, errors.Join(errs...)
}

func (g *gossip) join(name string) (*topic, error) {
	fail := func(err error) (*topic, error) { return nil, fmt.Errorf("joining a topic: %w", err) }
	ps := g.member.presence.ps
	if err := ps.RegisterTopicValidator(name, g.validate, pubsub.WithValidatorInline(true)); err != nil {
		return fail(err)
	}
	g.member.presence.topics.allow(name, g.member.known)
	t, err := ps.Join(name)
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
	if !g.member.life.run(func() { g.reader(joined) }) {
		return fail(ErrClosed)
	}
	return joined, nil
}

// validate judges a message by its form and transit MACs. Only what is wrong
// for everyone is rejected (SPEC §9.3).
func (g *gossip) validate(_ context.Context, from peer.ID, m *pubsub.Message) pubsub.ValidationResult {
	if from == g.member.host.ID() {
		return pubsub.ValidationAccept
	}
	verdict, kind, frames := g.member.judge(from, m.GetData())
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
		g.heard.beat(len(got.frames), time.Now())
		g.meter.count(func(c *Metrics) { c.Gossip.ReceivedM++; c.Gossip.ReceivedF += uint64(len(got.frames)) })
		if _, err := g.member.replica.Deliver(ctx, m.ReceivedFrom.String(), got.kind, got.frames); err != nil {
			g.meter.count(func(c *Metrics) { c.Loss.FailedF += uint64(len(got.frames)) })
		}
	}
	t.sub.Cancel()
	pr := g.member.presence
	pr.topics.drop(t.name)
	_ = pr.ps.UnregisterTopicValidator(t.name) // no errors that matter: perhaps the host goes as a whole
	_ = t.t.Close()
}

// publish queues frames for the next message.
func (g *gossip) publish(kind Kind, frames [][]byte) error {
	filled, first, err := g.queue.add(kind, frames)
	g.heard.beat(len(frames), time.Now())
	switch {
	case err != nil:
		g.meter.count(func(c *Metrics) { c.Loss.QueueF += uint64(len(frames)) })
	case filled:
		g.timer.Reset(0)
	case first:
		g.timer.Reset(g.patience())
	}
	return err
}

// patience is how long frames wait for others to share a message. What a message
// costs hardly depends on how much is in it, and each is heard several times: where
// so much is said that computers get no further, a longer wait is the shorter.
func (g *gossip) patience() time.Duration {
	if g.heard.rate(time.Now()) >= busyRate {
		return busyWait
	}
	return coalesceWait
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
	peers := slices.DeleteFunc(t.t.ListPeers(), func(p peer.ID) bool { return !g.member.known(p) })
	if len(peers) == 0 {
		if age >= maxHold || len(g.member.peers()) == 0 {
			return nil, 0
		}
		return nil, 50 * time.Millisecond
	}
	settled := time.Duration(0) // how long the longest connected has been on the topic, at most
	for _, p := range peers {
		for _, c := range g.member.host.Network().ConnsToPeer(p) {
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
