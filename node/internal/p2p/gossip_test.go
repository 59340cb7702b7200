package p2p_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p"
	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	libp2pprotocol "github.com/libp2p/go-libp2p/core/protocol"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/metastate-p2p/metastate/node/internal/p2p"
	"github.com/metastate-p2p/metastate/node/internal/p2p/p2psim"
)

// A gossiper is a bare pubsub host among members, who know its transport key.
type gossiper struct {
	host.Host
	ps    *pubsub.PubSub
	topic *pubsub.Topic
	sub   *pubsub.Subscription
}

// newGossiper joins the topic of a secret, connected to member 0.
func newGossiper(t *testing.T, w *town, machine int, secret [32]byte) *gossiper {
	t.Helper()
	h, err := w.net.Underlay(machine, port)(libp2p.ResourceManager(&network.NullResourceManager{}), libp2p.DisableMetrics())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range w.replicas {
		r.Know(true, h.ID().String())
	}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	quiet := slog.New(slog.DiscardHandler)
	ps, err := pubsub.NewGossipSub(ctx, h,
		pubsub.WithGossipSubProtocols([]libp2pprotocol.ID{"/metastate/gossip/1"}, func(f pubsub.GossipSubFeature, _ libp2pprotocol.ID) bool {
			return f == pubsub.GossipSubFeatureMesh
		}),
		pubsub.WithMessageSignaturePolicy(pubsub.StrictNoSign), pubsub.WithNoAuthor(),
		pubsub.WithLogger(quiet), pubsub.WithRPCLogger(quiet), pubsub.WithFloodPublish(true),
		// Without memory of its own: it says the same as often as asked.
		pubsub.WithMessageIdFn(p2p.FreshID()),
	)
	if err != nil {
		t.Fatal(err)
	}
	topic, err := ps.Join(p2p.TopicName(secret))
	if err != nil {
		t.Fatal(err)
	}
	sub, err := topic.Subscribe()
	if err != nil {
		t.Fatal(err)
	}
	target, _ := peer.Decode(id(0))
	if err := h.Connect(t.Context(), peer.AddrInfo{ID: target, Addrs: []ma.Multiaddr{ma.StringCast(p2psim.Addr(0, port))}}); err != nil {
		t.Fatal(err)
	}
	time.Sleep(3 * time.Second) // streams and mesh
	return &gossiper{h, ps, topic, sub}
}

func (g *gossiper) say(t *testing.T, frames ...[]byte) {
	t.Helper()
	if err := g.topic.Publish(t.Context(), p2p.AppendEnvelope(nil, p2p.Records, frames)); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second)
}

// sealed is a frame of a record that nobody holds yet.
func sealed(secret [32]byte, text string) []byte {
	return p2p.NewMemReplica("b", secret).Add(plane, text)
}

// SPEC §9.3: what a partition or a rotation explains costs a peer nothing; what
// is wrong for everyone costs it the ear of whoever got it.
func TestRejectAndIgnore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, 2)
		defer w.close(t)
		w.connected(t, 1)
		g := newGossiper(t, w, 50, secret)
		defer g.Close()
		for i := range 20 {
			g.say(t, sealed([32]byte{9}, fmt.Sprint("of another epoch ", i)))
		}
		g.say(t, sealed(secret, "good"))
		if m := w.members[0].Metrics().Gossip; !w.replicas[0].Has("good") || m.IgnoredM != 20 || m.RejectedM != 0 {
			t.Errorf("messages of another epoch are held against a peer: %+v", m)
		}
		for i := range 4 {
			f := sealed(secret, fmt.Sprint("damaged ", i))
			f[len(f)-1] ^= 1
			g.say(t, f)
		}
		g.say(t, sealed(secret, "good, too"))
		if m := w.members[0].Metrics().Gossip; w.replicas[0].Has("good, too") || m.RejectedM < 3 {
			t.Errorf("who sends what is wrong for everyone is heard: %+v", m)
		}
		if peers(w.members[0]) != 2 {
			t.Error("the connection is cut")
		}
	})
}

