package node

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/certificate"
	"github.com/metastate-p2p/metastate/protocol/checkpoint"
	"github.com/metastate-p2p/metastate/store"
)

// Bounds on what is kept of other branches of checkpoints.
const (
	maxRivals = 256  // certificates
	maxStrays = 4096 // ids of checkpoints that follow one left behind
)

// disputes are what a ledger keeps of branches that it does not follow. Its
// ledger locks.
type disputes struct {
	rivals map[protocol.ID]*rival
	strays map[protocol.ID]bool // known to follow a rival that was left behind
	bases  *checkpoint.Tip      // the last tip recomputed to judge a rival by
	alarm  uint64               // height of a checkpoint that others should see; 0: none
	shed   []*protocol.Record   // held and not of this branch, of any author
}

func newDisputes() disputes {
	return disputes{rivals: map[protocol.ID]*rival{}, strays: map[protocol.ID]bool{}}
}

// A rival is a certificate off this node's branch that those who could sign
// after the checkpoint before it stand behind.
type rival struct {
	certificate.Certificate
	value certificate.Value
	tip   *checkpoint.Tip // what it leads to; nil until its records are held
	fault error           // why it does not follow from its records
	left  bool            // by order of the person: it stops nothing
}

// errStopped is wrapped by what a ledger that stopped says of certificates.
var errStopped = errors.New("node: finality has stopped")

// onBranch reports whether this node's branch has a checkpoint. Height 0 is
// before the first.
func (l *ledger) onBranch(height uint64, id protocol.ID) bool {
	own, ok := l.CheckpointID(height)
	return ok && own == id || height == 0 && id.IsZero()
}

// forkOf is the height of the last checkpoint of this node's branch before a
// value, if all between are kept.
func (l *ledger) forkOf(v certificate.Value) (height uint64, ok bool) {
	for {
		if l.onBranch(v.Height-1, v.Prev) {
			return v.Height - 1, true
		}
		before := l.rivals[v.Prev]
		if before == nil {
			return 0, false
		}
		v = before.value
	}
}

// parted is the height of the last checkpoint that this node's branch has in
// common with all those that stopped it.
func (l *ledger) parted() (height uint64, ok bool) {
	for _, rv := range l.rivals {
		if rv.left {
			continue
		}
		at, known := l.forkOf(rv.value)
		if !known {
			return 0, false
		}
		if !ok || at < height {
			height, ok = at, true
		}
	}
	return height, ok
}

// compare checks a certificate for a height that is final here already. Another
// value there, if it holds, stops the node, which keeps both: clerks signed
// twice, or the roll had recalled those whom this node followed.
func (l *ledger) compare(cert certificate.Certificate, v certificate.Value) error {
	if l.onBranch(v.Height, cert.ID()) {
		return nil
	}
	held, own, err := l.certificateAt(v.Height)
	if err != nil {
		return err
	}
	here := l.onBranch(v.Height-1, v.Prev)
	why := fmt.Errorf("two different checkpoints %d are both signed by a quorum of clerks", v.Height)
	switch {
	case here && !own.Under().IsZero() && v.Under().IsZero():
		return nil // of clerks whom the roll recalled before it: void
	case !v.Under().IsZero() && !here:
		return l.doubt()
	case !v.Under().IsZero():
		why = fmt.Errorf("more than half of the members recalled the clerks at checkpoint %d, and this node holds later ones of theirs", v.Height-1)
		if !own.Under().IsZero() {
			why = fmt.Errorf("two recalls both made a checkpoint %d", v.Height)
		}
	}
	clerks, err := l.stands(cert, v)
	if err != nil && v.Under().IsZero() {
		return fmt.Errorf("%w: %w", l.doubt(), err)
	}
	if err != nil {
		return err
	}
	for _, e := range checkpoint.Conflict(held, cert) {
		if body, ok := e.Body(clerks); ok && len(l.proof) < maxProof {
			l.proof = append(l.proof, body)
		}
	}
	l.dispute(cert, v, why)
	if !here { // where they part is to be found
		_ = l.doubt()
	}
	l.examine()
	return why
}

