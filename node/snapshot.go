package node

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/metastate-p2p/metastate/node/internal/p2p"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
	"github.com/metastate-p2p/metastate/protocol/snapshot"
)

// snapshots are those that this node serves. A new one is taken when the last
// is old; who is at an older one can finish it.
type snapshots struct {
	mu    sync.Mutex
	list  []*snapshot.Snapshot // guarded by mu: at most two, the newest first
	taken time.Time            // guarded by mu
}

const snapshotAge = 10 * time.Minute

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

// latest is a snapshot to serve, made if the last is old.
func (s *snapshots) latest(l *ledger) (*snapshot.Snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := l.now()
	if len(s.list) > 0 && now.Sub(s.taken) < snapshotAge {
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
	s.list = append([]*snapshot.Snapshot{made}, s.list[:min(1, len(s.list))]...)
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
	cert, _, err := l.certificateAt(known.Height)
	if err != nil || cert.ID() != known.ID {
		return nil, nil // of another branch, later than this node, or from before what it holds
	}
	s, err := l.snapshots.latest(l)
	if err != nil || s.Ref().Height < known.Height {
		return nil, err
	}
	h := snapshotHead{Value: cert.Value, Handovers: [][]byte{}, Manifest: s.Manifest()}
	for _, height := range l.turnsBetween(known.Height, s.Ref().Height) {
		cert, v, err := l.certificateAt(height)
		if err != nil || !v.Era().IsZero() { // nobody can check a recall without its records
			return nil, err
		}
		h.Handovers = append(h.Handovers, cert.Encode())
	}
	return dagcbor.Marshal(h)
}

// turnsBetween are the heights at which the clerks changed, after one and up to
// another.
func (l *ledger) turnsBetween(after, upTo uint64) []uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(l.turns), func(h uint64) bool { return h <= after || h > upTo })
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
		if !yield(r.epoch.Seal(protocol.ContentSnapshot, p.encode()), nil) {
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

// A restoring is a snapshot on its way in place of history. Parts are stored as
// they come, so that a restart goes on with them.
type restoring struct {
	mu     sync.Mutex
	known  protocol.Ref       // guarded by mu, like all below; zero: history is wanted
	name   protocol.ID        // of the part whose pieces come now
	partly []byte             // as far as they came
	rest   *snapshot.Restorer // nil until there is a head
	parts  map[string]bool    // names of those that it has
}

// Names of private values: what a newcomer knows, the head, the parts, and that
// they are whole.
const (
	privKnown    = "snapshot-known"
	privSnapshot = "snapshot/"
	privWhole    = "snapshot-whole"
	headName     = "head"
	ownHead      = "own-"  // and the height, of one that this node made to prune
	privPiece    = 120_000 // bytes of a part in one private value
)

// snapshotFrom is the height from which a newcomer takes a snapshot first:
// less history than that is as soon recomputed.
const snapshotFrom = 512

// Begin reports whether a snapshot is wanted from a peer at a height.
func (r *replica) Begin(height uint64) (known protocol.Ref, wanted bool) {
	l := r.ledger
	if l.currentTip().Ref().Height > 0 || height < r.from {
		return known, false
	}
	l.restoring.mu.Lock()
	defer l.restoring.mu.Unlock()
	return l.restoring.known, l.restoring.known.Height > 0 && l.restoring.known.Height <= height
}

// Unrestored are the names of parts to ask for next.
func (r *replica) Unrestored() []protocol.ID {
	s := &r.ledger.restoring
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rest == nil {
		return nil
	}
	names := s.rest.Missing()
	return names[:min(len(names), 8)]
}

// snapshotPieces takes pieces of a snapshot; fresh counts those that fit.
func (r *replica) snapshotPieces(list [][]byte) (fresh int, err error) {
	l := r.ledger
	if l.currentTip().Ref().Height > 0 {
		return 0, nil
	}
	s := &l.restoring
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range list {
		p, err := parsePiece(b)
		if err != nil {
			return fresh, err
		}
		if p.at == 0 {
			s.name, s.partly = p.name, nil
		}
		if p.name != s.name || p.at != uint64(len(s.partly)) {
			return fresh, fmt.Errorf("%w: pieces of a snapshot are out of order", p2p.ErrPeer)
		}
		s.partly = append(s.partly, p.bytes...)
		fresh++
		if uint64(len(s.partly)) < p.size {
			continue
		}
		whole := s.partly
		s.partly = nil
		if p.name.IsZero() {
			err = l.openSnapshot(whole)
		} else {
			err = l.addPart(p.name, whole)
		}
		if err != nil {
			return fresh, fmt.Errorf("%w: %w", p2p.ErrPeer, err)
		}
	}
	return fresh, nil
}

// openSnapshot begins to restore a snapshot, with those parts that are there
// from one begun before. Caller holds restoring.mu.
func (l *ledger) openSnapshot(head []byte) error {
	rest, err := l.verifyHead(l.restoring.known, head)
	if err != nil {
		return err
	}
	if err := l.putParts(headName, head); err != nil {
		return err
	}
	l.restoring.rest, l.restoring.parts = rest, l.resumeParts(rest)
	l.restoring.parts[headName] = true
	return l.finishSnapshot()
}

func (l *ledger) verifyHead(known protocol.Ref, head []byte) (*snapshot.Restorer, error) {
	var h snapshotHead
	if err := dagcbor.Unmarshal(head, &h); err != nil {
		return nil, err
	}
	chain, err := snapshot.NewChain(l.metastate, known, h.Value)
	for _, b := range h.Handovers {
		if err == nil {
			err = chain.Add(b)
		}
	}
	if err != nil {
		return nil, err
	}
	genesis, err := l.record(l.metastate)
	if err != nil {
		return nil, err
	}
	return snapshot.Open(genesis, chain, h.Manifest)
}

// resumeParts adds the parts that are stored, and returns their names. One of
// which only some was stored is refused by its digest.
func (l *ledger) resumeParts(rest *snapshot.Restorer) map[string]bool {
	parts := map[string]bool{}
	for tried := map[protocol.ID]bool{}; ; {
		more := false
		for _, name := range rest.Missing() {
			if tried[name] {
				continue
			}
			tried[name] = true
			if b := l.getParts(name.String()); b != nil && rest.Add(name, b) == nil {
				parts[name.String()] = true
				more = true
			}
		}
		if !more {
			return parts
		}
	}
}

// addPart takes a part. Caller holds restoring.mu.
func (l *ledger) addPart(name protocol.ID, b []byte) error {
	s := &l.restoring
	if s.rest == nil {
		return errors.New("node: a part of a snapshot without its head")
	}
	if err := s.rest.Add(name, b); errors.Is(err, snapshot.ErrUnwanted) {
		return nil
	} else if err != nil {
		return err
	}
	if err := l.putParts(name.String(), b); err != nil {
		return err
	}
	s.parts[name.String()] = true
	return l.finishSnapshot()
}

// finishSnapshot begins with what was restored, once it is whole. Caller holds
// restoring.mu.
func (l *ledger) finishSnapshot() error {
	s := &l.restoring
	if len(s.rest.Missing()) > 0 {
		return nil
	}
	tip, err := s.rest.Finish()
	if err != nil {
		return err
	}
	b := &base{tip, s.rest.Certificate()}
	ref := tip.Ref()
	if err := l.store.PutPrivate(privWhole, wholeSnapshot(s.known, headName)); err != nil {
		return storeError(err)
	}
	if err := l.forgetParts(s.parts); err != nil {
		return err
	}
	s.rest, s.parts = nil, nil
	l.mu.Lock()
	l.start(b)
	ready := l.pending.releaseHeight(ref.Height)
	var d delivery
	err = l.take(ready, &d)
	l.mu.Unlock()
	l.log.Info("began with a snapshot", "height", ref.Height)
	l.changed()
	return err
}

// restored is the base that the store has, nil if there is none. It is verified
// again from the checkpoint that the node knew.
func (l *ledger) restored() (*base, error) {
	if b, err := l.store.Private(privKnown); err == nil && len(b) == refSize {
		l.restoring.known = parseKnown(b)
	}
	b, err := l.store.Private(privWhole)
	if isNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, storeError(err)
	}
	if len(b) < refSize {
		return nil, errors.New("the snapshot it began with: no name")
	}
	known, name := parseKnown(b[:refSize]), string(b[refSize:])
	rest, err := l.verifyHead(known, l.getParts(name))
	if err != nil {
		return nil, fmt.Errorf("the snapshot it began with: %w", err)
	}
	l.resumeParts(rest)
	tip, err := rest.Finish()
	if err != nil {
		return nil, fmt.Errorf("the snapshot it began with: %w", err)
	}
	l.pruned = strings.HasPrefix(name, ownHead)
	l.recent = l.pruned
	return &base{tip, rest.Certificate()}, nil
}

