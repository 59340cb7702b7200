package node

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/checkpoint"
	"github.com/metastate-p2p/metastate/protocol/state"
	"github.com/metastate-p2p/metastate/store"
)

// A ledger is one metastate's log on this node, and the one door into it:
// whatever is stored was checked here, and whatever is shown follows from what
// is stored. Records come in by deliver (from others) or write (our own),
// checkpoints by finalise; each is checked, appended durably, and only then
// seen or sent.
type ledger struct {
	metastate protocol.ID
	store     *store.Store
	log       *slog.Logger
	now       func() time.Time
	own       identity.PublicKey   // this node's device
	keys      *identity.Verifier   // of who signed lately; nil: not remembered
	changed   func()               // called without mu after anything was taken in
	begun     atomic.Pointer[base] // what it began with in place of history; nil: the genesis
	snapshots snapshots            // taken for others
	restoring restoring            // on its way here

	mu       sync.Mutex
	holdings                    // guarded by mu, like all below
	finality                    //
	pending  pool               // records that wait for others
	lapsed   []*protocol.Record // signed by own, dropped, and not dealt with
	recent   bool               // history before the base is not wanted
	pruned   bool               // and not all there, though it once was
	snap     *Snapshot          // the view of what is held; nil if out of date
}

// A Snapshot is a metastate as this node sees it. It is immutable.
type Snapshot struct {
	Ref     protocol.Ref                     // the latest final checkpoint
	Final   *state.State                     // as of it
	View    *state.State                     // as if all that is held were covered now
	Open    map[protocol.ID]*protocol.Record // held and not covered
	Trouble error                            // why finality stopped, nil if it has not
}

// openLedger replays a store, which must hold at least the genesis. own is this
// node's device.
func openLedger(metastate protocol.ID, own identity.PublicKey, st *store.Store, log *slog.Logger, changed func()) (*ledger, error) {
	l := &ledger{
		metastate: metastate, own: own, store: st, log: log, now: time.Now, changed: changed,
		holdings: newHoldings(), finality: newFinality(),
	}
	inner, err := st.Get(metastate)
	if err != nil {
		return nil, fmt.Errorf("node: opening the ledger: reading the genesis: %w", err)
	}
	genesis, err := protocol.Parse(inner)
	if err != nil {
		return nil, fmt.Errorf("node: opening the ledger: %w", err)
	}
	if l.tip, err = checkpoint.Begin(genesis); err != nil {
		return nil, fmt.Errorf("node: opening the ledger: %w", err)
	}
	if err := l.finishOrder(); err != nil {
		return nil, fmt.Errorf("node: opening the ledger: %w", err)
	}
	b, err := l.restored()
	if err != nil {
		return nil, fmt.Errorf("node: opening the ledger: %w", err)
	}
	filled := b != nil && l.startOrRecompute(b)
	err = l.replay()
	if filled && l.trouble == nil && l.tip.Ref().Height < b.height() {
		// Of the past something is damaged, or was never right: nothing in force
		// hangs on it.
		log.Error("the past can't be recomputed; going on from the snapshot", "reached", l.tip.Ref().Height, "cause", err)
		filled = false
		l.holdings, l.finality, l.pending = newHoldings(), newFinality(), pool{}
		l.start(b)
		err = l.replay()
	}
	if err == nil {
		err = l.disputed()
	}
	if err == nil && filled && l.trouble == nil {
		err = l.forgetSnapshot()
	}
	if err != nil {
		return nil, fmt.Errorf("node: opening the ledger: %w", err)
	}
	l.lapse(nil, true) // what came to nothing before the tip
	return l, nil
}

// index adds a stored record to what is held.
func (l *ledger) index(r *protocol.Record) {
	if l.settled(r) {
		if r.Plane() == protocol.Control {
			l.headers[r.ID()] = r.Header()
		}
		return
	}
	l.add(r, l.now())
	delete(l.needed, r.ID())
	l.snap = nil
}

// A delivery is what became of records offered to the ledger.
type delivery struct {
	taken     int // new and stored
	duplicate int
	waiting   int // for ancestors or a checkpoint
	fresh     int // taken, or waiting and not held before
	refused   []refusal
	ballots   []*protocol.Record // of those taken
}

type refusal struct {
	id  protocol.ID
	err error
}

// deliver takes in records from outside: verified together, checked one by one
// against what is held, stored in one durable batch. Errors are the store's;
// what is wrong with a record is in the delivery.
func (l *ledger) deliver(inners [][]byte) (d delivery, err error) {
	recs, errs := protocol.ParseBatch(l.keys, inners)
	l.mu.Lock()
	low := l.past.low
	var todo, sought []*protocol.Record
	for i, r := range recs {
		switch {
		case errs[i] != nil:
			d.refused = append(d.refused, refusal{idOf(inners[i]), errs[i]})
		case l.seeks(r.ID()):
			sought = append(sought, r)
		case l.holds(r):
			d.duplicate++
		default:
			todo = append(todo, r)
		}
	}
	if len(sought) > 0 {
		d.taken, d.fresh = len(sought), len(sought)
		err = l.keep(sought)
	}
	if err == nil {
		err = l.take(todo, &d)
	}
	moved := err == nil && l.retry()
	moved = moved || l.past.low != low // of the past itself nothing is shown
	s := l.tip.State()
	l.mu.Unlock()
	checkBallots(s, d.ballots) // before anybody makes a view of them
	if d.taken > len(sought) || moved {
		l.changed()
	}
	return d, err
}