// stands checks that those who could sign a value did, and returns who they are:
// the clerks that the checkpoint before it names, or with a recall the successors
// that its step puts in.
func (l *ledger) stands(cert certificate.Certificate, v certificate.Value) (clerks []certificate.Clerk, err error) {
	before := l.rivals[v.Prev]
	var by certificate.Signers
	switch {
	case !v.Under().IsZero():
		var next checkpoint.Next
		if next, _, err = l.recompute(v); err == nil {
			by = certificate.Signers{Era: v.Era(), Clerks: next.Signers()}
		}
	case before != nil:
		by = before.value.Next()
	default:
		by, err = l.inForce(v.Height)
	}
	if err == nil {
		_, err = cert.Verify(l.metastate, by)
	}
	return by.Clerks, err
}

// recompute applies a value off this node's branch, and the records that it
// newly covers, to the checkpoint before it.
func (l *ledger) recompute(v certificate.Value) (next checkpoint.Next, recs []*protocol.Record, err error) {
	base, err := l.baseOf(v)
	if err != nil {
		return next, nil, err
	}
	if recs, err = l.covered(v, true); err != nil {
		return next, nil, err
	}
	next, err = base.Apply(v, recs)
	return next, recs, err
}

// baseOf is the tip before a value. It costs a replay: who forges certificates
// gets one now and then.
func (l *ledger) baseOf(v certificate.Value) (checkpoint.Tip, error) {
	if before := l.rivals[v.Prev]; before != nil && before.tip != nil {
		return *before.tip, nil
	}
	ref := protocol.Ref{Height: v.Height - 1, ID: v.Prev}
	switch {
	case !l.onBranch(ref.Height, ref.ID):
		return checkpoint.Tip{}, errWaiting
	case ref == l.tip.Ref():
		return l.tip, nil
	case l.bases != nil && l.bases.Ref() == ref:
		return *l.bases, nil
	case l.now().Sub(l.replayed) < replayEvery:
		return checkpoint.Tip{}, errWaiting
	}
	l.replayed = l.now()
	tip, err := l.replayTo(ref.Height)
	if err == nil {
		l.bases = &tip
	}
	return tip, err
}

// besides is a stored record that is not open: another branch covers it, or this
// one does already. Nil if there is none.
func (l *ledger) besides(id protocol.ID) *protocol.Record {
	r, err := l.record(id)
	if err != nil {
		return nil
	}
	return r
}

// dispute stops finality over a certificate, which is kept. Caller holds mu.
func (l *ledger) dispute(cert certificate.Certificate, v certificate.Value, why error) *rival {
	l.trouble, l.snap = why, nil
	l.alarm = min(v.Height, l.tip.Ref().Height)
	l.log.Error("finality stopped", "cause", why)
	rv := &rival{Certificate: cert, value: v}
	l.rivals[cert.ID()] = rv
	if err := l.keepBeside(cert); err != nil {
		l.log.Error("keeping the certificate that stopped it", "cause", err)
	}
	return rv
}

// keepBeside makes a certificate durable beside this node's branch.
func (l *ledger) keepBeside(cert certificate.Certificate) error {
	for _, w := range l.keeping(cert) {
		if err := w(); err != nil {
			return err
		}
	}
	return nil
}

// keeping are the writes that keep a certificate, after the lists that it names.
func (l *ledger) keeping(cert certificate.Certificate) (list []write) {
	for _, b := range l.namedChunks(cert.Value) {
		list = append(list, func() error { return l.store.PutPrivate(privDisputedList+protocol.Sum(b).String(), b) })
	}
	return append(list, func() error { return l.store.PutPrivate(privDisputed+cert.ID().String(), cert.Encode()) })
}

