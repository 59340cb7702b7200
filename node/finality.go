package node

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/certificate"
	"github.com/metastate-p2p/metastate/protocol/checkpoint"
	"github.com/metastate-p2p/metastate/protocol/roll"
	"github.com/metastate-p2p/metastate/store"
)

const (
	maxWanted = 64                              // certificates that wait for the ones before them
	maxNeeded = 4 * certificate.MaxNewlyCovered // records that clerks' values wait for
)

// finality is how far a ledger's checkpoints go, and what stands in the way of
// the next. Its ledger locks.
type finality struct {
	tip      checkpoint.Tip
	past     past                               // history before the base
	turns    []uint64                           // heights, from the base on, at which the clerks changed
	heights  []protocol.ID                      // ids of checkpoints, from the base or height 1 on
	chunks   chunkCache                         // lists of ids that values name
	proof    []roll.EvidenceBody                // against clerks, to be brought before the members
	trouble  error                              // why finality stopped; nil if it has not
	wanted   map[uint64]certificate.Certificate // certificates that wait for records
	needed   map[protocol.ID]bool               // what a clerk's value covers and is not held; true: certified
	recalls  map[protocol.ID]time.Time          // recalls that could be carried out, and since when
	replayed time.Time                          // when a certificate under a recall was last checked against the past
	back     uint64                             // how many heights to ask for again: others may be on another branch
	disputes                                    // other branches
}

func newFinality() finality {
	return finality{
		wanted: map[uint64]certificate.Certificate{}, needed: map[protocol.ID]bool{}, disputes: newDisputes(),
	}
}

// errWaiting says that a certificate waits for records, chunks or the
// certificates before it.
var errWaiting = errors.New("node: the certificate waits for what it covers")

// errBranch says that a certificate is of another branch of checkpoints, or
// forged. Those before it tell.
var errBranch = errors.New("node: the certificate does not extend the checkpoints held")

// A standing is how far certificates have brought a ledger: whatever one moves
// changes it.
type standing struct {
	tip                             protocol.ID
	low, back                       uint64
	waiting, queued, rivals, proofs int
	stopped                         bool
}

func (l *ledger) standing() standing {
	l.mu.Lock()
	defer l.mu.Unlock()
	return standing{
		tip: l.tip.Ref().ID, low: l.lowest(), back: l.back,
		waiting: len(l.wanted), queued: len(l.past.queue), rivals: len(l.rivals), proofs: len(l.proof),
		stopped: l.trouble != nil,
	}
}

// maxBack bounds the certificates asked for again to find where branches part.
const maxBack = 64

// doubt asks for more of the certificates before, twice as many each time.
// Caller holds mu.
func (l *ledger) doubt() error {
	l.back = max(1, 2*l.back)
	if l.trouble == nil {
		l.back = min(l.back, maxBack)
	}
	return errBranch
}

// wants is the first height whose certificate to ask others for.
func (l *ledger) wants() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	height := l.tip.Ref().Height
	if at, ok := l.parted(); ok && l.trouble != nil {
		return at + 1
	}
	return height - min(l.back, height) + 1
}

// Clock bounds on a fresh proposal, and how long a record must have been held
// for its omission to count (SPEC §7.3).
const (
	maxAhead  = 60 * time.Second
	maxBehind = 60 * time.Second
	omission  = 2 * time.Second

	// recallPatience is how long the clerks in force have to cover a recall. Then
	// they sign nothing more while it stands, and recallMargin later those whom it
	// names cover it: long enough for what was under way, so that slow links make
	// no two checkpoints of one height.
	recallPatience = 10 * time.Minute
	recallMargin   = time.Minute
	replayEvery    = 10 * time.Second
)

// finalise takes in a certificate: verified against the clerks in force, its
// state recomputed, then stored. It returns errWaiting if something is
// missing, nil also if the checkpoint is held already.
func (l *ledger) finalise(cert certificate.Certificate) error {
	l.mu.Lock()
	moved, err := l.offer(cert)
	l.mu.Unlock()
	if moved {
		l.changed()
	}
	return err
}

