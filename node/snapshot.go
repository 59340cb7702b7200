package node

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/metastate-p2p/metastate/node/internal/p2p"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/certificate"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
	"github.com/metastate-p2p/metastate/protocol/snapshot"
)

// snapshots are those that this node serves. A new one is taken when the last
// is old; who is at an older one can finish it.
type snapshots struct {
	mu    sync.Mutex
	list  []*snapshot.Snapshot // guarded by mu, like all below: at most maxServed, the newest first
	taken time.Time
	began uint64   // the base for which turns are
	low   uint64   // above it, up to the base, the turns are known
	turns []uint64 // heights at which the clerks changed, falling
}

const (
	snapshotAge = 10 * time.Minute
	maxServed   = 4
)

// A snapshotHead is what a snapshot begins with: the value of the checkpoint
// that the reader knows, the changes of clerks since, and the manifest (SPEC
// §9.3).
type snapshotHead struct {
	Value     []byte   `cbor:"value"`
	Handovers [][]byte `cbor:"handovers"`
	Manifest  []byte   `cbor:"manifest"`
}

const (
	maxHead  = 24 << 20 // bytes of a head; a manifest is most of it
	maxPiece = 60_000   // bytes of a piece, so that a frame holds it
)

// latest is a snapshot to serve, made if the last is old, or from before the
// height that its reader knows.
func (s *snapshots) latest(l *ledger, known uint64) (*snapshot.Snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := l.now()
	if len(s.list) > 0 && now.Sub(s.taken) < snapshotAge && s.list[0].Ref().Height >= known {
		return s.list[0], nil
	}
	tip := l.currentTip()
	if len(s.list) > 0 && s.list[0].Ref() == tip.Ref() {
		return s.list[0], nil
	}
	cert, _, err := l.certificateAt(tip.Ref().Height)
	if err != nil {
		return nil, err
	}
	made, err := snapshot.Make(tip, cert.Encode(), l.store.Get)
	if err != nil {
		return nil, err
	}
	s.list = append([]*snapshot.Snapshot{made}, s.list[:min(maxServed-1, len(s.list))]...)
	s.taken = now
	return made, nil
}

// part is a part of a snapshot that was served lately.
func (s *snapshots) part(name protocol.ID) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range s.list {
		if b, err := x.Get(name); !errors.Is(err, snapshot.ErrNone) {
			return b, err
		}
	}
	return nil, snapshot.ErrNone
}

// head makes the head of a snapshot for a node that knows a checkpoint. It is
// nil if this node can't lead on from there.
func (l *ledger) head(known protocol.Ref) (head []byte, err error) {
	cert, from, err := l.certificateAt(known.Height)
	if err != nil || cert.ID() != known.ID {
		return nil, nil // of another branch, later than this node, or from before what it holds
	}
	s, err := l.snapshots.latest(l, known.Height)
	if err != nil || s.Ref().Height < known.Height {
		return nil, err
	}
	if _, to, err := l.certificateAt(s.Ref().Height); err != nil || to.Era() != from.Era() {
		return nil, err // nobody can check a recall without its records, also one that left the clerks as they were
	}
	h := snapshotHead{Value: cert.Value, Handovers: [][]byte{}, Manifest: s.Manifest()}
	turns, err := l.turnsBetween(known.Height, s.Ref().Height)
	if err != nil {
		return nil, nil // what came before its own base is not all there
	}
	for _, height := range turns {
		cert, _, err := l.certificateAt(height)
		if err != nil {
			return nil, err
		}
		h.Handovers = append(h.Handovers, cert.Encode())
	}
	return dagcbor.Marshal(h)
}

// turnsBetween are the heights at which the clerks changed, after one and up to
// another.
func (l *ledger) turnsBetween(after, upTo uint64) ([]uint64, error) {
	l.mu.Lock()
	began, turns := l.Began(), slices.Clone(l.turns)
	l.mu.Unlock()
	before, err := l.snapshots.turnsUpTo(began, after, l.certificateAt)
	if err != nil {
		return nil, err
	}
	turns = append(turns, before...)
	slices.Sort(turns)
	return slices.DeleteFunc(turns, func(h uint64) bool { return h <= after || h > upTo }), nil
}

// turnsUpTo are the heights up to the base at which the clerks changed, those
// after one at least, as the certificates say that are held there.
func (s *snapshots) turnsUpTo(began, after uint64,
	at func(uint64) (certificate.Certificate, certificate.Value, error),
) ([]uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.began != began {
		s.began, s.low, s.turns = began, began, nil
	}
	if after >= s.low {
		return slices.Clone(s.turns), nil
	}
	_, above, err := at(s.low)
	for err == nil && s.low > after {
		var below certificate.Value
		if _, below, err = at(s.low - 1); err == nil {
			if !slices.Equal(above.Clerks, below.Clerks) {
				s.turns = append(s.turns, s.low)
			}
			s.low, above = s.low-1, below
		}
	}
	return slices.Clone(s.turns), err
}

// Head yields the pieces of a snapshot's head.
func (r *replica) Head(known protocol.Ref) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		b, err := r.ledger.head(known)
		if err != nil {
			yield(nil, err)
			return
		}
		if b != nil {
			r.pieces(protocol.ID{}, b, yield)
		}
	}
}

// Parts yields the pieces of named parts.
func (r *replica) Parts(names []protocol.ID) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for _, name := range names {
			b, err := r.ledger.snapshots.part(name)
			if errors.Is(err, snapshot.ErrNone) {
				continue
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if !r.pieces(name, b, yield) {
				return
			}
		}
	}
}

// pieces yields the frames of a part; of a head the name is zero.
func (r *replica) pieces(name protocol.ID, b []byte, yield func([]byte, error) bool) bool {
	for at := 0; at < len(b); at += maxPiece {
		p := piece{name, uint64(at), uint64(len(b)), b[at:min(at+maxPiece, len(b))]}
		if !yield(r.sealing().Seal(protocol.ContentSnapshot, p.encode()), nil) {
			return false
		}
	}
	return true
}

// A piece is some of a part of a snapshot, `[name, at, size, bytes]`.
type piece struct {
	name     protocol.ID
	at, size uint64
	bytes    []byte
}

func (p piece) encode() []byte {
	b := dagcbor.AppendBytes(dagcbor.AppendArray(nil, 4), p.name[:])
	b = dagcbor.AppendUint(dagcbor.AppendUint(b, p.at), p.size)
	return dagcbor.AppendBytes(b, p.bytes)
}

func parsePiece(b []byte) (p piece, err error) {
	r := dagcbor.NewReader(b)
	n := r.Array(4)
	name := r.Bytes(len(p.name))
	p.at, p.size, p.bytes = r.Uint(), r.Uint(), r.Bytes(maxPiece)
	if err := r.End(); err != nil || n != 4 || len(name) != len(p.name) || len(p.bytes) == 0 {
		return p, fmt.Errorf("%w: a piece of a snapshot is malformed", p2p.ErrPeer)
	}
	p.name = protocol.ID(name)
	limit := uint64(snapshot.MaxLeaf)
	if p.name.IsZero() {
		limit = maxHead
	}
	if p.size > limit || p.at > p.size || uint64(len(p.bytes)) > p.size-p.at {
		return p, fmt.Errorf("%w: a piece of a snapshot is out of bounds", p2p.ErrPeer)
	}
	return p, nil
}
