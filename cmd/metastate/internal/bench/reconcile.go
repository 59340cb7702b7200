package bench

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"slices"
	"time"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
	"github.com/metastate-p2p/metastate/protocol/merkle"
	"github.com/metastate-p2p/metastate/protocol/reconcile"
	"github.com/metastate-p2p/metastate/protocol/reconcile/sketch"
)

// Of sync (SPEC §9.3).
const (
	frameHead   = 5
	batchTarget = 128 << 10
	manySets    = 1000
)

// compare measures how two nodes find and mend what one set of theirs differs
// in, half of it on either side: the messages that package reconcile makes,
// framed, and the processor time that both sides take for them, one after the
// other, with sketches and by ranges alone. Both nodes were equal before, and keep a sketch
// from then: to lead it on counts. Records that either lacks are ballots, and
// travel in outer form; the others are ids.
func compare(ctx context.Context, o Options, r *report) error {
	diffs := []int{1, 100, 10_000}
	if o.Diff > 0 {
		diffs = []int{o.Diff}
	}
	diffs = slices.DeleteFunc(diffs, func(d int) bool { return d > o.Records })
	if len(diffs) == 0 {
		return fmt.Errorf("%w: a difference of %d among %d records", ErrUsage, o.Diff, o.Records)
	}
	o.Progress("signing records")
	pool, err := strangers(2 * slices.Max(diffs))
	if err != nil {
		return err
	}
	o.Progress(fmt.Sprintf("making two sets of %d ids", o.Records))
	var sides [2]*side
	for i := range sides {
		if sides[i], err = newSide(o.Records); err != nil {
			return err
		}
	}
	return o.eachRun(ctx, func(int) error {
		equal, err := meetEqual()
		if err != nil {
			return err
		}
		r.barred("equalBytes", fmt.Sprintf("two equal nodes with %d subjects", manySets), "bytes", "≤ 4096", float64(equal))
		building, err := sides[0].build()
		if err != nil {
			return err
		}
		r.figure("buildMillis", "making the sketch of all, once after a start", "ms", building.Seconds()*1e3)
		for _, d := range diffs {
			if err := compareAt(r, sides, pool, d); err != nil {
				return fmt.Errorf("a difference of %d: %w", d, err)
			}
		}
		return nil
	})
}

// compareAt measures one difference.
func compareAt(r *report, sides [2]*side, pool []*protocol.Record, d int) error {
	fresh := make([]*protocol.Record, d)
	for i, at := range mathrand.Perm(len(pool))[:d] {
		fresh[i] = pool[at]
	}
	parts := [2][]*protocol.Record{fresh[:d/2], fresh[d/2:]}
	var sets [2]merkle.Set
	for i, s := range sides {
		if err := s.lead(); err != nil {
			return err
		}
		sets[i] = s.set
		for _, rec := range parts[i] {
			sets[i] = sets[i].Add(rec.ID())
		}
	}
	digesting, err := busy(func() error { sets[0].Root(); sets[1].Root(); return nil })
	if err != nil {
		return err
	}
	ours, err := meet(sides, sets, parts, reconcile.Limits{})
	if err != nil {
		return err
	}
	ranges, err := meet(sides, sets, parts, reconcile.Limits{Symbols: -1})
	if err != nil {
		return fmt.Errorf("by ranges: %w", err)
	}
	records := 0
	for _, part := range parts {
		records += batches(part)
	}
	all := float64(ours.bytes + ours.wanting + records + 4*frameHead + 1) // end, give, end, taken
	what := fmt.Sprintf("%d of %d ids differ: ", d, sides[0].set.Len())
	key := func(name string) string { return fmt.Sprintf("%s%d", name, d) }
	r.figure(key("findBytes"), what+"finding them", "bytes", float64(ours.bytes))
	r.figure(key("findRounds"), what+"round trips", "", float64(ours.rounds))
	bars := [2]string{}
	if d >= 100 {
		bars[0] = "≤ 1"
	}
	if d == 10_000 {
		bars[1] = "≤ 50 of 1000000"
	}
	r.barred(key("findMillis"), what+"both sides' processor time", "ms", bars[1], ours.took.Seconds()*1e3)
	r.figure(key("repairBytes"), what+"finding and exchanging them", "bytes", all)
	r.figure(key("digestMillis"), what+"digests of both sets", "ms", digesting.Seconds()*1e3)
	r.figure(key("rangesBytes"), what+"finding them by ranges alone", "bytes", float64(ranges.bytes))
	r.figure(key("rangesRounds"), what+"round trips, ranges", "", float64(ranges.rounds))
	r.figure(key("rangesMillis"), what+"both sides' processor time, ranges", "ms", ranges.took.Seconds()*1e3)
	r.ratio(key("bytesToRanges"), what+"bytes ÷ by ranges", "", float64(ours.bytes)/float64(ranges.bytes))
	r.ratio(key("timeToRanges"), what+"time ÷ by ranges", "", ours.took.Seconds()/ranges.took.Seconds())
	r.ratio(key("findToBar"), what+"bytes to find ÷ (46 each + 1 KB)", bars[0], float64(ours.bytes)/float64(46*d+1024))
	r.ratio(key("repairToBar"), what+"bytes to repair ÷ (1.25 of the records + 2 KB)", bars[0], all/(1.25*float64(records)+2048))
	return nil
}

// A side is one of two nodes, as it was when both were equal.
type side struct {
	set      merkle.Set
	sketches reconcile.Sketches
}

// the name of the set that differs.
var compared = protocol.Sum([]byte("compared"))

