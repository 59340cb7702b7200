package p2p

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"slices"
	"strings"
	"sync"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

const gossipProtocol protocol.ID = "/metastate/gossip/1"

// topicSize is the length of a topic's name.
const topicSize = 26

// topicName names an epoch's topic: base32(HMAC-SHA256(secret, label))[:26],
// 130 bits that only holders of the secret can compute (SPEC §9.3).
func topicName(secret [32]byte) string {
	h := hmac.New(sha256.New, secret[:])
	h.Write([]byte("metastate/topic/v1"))
	return base32.StdEncoding.EncodeToString(h.Sum(nil))[:topicSize]
}

// isTopic reports whether a name can be an epoch's topic. Others are not worth
// their memory.
func isTopic(name string) bool {
	return len(name) == topicSize && strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") == ""
}

// An allowlist is a presence's subscription filter: whose topics it has, and who
// may be on each. Other subscriptions of peers are not even remembered; of a
// shared presence's they are, since a metastate may join it after its peers have
// announced them, and they announce them once.
type allowlist struct {
	shared bool
	mu     sync.Mutex
	names  map[string]func(peer.ID) bool // guarded by mu: who may be on a topic
	others map[peer.ID]map[string]bool   // guarded by mu: what peers announced besides, at most maxAnnounced each
}

var _ pubsub.SubscriptionFilter = (*allowlist)(nil)

func newAllowlist(shared bool) *allowlist {
	return &allowlist{shared: shared, names: map[string]func(peer.ID) bool{}, others: map[peer.ID]map[string]bool{}}
}

// allow lists a topic for the peers that may be on it.
func (a *allowlist) allow(name string, who func(peer.ID) bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.names[name] = who
}

func (a *allowlist) drop(name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.names, name)
}

// forget drops what a peer announced that is connected no more.
func (a *allowlist) forget(p peer.ID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.others, p)
}

func (a *allowlist) CanSubscribe(topic string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.names[topic] != nil
}

// may reports whether a peer may be on a topic: whoever is in another metastate
// of the presence gets nothing of this one's, though it has heard the name.
func (a *allowlist) may(p peer.ID, topic string) bool {
	a.mu.Lock()
	who := a.names[topic]
	a.mu.Unlock()
	return who != nil && who(p)
}

func (a *allowlist) FilterIncomingSubscriptions(from peer.ID, subs []*pb.RPC_SubOpts) ([]*pb.RPC_SubOpts, error) {
	if len(subs) > maxAnnounced {
		return nil, pubsub.ErrTooManySubscriptions
	}
	if !a.shared {
		return pubsub.FilterSubscriptions(subs, a.CanSubscribe), nil
	}
	subs = pubsub.FilterSubscriptions(subs, isTopic)
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.DeleteFunc(subs, func(s *pb.RPC_SubOpts) bool {
		return a.names[s.GetTopicid()] == nil && !a.announced(from, s.GetTopicid(), s.GetSubscribe())
	}), nil
}

// announced notes that a peer is on a topic that this node is not on, or is no
// more; false if it was on too many. Caller holds mu.
func (a *allowlist) announced(from peer.ID, topic string, on bool) bool {
	list := a.others[from]
	switch {
	case !on:
		delete(list, topic)
	case len(list) >= maxAnnounced && !list[topic]:
		return false
	case list == nil:
		a.others[from] = map[string]bool{topic: true}
	default:
		list[topic] = true
	}
	return true
}

// features: gossipsub 1.2 under a name of our own, without peer exchange.
func features(f pubsub.GossipSubFeature, p protocol.ID) bool {
	return p == gossipProtocol && (f == pubsub.GossipSubFeatureMesh || f == pubsub.GossipSubFeatureIdontwant)
}

func routerParams() pubsub.GossipSubParams {
	p := pubsub.DefaultGossipSubParams()
	p.D, p.Dlo, p.Dhi, p.Dout = 6, 4, 12, 2
	p.Dscore = 4
	// Ids of what was passed on are told once, to few: sync repairs, and at
	// hundreds of messages a second lists of ids cost more than the messages.
	p.HistoryLength, p.HistoryGossip, p.Dlazy = 3, 1, 3
	// That a message need not come again is worth telling of large ones only: it
	// costs each of the mesh as much to hear that as to hear a small message.
	p.IDontWantMessageThreshold = 8 << 10
	return p
}

const (
	seenTTL     = 10 * time.Minute
	shunnedCost = -1000
	scoreDecay  = 0.9 // a second, of P2, P4 and P7
)

// scoreParams: P1 0.01, P2 0.5 up to 40, P3 off, P4 −20, P7 −10, topics
// capped at 10, no penalty for sharing an address; −1000 for whom this node does
// not hear (SPEC §9.3). P3 would punish
// quiet communities, address penalties households.
func scoreParams(heard func(peer.ID) bool) (*pubsub.PeerScoreParams, *pubsub.PeerScoreThresholds) {
	params := &pubsub.PeerScoreParams{
		Topics:        map[string]*pubsub.TopicScoreParams{},
		TopicScoreCap: 10,
		AppSpecificScore: func(p peer.ID) float64 {
			if heard(p) {
				return 0
			}
			return shunnedCost
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