const refSize = 8 + len(protocol.ID{})

// wholeSnapshot names the head to begin with, and the checkpoint that it leads
// on from.
func wholeSnapshot(known protocol.Ref, name string) []byte {
	return append(knownCheckpoint(known), name...)
}

func parseKnown(b []byte) protocol.Ref {
	return protocol.Ref{Height: binary.BigEndian.Uint64(b), ID: protocol.ID(b[8:])}
}

// knownCheckpoint is what a newcomer keeps of the checkpoint that its invite names.
func knownCheckpoint(ref protocol.Ref) []byte {
	return append(binary.BigEndian.AppendUint64(nil, ref.Height), ref.ID[:]...)
}

// putParts stores a part in pieces that private values have room for, in place
// of an older one of the name.
func (l *ledger) putParts(name string, b []byte) error {
	n := 0
	for ; n*privPiece < len(b); n++ {
		if err := l.store.PutPrivate(pieceKey(name, n), b[n*privPiece:min((n+1)*privPiece, len(b))]); err != nil {
			return storeError(err)
		}
	}
	for _, key := range l.store.PrivateKeys(privSnapshot + name + "/") {
		if key < pieceKey(name, n) {
			continue
		}
		if err := l.store.DeletePrivate(key); err != nil {
			return storeError(err)
		}
	}
	return nil
}