// newSide makes a node's set of n ids, the same every time.
func newSide(n int) (*side, error) {
	src := mathrand.NewChaCha8([32]byte{1})
	ids := make([][32]byte, n)
	for i := range ids {
		_, _ = src.Read(ids[i][:]) // never fails
	}
	slices.SortFunc(ids, func(a, b [32]byte) int { return bytes.Compare(a[:], b[:]) })
	set, err := merkle.SetFromSorted(slices.Values(ids))
	set.Root()
	return &side{set: set}, err
}

// build makes the sketch of the set anew.
func (s *side) build() (time.Duration, error) {
	s.sketches.Forget(compared)
	return busy(s.lead)
}

// lead makes the sketch what it was when both were equal.
func (s *side) lead() error {
	held := false
	_, err := s.sketches.Of(compared, s.set).Sketch(1, 1, func([]sketch.Symbol) { held = true })
	if err == nil && !held {
		err = errors.New("there is no sketch")
	}
	return err
}

// local is what the node holds now: that set alone, in some version.
func (s *side) local(set merkle.Set) reconcile.Local {
	var index reconcile.Index
	index = index.Put(compared, reconcile.Summary{Set: compared, Digest: set.Root(), Count: uint64(set.Len())})
	return reconcile.Local{Index: index, Open: func([32]byte) (reconcile.Set, error) { return s.sketches.Of(compared, set), nil }}
}

// A meeting is what it took to find a difference.
type meeting struct {
	bytes   int // of framed messages, both ways
	wanting int // the same, to name what one side lacks
	rounds  int
	took    time.Duration // of both sides
}

// meet finds what the first side lacks of the second and the reverse, and checks
// that it is what each holds alone.
func meet(sides [2]*side, sets [2]merkle.Set, parts [2][]*protocol.Record, limits reconcile.Limits) (m meeting, err error) {
	a, b := sides[0].local(sets[0]), sides[1].local(sets[1])
	var salt [16]byte
	_, _ = rand.Read(salt[:]) // never fails
	var need, have [][32]byte
	m.took, err = busy(func() error {
		i := reconcile.NewInitiator(a, salt, limits)
		if m.rounds, m.bytes, err = exchange(i, reconcile.NewResponder(b, limits)); err != nil {
			return err
		}
		for _, d := range i.Diffs() {
			have, need = append(have, d.Have...), append(need, d.Need...)
			m.wanting += named(len(d.Need), 4096, func(n int) int { return 32 * n })
			for keys := range slices.Chunk(d.Keys, reconcile.MaxWanted) {
				body := reconcile.AppendWanted(nil, []reconcile.Wanted{{Set: d.Set, Keys: keys}})
				m.wanting += 2*frameHead + len(body) // and the end of the answer
				list, err := reconcile.ParseWanted(body)
				if err != nil {
					return err
				}
				ids, err := b.Find(list)
				if err != nil {
					return err
				}
				need = append(need, ids...)
			}
		}
		return nil
	})
	if err == nil && (!holds(have, parts[0]) || !holds(need, parts[1])) {
		err = errors.New("what was found is not the difference")
	}
	return m, err
}

// exchange carries messages until the initiator has no more.
func exchange(i *reconcile.Initiator, r *reconcile.Responder) (rounds, size int, err error) {
	for {
		msg, err := i.Message()
		if msg == nil || err != nil {
			return rounds, size, err
		}
		reply, err := r.Respond(msg)
		if err != nil {
			return rounds, size, err
		}
		if err := i.Receive(reply); err != nil {
			return rounds, size, err
		}
		rounds, size = rounds+1, size+2*frameHead+len(msg)+len(reply)
	}
}

// named is the size of the frames that name n ids, so many at once, with the
// ends of their answers.
func named(n, most int, size func(int) int) (sum int) {
	for ; n > 0; n -= most {
		sum += 2*frameHead + size(min(n, most))
	}
	return sum
}

// holds reports whether ids are those of records.
func holds(ids [][32]byte, records []*protocol.Record) bool {
	want := map[[32]byte]bool{}
	for _, r := range records {
		want[r.ID()] = true
	}
	for _, id := range ids {
		if !want[id] {
			return false
		}
		delete(want, id)
	}
	return len(want) == 0
}

// batches is the size of records in outer form, in batches as they travel.
func batches(records []*protocol.Record) (sum int) {
	epoch := protocol.NewEpoch([32]byte{1}, true)
	var frames [][]byte
	size := 0
	flush := func() {
		b := dagcbor.AppendUint(dagcbor.AppendArray(nil, 2), uint64(protocol.ContentRecord))
		b = dagcbor.AppendArray(b, len(frames))
		for _, f := range frames {
			b = dagcbor.AppendBytes(b, f)
		}
		sum += frameHead + len(b)
		frames, size = nil, 0
	}
	for _, r := range records {
		f := epoch.Seal(protocol.ContentRecord, r.Inner())
		if frames, size = append(frames, f), size+len(f); size >= batchTarget {
			flush()
		}
	}
	if len(frames) > 0 {
		flush()
	}
	return sum
}

// meetEqual is the size of the messages of two nodes that hold the same sets.
// Their overviews would have told them already.
func meetEqual() (int, error) {
	var index reconcile.Index
	for i := range manySets {
		name := numbered("subject", i)
		index = index.Put(name, reconcile.Summary{Set: name, Digest: numbered("digest", i), Count: 1})
	}
	l := reconcile.Local{Index: index}
	var salt [16]byte
	_, _ = rand.Read(salt[:]) // never fails
	i := reconcile.NewInitiator(l, salt, reconcile.Limits{})
	rounds, size, err := exchange(i, reconcile.NewResponder(l, reconcile.Limits{}))
	if err == nil && (rounds != 1 || len(i.Diffs()) > 0) {
		err = errors.New("equal nodes differ")
	}
	return size, err
}