// A peer whose device was revoked or signed twice is not heard, and goes on
// syncing.
func TestShunnedPeerIsNotHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, 2)
		defer w.close(t)
		w.connected(t, 1)
		g := newGossiper(t, w, 50, secret)
		defer g.Close()
		g.say(t, sealed(secret, "before"))
		w.replicas[0].Shun(g.ID().String())
		time.Sleep(2 * time.Second) // scores are taken anew each second
		g.say(t, sealed(secret, "after"))
		if !w.replicas[0].Has("before") || w.replicas[0].Has("after") {
			t.Error("not heard before, or heard after")
		}
		if _, err := w.members[0].SyncNow(t.Context()); err != nil {
			t.Error(err)
		}
		w.replicas[0].Shun(id(1))
		w.replicas[1].Add(plane, "by sync")
		if _, err := w.members[0].SyncNow(t.Context()); err != nil || !w.replicas[0].Has("by sync") {
			t.Error("no sync with a shunned peer", err)
		}
	})
}

// Who missed a change of the epoch is heard while both overlap, and then by sync
// alone, which is under what both hold.
func TestEpochsOverlap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, 3)
		defer w.close(t)
		w.connected(t, 2)
		for i := range 2 {
			w.replicas[i].SetSecrets([32]byte{9}, secret)
			if err := w.members[i].Refresh(); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(3 * time.Second)
		heard := func(text string) bool { // by gossip: what a session brings is no sign of a topic
			before := w.members[0].Metrics().Gossip.ReceivedF
			if err := w.members[2].Publish(p2p.Records, w.replicas[2].Add(plane, text)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(4 * time.Second)
			return w.members[0].Metrics().Gossip.ReceivedF > before
		}
		if !heard("under the one before") {
			t.Error("the epoch before is not heard")
		}
		for i := range 2 {
			w.replicas[i].Hear(1)
			if err := w.members[i].Refresh(); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(3 * time.Second)
		if heard("too late") {
			t.Error("the topic of an epoch that is over was not left")
		}
		for begins, m := range map[string]*p2p.Member{"who missed it": w.members[2], "who did not": w.members[0]} {
			w.replicas[0].Add(plane, "under the newest, sync by "+begins)
			if _, err := m.SyncNow(t.Context()); err != nil {
				t.Fatal(err)
			}
			if !w.replicas[0].Has("too late") || !w.replicas[2].Has("under the newest, sync by "+begins) {
				t.Error("nodes of two epochs do not sync, where it begins", begins)
			}
		}
	})
}

// Messages carry neither author nor signature, go by a protocol and a topic of
// our own, and one that is signed is not taken.
func TestNobodyIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, 2)
		defer w.close(t)
		w.connected(t, 1)
		g := newGossiper(t, w, 50, secret)
		defer g.Close()
		if err := w.members[0].Publish(p2p.Records, w.replicas[0].Add(plane, "who said that?")); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		m, err := g.sub.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if m.From != nil || m.Seqno != nil || m.Signature != nil || m.Key != nil {
			t.Errorf("%v", m.Message)
		}
		target, _ := peer.Decode(id(0))
		protos, err := g.Peerstore().GetProtocols(target)
		if err != nil || !slices.Contains(protos, "/metastate/gossip/1") ||
			slices.ContainsFunc(protos, func(p libp2pprotocol.ID) bool {
				return strings.Contains(string(p), "meshsub") || strings.Contains(string(p), "floodsub")
			}) {
			t.Errorf("protocols %v, %v", protos, err)
		}
		key := g.Peerstore().PrivKey(g.ID())
		if err := g.topic.Publish(t.Context(), p2p.AppendEnvelope(nil, p2p.Records, [][]byte{sealed(secret, "signed")}),
			pubsub.WithSecretKeyAndPeerId(key, g.ID())); err == nil {
			time.Sleep(time.Second)
		}
		if w.replicas[0].Has("signed") {
			t.Error("a message that names its author is taken")
		}
	})
}

