package node

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"time"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/certificate"
	"github.com/metastate-p2p/metastate/protocol/checkpoint"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
	"github.com/metastate-p2p/metastate/store"
)

// An order is what a person decided about a dispute: up to which checkpoint of
// this node's branch to stay on it, and which certificates off it to follow.
type order struct {
	At     int64         `cbor:"at"` // unix seconds
	Common uint64        `cbor:"common"`
	Path   []protocol.ID `cbor:"path"`
}

// decide makes the order that leads to a checkpoint: the tip of this node's
// branch, the last one in common, or one of another branch, which must hold.
func (l *ledger) decide(to protocol.ID) (o order, tip checkpoint.Tip, err error) {
	o.At, o.Path = l.now().Unix(), []protocol.ID{}
	last := l.rivals[to]
	if last == nil {
		i := slices.Index(l.heights, to)
		o.Common = max(1, l.Began()) + uint64(max(i, 0))
		if i < 0 {
			return o, tip, &Error{Code: "not-found", Exit: ExitNotFound, Message: "no such checkpoint is known here", Hint: "metastate dispute show"}
		}
		switch own := to == l.tip.Ref().ID; {
		case own && l.trouble == nil:
			return o, tip, refuse("this node follows that branch already", "metastate dispute show")
		case own:
			return o, l.tip, nil
		case !l.forksAt(o.Common):
			return o, tip, refuse("nobody disputes what follows that checkpoint", "metastate dispute show")
		}
		tip, err = l.replayTo(o.Common)
		return o, tip, err
	}
	for rv := last; rv != nil; rv = l.rivals[rv.value.Prev] {
		if l.onBranch(rv.value.Height, rv.ID()) {
			break
		}
		o.Path = append(o.Path, rv.ID())
	}
	slices.Reverse(o.Path)
	l.replayed = time.Time{} // it is the person who asks
	l.examine()
	first := l.rivals[o.Path[0]]
	at, known := l.forkOf(first.value)
	for _, id := range o.Path {
		if rv := l.rivals[id]; rv.fault != nil {
			return o, tip, &Error{
				Code: "does-not-follow", Exit: ExitVerify, Err: rv.fault, Hint: "metastate dispute show",
				Message: fmt.Sprintf("checkpoint %d of that branch does not follow from its records", rv.value.Height),
			}
		}
	}
	if !known || last.tip == nil {
		return o, tip, &Error{
			Code: "incomplete", Exit: ExitFailed, Hint: "metastate sync now, and try again",
			Message: "not everything that leads to that checkpoint is held here yet, so it can't be checked",
		}
	}
	if o.Common = at; at < l.Began() {
		return o, tip, &Error{
			Code: noHistory, Exit: ExitFailed, Hint: "metastate run --history first, and start the node again once the past is there",
			Message: fmt.Sprintf("this node began with checkpoint %d, after the branches part", l.Began()),
		}
	}
	return o, *last.tip, nil
}

// forksAt reports whether another branch parts from this one at a height.
func (l *ledger) forksAt(height uint64) bool {
	for _, rv := range l.rivals {
		if at, ok := l.forkOf(rv.value); ok && at == height {
			return true
		}
	}
	return false
}

// A write is one change of the store.
type write func() error

// writes carry out an order, each durable and safe to repeat. Until the order
// itself is, nothing has changed for a node that starts again; after that,
// starting again does the rest.
func (l *ledger) writes(o order) iter.Seq[write] {
	return func(yield func(write) bool) {
		for h := o.Common + 1; h <= l.tip.Ref().Height; h++ { // what is left stays beside the branch
			cert, _, err := l.certificateAt(h)
			if err != nil {
				yield(func() error { return err })
				return
			}
			for _, w := range l.keeping(cert) {
				if !yield(w) {
					return
				}
			}
		}
		if yield(func() error { return l.begin(o) }) {
			l.finishing(o)(yield)
		}
	}
}

// begin makes an order durable.
func (l *ledger) begin(o order) error {
	b, err := dagcbor.Marshal(o)
	if err != nil {
		return err
	}
	return l.store.PutPrivate(privOrder, b)
}

// done keeps an order as one that was carried out. What it follows is in its
// place by now, and needs no copy.
func (l *ledger) done(o order) error {
	b, err := dagcbor.Marshal(o)
	if err != nil {
		return err
	}
	change := map[string][]byte{privOrders + strconv.FormatInt(o.At, 10): b, privOrder: nil}
	for _, id := range o.Path {
		change[privDisputed+id.String()] = nil
	}
	return l.store.Commit(store.Batch{Private: change})
}

// finishing are the writes that follow once an order is durable.
func (l *ledger) finishing(o order) iter.Seq[write] {
	return func(yield func(write) bool) {
		if !yield(func() error { return l.store.Rewind(o.Common) }) {
			return
		}
		for i, id := range o.Path {
			if !yield(func() error { return l.restore(o.Common+1+uint64(i), id) }) {
				return
			}
		}
		for _, key := range l.store.PrivateKeys(privDisputed) {
			if !yield(func() error { return l.mark(o, key) }) {
				return
			}
		}
		yield(func() error { return l.done(o) })
	}
}

// restore puts a kept certificate in its place on the branch.
func (l *ledger) restore(height uint64, id protocol.ID) error {
	b, err := l.store.Private(privDisputed + id.String())
	if err != nil {
		return storeError(err)
	}
	cert, err := certificate.ParseCertificate(b)
	if err != nil {
		return err
	}
	v, err := certificate.ParseValue(cert.Value)
	if err != nil {
		return err
	}
	return l.store.PutCheckpoint(height, b, l.namedDisputed(v)...)
}

