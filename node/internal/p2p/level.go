package p2p

import (
	"context"
	"encoding/binary"
	"fmt"
	"iter"
	"slices"

	"github.com/metastate-p2p/metastate/protocol"
)

// Before their sets are compared, two nodes at different heights come level: a
// newcomer may take a snapshot in place of history, and history comes by
// heights, each checkpoint with all that it covers. Downwards it fills in what
// a snapshot left out. Steps (SPEC §9.3):
//
//	snapshot known  → pieces of its head, end   nothing if the responder can't
//	parts names     → their pieces, end
//	history from, direction → certificates, end, records, end

// An Archive is the part of a [Replica] by which nodes far apart come level.
type Archive interface {
	// Span yields, from a height on, up or down, the frames of checkpoints in
	// that order, and the ids that they newly cover: one at least, if it is held,
	// and few enough to be held in memory.
	Span(from uint64, down bool) (certificates [][]byte, covered []protocol.ID, err error)
	// Lacking are records that certified checkpoints cover and the node does not
	// hold, as far as it knows them, at most 4,096.
	Lacking() []protocol.ID
	// Covered yields those of ids that the node holds, in inner form.
	Covered(ids []protocol.ID) iter.Seq2[[]byte, error]
	// Unfilled is the highest height below what the node began with whose
	// checkpoint and records it still wants, 0 if there is none.
	Unfilled() uint64
	// Deeper is the height below those whose checkpoints have come since, 0 if
	// there is none, or too many of them wait for their records.
	Deeper() uint64

	// Begin reports whether the node wants a snapshot from a peer at a height with
	// so many records in its sets, and the checkpoint that it knows: the snapshot
	// must lead on from there.
	Begin(height, records uint64) (known protocol.Ref, wanted bool)
	// Head yields the frames of a snapshot's head for a node that knows a
	// checkpoint; none if this node can't lead on from there.
	Head(known protocol.Ref) iter.Seq2[[]byte, error]
	// Parts yields the frames of named parts of the snapshot whose head was given
	// last, as far as they are there.
	Parts(names []protocol.ID) iter.Seq2[[]byte, error]
	// Unrestored are the names of parts to ask for next, at most 64; none once
	// the snapshot is restored, or before it has a head.
	Unrestored() []protocol.ID
}

const (
	historySteps = 1 << 20 // of one session: each brings one checkpoint at least
	maxParts     = 64      // names in a request
	partSteps    = 1 << 14
	maxPieces    = 1 << 12 // frames of a head, or of the parts asked for together
	levelRounds  = 16      // times that records are asked for by name
)

// level brings the lower of two nodes to the other's height, as far as it goes.
func (x *session) level(ctx context.Context, mine, theirs overview) error {
	if theirs.height < mine.height {
		return x.lift(theirs.height + 1)
	}
	if err := x.snapshot(ctx, theirs); err != nil {
		return err
	}
	from := x.replica.Wants()
	if theirs.height < from+levelGap {
		return x.certificates(ctx, from, theirs.height)
	}
	x.haul.begin()
	for {
		if err := x.history(ctx, from); err != nil {
			return err
		}
		now := x.replica.Wants()
		if now <= from || now > theirs.height {
			return nil
		}
		from = now
	}
}

// levelGap is how many heights apart two nodes are that gossip may have brought
// the records: then certificates come alone, and records by name.
const levelGap = 8

// lift gives the responder the next checkpoints with what they cover, so that
// it can follow though a poll that they close is not compared any more.
func (x *session) lift(from uint64) error {
	certs, covered, err := x.replica.Span(from, false)
	if err != nil || len(certs) == 0 {
		return err
	}
	if err := x.give(Certificates, all(certs)); err != nil {
		return err
	}
	return x.give(Records, recordsOf(x.replica, raw(covered)))
}

// missing asks by name for records that certificates wait for.
func (x *session) missing(ctx context.Context) error {
	for range levelRounds {
		need := x.replica.Lacking()
		if len(need) == 0 {
			return nil
		}
		fresh := x.fresh
		if err := x.want(ctx, raw(need)); err != nil || x.fresh == fresh {
			return err
		}
	}
	return nil
}

func raw(ids []protocol.ID) iter.Seq[[32]byte] {
	return func(yield func([32]byte) bool) {
		for _, id := range ids {
			if !yield(id) {
				return
			}
		}
	}
}