// witness keeps what a ledger that stopped is shown of other branches, so that
// its person can choose.
func (l *ledger) witness(cert certificate.Certificate, v certificate.Value) error {
	next := l.tip.Ref().Height + 1
	if _, known := l.forkOf(v); !known {
		return l.doubt() // also of one that is kept: until it is found where they part
	}
	switch {
	case l.onBranch(v.Height, cert.ID()), l.rivals[cert.ID()] != nil, len(l.rivals) >= maxRivals:
		return nil
	case v.Height == next && v.Prev == l.tip.Ref().ID && v.Under().IsZero():
		return fmt.Errorf("%w: %w", errStopped, l.trouble) // its own branch's next: not before the person says so
	}
	if _, err := l.stands(cert, v); err != nil {
		return err
	}
	if err := l.keepBeside(cert); err != nil {
		return storeError(err)
	}
	l.rivals[cert.ID()] = &rival{Certificate: cert, value: v}
	l.examine()
	return nil
}

// examine recomputes the rivals whose records have come, and stores these, so
// that the person can be told which branch holds, and can follow it.
func (l *ledger) examine() {
	for _, rv := range l.sortedRivals() {
		if rv.tip != nil || rv.fault != nil {
			continue
		}
		next, recs, err := l.recompute(rv.value)
		if err == nil {
			err = l.store.Append(itemsOf(recs)...)
		}
		switch {
		case errors.Is(err, checkpoint.ErrNotNext), errors.Is(err, checkpoint.ErrStateRoot):
			rv.fault = err
		case err == nil:
			rv.tip = &next.Tip
			l.snap = nil
		}
	}
}

func itemsOf(recs []*protocol.Record) []store.Item {
	items := make([]store.Item, len(recs))
	for i, r := range recs {
		items[i] = store.Item{ID: r.ID(), Set: r.Header().Subject, Inner: r.Inner()}
	}
	return items
}

// sortedRivals are all rivals, by rising height.
func (l *ledger) sortedRivals() []*rival {
	list := make([]*rival, 0, len(l.rivals))
	for _, rv := range l.rivals {
		list = append(list, rv)
	}
	slices.SortFunc(list, func(a, b *rival) int {
		return cmp.Or(cmp.Compare(a.value.Height, b.value.Height), a.ID().Compare(b.ID()))
	})
	return list
}

// disputed looks again at the certificates kept in earlier runs, and at which
// records are of this branch.
func (l *ledger) disputed() error {
	var again []*rival
	for _, key := range l.store.PrivateKeys(privDisputed) {
		b, err := l.store.Private(key)
		if err != nil {
			continue
		}
		cert, err := certificate.ParseCertificate(b)
		if err != nil {
			continue
		}
		v, err := certificate.ParseValue(cert.Value)
		if err != nil || l.onBranch(v.Height, cert.ID()) {
			continue
		}
		rv := &rival{Certificate: cert, value: v}
		_, err = l.store.Private(privLeft + cert.ID().String())
		if rv.left = err == nil; rv.left {
			l.rivals[cert.ID()] = rv
			continue
		}
		again = append(again, rv)
	}
	slices.SortFunc(again, func(a, b *rival) int { return cmp.Compare(a.value.Height, b.value.Height) })
	for _, rv := range again {
		l.replayed = time.Time{} // nobody else asks for replays here
		for _, b := range l.namedDisputed(rv.value) {
			_ = l.chunks.add(b)
		}
		// A dispute that goes on is in trouble. So is one that can't be looked at
		// again: nothing says that it is over.
		if _, err := l.offer(rv.Certificate); errors.Is(err, errWaiting) && l.trouble == nil {
			l.trouble = errors.New("a checkpoint that did not follow can't be looked at again: what it covers is not held")
			l.rivals[rv.ID()] = rv
		}
	}
	if len(l.rivals) == 0 {
		return nil
	}
	return l.rejudge()
}

// namedDisputed are the kept lists that a value names.
func (l *ledger) namedDisputed(v certificate.Value) (lists [][]byte) {
	for id := range v.ChunkNames() {
		if b, err := l.store.Private(privDisputedList + id.String()); err == nil {
			lists = append(lists, b)
		}
	}
	return lists
}

// takeAlarm is the height of a checkpoint that others should see, because there
// is another: once.
func (l *ledger) takeAlarm() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	height := l.alarm
	l.alarm = 0
	return height
}