// mark marks a kept certificate as left behind, unless it is followed.
func (l *ledger) mark(o order, key string) error {
	text := key[len(privDisputed):]
	change := map[string][]byte{privLeft + text: {}}
	if slices.ContainsFunc(o.Path, func(id protocol.ID) bool { return id.String() == text }) {
		change[privLeft+text] = nil
	}
	return l.store.Commit(store.Batch{Private: change})
}

// finishOrder carries out what is left of an order that a crash cut off.
func (l *ledger) finishOrder() error {
	b, err := l.store.Private(privOrder)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	var o order
	if err == nil {
		err = dagcbor.Unmarshal(b, &o)
	}
	if err != nil {
		return fmt.Errorf("reading the order about a dispute: %w", err)
	}
	for w := range l.finishing(o) {
		if err := w(); err != nil {
			return fmt.Errorf("carrying out the order about a dispute: %w", err)
		}
	}
	return nil
}

// follow carries out a person's order about a dispute: what it leaves is kept,
// what is held is judged again as of the branch it follows.
func (l *ledger) follow(to protocol.ID) error {
	l.mu.Lock()
	err := l.turn(to)
	l.mu.Unlock()
	if err == nil {
		l.changed()
	}
	return err
}

func (l *ledger) turn(to protocol.ID) error {
	if len(l.rivals) == 0 {
		return refuse("no checkpoint is disputed here", "metastate status")
	}
	o, tip, err := l.decide(to)
	if err != nil {
		return err
	}
	for w := range l.writes(o) {
		if err := w(); err != nil {
			l.trouble = errors.New("an order about a dispute was not carried out to its end: start the node again")
			return storeError(err)
		}
	}
	left, first := l.finality, max(1, l.Began())
	l.finality = newFinality()
	l.tip, l.heights = tip, append(slices.Clone(left.heights[:o.Common+1-first]), o.Path...)
	l.chunks, l.proof, l.strays, l.past = left.chunks, left.proof, left.strays, left.past
	l.turns = slices.DeleteFunc(slices.Clone(left.turns), func(h uint64) bool { return h > o.Common })
	for i, id := range o.Path {
		height := o.Common + 1 + uint64(i)
		if before, err := l.inForce(height); err != nil || !slices.Equal(before.Clerks, left.rivals[id].value.Clerks) {
			l.turns = append(l.turns, height)
		}
	}
	l.snap = nil
	if err := l.disputed(); err != nil {
		return err
	}
	l.log.Warn("a dispute was settled by order of the person", "checkpoint", tip.Ref().Height)
	return nil
}

// rejudge takes in all that is stored as if it came now: what cites checkpoints
// of another branch is not held, though it stays in the store.
func (l *ledger) rejudge() error {
	l.holdings, l.pending, l.snap, l.shed, l.lapsed = newHoldings(), pool{}, nil, nil, nil
	if b := l.begun.Load(); b != nil {
		l.holdFrom(b)
	}
	var rest []*protocol.Record
	for e, err := range l.store.Log(0) {
		if err != nil {
			return storeError(err)
		}
		r, err := l.record(e.ID)
		if isNotFound(err) { // pruned
			continue
		}
		if err != nil {
			return err
		}
		switch p := l.tip.State().Decisions().Poll(r.Header().Subject); {
		case p != nil && p.Phase.Closed(): // not compared any more
		case l.settled(r):
			l.index(r)
		case l.tip.Covers(r):
			l.add(r, l.now())
			l.settle(r)
		default:
			rest = append(rest, r)
		}
	}
	var d delivery
	if err := l.take(rest, &d); err != nil {
		return err
	}
	for _, r := range rest {
		if !l.holds(r) {
			l.shed = append(l.shed, r)
		}
	}
	return nil
}

// leftBehind reports whether a certificate is of a branch that the person gave
// up, or follows one. What a roll's majority chose is looked at all the same.
func (l *ledger) leftBehind(id protocol.ID, v certificate.Value) bool {
	if rv := l.rivals[id]; rv != nil {
		return rv.left
	}
	if l.strays[id] {
		return true
	}
	before := l.rivals[v.Prev]
	stray := v.Under().IsZero() && (l.strays[v.Prev] || before != nil && before.left || l.mayLeadToLeft(id, v))
	if stray && len(l.strays) < maxStrays {
		l.strays[id] = true
	}
	return stray
}

// mayLeadToLeft reports whether a certificate off this node's branch is below one
// that the person left before it was known where that parts: it is taken for one
// of those between, which the order was about too. Nothing is that this node may
// yet come to hold on its own branch: above its tip, or of the past to fill in.
func (l *ledger) mayLeadToLeft(id protocol.ID, v certificate.Value) bool {
	if l.onBranch(v.Height, id) || v.Height > l.tip.Ref().Height || v.Height < l.lowest() {
		return false
	}
	for _, rv := range l.rivals {
		if _, known := l.forkOf(rv.value); rv.left && !known && v.Height < rv.value.Height {
			return true
		}
	}
	return false
}

// contested reports whether clerks made a checkpoint after the tip that the
// person left behind: then only successors by a recall make the next.
func (l *ledger) contested() bool {
	for _, rv := range l.rivals {
		if rv.left && rv.value.Height == l.tip.Ref().Height+1 && rv.value.Prev == l.tip.Ref().ID {
			return true
		}
	}
	return false
}

func (l *ledger) isContested() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.contested()
}
