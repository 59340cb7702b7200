package audit

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/bundle"
	"github.com/metastate-p2p/metastate/protocol/certificate"
	"github.com/metastate-p2p/metastate/protocol/checkpoint"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
	"github.com/metastate-p2p/metastate/protocol/decision"
)

const (
	batchRecords = 2048 // verified together
	batchPart    = 128  // of these by one call of Each's function
	keysKnown    = 4096 // signers whose keys are kept expanded
)

// A replay goes through a history from the genesis on, and recomputes each
// checkpoint as soon as the records that it covers were read.
type replay struct {
	src       *bundle.Reader
	each      func(n int, do func(i int))
	keys      *identity.Verifier
	metastate protocol.ID
	trail     *trail

	tip     checkpoint.Tip
	begun   bool                             // tip is that of the genesis, or a later one
	certs   map[uint64]bundle.Item           // by height, not looked at yet
	next    *claim                           // the lowest of them
	held    map[protocol.ID]*protocol.Record // read, and not covered yet
	batch   []bundle.Item
	records uint64

	fault  *fault
	faults int
	lie    string // why it stopped without a fault: a closing that a quorum signed is for other steps to judge
	stuck  bool   // no further checkpoint can be recomputed
}

// A claim is a checkpoint that a certificate says there is.
type claim struct {
	cert   certificate.Certificate
	value  certificate.Value
	covers []certificate.Covered
	ids    []protocol.ID // all that it newly covers
	there  int           // how many of these, from the first on, were read
}

// A packed checkpoint is a certificate with the chunks that its value names
// (SPEC §9.2).
type packed struct {
	Certificate []byte   `cbor:"certificate"`
	Chunks      [][]byte `cbor:"chunks"`
}

func newReplay(src *bundle.Reader, c Config, metastate protocol.ID, t *trail) *replay {
	return &replay{
		src: src, each: c.Each, keys: identity.NewVerifier(keysKnown), metastate: metastate, trail: t,
		certs: map[uint64]bundle.Item{}, held: map[protocol.ID]*protocol.Record{},
	}
}

// blame keeps the first thing that is wrong, and counts the others.
func (r *replay) blame(f fault) {
	if r.faults++; r.fault == nil {
		r.fault = &f
	}
}

// read goes through the whole history. Its error is that of the underlying reader.
func (r *replay) read() error {
	for item, problem := range r.src.All() {
		switch {
		case problem != nil:
			r.damage(*problem)
		case item.Certificate != nil:
			if _, twice := r.certs[item.Height]; twice {
				r.blame(fault{detail: fmt.Sprintf("There are two certificates of checkpoint %d.", item.Height), offset: &item.Offset})
				continue
			}
			r.certs[item.Height] = item
		default:
			if r.batch = append(r.batch, item); len(r.batch) == batchRecords {
				r.flush()
			}
		}
	}
	if err := r.src.Err(); err != nil {
		return err
	}
	r.flush()
	r.end()
	return nil
}

// damage notes what the medium did to the file.
func (r *replay) damage(p bundle.Problem) {
	f := fault{detail: fmt.Sprintf("The file is damaged at byte %d: %s.", p.Offset, p.Reason), record: p.ID}
	if p.ID.IsZero() {
		f.offset = &p.Offset
	} else {
		f.detail = fmt.Sprintf("Record %s is damaged: %s.", p.ID, p.Reason)
	}
	r.blame(f)
}

// flush verifies the records of a batch, and recomputes what can be.
func (r *replay) flush() {
	inners := make([][]byte, len(r.batch))
	for i, item := range r.batch {
		inners[i] = item.Inner
	}
	recs, errs := make([]*protocol.Record, len(inners)), make([]error, len(inners))
	r.each((len(inners)+batchPart-1)/batchPart, func(i int) {
		from, to := i*batchPart, min((i+1)*batchPart, len(inners))
		some, bad := protocol.ParseBatch(r.keys, inners[from:to])
		copy(recs[from:], some)
		copy(errs[from:], bad)
	})
	for i, rec := range recs {
		id := r.batch[i].ID
		if r.metastate.IsZero() && rec != nil && rec.Kind() == protocol.Genesis {
			r.metastate = id // the manifest is damaged
		}
		switch {
		case errors.Is(errs[i], protocol.ErrBadSignature):
			r.blame(fault{detail: fmt.Sprintf("A signature of record %s does not hold.", id), record: id})
		case errs[i] != nil:
			r.blame(fault{detail: fmt.Sprintf("Record %s is none: %s.", id, because(errs[i])), record: id})
		case id != r.metastate && rec.Header().Metastate != r.metastate:
			r.blame(fault{detail: fmt.Sprintf("Record %s is of another metastate.", id), record: id})
		default:
			r.records++
			r.held[id] = rec
		}
	}
	r.batch = r.batch[:0]
	r.settle()
}

