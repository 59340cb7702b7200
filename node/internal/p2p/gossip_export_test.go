package p2p

import (
	"fmt"
	"sync/atomic"

	pb "github.com/libp2p/go-libp2p-pubsub/pb"
)

// What hosts of tests that are not ours need to speak as we do.
var (
	TopicName      = topicName
	AppendEnvelope = appendEnvelope
)

// FreshID is a message id function that takes no two messages for the same.
func FreshID() func(*pb.Message) string {
	var n atomic.Int64
	return func(*pb.Message) string { return fmt.Sprint(n.Add(1)) }
}

// Announced reports whether any peer is remembered to be on a topic.
func (m *Member) Announced(topic string) bool { return len(m.presence.ps.ListPeers(topic)) > 0 }