// history takes a span of checkpoints and all records that they cover.
func (x *session) history(ctx context.Context, from uint64) error {
	if err := x.span(ctx, from, false); err != nil {
		return err
	}
	return x.collect(ctx, Past, maxSpan, x.take)
}

// span asks for one and takes its checkpoints. What is held already comes again:
// that is no fault here.
func (x *session) span(ctx context.Context, from uint64, down bool) error {
	body := binary.BigEndian.AppendUint64(nil, from)
	if err := x.w.send(historyStep, append(body, flag(down))); err != nil {
		return err
	}
	return x.collect(ctx, Certificates, maxSpan, x.take)
}

func flag(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// fill takes history below what the node began with, until nothing more comes.
func (x *session) fill(ctx context.Context) error {
	for at := x.replica.Unfilled(); at > 0; {
		if err := x.descend(ctx, at); err != nil {
			return err
		}
		next := x.replica.Unfilled()
		if next >= at {
			return nil // this peer has no more
		}
		at = next
	}
	return nil
}

// descend takes spans from a height down, each while the records of the one
// before are verified and stored, as far as there is room, and waits for all.
func (x *session) descend(ctx context.Context, at uint64) error {
	x.haul.begin()
	in, ctx := x.newIntake(ctx)
	for {
		err := x.span(ctx, at, true)
		if err == nil {
			err = in.receive(ctx, Past, maxSpan)
		}
		next := x.replica.Deeper()
		if err != nil || next == 0 || next >= at {
			return in.wait(ctx, Past, err)
		}
		at = next
	}
}

// snapshot restores one, if the node wants it and the responder has it.
func (x *session) snapshot(ctx context.Context, theirs overview) error {
	known, wanted := x.replica.Begin(theirs.height, theirs.records)
	if !wanted {
		return nil
	}
	x.haul.begin()
	body := append(binary.BigEndian.AppendUint64(nil, known.Height), known.ID[:]...)
	if err := x.w.send(snapshotStep, body); err != nil {
		return err
	}
	if err := x.collect(ctx, Snapshots, maxPieces, x.take); err != nil {
		return err
	}
	for {
		names := x.replica.Unrestored()
		if len(names) == 0 {
			return nil
		}
		if err := x.w.send(partsStep, encodeIDs(slices.Collect(raw(names)))); err != nil {
			return err
		}
		fresh := x.fresh
		if err := x.collect(ctx, Snapshots, maxPieces, x.take); err != nil || x.fresh == fresh {
			return err
		}
	}
}

func (r *responder) serveHistory(body []byte) error {
	if err := spend(&r.histories, historySteps); err != nil {
		return err
	}
	if len(body) != 9 || body[8] > 1 {
		return fmt.Errorf("p2p: serving sync: %w: history", ErrPeer)
	}
	from := binary.BigEndian.Uint64(body)
	if from > protocol.MaxHeight {
		return fmt.Errorf("p2p: serving sync: %w: height %d", ErrPeer, from)
	}
	down := body[8] == 1
	if !down && from < r.rise { // going down, a node may have to begin again further up
		return fmt.Errorf("p2p: serving sync: %w: history from %d again", ErrPeer, from)
	}
	if !down {
		r.rise = from + 1
	}
	r.haul.begin()
	certs, covered, err := r.replica.Span(from, down)
	if err != nil {
		return fmt.Errorf("p2p: serving sync: reading the store: %w", err)
	}
	if err := r.sendAll(Certificates, all(certs)); err != nil {
		return err
	}
	return r.sendAll(Past, r.replica.Covered(covered))
}

func (r *responder) serveSnapshot(body []byte) error {
	if err := spend(&r.heads, maxPasses); err != nil {
		return err
	}
	if len(body) != 8+len(protocol.ID{}) {
		return fmt.Errorf("p2p: serving sync: %w: snapshot", ErrPeer)
	}
	r.haul.begin()
	known := protocol.Ref{Height: binary.BigEndian.Uint64(body), ID: protocol.ID(body[8:])}
	return r.sendAll(Snapshots, r.replica.Head(known))
}

func (r *responder) serveParts(body []byte) error {
	if err := spend(&r.parts, partSteps); err != nil {
		return err
	}
	names, err := parseIDs(body)
	if err != nil {
		return err
	}
	if len(names) == 0 || len(names) > maxParts || r.heads == 0 {
		return fmt.Errorf("p2p: serving sync: %w: %d parts", ErrPeer, len(names))
	}
	return r.sendAll(Snapshots, r.replica.Parts(names))
}
