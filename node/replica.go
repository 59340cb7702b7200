package node

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/node/internal/p2p"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/certificate"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
	"github.com/metastate-p2p/metastate/protocol/reconcile"
	"github.com/metastate-p2p/metastate/protocol/state"
	"github.com/metastate-p2p/metastate/store"
)

// A replica is a ledger as the network sees it: everything it gives is in
// outer form, and everything it takes is opened and checked.
type replica struct {
	ledger *ledger
	device identity.PublicKey // this node's own
	keys   *keyring
	under  *protocol.Epoch // of the session that this is r in; nil outside of any
	clerk  *clerk          // nil until the node may be one
	fetch  func()          // asks for a sync soon
	from   uint64          // height from which a newcomer takes a snapshot first
	*acquaintances
}

// acquaintances are the transport peers and devices that a replica knows of.
type acquaintances struct {
	mu       sync.Mutex
	own      []byte                            // guarded by mu: this device's signed binding
	ownPeer  string                            // guarded by mu: the transport peer it names
	bindings map[identity.PublicKey]peerRecord // guarded by mu: by device
	claims   claims                            // guarded by mu: of transport peers among members
	doors    claims                            // guarded by mu: of lobbies
	early    [][]byte                          // guarded by mu: bindings of devices not on the roll yet
	friends  map[string]bool                   // guarded by mu: whom the invite's answer named
	paces    map[identity.PublicKey]pace       // guarded by mu: of renewals, by device
	room     int                               // bindings held at most
	clock    clockwatch
}

// claims are, for each transport peer, the devices whose bindings name it.
type claims map[string]map[identity.PublicKey]bool

func (c claims) add(peer string, device identity.PublicKey) {
	if c[peer] == nil {
		c[peer] = map[identity.PublicKey]bool{}
	}
	c[peer][device] = true
}

func (c claims) drop(peer string, device identity.PublicKey) {
	delete(c[peer], device)
	if len(c[peer]) == 0 {
		delete(c, peer)
	}
}

// A peerRecord is a device's binding as it came and as it reads.
type peerRecord struct {
	signed []byte
	proven bool // shown by the peer itself, which the transport had verified
	identity.Binding
}

var _ p2p.Holdings = (*replica)(nil)

const (
	maxBindings = 1 << 14
	maxEarly    = 256 // bindings that came before what puts their device on the roll
)

func newReplica(l *ledger, keys *keyring) *replica {
	r := &replica{ledger: l, keys: keys, from: snapshotFrom, acquaintances: &acquaintances{
		bindings: map[identity.PublicKey]peerRecord{}, claims: claims{}, doors: claims{},
		friends: map[string]bool{}, paces: map[identity.PublicKey]pace{}, room: maxBindings,
	}}
	r.loadBindings()
	return r
}

// Check judges a frame by its form and MAC.
func (r *replica) Check(kind p2p.Kind, frame []byte) p2p.Verdict {
	switch err := r.check(protocol.Content(kind), frame); {
	case err == nil:
		return p2p.Accept
	case errors.Is(err, protocol.ErrOtherEpoch):
		return p2p.Ignore
	}
	return p2p.Reject
}

// Deliver opens frames and takes in what they hold.
func (r *replica) Deliver(_ context.Context, peer string, kind p2p.Kind, frames [][]byte) (fresh int, err error) {
	if kind == p2p.Past {
		return r.records(frames)
	}
	contents := make([][]byte, 0, len(frames))
	for _, f := range frames {
		c, err := r.unseal(protocol.Content(kind), f)
		if errors.Is(err, protocol.ErrOtherEpoch) && r.under == nil {
			continue // no longer in force; in a session the epoch was agreed on
		}
		if err != nil {
			return 0, fmt.Errorf("%w: %w", p2p.ErrPeer, err)
		}
		contents = append(contents, c)
	}
	switch kind {
	case p2p.Records:
		return r.records(contents)
	case p2p.Certificates:
		return r.checkpoints(contents)
	case p2p.Bindings:
		return r.peers(contents)
	case p2p.Snapshots:
		return r.snapshotPieces(peer, contents)
	case p2p.Agreement:
		return len(contents), r.agreement(contents)
	}
	return 0, fmt.Errorf("%w: unknown kind", p2p.ErrPeer)
}

func (r *replica) records(inners [][]byte) (int, error) {
	d, err := r.ledger.deliver(inners)
	if err != nil {
		return d.fresh, err
	}
	for _, x := range d.refused {
		if !errors.Is(x.err, state.ErrRefused) { // malformed or forged: no honest peer passes it on
			return d.fresh, fmt.Errorf("%w: %w", p2p.ErrPeer, x.err)
		}
	}
	if d.waiting > 0 {
		r.fetch()
	}
	return d.fresh, nil
}

// checkpoints takes in certificates and lists. Fresh are certificates that moved
// something, and their lists, which may have come before.
func (r *replica) checkpoints(parts [][]byte) (fresh int, err error) {
	for _, p := range parts {
		rd := dagcbor.NewReader(p)
		n, kind, b := rd.Array(2), rd.Uint(), rd.Bytes(len(p))
		if err := rd.End(); err != nil || n != 2 {
			return fresh, fmt.Errorf("%w: a checkpoint's part is malformed", p2p.ErrPeer)
		}
		switch kind {
		case partChunk:
			err = r.ledger.addChunk(b)
		case partCertificate:
			before := r.ledger.standing()
			if err = r.certificate(b); r.ledger.standing() != before {
				fresh += 1 + listsOf(b)
			}
		default:
			err = p2p.ErrPeer
		}
		if err != nil {
			return fresh, err
		}
	}
	return fresh, nil
}