func pieceKey(name string, i int) string { return fmt.Sprintf("%s%s/%04d", privSnapshot, name, i) }

// getParts is a stored part, nil if there is none.
func (l *ledger) getParts(name string) (b []byte) {
	for _, key := range l.store.PrivateKeys(privSnapshot + name + "/") {
		part, err := l.store.Private(key)
		if err != nil {
			return nil
		}
		b = append(b, part...)
	}
	return b
}

// forgetSnapshot deletes the snapshot that the ledger began with.
func (l *ledger) forgetSnapshot() error {
	if err := l.store.DeletePrivate(privWhole); err != nil {
		return storeError(err)
	}
	return l.forgetParts(nil)
}

// forgetParts deletes parts of snapshots but those named.
func (l *ledger) forgetParts(keep map[string]bool) error {
	for _, key := range l.store.PrivateKeys(privSnapshot) {
		name, _, _ := strings.Cut(strings.TrimPrefix(key, privSnapshot), "/")
		if keep[name] {
			continue
		}
		if err := l.store.DeletePrivate(key); err != nil {
			return storeError(err)
		}
	}
	return nil
}

// snapshotFrom is the height from which a newcomer takes a snapshot.
func (h History) snapshotFrom() uint64 {
	switch h {
	case HistoryFirst:
		return math.MaxUint64
	case HistoryNever:
		return 1
	}
	return snapshotFrom
}