// settle recomputes checkpoints as far as their records are there.
func (r *replay) settle() {
	if genesis := r.held[r.metastate]; !r.begun && genesis != nil {
		tip, err := checkpoint.Begin(genesis)
		if err != nil {
			r.stuck = true
			r.blame(fault{detail: fmt.Sprintf("The genesis founds nothing: %s.", because(err)), record: genesis.ID()})
		}
		r.tip, r.begun = tip, true
	}
	for r.begun && !r.stuck && r.load() {
		for n := r.next; n.there < len(n.ids); n.there++ {
			if r.held[n.ids[n.there]] == nil {
				return
			}
		}
		r.apply(r.next)
		r.next = nil
	}
}

// load makes the certificate after the tip the next claim, and reports whether
// there is one.
func (r *replay) load() bool {
	height := r.tip.Ref().Height + 1
	item, ok := r.certs[height]
	if r.next != nil || !ok {
		return r.next != nil
	}
	delete(r.certs, height)
	c, err := parseClaim(item)
	if err == nil && c.value.Height != height {
		err = fmt.Errorf("it is of checkpoint %d", c.value.Height)
	}
	if err != nil {
		r.stuck = true
		r.blame(fault{detail: fmt.Sprintf("The certificate of checkpoint %d is none: %s.", height, because(err)), offset: &item.Offset})
		return false
	}
	r.next = c
	return true
}

func parseClaim(item bundle.Item) (*claim, error) {
	var p packed
	err := dagcbor.Unmarshal(item.Certificate, &p)
	if err != nil {
		return nil, err
	}
	c := &claim{}
	if c.cert, err = certificate.ParseCertificate(p.Certificate); err != nil {
		return nil, err
	}
	if c.value, err = certificate.ParseValue(c.cert.Value); err != nil {
		return nil, err
	}
	lists := map[protocol.ID][]byte{}
	for _, b := range p.Chunks {
		lists[protocol.Sum(b)] = b
	}
	c.covers, err = c.value.NewlyCovered(func(name protocol.ID) []byte { return lists[name] })
	for _, s := range c.covers {
		c.ids = append(c.ids, s.IDs...)
	}
	return c, err
}

// apply recomputes a checkpoint whose records are all there.
func (r *replay) apply(c *claim) {
	records := make([]*protocol.Record, len(c.ids))
	for i, id := range c.ids {
		records[i] = r.held[id]
		delete(r.held, id)
	}
	r.prove(records)
	next, wrong := r.tip.Apply(c.value, records)
	if wrong != nil {
		var err error
		if recall := c.value.Under(); recall.IsZero() {
			next, err = r.tip.Propose(records, c.value.AsOf)
		} else {
			next, err = r.tip.ProposeUnder(recall, records, c.value.AsOf)
		}
		if err != nil {
			next = checkpoint.Next{}
		}
	}
	by := r.tip.Signers()
	if !c.value.Under().IsZero() {
		by = certificate.Signers{Era: c.value.Era(), Clerks: next.Signers()}
	}
	if _, err := c.cert.Verify(r.metastate, by); err != nil {
		r.stuck = true
		r.blame(fault{detail: fmt.Sprintf("The certificate of checkpoint %d does not hold: %s.", c.value.Height, because(err)), record: c.cert.ID()})
		return
	}
	if wrong != nil {
		r.stuck = true
		r.differ(c, next, records, wrong)
		return
	}
	r.trail.follow(r.tip.State(), next, c, records)
	r.tip = next.Tip
}

// prove checks the proofs of secret ballots, so that the state does not wait for
// one after another.
func (r *replay) prove(records []*protocol.Record) {
	decisions := r.tip.State().Decisions()
	type sent struct {
		poll *decision.Poll
		r    *protocol.Record
	}
	var list []sent
	for _, rec := range records {
		if rec.Kind() != protocol.Ballot {
			continue
		}
		if p := decisions.Poll(rec.Header().Subject); p != nil && p.Phase == decision.Voting && p.Secret != nil {
			list = append(list, sent{p, rec})
		}
	}
	r.each(len(list), func(i int) { list[i].poll.CheckBallot(list[i].r) })
}

