package p2p

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/metastate-p2p/metastate/protocol/reconcile"
)

// After the handshake the initiator asks and the responder answers, one step at
// a time:
//
//	overview      → overview           equal: the session is over
//	… coming level, if they are at different heights (level.go)
//	reconcile msg → reconcile msg …    as package reconcile leads it
//	want ids      → batches, end       records the initiator lacks
//	keys          → batches, end       the same, where 16 bytes of an id are known
//	give kind, batches, end → taken    what the responder lacks
//	certs from    → batches, end
//	hashes        → batches, end, hashes   bindings: what the initiator lacks,
//	                                   and the hashes of what the responder lacks
//
// and again from the overview, until they are equal or a pass changes nothing.
const (
	overviewStep  byte = 16
	reconcileStep byte = 17
	wantStep      byte = 18
	giveStep      byte = 19
	takenStep     byte = 20
	certsStep     byte = 23
	hashesStep    byte = 24
	historyStep   byte = 25
	snapshotStep  byte = 26
	partsStep     byte = 27
	keysStep      byte = 28
	batchFrame    byte = 30
	endFrame      byte = 31
)

var (
	// errUnequal: the sides still differ, though neither took anything more.
	errUnequal = errors.New("the sides remain different")
	// errNewcomer: the peer has no checkpoint yet. What it takes first, and of
	// whom, it says in sessions of its own: what it were given would keep it from
	// taking a snapshot.
	errNewcomer = errors.New("the peer has no checkpoint yet, and will ask by itself")
)

// initiate drives a session until both sides are equal. fetch is the right to
// transfer.
func (x *session) initiate(ctx context.Context, fetch *floor) error {
	if equal, err := x.glance(); equal || err != nil {
		return err
	}
	var before overview // mine at the last pass
	var asked, held, leveled bool
	for range maxPasses {
		if err := x.charge(ctx); err != nil {
			return err
		}
		mine, err := x.survey()
		if err != nil {
			return err
		}
		theirs, err := x.overview(mine.overview)
		if err != nil {
			return err
		}
		if mine.overview == theirs && x.replica.Unfilled() == 0 {
			return nil
		}
		if theirs.height == 0 && mine.height > 0 {
			return fmt.Errorf("p2p: syncing: %w", errNewcomer)
		}
		if !asked {
			asked, held = true, fetch.try(x.w)
			if !held { // another session fetches; what it brings need not come again
				held = fetch.wait(ctx, x.w)
				defer fetch.leave(held)
				continue
			}
			defer fetch.leave(held)
		}
		if mine.overview == theirs {
			return x.fill(ctx)
		}
		if mine.height != theirs.height && !leveled {
			leveled = true
			if err := x.level(ctx, mine.overview, theirs); err != nil {
				return err
			}
			if err := x.missing(ctx); err != nil {
				return err
			}
			continue // what they differ in now is to be seen
		}
		sent, fresh, reconciled := x.sent, x.fresh, x.reconciled
		if err := x.pass(ctx, mine, theirs); err != nil {
			return err
		}
		// Ranges may find what sketches did not.
		sketched := reconciled < x.reconciled && reconciled < sketchPasses
		if mine.overview == before && x.sent == sent && x.fresh == fresh && !sketched {
			break
		}
		before = mine.overview
	}
	return fmt.Errorf("p2p: syncing: %w", errUnequal)
}

// glance compares a replica at rest with the peer's, and reports whether that is
// all there is to do.
func (x *session) glance() (equal bool, err error) {
	rest := x.home.Resting(x.secret)
	if rest == nil {
		return false, nil
	}
	mine, err := parseOverview(rest)
	if err != nil {
		return false, fmt.Errorf("p2p: syncing: of a replica at rest: %w", err)
	}
	theirs, err := x.overview(mine)
	return mine == theirs, err
}

func (x *session) overview(mine overview) (overview, error) {
	if err := x.w.send(overviewStep, mine.encode()); err != nil {
		return overview{}, err
	}
	body, err := x.w.expect(overviewStep, overviewFrame, idleTimeout)
	if err != nil {
		return overview{}, err
	}
	return parseOverview(body)
}