// offer is finalise with mu held; moved says whether the tip did.
func (l *ledger) offer(cert certificate.Certificate) (moved bool, err error) {
	v, err := certificate.ParseValue(cert.Value)
	if err != nil {
		return false, err
	}
	next := l.tip.Ref().Height + 1
	switch {
	case l.leftBehind(cert.ID(), v):
		return false, nil
	case l.trouble != nil:
		return false, l.witness(cert, v)
	case v.Height <= l.Began() && v.Height < l.lowest():
		return false, l.backfill(cert, v)
	case v.Height < next:
		return false, l.compare(cert, v)
	case v.Height >= next+maxWanted:
		return false, errWaiting
	case v.Height > next:
		l.wanted[v.Height] = cert
		return false, errWaiting
	case v.Prev != l.tip.Ref().ID:
		return false, l.doubt()
	case v.Under().IsZero() && l.contested():
		return false, nil // the clerks in force have had their say here, twice
	}
	moved, err = l.advance(cert)
	if errors.Is(err, errWaiting) {
		l.wanted[v.Height] = cert
		return moved, err
	}
	if err == nil {
		l.retry()
	}
	return moved, err
}

// retry applies certificates that waited, as far as they go.
func (l *ledger) retry() (moved bool) {
	for {
		if l.trouble != nil {
			l.examine()
			return moved
		}
		cert, ok := l.wanted[l.tip.Ref().Height+1]
		if !ok {
			return moved
		}
		step, err := l.advance(cert)
		moved = moved || step
		if errors.Is(err, errWaiting) {
			return moved
		}
		if err != nil {
			l.log.Warn("a certificate that waited was refused", "cause", err)
			return moved
		}
	}
}

// inForce are those who sign the checkpoint at a height that is final here.
// Anyone can ask by a forged certificate: it costs one look-up.
func (l *ledger) inForce(height uint64) (by certificate.Signers, err error) {
	if height > 1 {
		_, v, err := l.certificateAt(height - 1)
		return v.Next(), err
	}
	genesis, err := l.record(l.metastate)
	if err != nil {
		return by, err
	}
	tip, err := checkpoint.Begin(genesis)
	if err != nil {
		return by, err
	}
	return tip.Signers(), nil
}

// advance applies the next certificate. Caller holds mu.
func (l *ledger) advance(cert certificate.Certificate) (moved bool, err error) {
	v, err := certificate.ParseValue(cert.Value)
	if err != nil {
		return false, err
	}
	// Who signs under a recall follows from the records it covers.
	recalled := !v.Under().IsZero()
	if !recalled {
		if _, err := cert.Verify(l.metastate, l.tip.Signers()); err != nil {
			return false, err
		}
	}
	recs, err := l.covered(v, !recalled)
	if errors.Is(err, errWaiting) && !recalled {
		l.chunks.name(v)
	}
	if !errors.Is(err, errWaiting) {
		delete(l.wanted, v.Height)
	}
	if err != nil {
		return false, err
	}
	checkBallots(l.tip.State(), recs)
	next, err := l.tip.Apply(v, recs)
	if err == nil && recalled {
		_, err = cert.Verify(l.metastate, certificate.Signers{Era: v.Era(), Clerks: next.Signers()})
	}
	if err != nil && recalled {
		return false, err // nobody in force stands behind it
	}
	if err != nil {
		// A quorum of clerks stands behind what does not follow. Going on would
		// split the metastate without anyone noticing.
		l.dispute(cert, v, fmt.Errorf("the clerks' checkpoint %d does not follow from its records: %w", v.Height, err)).fault = err
		return true, l.trouble
	}
	if err := l.storeCheckpoint(cert, v, next, recs); err != nil {
		return false, err
	}
	l.adopt(next, recs)
	return true, nil
}

