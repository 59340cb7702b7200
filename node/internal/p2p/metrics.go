package p2p

import "sync"

// Metrics is a snapshot of a presence's counters since it started. Of gossip
// and push, M counts messages and F the frames in them.
type Metrics struct {
	Gossip   GossipMetrics
	Loss     LossMetrics
	Sync     SyncMetrics
	Push     PushMetrics
	Relay    RelayMetrics
	Dials    uint64 // tried
	Failures uint64 // dials failed
	Refused  uint64 // connections of unknown peers
	Knocks   uint64 // answered by the lobby, also by a refusal
	Declined uint64 // knocks over a limit or malformed
}

// GossipMetrics counts gossip.
type GossipMetrics struct {
	SentM, SentF         uint64
	ReceivedM, ReceivedF uint64 // accepted, new to this node
	DuplicateM           uint64
	IgnoredM, RejectedM  uint64
}

// LossMetrics counts gossip that was lost. Sync repairs every loss.
type LossMetrics struct {
	UnheardF uint64 // published while nobody was on the topic
	QueueF   uint64 // published while the queue was full
	OutM     uint64 // full queue towards one peer
	InM      uint64 // Deliver or validation slower than the peers
	FailedF  uint64 // Deliver returned an error
	PublishF uint64 // libp2p would not publish
}

// SyncMetrics counts sync sessions and what they carried.
type SyncMetrics struct {
	Sessions, Equal, Failed uint64 // begun by this node; found nothing to do; failed
	Served, ServedFailed    uint64 // begun by peers
	Misbehaved              uint64 // sessions that ended by ErrPeer or ErrStranger
	FramesIn, FramesOut     uint64
	FreshIn                 uint64 // frames that were not held before
	BytesIn, BytesOut       uint64
}

// PushMetrics counts pushed messages.
type PushMetrics struct {
	Sent, Acked, Received, Refused uint64
}

// RelayMetrics counts what a relay did for others.
type RelayMetrics struct {
	Reservations, Circuits uint64 // granted
	Open                   uint64 // circuits there are now
	Refused                uint64 // requests for either
	Bytes                  uint64 // carried by circuits
}

// A meter is the Metrics under way.
type meter struct {
	mu sync.Mutex
	m  Metrics // guarded by mu
}

func (c *meter) count(f func(*Metrics)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(&c.m)
}

func (c *meter) snapshot() Metrics {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.m
}