// holds reports whether a record is held, or a control record is covered though
// its bytes are not here. Caller holds mu.
func (l *ledger) holds(r *protocol.Record) bool {
	subject := r.Header().Subject
	if l.sets[subject].Has(r.ID()) {
		return true
	}
	if p := l.tip.State().Decisions().Poll(subject); p == nil || !p.Phase.Closed() {
		return false
	}
	held, err := l.store.Has(r.ID()) // closed polls have no set
	return err == nil && held
}

// idOf names bytes that claim to be a record, zero if nothing can be named.
func idOf(inner []byte) protocol.ID {
	payload, _, err := protocol.SplitInner(inner)
	if err != nil {
		return protocol.ID{}
	}
	return protocol.Sum(payload)
}

// take checks records and whatever waited for them, and stores those that may
// be. Caller holds mu.
func (l *ledger) take(todo []*protocol.Record, d *delivery) error {
	queue := state.Order(todo)
	var items []store.Item
	var good []*protocol.Record
	accepted := overlay{ledger: l, fresh: map[protocol.ID]protocol.Header{}, rivals: map[place]int{}}
	for len(queue) > 0 {
		r := queue[0]
		queue = queue[1:]
		if _, dup := accepted.fresh[r.ID()]; dup || l.holds(r) {
			continue
		}
		err := l.tip.State().Receive(r, accepted)
		var missing *state.Missing
		switch {
		case errors.As(err, &missing):
			l.wait(r, missing, d)
			continue
		case err == nil && accepted.third(r):
			err = errThird
		}
		if certified, needed := l.needed[r.ID()]; err != nil && (certified || needed && errors.Is(err, errThird)) {
			// What a quorum of clerks covers belongs to the history, whatever this
			// node would have made of it.
			l.wait(r, &state.Missing{}, d)
			continue
		}
		if err != nil {
			d.refused = append(d.refused, refusal{r.ID(), err})
			continue
		}
		accepted.add(r)
		items = append(items, store.Item{ID: r.ID(), Set: r.Header().Subject, Inner: r.Inner()})
		good = append(good, r)
		queue = append(queue, l.pending.release(r.ID())...)
	}
	for len(items) > 0 {
		n := min(len(items), verifyBatch)
		if err := l.store.Append(items[:n]...); err != nil {
			return storeError(err)
		}
		for _, r := range good[:n] {
			l.index(r)
			if r.Kind() == protocol.Ballot {
				d.ballots = append(d.ballots, r)
			}
		}
		d.taken += n
		d.fresh += n
		items, good = items[n:], good[n:]
	}
	return nil
}

// errThird refuses what nothing is wrong with but that two rivals are held.
var errThird = fmt.Errorf("node: %w: two rivals of it are held already", state.ErrRefused)

// wait keeps a record until what it waits for is held.
func (l *ledger) wait(r *protocol.Record, missing *state.Missing, d *delivery) {
	if l.pending.get(r.ID()) == nil {
		d.fresh++
	}
	for _, id := range missing.Records {
		if l.Began() > 0 && l.Covered(id) {
			l.seek(id, l.past.want[id])
		}
	}
	l.pending.add(r, missing, l.waiter(r))
	d.waiting++
}

// waiter is for whom a record waits, as its share of what may: its key if that is
// known to speak for somebody, else one for all others, since anyone can make
// keys. Caller holds mu.
func (l *ledger) waiter(r *protocol.Record) identity.PublicKey {
	h := r.Header()
	m, d := l.tip.State().Roll().Member(h.Persona), l.tip.State().Roll().Device(h.Key)
	if d != nil && d.Persona == h.Persona || m != nil && m.Keys.Key == h.Key {
		return h.Key
	}
	return identity.PublicKey{}
}

// overlay is the ledger with records that are about to be stored.
type overlay struct {
	*ledger
	fresh  map[protocol.ID]protocol.Header
	rivals map[place]int // of fresh
}

func (o overlay) add(r *protocol.Record) {
	o.fresh[r.ID()] = r.Header()
	o.rivals[placeOf(r.Header())]++
}

// third reports whether two rivals of r are held, or about to be. Two are proof
// enough of what the device did.
func (o overlay) third(r *protocol.Record) bool {
	at := placeOf(r.Header())
	return o.places[at]+o.rivals[at] >= 2 || o.spent[at.subject][at]
}

func (o overlay) Header(id protocol.ID) (protocol.Header, bool) {
	if h, ok := o.fresh[id]; ok {
		return h, true
	}
	return o.ledger.Header(id)
}

// Snapshot is the metastate as this node sees it now.
func (l *ledger) Snapshot() *Snapshot {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.snap != nil {
		return l.snap
	}
	s := &Snapshot{
		Ref: l.tip.Ref(), Final: l.tip.State(), Trouble: l.trouble,
		Open: make(map[protocol.ID]*protocol.Record, len(l.open)),
	}
	recs := make([]*protocol.Record, 0, len(l.open))
	for id, r := range l.open {
		s.Open[id] = r.Record
		recs = append(recs, r.Record)
	}
	checkBallots(s.Final, recs) // those that were open when the node started
	s.View, _ = s.Final.Advance(state.Step{Records: recs, Provisional: true})
	l.snap = s
	return s
}

// storeError gives the store's errors the words a person needs.
func storeError(err error) error {
	switch {
	case errors.Is(err, store.ErrFull):
		what, remedy := diskFull(err)
		return &Error{
			Code: "disk-full", Exit: ExitFailed, Err: err,
			Message: what + "; nothing was stored", Hint: remedy + " and try again",
		}
	case errors.Is(err, store.ErrClosed):
		return &Error{Code: "closed", Exit: ExitFailed, Err: err, Message: "the node is shutting down"}
	}
	return fmt.Errorf("node: storing: %w", err)
}