// covered finds the records that a clerk's value newly covers. Those that are
// not held are needed: they are taken in when they come, also if this node
// refused them as rivals of what it holds, so that nobody can halt finality by
// showing each clerk something else. Of what no quorum stands behind only
// rivals are.
func (l *ledger) covered(v certificate.Value, certified bool) ([]*protocol.Record, error) {
	sets, err := v.NewlyCovered(l.chunk)
	if errors.Is(err, certificate.ErrMalformed) {
		return nil, err
	}
	if err != nil {
		return nil, errWaiting
	}
	var recs []*protocol.Record
	whole := true
	for _, set := range sets {
		for _, id := range set.IDs {
			if r, ok := l.open[id]; ok {
				recs = append(recs, r.Record)
			} else if r := l.pending.get(id); r != nil { // the clerks hold what it waits for
				recs = append(recs, r)
			} else if r := l.besides(id); r != nil && certified {
				recs = append(recs, r)
			} else {
				whole = false
				if len(l.needed) >= maxNeeded { // junk must not keep others out
					clear(l.needed)
				}
				l.needed[id] = l.needed[id] || certified
			}
		}
	}
	if !whole {
		return nil, errWaiting
	}
	return recs, nil
}

// storeCheckpoint makes a checkpoint durable, with records it covers that were
// only pending here.
func (l *ledger) storeCheckpoint(cert certificate.Certificate, v certificate.Value, next checkpoint.Next, recs []*protocol.Record) error {
	var b store.Batch
	if _, err := l.store.Checkpoint(v.Height); err != nil { // not replayed
		b.Checkpoint = &store.Checkpoint{Height: v.Height, Cert: cert.Encode(), Chunks: next.Chunks}
	}
	var fresh []*protocol.Record
	for _, r := range recs {
		if _, ok := l.open[r.ID()]; !ok {
			fresh = append(fresh, r)
			b.Items = append(b.Items, store.Item{ID: r.ID(), Set: r.Header().Subject, Inner: r.Inner()})
		}
	}
	if b.Checkpoint == nil && len(b.Items) == 0 {
		return nil
	}
	if err := l.store.Commit(b); err != nil {
		return storeError(err)
	}
	for _, r := range fresh {
		l.index(r)
		l.pending.remove(r.ID())
	}
	return nil
}

// adopt makes next the tip.
func (l *ledger) adopt(next checkpoint.Next, recs []*protocol.Record) {
	if !slices.Equal(l.tip.Clerks(), next.Tip.Clerks()) {
		l.turns = append(l.turns, next.Tip.Ref().Height)
	}
	oldest := l.tip.State().Oldest()
	l.tip = next.Tip
	l.heights = append(l.heights, next.Tip.Ref().ID)
	l.snap, l.back = nil, 0
	for _, r := range recs {
		l.settle(r)
	}
	l.dropReceipts(recs)
	clear(l.needed)
	l.chunks.over()
	l.spend(recs, next.Verdicts)
	for poll := range next.Tip.State().Decisions().JustEnded() {
		// Closed polls are not compared any more: nodes that met different late
		// ballots, or hold no history, are equal.
		delete(l.sets, poll)
		l.stale[poll] = true
		delete(l.spent, poll)
		for _, r := range l.open {
			if r.Header().Subject == poll {
				l.settle(r.Record)
			}
		}
	}
	l.lapse(recs, l.tip.State().Oldest() > oldest)
	ready := l.pending.releaseHeight(l.tip.Ref().Height)
	for _, r := range recs {
		ready = append(ready, l.pending.release(r.ID())...)
		for _, in := range r.Carried() { // in no set, but what follows them may come now
			ready = append(ready, l.pending.release(in.ID())...)
		}
	}
	var d delivery
	if err := l.take(ready, &d); err != nil {
		l.log.Warn("storing records that waited for a checkpoint", "cause", err)
	}
}

// currentTip is the latest final checkpoint.
func (l *ledger) currentTip() checkpoint.Tip {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tip
}

// hasWork reports whether a checkpoint has anything to cover or to do.
func (l *ledger) hasWork() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.due()
}

// stopFinality keeps this node from following checkpoints, and says why.
func (l *ledger) stopFinality(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.trouble == nil {
		l.trouble, l.snap = err, nil
	}
}

const maxProof = 64 // evidence that waits to be brought before the members

// keepProof keeps evidence to be brought later.
func (l *ledger) keepProof(e roll.EvidenceBody) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.proof) < maxProof {
		l.proof = append(l.proof, e)
	}
}

// takeProof is what certificates that conflict prove against clerks, once.
func (l *ledger) takeProof() []roll.EvidenceBody {
	l.mu.Lock()
	defer l.mu.Unlock()
	proof := l.proof
	l.proof = nil
	return proof
}
