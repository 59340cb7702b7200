package p2p

import (
	"time"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/reconcile"
)

// Bounds on what a peer can make a node hold, compute or wait for. Those of
// relays, lobbies, places, history and back-off stand where they are kept
// (relay.go, lobby.go, reserve.go, level.go, book.go). Sizes are bytes.
const (
	// MaxFrame is the largest frame: the largest outer form.
	MaxFrame = protocol.MaxOuter
	// MaxMessage is the largest gossip or push message.
	MaxMessage = 64 << 10
	// MaxFrames is the most frames a gossip or push message may hold.
	MaxFrames = 512
	// MaxReceipts is the most receipts that an answer to a push may hold.
	MaxReceipts = 64

	coalesceBytes  = 60 << 10                          // a message is sent once it holds this much
	maxQueuedBytes = 8 << 20                           // frames waiting to be gossiped
	maxRPC         = 256 << 10                         // a first message that names the topics of many metastates
	maxControl     = maxAnnounced*subscription + 4<<10 // pubsub doesn't split the first announcement
	subscription   = topicSize + 10                    // bytes that announce a topic, at most
	gossipQueue    = 1024                              // messages, per peer out and per topic in
	busyRate       = 400                               // frames a second, of a metastate
	maxMembers     = 1 << 10                           // metastates on a presence
	maxAnnounced   = 2 * maxMembers                    // topics that a peer may announce
	minPeers       = 2                                 // per metastate, however many share a presence
	maxTopics      = 2                                 // the current epoch's and the one before, in overlap

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
	maxNamed       = 1 << 16 // covered records wanted by name in one pass
	maxSpan        = 1 << 16 // frames of a span of history, of one kind
	intakeRecords  = 2048    // records that are verified together
	intakeBytes    = 1 << 20 // or so many bytes of them
	maxWorkers     = 8       // that verify at once
	maxGifts       = 1 << 12 // transfers to a responder in one session
	maxCerts       = 1 << 24
	maxBindings    = 1 << 14
	maxPasses      = 8
	sketchPasses   = 2       // of these, that may take sketches
	certFrames     = 32      // of a certificate and its lists, mostly fewer
	maxPassed      = 1 << 16 // heights of which certificates are asked for again
	maxStale       = 1024    // frames a session may bring that were held already

	sketchBurst = 1 << 22 // ids and symbols gone through to make sketches for a peer, at some 0.4 µs
	sendBurst   = 1 << 30 // bytes sent to a peer in sessions: a newcomer's million records and more
	stepCost    = 4 << 10 // bytes that a step counts as, besides those sent

	maxInbound      = 8 // sync sessions served at once
	maxOutbound     = 4
	maxPushes       = 16 // push messages handled at once
	maxKnocks       = 16
	maxBook         = 1 << 12 // peers known by address
	maxAddrs        = 8       // addresses of a peer
	maxDials        = 8       // dials at once
	maxRateEntries  = 1 << 12
	maxNearbyPeers  = 256 // members found on the local networks
	sessionMemory   = 1 << 20
	maxTaken        = 20 << 10 // the answer to a push: MaxReceipts of the largest
	pushMemory      = 2*MaxMessage + maxTaken
	knockMemory     = MaxKnock + MaxAnswer
	handshakeFrame  = maxEpochs*32 + maxBinding + 256
	reconcileFrame  = reconcile.MaxRequest
	replyFrame      = reconcile.MaxReply
	overviewFrame   = 256
	minDialInterval = 2 * time.Second
	newsInterval    = time.Minute // between dials of a peer at ever new addresses
)

// MaxNearby is how long a presence may show itself on the local networks.
const MaxNearby = time.Hour

// Deadlines.
const (
	flushAfter     = 5 * time.Millisecond // without anything more to verify together
	frameTimeout   = 20 * time.Second     // to send or receive one whole frame
	idleTimeout    = 60 * time.Second     // for the peer's next step in a session
	sessionTimeout = 10 * time.Minute
	sketchRefill   = 10 * time.Minute // until sketchBurst is there again
	sendRefill     = 30 * time.Minute // until sendBurst is there again
	turnTimeout    = time.Second      // to wait for the end of a peer's session before
	silenceTimeout = 5 * time.Second  // of the session that fetches, until another begins to
	slotTimeout    = 30 * time.Second // to wait while another session fetches
	pushTimeout    = 10 * time.Second
	freshRetry     = time.Second // after a first session that failed; doubled up to
	freshRetryMax  = 32 * time.Second
	tellAfter      = 15 * time.Second // a session brought something, to ask the other peers
	dialTimeout    = 10 * time.Second
	torTimeout     = time.Minute      // to dial through Tor
	knockTimeout   = 20 * time.Second // a knock, served or made, per lobby
	punchWait      = 10 * time.Second // for a host to get ready to punch holes
	punchRetry     = 10 * time.Second // after a circuit was made without a direct connection; doubled up to
	punchRetryMax  = 20 * time.Minute
	circuitGrace   = 5 * time.Second       // a circuit stays after a direct connection has come
	lobbyLifetime  = 60 * time.Second      // of a stranger's connection
	coalesceWait   = 10 * time.Millisecond // frames for others to share a gossip message
	busyWait       = 60 * time.Millisecond // the same while busyRate frames a second are heard
	settleTime     = 1200 * time.Millisecond
	nearbyRetry    = 10 * time.Second
	maxHold        = 3 * time.Second // gossip waits no longer for a settled topic
)
