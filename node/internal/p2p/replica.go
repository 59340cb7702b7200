package p2p

import (
	"context"
	"errors"
	"iter"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/reconcile"
)

// A Kind says what frames hold. Its numbers are those of [protocol.Content].
type Kind uint8

// Kinds of frames.
const (
	Records      = Kind(protocol.ContentRecord)
	Agreement    = Kind(protocol.ContentAgreement)
	Certificates = Kind(protocol.ContentCheckpoint)
	Bindings     = Kind(protocol.ContentBinding)
	Snapshots    = Kind(protocol.ContentSnapshot) // pieces; in sessions only
	Receipts     = Kind(protocol.ContentReceipt)  // in answers to pushes only
	Past         = Kind(7)                        // records in inner form; in sessions only, whose peers know the epoch
)

// known reports whether messages of gossip may hold the kind.
func (k Kind) known() bool { return k >= Records && k <= Bindings }

// A Verdict is what a cheap look at a frame says about it.
type Verdict uint8

const (
	// Accept: pass it on and deliver it.
	Accept Verdict = iota
	// Ignore: neither pass it on nor hold it against the peer. For everything
	// that depends on what a node holds: another epoch, an unknown author.
	Ignore
	// Reject: wrong for every node at every time. The peer pays for it.
	Reject
)

// An Epoch is what members of a metastate share while the roll does not shrink
// (SPEC §3.1).
type Epoch struct {
	Secret [32]byte
	Gossip bool // its topic is listened to; the newest's at least, two at most
}

// A Replica is what the ledger offers the network, awake or at rest, its store
// closed until somebody needs it: nothing but Under, Deliver and Receipts has to
// wake it. Every method may be called from several goroutines at once, and none
// after the presence's Close.
type Replica interface {
	// Epochs lists the epochs whose secrets the node holds, newest first; the
	// first 16 open a handshake. After a change the ledger calls
	// [Member.Refresh].
	Epochs() []Epoch
	// Known reports whether the transport peer belongs to a member in good
	// standing, or is a bootstrap of an invite. It is asked often and must
	// be fast. Unknown peers are disconnected and score −1000.
	Known(peerID string) bool
	// Shunned reports whether the peer's device is revoked, or signed two
	// records at one place: its gossip is not heard (score −1000).
	Shunned(peerID string) bool
	// Binding is the node's own signed device binding, at most 4 KiB.
	Binding() []byte
	// CheckBinding judges what a peer that proved an epoch secret showed.
	CheckBinding(peerID string, binding []byte) error
	// Newcomer reports whether the node has no checkpoint yet.
	Newcomer() bool
	// Resting is what [Survey] said under an epoch of a replica that is at rest
	// since; nil if it is not. A session with an equal peer needs nothing else.
	Resting(secret [32]byte) []byte
	// Under is the replica in a session with a peer that proved an epoch, the
	// newest in common. It is awake until release, which is called once.
	Under(secret [32]byte) (h Holdings, release func(), err error)

	// Check judges a gossiped or pushed frame by its form and transit MAC
	// alone. It must be cheap and must not depend on what the node holds,
	// beyond its epochs.
	Check(kind Kind, frame []byte) Verdict
	// Deliver hands over frames, in order. It returns when they are taken:
	// held, pending or found wanting; fresh counts those not held before; of
	// certificates those that moved something, and their lists. An
	// error for which errors.Is(err, ErrPeer) holds means that an honest peer
	// could not have sent them: the session ends. With another error the
	// session ends too, but the peer is not to blame. The slices are the
	// Replica's to keep.
	Deliver(ctx context.Context, from string, kind Kind, frames [][]byte) (fresh int, err error)
	// Receipts are those that this node, as a clerk, signs for pushed records it
	// took, at most MaxReceipts, in outer form. None if there is nothing to sign.
	Receipts(frames [][]byte) [][]byte
}

// Holdings are a [Replica] in a session under an epoch: what they yield is in outer
// form under it, and Deliver, else as the Replica's, takes nothing else.
type Holdings interface {
	Deliver(ctx context.Context, from string, kind Kind, frames [][]byte) (fresh int, err error)
	Store
	Archive
}

// A Store is the part of [Holdings] that a pass reads.
type Store interface {
	// Tip is the height of the latest certificate held, and the id of its value.
	Tip() (height uint64, id [32]byte)
	// Wants is the first height whose certificate the node asks others for: that
	// after the latest, or an earlier one if it may be on another branch.
	Wants() uint64
	// Snapshot freezes the sets for one pass of a session. A set is named by
	// its subject; records a set names may be gone by the time they are asked
	// for.
	Snapshot() (reconcile.Local, error)
	// Control names the control plane's set: it is transferred first, since the
	// others' records rest on it.
	Control() protocol.ID
	// Records yields the outer forms of those of ids that the node holds.
	Records(ids []protocol.ID) iter.Seq2[[]byte, error]
	// Certificates yields those of height from and up, in order.
	Certificates(from uint64) iter.Seq2[[]byte, error]
	// Bindings returns the bindings in force, in outer form: equal bindings
	// are equal bytes on all nodes of an epoch.
	Bindings() [][]byte
}

// Errors that callers branch on.
var (
	// ErrPeer: the peer sent what no honest peer sends.
	ErrPeer = errors.New("peer misbehaves")
	// ErrStranger: the peer does not prove membership.
	ErrStranger = errors.New("peer is no member")
	// ErrTooBig: over a cap of this package.
	ErrTooBig = errors.New("too big")
	// ErrBusy: a queue is full.
	ErrBusy = errors.New("queue full")
	// ErrClosed: the presence is closed.
	ErrClosed = errors.New("closed")
	// ErrUnreachable: no lobby answered.
	ErrUnreachable = errors.New("nobody reachable")
	// ErrRefused: a lobby answered and refused.
	ErrRefused = errors.New("refused")
)