// differ finds out in what a certified checkpoint is not what its records lead to.
// A closing of the vote that is audited is for the steps of the vote to judge, if
// it is all that differs.
func (r *replay) differ(c *claim, mine checkpoint.Next, records []*protocol.Record, wrong error) {
	height, id := c.value.Height, c.cert.ID()
	same := mine.Encoded != nil && slices.EqualFunc(mine.Value.Subjects, c.value.Subjects, func(a, b certificate.Subject) bool {
		return a.Subject == b.Subject && a.Digest == b.Digest
	}) && mine.Value.Control.Digest == c.value.Control.Digest
	if same {
		r.trail.follow(r.tip.State(), mine, c, records)
		as := mine.Value
		as.Closings = slices.Clone(as.Closings)
		claimed, has := closingOf(c.value, r.trail.proposal)
		if i := slices.IndexFunc(as.Closings, func(x certificate.Closing) bool { return x.Poll == r.trail.proposal }); i >= 0 && has {
			as.Closings[i] = claimed
		}
		if b, err := as.Encode(); err == nil && protocol.Sum(b) == id {
			r.lie = fmt.Sprintf("Checkpoint %d closes the vote otherwise than its records do, which the steps below judge; nothing after it was looked at.", height)
			return
		}
	}
	what := because(wrong)
	if errors.Is(wrong, checkpoint.ErrStateRoot) {
		what = "the state root that a quorum signed is not what the records lead to"
	}
	r.blame(fault{detail: fmt.Sprintf("Checkpoint %d does not follow from its records: %s.", height, what), record: id})
}

// end finds out why checkpoints are left, if any are.
func (r *replay) end() {
	if !r.begun {
		r.blame(fault{detail: "The genesis is not in the file, or is damaged.", record: r.metastate})
	}
	if r.stuck || !r.begun {
		r.missing()
		return
	}
	switch n := r.next; {
	case n != nil:
		r.blame(fault{
			detail: fmt.Sprintf("Checkpoint %d covers record %s, which the file lacks.", n.value.Height, n.ids[n.there]), record: n.ids[n.there],
		})
	case len(r.certs) > 0:
		f := fault{detail: fmt.Sprintf("The file lacks the certificate of checkpoint %d.", r.tip.Ref().Height+1)}
		lowest := r.certs[slices.Min(slices.Collect(maps.Keys(r.certs)))]
		if c, err := parseClaim(lowest); err == nil {
			f.record = c.value.Prev
		} else {
			f.offset = &lowest.Offset
		}
		r.blame(f)
	}
	r.missing()
	for id, rec := range r.held {
		if rec.Kind() == protocol.Ballot && rec.Header().Subject == r.trail.proposal && !r.trail.covered[id] {
			r.trail.left++
		}
	}
}

// missing tells the trail which ballots of the vote checkpoints cover and the file
// lacks, or has damaged.
func (r *replay) missing() {
	list := []*claim{}
	if r.next != nil {
		list = append(list, r.next)
	}
	for _, height := range slices.Sorted(maps.Keys(r.certs)) {
		if c, err := parseClaim(r.certs[height]); err == nil {
			list = append(list, c)
		}
	}
	for _, c := range list {
		for _, set := range c.covers {
			for _, id := range set.IDs {
				if set.Subject == r.trail.proposal && !set.Subject.IsZero() && r.held[id] == nil {
					r.trail.lost = append(r.trail.lost, id)
				}
			}
		}
	}
}

// step is what is to be said of the history.
func (r *replay) step() Step {
	if f := r.fault; f != nil {
		s := f.step(History)
		if r.faults > 1 {
			s.Detail += fmt.Sprintf(" And %s besides.", number(uint64(r.faults-1), "fault"))
		}
		return s
	}
	if r.lie != "" {
		return pass(History, "%s signed by a quorum. %s", number(r.tip.Ref().Height, "checkpoint"), r.lie)
	}
	return pass(History, "%s follow from %s, and a quorum signed each.", number(r.tip.Ref().Height, "checkpoint"), number(r.records, "record"))
}
