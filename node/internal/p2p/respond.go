package p2p

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/reconcile"
)

// A responder answers one session's steps, within budgets that an honest
// initiator, which makes at most maxPasses passes, does not reach.
type responder struct {
	*session
	overviews, certs, hashes, gives int // steps so far
	histories, heads, parts         int
	rise                            uint64 // above what history was asked for upwards

	local      reconcile.Local      // as of the last overview
	reconciler *reconcile.Responder // of this pass; nil before its first message
	wants      uint64               // ids that may still be wanted in this pass
	glanced    bool                 // the last overview was that of a replica at rest: the rest of these is not set
}

// respond answers until the initiator closes the stream.
func (x *session) respond(ctx context.Context) error {
	r := &responder{session: x}
	for {
		typ, body, err := x.w.recv(maxBatch, idleTimeout)
		if errors.Is(err, io.EOF) { // between steps: the initiator is done
			return nil
		}
		if err != nil {
			return err
		}
		if err := r.step(ctx, typ, body); err != nil {
			return err
		}
		if err := x.charge(ctx); err != nil {
			return err
		}
	}
}

// spend counts a step against its budget.
func spend(n *int, limit int) error {
	if *n++; *n > limit {
		return fmt.Errorf("p2p: serving sync: %w: too many steps", ErrPeer)
	}
	return nil
}

func (r *responder) step(ctx context.Context, typ byte, body []byte) error {
	if typ != overviewStep {
		if err := r.awake(); err != nil {
			return err
		}
	}
	if r.glanced && typ != overviewStep { // though it was told that both are equal
		if _, err := r.look(); err != nil {
			return err
		}
	}
	switch typ {
	case overviewStep:
		return r.serveOverview(body)
	case reconcileStep:
		return r.serveReconcile(body)
	case wantStep:
		return r.serveWant(body)
	case keysStep:
		return r.serveKeys(body)
	case giveStep:
		return r.serveGive(ctx, body)
	case certsStep:
		return r.serveCertificates(body)
	case hashesStep:
		return r.serveHashes(body)
	case historyStep:
		return r.serveHistory(body)
	case snapshotStep:
		return r.serveSnapshot(body)
	case partsStep:
		return r.serveParts(body)
	}
	return fmt.Errorf("p2p: serving sync: %w: frame type %d", ErrPeer, typ)
}

func (r *responder) serveOverview(body []byte) error {
	if err := spend(&r.overviews, maxPasses+1); err != nil {
		return err
	}
	theirs, err := parseOverview(body)
	if err != nil {
		return err
	}
	if rest := r.home.Resting(r.secret); rest != nil {
		if mine, err := parseOverview(rest); err == nil && mine == theirs {
			r.glanced = true
			return r.w.send(overviewStep, rest)
		}
	}
	mine, err := r.look()
	if err != nil {
		return err
	}
	return r.w.send(overviewStep, mine.encode())
}

// look prepares what follows an overview.
func (r *responder) look() (survey, error) {
	mine, err := r.survey()
	if err != nil {
		return mine, err
	}
	r.glanced, r.local, r.reconciler, r.wants = false, mine.local, nil, mine.records+maxNamed
	return mine, nil
}

func (r *responder) serveReconcile(body []byte) error {
	if r.overviews == 0 || len(body) > reconcileFrame {
		return fmt.Errorf("p2p: serving sync: %w: reconcile out of turn or too big", ErrPeer)
	}
	if r.reconciler == nil {
		r.reconciler = reconcile.NewResponder(r.local, reconcile.Limits{})
	}
	reply, err := r.reconciler.Respond(body)
	if err != nil {
		return blame(err)
	}
	return r.w.send(reconcileStep, reply)
}

func (r *responder) serveWant(body []byte) error {
	ids, err := parseIDs(body)
	if err != nil {
		return err
	}
	if err := r.spendWants(len(ids)); err != nil {
		return err
	}
	return r.sendRecords(ids)
}

func (r *responder) serveKeys(body []byte) error {
	list, err := reconcile.ParseWanted(body)
	if err != nil {
		return blame(err)
	}
	n := 0
	for _, w := range list {
		n += len(w.Keys)
	}
	if err := r.spendWants(n); err != nil {
		return err
	}
	found, err := r.local.Find(list)
	if err != nil {
		return fmt.Errorf("p2p: serving sync: %w", err)
	}
	ids := make([]protocol.ID, len(found))
	for i, id := range found {
		ids[i] = id
	}
	return r.sendRecords(ids)
}

// sendRecords sends each of ids that is held once, however often it is asked for.
func (r *responder) sendRecords(ids []protocol.ID) error {
	slices.SortFunc(ids, func(a, b protocol.ID) int { return bytes.Compare(a[:], b[:]) })
	return r.sendAll(Records, r.replica.Records(slices.Compact(ids)))
}

// spendWants counts ids wanted in this pass: there is none before an overview.
func (r *responder) spendWants(n int) error {
	if n == 0 || uint64(n) > r.wants {
		return fmt.Errorf("p2p: serving sync: %w: %d ids wanted, %d left", ErrPeer, n, r.wants)
	}
	r.wants -= uint64(n)
	return nil
}

func (r *responder) serveGive(ctx context.Context, body []byte) error {
	if err := spend(&r.gives, maxGifts); err != nil {
		return err
	}
	if len(body) != 1 || !Kind(body[0]).known() || Kind(body[0]) == Agreement {
		return fmt.Errorf("p2p: serving sync: %w: give", ErrPeer)
	}
	if err := r.receiveAll(ctx, Kind(body[0]), maxRecords); err != nil {
		return err
	}
	return r.w.send(takenStep, nil)
}

func (r *responder) serveCertificates(body []byte) error {
	if err := spend(&r.certs, maxPasses); err != nil {
		return err
	}
	if len(body) != 8 {
		return fmt.Errorf("p2p: serving sync: %w: certs", ErrPeer)
	}
	from := binary.BigEndian.Uint64(body)
	if from > protocol.MaxHeight {
		return fmt.Errorf("p2p: serving sync: %w: height %d", ErrPeer, from)
	}
	return r.sendAll(Certificates, r.replica.Certificates(from))
}

func (r *responder) serveHashes(body []byte) error {
	if err := spend(&r.hashes, maxPasses); err != nil {
		return err
	}
	theirs, err := parseHashes(body)
	if err != nil {
		return err
	}
	lacking := selectBindings(r.replica, theirs, false)
	if err := r.sendAll(Bindings, all(lacking[:min(len(lacking), maxBindings)])); err != nil {
		return err
	}
	for _, b := range r.replica.Bindings() {
		delete(theirs, bindingHash(b))
	}
	want := make([][16]byte, 0, len(theirs))
	for h := range theirs {
		want = append(want, h)
	}
	return r.w.send(hashesStep, encodeHashes(want))
}
