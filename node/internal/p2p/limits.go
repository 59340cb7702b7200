package p2p

import (
	"time"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/reconcile"
)

// Every bound on what a peer can make a node hold, compute or wait for stands
// in this file. Sizes are bytes.
const (
	// MaxFrame is the largest frame: the largest outer form.
	MaxFrame = protocol.MaxOuter
	// MaxMessage is the largest gossip or push message.
	MaxMessage = 64 << 10
	// MaxFrames is the most frames a gossip or push message may hold.
	MaxFrames = 512
	// MaxReceipts is the most receipts that an answer to a push may hold.
	MaxReceipts = 64

	coalesceBytes  = 60 << 10 // a message is sent once it holds this much
	maxQueuedBytes = 8 << 20  // frames waiting to be gossiped
	maxRPC         = MaxMessage + 8<<10
	gossipQueue    = 1024 // messages, per peer out and per topic in
	maxTopics      = 2    // the current epoch's and the one before, in overlap

	// Knock's frames (SPEC §9.1).
	MaxKnock  = 64 << 10
	MaxAnswer = 256 << 10

	maxEpochs      = 16        // epochs a handshake proves
	maxBinding     = 4 << 10   // a binding shown in a handshake
	batchTarget    = 128 << 10 // a sync frame of records is sent once it holds this much
	maxBatch       = 300 << 10
	maxBatchFrames = 8192
	maxRecords     = 1 << 30 // records a peer may claim to hold
	idsPerFrame    = 4096
	maxDiffs       = 1 << 20 // ids one reconciliation may yield; beyond it a node streams
	maxNamed       = 1 << 16 // covered records wanted by name in one pass
	maxSpan        = 1 << 16 // frames of a span of history, of one kind
	maxGifts       = 1 << 12 // transfers to a responder in one session
	maxCerts       = 1 << 24
	maxBindings    = 1 << 14
	maxPasses      = 8
	maxStale       = 1024 // frames a session may bring that were held already

	maxInbound      = 8 // sync sessions served at once
	maxOutbound     = 4
	maxPushes       = 16 // push messages handled at once
	maxKnocks       = 16
	maxBook         = 1 << 12 // peers known by address
	maxAddrs        = 8       // addresses of a peer
	maxDials        = 8       // dials at once
	maxRateEntries  = 1 << 12
	sessionMemory   = 1 << 20
	maxTaken        = 20 << 10 // the answer to a push: MaxReceipts of the largest
	pushMemory      = 2*MaxMessage + maxTaken
	knockMemory     = MaxKnock + MaxAnswer
	handshakeFrame  = maxEpochs*32 + maxBinding + 256
	reconcileFrame  = reconcile.MaxMessage
	overviewFrame   = 256
	minDialInterval = 2 * time.Second
)

// Deadlines.
const (
	frameTimeout   = 20 * time.Second // to send or receive one whole frame
	idleTimeout    = 60 * time.Second // for the peer's next step in a session
	sessionTimeout = 10 * time.Minute
	turnTimeout    = time.Second      // to wait for the end of a peer's session before
	slotTimeout    = 30 * time.Second // to wait while another session fetches
	pushTimeout    = 10 * time.Second
	freshRetry     = time.Second // after a first session that failed; doubled up to
	freshRetryMax  = 32 * time.Second
	dialTimeout    = 10 * time.Second
	knockTimeout   = 20 * time.Second // a knock, served or made, per lobby
	lobbyLifetime  = 60 * time.Second // of a stranger's connection
	settleTime     = 1200 * time.Millisecond
	maxHold        = 3 * time.Second // gossip waits no longer for a settled topic
)