// listsOf is how many lists an encoded certificate names.
func listsOf(b []byte) (n int) {
	cert, err := certificate.ParseCertificate(b)
	if err != nil {
		return 0
	}
	v, err := certificate.ParseValue(cert.Value)
	if err != nil {
		return 0
	}
	for range v.ChunkNames() {
		n++
	}
	return n
}

func (r *replica) certificate(b []byte) error {
	cert, err := certificate.ParseCertificate(b)
	if err != nil {
		return fmt.Errorf("%w: %w", p2p.ErrPeer, err)
	}
	before := r.ledger.currentTip().Ref().Height
	err = r.ledger.finalise(cert)
	if tip := r.ledger.currentTip(); err == nil && r.under == nil && tip.Ref().Height == before+1 { // gossiped, and new
		r.clock.note(tip.State().AsOf(), time.Now())
	}
	if errors.Is(err, errStopped) {
		return nil // it goes on with what it may take
	}
	if errors.Is(err, errWaiting) || errors.Is(err, errBranch) {
		r.fetch()
		return nil
	}
	return err
}

func (r *replica) peers(list [][]byte) (fresh int, err error) {
	for _, b := range list {
		ok, err := r.addBinding(b)
		switch {
		case errors.Is(err, p2p.ErrPeer):
			return fresh, err
		case errors.Is(err, p2p.ErrStranger):
			r.putOff(b)
		case ok:
			fresh++
		}
	}
	if fresh > 0 {
		r.ledger.changed()
	}
	return fresh, nil
}

func (r *replica) agreement(msgs [][]byte) error {
	if r.clerk == nil {
		return nil
	}
	for _, m := range msgs {
		kind, b, err := parseAgreementPart(m)
		if err != nil {
			return fmt.Errorf("%w: %w", p2p.ErrPeer, err)
		}
		if kind == partChunk {
			if err := r.ledger.addChunk(b); err != nil {
				return fmt.Errorf("%w: %w", p2p.ErrPeer, err)
			}
			continue
		}
		_ = r.clerk.receive(b) // of another height its clerks may be others: no fault
	}
	return nil
}

// seal puts contents in outer form.
func (r *replica) seal(kind p2p.Kind, contents ...[]byte) [][]byte {
	frames, e := make([][]byte, len(contents)), r.sealing()
	for i, c := range contents {
		frames[i] = e.Seal(protocol.Content(kind), c)
	}
	return frames
}

// Tip is the height of the latest certificate held, and the id of its value.
func (r *replica) Tip() (height uint64, id [32]byte) {
	ref := r.ledger.currentTip().Ref()
	return ref.Height, ref.ID
}

// Wants is the first height whose certificate is asked for.
func (r *replica) Wants() uint64 { return r.ledger.wants() }

// Control names the control plane's set.
func (r *replica) Control() protocol.ID { return r.ledger.metastate }

// Snapshot freezes the sets held for one pass of a sync session.
func (r *replica) Snapshot() (reconcile.Local, error) {
	r.ledger.mu.Lock()
	index, sets := r.ledger.summaries(r.ledger.metastate)
	sketches := r.ledger.sketches
	r.ledger.mu.Unlock()
	return reconcile.Local{
		Index: index,
		Open: func(name [32]byte) (reconcile.Set, error) {
			id := protocol.ID(name)
			if id == r.ledger.metastate {
				id = protocol.ID{}
			}
			return sketches.Of(name, sets[id]), nil
		},
	}, nil
}

// Records yields the outer forms of records held, in order of arrival.
func (r *replica) Records(ids []protocol.ID) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		e := r.sealing()
		for inner, err := range r.ledger.store.Each(ids) {
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(e.Seal(protocol.ContentRecord, inner), nil) {
				return
			}
		}
	}
}

// Certificates yields the frames of checkpoints from a height up.
func (r *replica) Certificates(from uint64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		if from <= 1 && r.ledger.gaveUp(1) {
			return // who has nothing takes a snapshot: recomputing would end where the records are missing
		}
		for h := max(from, 1); ; h++ {
			frames, err := r.checkpointFrames(h)
			if errors.Is(err, store.ErrNotFound) {
				return
			}
			if err != nil {
				yield(nil, err)
				return
			}
			for _, f := range frames {
				if !yield(f, nil) {
					return
				}
			}
		}
	}
}

// checkpointFrames are the frames of the checkpoint at a height, chunks first.
func (r *replica) checkpointFrames(height uint64) ([][]byte, error) {
	c, err := r.ledger.packCheckpoint(height)
	if err != nil {
		return nil, err
	}
	return r.packedFrames(c), nil
}

func (r *replica) packedFrames(c packed) [][]byte {
	var parts [][]byte
	for _, b := range c.Chunks {
		parts = append(parts, part(partChunk, b))
	}
	return r.seal(p2p.Certificates, append(parts, part(partCertificate, c.Certificate))...)
}

// Bindings are the bindings in force, in outer form.
func (r *replica) Bindings() [][]byte {
	r.mu.Lock()
	var signed [][]byte
	for _, b := range r.bindings {
		if r.inForce(b) { // so that nodes that met who left, and others, show the same
			signed = append(signed, b.signed)
		}
	}
	r.mu.Unlock()
	return r.seal(p2p.Bindings, signed...)
}
