package p2p

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"strings"
	"testing"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/peer"
	"google.golang.org/protobuf/proto"
)

// SPEC §9.3: the numbers that gossip runs by.
func TestGossipNumbers(t *testing.T) {
	r := routerParams()
	if got := [4]int{r.D, r.Dlo, r.Dhi, r.Dout}; got != [4]int{6, 4, 12, 2} {
		t.Errorf("D, low, high, out are %v", got)
	}
	standing := map[peer.ID]bool{"member": true}
	p, at := scoreParams(func(id peer.ID) bool { return standing[id] })
	s := topicScore()
	for name, x := range map[string][2]float64{
		"P1":                    {s.TimeInMeshWeight, 0.01},
		"P2":                    {s.FirstMessageDeliveriesWeight, 0.5},
		"P2's cap":              {s.FirstMessageDeliveriesCap, 40},
		"P3":                    {s.MeshMessageDeliveriesWeight, 0},
		"P3b":                   {s.MeshFailurePenaltyWeight, 0},
		"P4":                    {s.InvalidMessageDeliveriesWeight, -20},
		"P6":                    {p.IPColocationFactorWeight, 0},
		"P7":                    {p.BehaviourPenaltyWeight, -10},
		"a topic's cap":         {p.TopicScoreCap, 10},
		"gossip threshold":      {at.GossipThreshold, -50},
		"publish threshold":     {at.PublishThreshold, -100},
		"graylist threshold":    {at.GraylistThreshold, -200},
		"P5 of a member":        {p.AppSpecificWeight * p.AppSpecificScore("member"), 0},
		"P5 of somebody else":   {p.AppSpecificWeight * p.AppSpecificScore("nobody"), -1000},
		"seconds ids are known": {p.SeenMsgTTL.Seconds(), 600},
	} {
		if x[0] != x[1] {
			t.Errorf("%s is %v, want %v", name, x[0], x[1])
		}
	}
	if features(pubsub.GossipSubFeaturePX, gossipProtocol) || !features(pubsub.GossipSubFeatureMesh, gossipProtocol) {
		t.Error("peers are exchanged, or there is no mesh")
	}
	if maxRPC < MaxMessage || gossipQueue < 1024 {
		t.Errorf("an RPC holds %d bytes, a queue %d messages", maxRPC, gossipQueue)
	}
	if coalesceWait < 5*time.Millisecond || coalesceWait > 20*time.Millisecond {
		t.Errorf("frames wait %v for others", coalesceWait)
	}
}

func TestMessageID(t *testing.T) {
	m := &pb.Message{Data: []byte("data"), From: []byte("from"), Seqno: []byte{1}}
	if sum := sha256.Sum256([]byte("data")); messageID(m) != string(sum[:]) {
		t.Error("the id is not SHA-256 of the data")
	}
}

// A peer that announces thousands of topics is not remembered by any, and one
// announcement of too many is not read.
func TestSubscriptionsAreFiltered(t *testing.T) {
	f := newAllowlist(false)
	f.allow("ours", func(peer.ID) bool { return true })
	subs := func(names ...string) (out []*pb.RPC_SubOpts) {
		for _, n := range names {
			yes := true
			out = append(out, &pb.RPC_SubOpts{Topicid: &n, Subscribe: &yes})
		}
		return out
	}
	got, err := f.FilterIncomingSubscriptions("p", subs("theirs", "ours", "else"))
	if err != nil || len(got) != 1 || got[0].GetTopicid() != "ours" {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := f.FilterIncomingSubscriptions("p", subs(slices.Repeat([]string{"x"}, maxAnnounced+1)...)); err == nil {
		t.Error("an announcement of any length is read")
	}
}

// Of a shared presence's peers only what can be a topic is remembered, and as
// many as a peer may announce fit one message.
func TestTopicsAnnounced(t *testing.T) {
	f := newAllowlist(true)
	rpc := &pb.RPC{}
	for i := range maxAnnounced {
		name, yes := topicName([32]byte{byte(i), byte(i >> 8)}), true
		rpc.Subscriptions = append(rpc.Subscriptions, &pb.RPC_SubOpts{Topicid: &name, Subscribe: &yes})
	}
	if size := proto.Size(rpc); size > maxControl || size > maxRPC {
		t.Errorf("%d topics take %d bytes of %d", maxAnnounced, size, maxControl)
	}
	if _, err := f.FilterIncomingSubscriptions("p", rpc.Subscriptions); err != nil || len(f.others["p"]) != maxAnnounced {
		t.Errorf("%d are remembered, %v", len(f.others["p"]), err)
	}
	good := topicName([32]byte{})
	for _, bad := range []string{"", good[1:], good + "A", good + strings.Repeat("A", 36<<10), "1" + good[1:], strings.ToLower(good), good[:25] + "="} {
		yes := true
		if _, err := f.FilterIncomingSubscriptions("q", []*pb.RPC_SubOpts{{Topicid: &bad, Subscribe: &yes}}); err != nil || len(f.others["q"]) > 0 {
			t.Errorf("%.40q is remembered, %v", bad, err)
		}
	}
}

// Frames over what a message holds are split, and none over 64 KiB is sent.
func TestMessagesFit(t *testing.T) {
	var frames [][]byte
	for range 40 {
		frames = append(frames, bytes.Repeat([]byte{1}, 5000))
	}
	for _, m := range split(Records, frames) {
		if n := len(appendEnvelope(nil, m.kind, m.frames)); n > MaxMessage {
			t.Errorf("a message of %d bytes", n)
		}
	}
}
