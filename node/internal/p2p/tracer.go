package p2p

import (
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// A tracer counts what pubsub drops without saying so, and what it refuses.
type tracer struct{ meter *meter }

var _ pubsub.RawTracer = tracer{}

func (t tracer) DuplicateMessage(*pubsub.Message) {
	t.meter.count(func(m *Metrics) { m.Gossip.DuplicateM++ })
}

func (t tracer) RejectMessage(_ *pubsub.Message, reason string) {
	t.meter.count(func(m *Metrics) {
		switch reason {
		case pubsub.RejectValidationQueueFull, pubsub.RejectValidationThrottled:
			m.Loss.InM++
		case pubsub.RejectValidationIgnored:
			m.Gossip.IgnoredM++
		default:
			m.Gossip.RejectedM++
		}
	})
}

func (t tracer) DropRPC(rpc *pubsub.RPC, _ peer.ID) {
	if n := len(rpc.GetPublish()); n > 0 {
		t.meter.count(func(m *Metrics) { m.Loss.OutM += uint64(n) })
	}
}

func (t tracer) UndeliverableMessage(*pubsub.Message) {
	t.meter.count(func(m *Metrics) { m.Loss.InM++ })
}

func (tracer) OnNewOutboundStream(peer.ID, protocol.ID)             {}
func (tracer) OnClosedOutboundStream(peer.ID)                       {}
func (tracer) Join(string)                                          {}
func (tracer) Leave(string)                                         {}
func (tracer) Graft(peer.ID, string)                                {}
func (tracer) Prune(peer.ID, string)                                {}
func (tracer) ValidateMessage(*pubsub.Message)                      {}
func (tracer) DeliverMessage(*pubsub.Message)                       {}
func (tracer) ThrottlePeer(peer.ID)                                 {}
func (tracer) RecvRPC(*pubsub.RPC)                                  {}
func (tracer) SendRPC(*pubsub.RPC, peer.ID)                         {}
func (tracer) SendRPCCompleted(*pubsub.RPC, peer.ID, time.Duration) {}
