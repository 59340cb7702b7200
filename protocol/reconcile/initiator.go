package reconcile

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/metastate-p2p/metastate/protocol/dagcbor"
)

// Diff is how one set differs between the two nodes; ids ascend.
type Diff struct {
	Set  [32]byte
	Need [][32]byte // ids the responder has and the initiator lacks
	Have [][32]byte // ids the initiator has and the responder lacks
	// Keys are further ids that the responder has and the initiator lacks, as
	// far as they are known: their first 16 bytes.
	Keys [][16]byte
}

// Initiator leads one session: take [Initiator.Message], send it, hand the
// reply to [Initiator.Receive], until there is no message; then read
// [Initiator.Diffs]. At its limits it ends with what was found so far. It is not
// for concurrent use.
type Initiator struct {
	local   Local
	salt    salt
	budget  budget
	started bool
	waiting []batch // the questions of the request under way; nil if none is
	todo    []ask   // a stack, so that it stays short: 64 levels of a message's parts
	diffs   map[[32]byte]*Diff
	symbols int   // that runs under way have asked for
	found   int   // ids, in diffs
	err     error // sticky
}

// NewInitiator returns an initiator for one session. The salt must be fresh from
// a cryptographic random source: see the package comment.
func NewInitiator(local Local, salt [16]byte, limits Limits) *Initiator {
	first := ask{op: opSplit, count: unknown}
	if local.Index.Len() <= namesMax { // so may the responder's be
		first.op = opList
	}
	return &Initiator{
		local: local, salt: salt, budget: budget{limits: limits.orDefaults()},
		todo: []ask{first}, diffs: map[[32]byte]*Diff{},
	}
}

// op is what is asked about a range.
type op int

const (
	opSplit op = iota
	opList
	opFull
	opResolve
	opSketch
	ops
)

// unknown is the count of the responder's index before it was split. No count
// a peer may claim comes near it.
const (
	unknown  = ^uint64(0)
	maxCount = 1 << 48
)

// ask is one question. The zero name with index false is a set like others.
type ask struct {
	set    *[32]byte // nil: the index
	op     op
	prefix prefix
	count  uint64  // how many the responder said it has there
	shorts []short // for opResolve
	run    *run    // for opSketch
}

// batch holds the questions of one group, by op.
type batch struct {
	set  *[32]byte
	asks [ops][]ask
}

// Message returns the next request to send, nil when the session is complete or
// at its limits.
// Errors, here and from Receive, are final.
func (i *Initiator) Message() ([]byte, error) {
	if i.err != nil || (i.waiting == nil && len(i.todo) == 0) {
		return nil, i.err
	}
	if i.waiting != nil {
		return nil, errors.New("reconcile: a reply is due before the next message")
	}
	if i.started && (i.full() || i.budget.short()) {
		i.todo = nil
		return nil, nil
	}
	q := request{Version: version, Salt: i.salt[:]}
	if !i.started {
		f := i.salt.short(i.local.Index.Root())
		q.Index = f[:]
	}
	i.pack()
	for _, b := range i.waiting {
		q.Groups = append(q.Groups, b.group())
	}
	msg, err := dagcbor.Marshal(q)
	if err == nil {
		err = i.budget.spend(1, len(msg))
	}
	if err != nil {
		i.err = fmt.Errorf("reconcile: making a request: %w", err)
		return nil, i.err
	}
	return msg, nil
}

// pack moves as many questions as a message holds from todo to waiting.
func (i *Initiator) pack() {
	groups := map[[33]byte]int{} // name and kind to index in waiting
	cost, symbols := baseCost, 0
	for len(i.todo) > 0 {
		a := i.todo[len(i.todo)-1]
		var id [33]byte
		if a.set != nil {
			copy(id[1:], a.set[:])
			id[0] = 1
		}
		at, ok := groups[id]
		cost += a.cost()
		if !ok {
			cost += groupCost
		}
		if a.run != nil {
			symbols += symbolBytes(a.run.question())
		}
		if cost > MaxRequest || symbols > maxSymbolBytes {
			return
		}
		if !ok {
			at = len(i.waiting)
			groups[id] = at
			i.waiting = append(i.waiting, batch{set: a.set})
		}
		i.todo = i.todo[:len(i.todo)-1]
		i.waiting[at].asks[a.op] = append(i.waiting[at].asks[a.op], a)
	}
}

func (a ask) cost() int {
	switch a.op {
	case opSplit:
		return splitCost
	case opList:
		return listCost
	case opFull:
		return fullCost
	case opSketch:
		return sketchCost
	}
	return resolveCost(len(a.shorts))
}