// While frames can't be judged, or the store stands still, a thousand messages
// wait; what comes beyond that is lost, counted, and brought by sync.
func TestQueuesHoldAThousand(t *testing.T) {
	for name, hold := range map[string]func(*p2p.MemReplica, func()){
		"judging": (*p2p.MemReplica).OnCheck, "taking": (*p2p.MemReplica).OnTake,
	} {
		t.Run(name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { holdAThousand(t, hold) }) })
	}
}

func holdAThousand(t *testing.T, hold func(*p2p.MemReplica, func())) {
	w := newTown(t, 2)
	defer w.close(t)
	w.connected(t, 1)
	time.Sleep(3 * time.Second)
	release := make(chan struct{})
	hold(w.replicas[1], func() { <-release })
	say := func(from, to int) {
		for i := from; i < to; i++ {
			if err := w.members[0].Publish(p2p.Records, w.replicas[0].Add(plane, fmt.Sprint("record ", i))); err != nil {
				t.Fatal(err)
			}
			time.Sleep(15 * time.Millisecond) // a message of its own
		}
	}
	say(0, 1000)
	if m := w.members[1].Metrics(); m.Loss != (p2p.LossMetrics{}) {
		t.Errorf("lost with a thousand waiting: %+v", m.Loss)
	}
	say(1000, 1200)
	if m := w.members[1].Metrics(); m.Loss.InM < 100 || m.Loss.InM > 200 {
		t.Errorf("of 1200 messages that nobody takes, %d are counted as lost", m.Loss.InM)
	}
	close(release)
	time.Sleep(time.Second)
	if _, err := w.members[1].SyncNow(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := w.replicas[1].Counts()[0]; n != 1200 {
		t.Errorf("%d records after sync", n)
	}
}

// As much as may wait to be gossiped goes out at once, and nothing of it is lost.
func TestBurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, 3)
		defer w.close(t)
		w.connected(t, 2)
		time.Sleep(3 * time.Second)
		var frames [][]byte
		for i := range 130 { // each a message of its own, 7.8 MB
			frames = append(frames, w.replicas[0].Add(plane, fmt.Sprint(i, strings.Repeat("x", 60_000))))
		}
		if err := w.members[0].Publish(p2p.Records, frames...); err != nil {
			t.Fatal(err)
		}
		eventually(t, 10*time.Second, "all of it", w.all(func(r *p2p.MemReplica) bool { return r.Counts()[0] == 130 }))
		for _, m := range w.members {
			if l := m.Metrics().Loss; l != (p2p.LossMetrics{}) {
				t.Errorf("lost: %+v", l)
			}
		}
		if err := w.members[0].Publish(p2p.Records, append(frames, frames...)...); !errors.Is(err, p2p.ErrBusy) {
			t.Error("more than may wait:", err)
		}
	})
}

// What came once is not taken again within ten minutes.
func TestSeenForTenMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, 2)
		defer w.close(t)
		w.connected(t, 1)
		g := newGossiper(t, w, 50, secret)
		defer g.Close()
		f := sealed(secret, "once")
		g.say(t, f)
		before := w.members[0].Metrics().Gossip
		if before.ReceivedM != 1 {
			t.Fatalf("%+v", before)
		}
		time.Sleep(9*time.Minute + 30*time.Second)
		g.say(t, f)
		if after := w.members[0].Metrics().Gossip; after.ReceivedM != 1 || after.DuplicateM == before.DuplicateM {
			t.Errorf("after nine minutes it is new again: %+v", after)
		}
	})
}

// A peer may announce any number of topics: it is told of none, and others go on.
func TestSubscriptionFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, 2)
		defer w.close(t)
		w.connected(t, 1)
		g := newGossiper(t, w, 50, secret)
		defer g.Close()
		for i := range 3000 {
			topic, err := g.ps.Join(fmt.Sprint("topic ", i))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := topic.Subscribe(); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(5 * time.Second)
		for i := range 3000 {
			if w.members[0].Announced(fmt.Sprint("topic ", i)) {
				t.Fatalf("topic %d of a peer is remembered", i)
			}
		}
		if err := w.members[1].Publish(p2p.Records, w.replicas[1].Add(plane, "heard all the same")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if !w.replicas[0].Has("heard all the same") {
			t.Error("gossip stands still")
		}
	})
}
