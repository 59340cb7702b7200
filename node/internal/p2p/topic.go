package p2p

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"sync"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

const gossipProtocol protocol.ID = "/metastate/gossip/1"

// topicName names an epoch's topic: base32(HMAC-SHA256(secret, label))[:26],
// 130 bits that only holders of the secret can compute (SPEC §9.3).
func topicName(secret [32]byte) string {
	h := hmac.New(sha256.New, secret[:])
	h.Write([]byte("metastate/topic/v1"))
	return base32.StdEncoding.EncodeToString(h.Sum(nil))[:26]
}

// allowlist is a subscription filter whose list changes with the epochs. Other
// subscriptions of peers are not even remembered.
type allowlist struct {
	mu    sync.Mutex
	names map[string]bool // guarded by mu
}

var _ pubsub.SubscriptionFilter = (*allowlist)(nil)

func (a *allowlist) set(names []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.names = make(map[string]bool, len(names))
	for _, n := range names {
		a.names[n] = true
	}
}

func (a *allowlist) CanSubscribe(topic string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.names[topic]
}

func (a *allowlist) FilterIncomingSubscriptions(_ peer.ID, subs []*pb.RPC_SubOpts) ([]*pb.RPC_SubOpts, error) {
	return pubsub.FilterSubscriptions(subs, a.CanSubscribe), nil
}

// features: gossipsub 1.2 under a name of our own, without peer exchange.
func features(f pubsub.GossipSubFeature, p protocol.ID) bool {
	return p == gossipProtocol && (f == pubsub.GossipSubFeatureMesh || f == pubsub.GossipSubFeatureIdontwant)
}

func routerParams() pubsub.GossipSubParams {
	p := pubsub.DefaultGossipSubParams()
	p.D, p.Dlo, p.Dhi, p.Dout = 6, 4, 12, 2
	p.Dscore = 4
	return p
}

const (
	seenTTL      = 10 * time.Minute
	strangerCost = -1000
	scoreDecay   = 0.9 // a second, of P2, P4 and P7
)

// scoreParams: P1 0.01, P2 0.5 up to 40, P3 off, P4 −20, P7 −10, topics
// capped at 10, no penalty for sharing an address (SPEC §9.3). P3 would punish
// quiet communities, address penalties households.
func scoreParams(known func(peer.ID) bool) (*pubsub.PeerScoreParams, *pubsub.PeerScoreThresholds) {
	params := &pubsub.PeerScoreParams{
		Topics:        map[string]*pubsub.TopicScoreParams{},
		TopicScoreCap: 10,
		AppSpecificScore: func(p peer.ID) float64 {
			if known(p) {
				return 0
			}
			return strangerCost
		},
		AppSpecificWeight:         1,
		BehaviourPenaltyWeight:    -10,
		BehaviourPenaltyThreshold: 6,
		BehaviourPenaltyDecay:     scoreDecay,
		DecayInterval:             time.Second,
		DecayToZero:               0.01,
		RetainScore:               seenTTL,
		SeenMsgTTL:                seenTTL,
	}
	return params, &pubsub.PeerScoreThresholds{
		GossipThreshold: -50, PublishThreshold: -100, GraylistThreshold: -200,
		AcceptPXThreshold: 1000, OpportunisticGraftThreshold: 1,
	}
}

func topicScore() *pubsub.TopicScoreParams {
	return &pubsub.TopicScoreParams{
		TopicWeight:      1,
		TimeInMeshWeight: 0.01, TimeInMeshQuantum: time.Second, TimeInMeshCap: 300,
		FirstMessageDeliveriesWeight: 0.5, FirstMessageDeliveriesDecay: scoreDecay, FirstMessageDeliveriesCap: 40,
		InvalidMessageDeliveriesWeight: -20, InvalidMessageDeliveriesDecay: 0.99,
	}
}

// messageID is the SHA-256 of the message: without it, unsigned messages would
// all share the empty id.
func messageID(m *pb.Message) string {
	sum := sha256.Sum256(m.GetData())
	return string(sum[:])
}

// idNames keeps peer ids' texts: pubsub asks for scores with every message, and
// base58 is slow.
type idNames struct {
	mu sync.Mutex
	m  map[peer.ID]string // guarded by mu; at most maxBook
}

func (n *idNames) of(p peer.ID) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	s, ok := n.m[p]
	if !ok {
		if n.m == nil || len(n.m) >= maxBook {
			n.m = map[peer.ID]string{}
		}
		s = p.String()
		n.m[p] = s
	}
	return s
}