func (b batch) group() (g group) {
	if b.set != nil {
		g.Name = b.set[:]
	}
	for o, to := range [...]*[][]byte{opSplit: &g.Splits, opList: &g.Lists, opFull: &g.Fulls} {
		for _, a := range b.asks[o] {
			*to = append(*to, a.prefix.encode())
		}
	}
	for _, a := range b.asks[opResolve] {
		r := resolve{Prefix: a.prefix.encode()}
		for _, f := range a.shorts {
			r.Shorts = append(r.Shorts, f[:]...)
		}
		g.Resolves = append(g.Resolves, r)
	}
	for _, a := range b.asks[opSketch] {
		g.Sketch = a.run.question() // a set has one run
	}
	return g
}

// Receive takes the reply to the last message. Errors wrap [ErrProtocol] or
// [ErrLimit] (a reply over its size) where the peer is to blame, or what a [Set]
// returned.
func (i *Initiator) Receive(msg []byte) error {
	if i.err == nil {
		i.err = i.receive(msg)
	}
	return i.err
}

func (i *Initiator) receive(msg []byte) error {
	if i.waiting == nil {
		return errors.New("reconcile: a reply without a message")
	}
	if err := i.budget.spend(0, len(msg)); err != nil {
		return err
	}
	r, err := parseReply(msg)
	if err != nil {
		return err
	}
	batches, first := i.waiting, !i.started
	i.waiting, i.started = nil, true
	if first && len(r.Answers) == 0 {
		return nil
	}
	if len(r.Answers) != len(batches) {
		return malformed("%d answers to %d groups", len(r.Answers), len(batches))
	}
	for n, b := range batches {
		if err := i.apply(b, r.Answers[n]); err != nil {
			return err
		}
	}
	return nil
}

// apply takes in the answer to one group.
func (i *Initiator) apply(b batch, got answer) error {
	asks := &b.asks
	if len(got.Splits) != len(asks[opSplit]) || len(got.Lists) != len(asks[opList]) ||
		len(got.Fulls) != len(asks[opFull]) || len(got.Resolves) != len(asks[opResolve]) ||
		(len(got.Sketch) > 0 && len(asks[opSketch]) == 0) {
		return malformed("questions without answers, or the reverse")
	}
	var name []byte
	if b.set != nil {
		name = b.set[:]
	}
	src, err := i.local.source(name)
	if err != nil {
		return err
	}
	for n, a := range asks[opSplit] {
		if err == nil {
			err = i.onSplit(src, a, got.Splits[n])
		}
	}
	for n, a := range asks[opList] {
		if err == nil && b.set == nil {
			err = i.onNames(a, got.Lists[n])
		} else if err == nil {
			err = i.onList(src.set, a, got.Lists[n])
		}
	}
	for n, a := range asks[opFull] {
		if err == nil {
			err = i.onFull(a, got.Fulls[n])
		}
	}
	for n, a := range asks[opResolve] {
		if err == nil {
			err = i.onResolve(a, got.Resolves[n])
		}
	}
	for _, a := range asks[opSketch] {
		if err == nil {
			err = i.onSketch(src, a, got.Sketch)
		}
	}
	return err
}

// Diffs returns the sets that differ, ascending by name, once
// [Initiator.Message] has returned nil without an error.
func (i *Initiator) Diffs() []Diff {
	if i.err != nil || i.waiting != nil || len(i.todo) > 0 {
		return nil
	}
	var out []Diff
	for _, d := range i.diffs {
		slices.SortFunc(d.Need, compareIDs)
		slices.SortFunc(d.Have, compareIDs)
		slices.SortFunc(d.Keys, func(a, b [16]byte) int { return bytes.Compare(a[:], b[:]) })
		out = append(out, *d)
	}
	slices.SortFunc(out, func(a, b Diff) int { return compareIDs(a.Set, b.Set) })
	return out
}

func compareIDs(a, b [32]byte) int { return bytes.Compare(a[:], b[:]) }

// need records ids the initiator lacks.
func (i *Initiator) need(set [32]byte, ids ...[32]byte) {
	d := i.diff(set, len(ids))
	d.Need = append(d.Need, ids...)
}

// diff returns what a set differs in, to which n ids are added.
func (i *Initiator) diff(set [32]byte, n int) *Diff {
	d := i.diffs[set]
	if d == nil {
		d = &Diff{Set: set}
		i.diffs[set] = d
	}
	i.found += n
	return d
}

// full reports that as many differences were found as may be.
func (i *Initiator) full() bool { return i.found >= i.budget.limits.Differences }