// pass transfers both ways what the overviews say differs. Certificates come
// after the records they cover, bindings last.
func (x *session) pass(ctx context.Context, mine survey, theirs overview) error {
	if mine.sets != theirs.sets {
		if err := x.records(ctx, mine); err != nil {
			return err
		}
	}
	switch {
	case theirs.height > mine.height:
		// The node may have got certificates of its own meanwhile.
		if err := x.certificates(ctx, x.replica.Wants(), theirs.height); err != nil {
			return err
		}
	case theirs.height == mine.height && theirs.tip != mine.tip: // clerks signed twice, or were recalled
		if err := x.certificates(ctx, min(x.replica.Wants(), theirs.height), theirs.height); err != nil {
			return err
		}
		if err := x.give(Certificates, x.replica.Certificates(mine.height)); err != nil {
			return err
		}
	case theirs.height < mine.height:
		// Where branches part is below both tips.
		if err := x.certificates(ctx, x.replica.Wants(), theirs.height); err != nil {
			return err
		}
		if err := x.give(Certificates, x.replica.Certificates(theirs.height+1)); err != nil {
			return err
		}
	}
	if err := x.missing(ctx); err != nil {
		return err
	}
	if mine.bindings != theirs.bindings {
		return x.bindings(ctx, mine.hashes)
	}
	return nil
}

// records makes the sets equal.
func (x *session) records(ctx context.Context, mine survey) error {
	diffs, err := x.reconcile(mine.local)
	if err != nil {
		return err
	}
	var have [][32]byte
	for _, plane := range planes(x.replica.Control(), diffs) {
		if err := x.fetch(ctx, plane); err != nil {
			return err
		}
		for _, d := range plane {
			have = append(have, d.Have...)
		}
	}
	if len(have) == 0 {
		return nil
	}
	return x.give(Records, recordsOf(x.replica, slices.Values(have)))
}

// fetch takes what the responder has of some sets and this side lacks.
func (x *session) fetch(ctx context.Context, diffs []reconcile.Diff) error {
	var need [][32]byte
	for _, d := range diffs {
		need = append(need, d.Need...)
	}
	if err := x.want(ctx, slices.Values(need)); err != nil {
		return err
	}
	for part := range wanted(diffs, reconcile.MaxWanted) {
		if err := x.w.send(keysStep, reconcile.AppendWanted(nil, part)); err != nil {
			return err
		}
		n := 0
		for _, w := range part {
			n += len(w.Keys)
		}
		if err := x.receiveAll(ctx, Records, n); err != nil {
			return err
		}
	}
	return nil
}

// want fetches records by id; those the responder no longer has are missing.
func (x *session) want(ctx context.Context, need iter.Seq[[32]byte]) error {
	for part := range chunks(need, idsPerFrame) {
		if err := x.w.send(wantStep, encodeIDs(part)); err != nil {
			return err
		}
		if err := x.receiveAll(ctx, Records, len(part)); err != nil {
			return err
		}
	}
	return nil
}

// chunks yields seq in parts of up to n. A part is overwritten by the next.
func chunks(seq iter.Seq[[32]byte], n int) iter.Seq[[][32]byte] {
	return func(yield func([][32]byte) bool) {
		var part [][32]byte
		for id := range seq {
			if part = append(part, id); len(part) < n {
				continue
			}
			if !yield(part) {
				return
			}
			part = part[:0]
		}
		if len(part) > 0 {
			yield(part)
		}
	}
}

// give sends frames and waits until the responder has taken them.
func (x *session) give(kind Kind, frames iter.Seq2[[]byte, error]) error {
	if err := x.w.send(giveStep, []byte{byte(kind)}); err != nil {
		return err
	}
	if err := x.sendAll(kind, frames); err != nil {
		return err
	}
	_, err := x.w.expect(takenStep, 0, 2*idleTimeout)
	return err
}

func (x *session) certificates(ctx context.Context, from, to uint64) error {
	if from > to {
		return nil
	}
	if tip, _ := x.replica.Tip(); from <= tip { // to find where branches part
		x.again += certFrames * int(min(tip-from+1, maxPassed))
	}
	if err := x.w.send(certsStep, binary.BigEndian.AppendUint64(nil, from)); err != nil {
		return err
	}
	return x.receiveAll(ctx, Certificates, maxCerts)
}

func (x *session) bindings(ctx context.Context, mine [][16]byte) error {
	if err := x.w.send(hashesStep, encodeHashes(mine)); err != nil {
		return err
	}
	if err := x.receiveAll(ctx, Bindings, maxBindings); err != nil {
		return err
	}
	body, err := x.w.expect(hashesStep, 16*maxBindings, idleTimeout)
	if err != nil {
		return err
	}
	lacking, err := parseHashes(body)
	if err != nil || len(lacking) == 0 {
		return err
	}
	return x.give(Bindings, all(selectBindings(x.replica, lacking, true)))
}

// selectBindings returns the bindings whose hash is in hashes, or is not.
func selectBindings(r Store, hashes map[[16]byte]bool, in bool) [][]byte {
	return slices.DeleteFunc(slices.Clone(r.Bindings()), func(b []byte) bool { return hashes[bindingHash(b)] != in })
}
