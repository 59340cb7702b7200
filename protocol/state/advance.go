package state

import (
	"slices"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/abroad"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/roll"
)

// Rules cited here: for records of kinds that this version gives no effect, for
// the genesis, and for records of other metastates.
const (
	RuleUnknown protocol.Rule = "kind/unknown"
	RuleGenesis protocol.Rule = "genesis"
	RuleForeign protocol.Rule = "metastate"
)

// A Step is what a state advances by.
type Step struct {
	// Records are those newly covered, or, for a provisional view, all that are
	// not covered yet. A record's ancestors must be covered or among them.
	// Their order does not matter.
	Records []*protocol.Record
	// AsOf is the time of the checkpoint that covers them. Ignored if
	// Provisional.
	AsOf int64
	// Provisional asks how things would stand if the records were covered now.
	// It opens and closes nothing: only checkpoints do.
	Provisional bool
}

// Advance is the whole protocol in one function: the state after a step, and a
// verdict on each of its records. It is pure and total, and equal sets of
// records give equal states in whatever order they come (SPEC §4).
func (s *State) Advance(step Step) (*State, []protocol.Verdict) {
	at := roll.Step{Height: s.height + 1, AsOf: max(step.AsOf, s.asOf)}
	if step.Provisional {
		at.AsOf = s.asOf
	}
	next := *s
	next.height, next.asOf = at.Height, at.AsOf
	next.window = slide(s.window, at.Height, at.AsOf)

	records, verdicts := s.own(step.Records)
	o := order(records)
	b := roll.Batch{Base: s.roll, AsOf: s.asOf, Step: at, Charter: s.charter, Records: o.control, Past: o.past}
	after, decided := roll.Apply(b)
	verdicts = append(verdicts, decided...)

	done := make(map[protocol.ID]bool, len(decided))
	for _, v := range decided {
		done[v.Record] = true
	}
	var rest, foreign []*protocol.Record
	for _, r := range append(o.control, o.bulk...) {
		switch {
		case done[r.ID()]:
		case r.ID() == s.metastate:
			verdicts = append(verdicts, protocol.Stand(r, RuleGenesis, "It founds the metastate."))
		case decision.Decides(r.Kind()):
			rest = append(rest, r)
		case abroad.Decides(r.Kind()):
			foreign = append(foreign, r)
		default:
			verdicts = append(verdicts, protocol.Void(r, RuleUnknown, "This version gives records of its kind no effect."))
		}
	}
	came := abroad.Apply(abroad.Batch{Base: s.abroad, BaseRoll: b, Roll: after, Records: foreign})
	verdicts = append(verdicts, came.Verdicts...)
	out := decision.Apply(decision.Batch{
		Base: s.decisions, BaseRoll: b, Roll: came.Roll, Abroad: came.State, Step: at, Charter: s.charter, CharterID: s.charterID,
		Records: rest, Bulk: o.bulk, Provisional: step.Provisional,
	})
	next.decisions, next.charter, next.charterID = out.State, out.Charter, out.CharterID
	next.roll, next.abroad = out.Roll.Seat(at), out.Abroad
	return &next, append(verdicts, out.Verdicts...)
}

// own returns the records of this metastate in one order for each set of them,
// and verdicts on the others. The order decides nothing but in which order
// reasons are kept.
func (s *State) own(records []*protocol.Record) (list []*protocol.Record, others []protocol.Verdict) {
	list = make([]*protocol.Record, 0, len(records))
	seen := map[protocol.ID]bool{}
	for _, r := range records {
		switch {
		case r.Header().Metastate == s.metastate || r.ID() == s.metastate:
			list = append(list, r)
		case !seen[r.ID()]:
			seen[r.ID()] = true
			others = append(others, protocol.Void(r, RuleForeign, "It belongs to another metastate."))
		}
	}
	slices.SortFunc(list, func(a, b *protocol.Record) int { return a.ID().Compare(b.ID()) })
	return list, others
}

// Order returns the records without copies, control records first and each
// after those of the records that it names as before it.
func Order(records []*protocol.Record) []*protocol.Record {
	o := order(records)
	return append(o.control, o.bulk...)
}

// ordered are a step's records, control records with parents first.
type ordered struct {
	control, bulk []*protocol.Record
	byID          map[protocol.ID]*protocol.Record // of control

	// Made when somebody asks for the past of a record. Records are named by
	// their places in control.
	place map[protocol.ID]int
	edges [][]int          // those that a record names as before it
	pasts map[int][]uint64 // all before a record, a bit each; only of those asked about
}

// order sorts a step's records so that parents come first, and drops copies.
// It uses a stack of its own: histories may be deeper than a goroutine's.
func order(records []*protocol.Record) *ordered {
	o := &ordered{byID: make(map[protocol.ID]*protocol.Record, len(records))}
	for _, r := range records {
		if r.Plane() == protocol.Control { // nothing comes after a bulk record
			o.byID[r.ID()] = r
		}
	}
	placed := make(map[protocol.ID]bool, len(records))
	for _, r := range records {
		if placed[r.ID()] {
			continue
		}
		if r.Plane() == protocol.Bulk {
			placed[r.ID()] = true
			o.bulk = append(o.bulk, r)
			continue
		}
		stack := []*protocol.Record{r}
		for len(stack) > 0 {
			top := stack[len(stack)-1]
			missing := len(stack)
			if !placed[top.ID()] {
				stack = o.appendAncestors(stack, top, placed)
			}
			if len(stack) > missing {
				continue
			}
			stack = stack[:len(stack)-1]
			if !placed[top.ID()] {
				placed[top.ID()] = true
				o.control = append(o.control, top)
			}
		}
	}
	return o
}

// appendAncestors appends those parents of r, and its prev, that are in the
// step and not in done.
func (o *ordered) appendAncestors(list []*protocol.Record, r *protocol.Record, done map[protocol.ID]bool) []*protocol.Record {
	h := r.Header()
	if p, ok := o.byID[h.Prev]; ok && !done[h.Prev] {
		list = append(list, p)
	}
	for _, id := range h.Parents {
		if p, ok := o.byID[id]; ok && !done[id] {
			list = append(list, p)
		}
	}
	return list
}

// past reports whether one control record of the step is an ancestor of
// another.
func (o *ordered) past(ancestor, of protocol.ID) bool {
	if o.place == nil {
		o.link()
	}
	i, ok := o.place[ancestor]
	j, known := o.place[of]
	if !ok || !known {
		return false
	}
	seen := o.pasts[j]
	if seen == nil {
		seen = make([]uint64, len(o.control)/64+1)
		stack := slices.Clone(o.edges[j])
		for len(stack) > 0 {
			k := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			if seen[k/64]&(1<<(k%64)) == 0 {
				seen[k/64] |= 1 << (k % 64)
				stack = append(stack, o.edges[k]...)
			}
		}
		o.pasts[j] = seen
	}
	return seen[i/64]&(1<<(i%64)) != 0
}

// link notes the place of each control record, and of those it follows.
func (o *ordered) link() {
	o.place = make(map[protocol.ID]int, len(o.control))
	o.edges = make([][]int, len(o.control))
	o.pasts = map[int][]uint64{}
	for i, r := range o.control {
		o.place[r.ID()] = i
		for _, p := range o.appendAncestors(nil, r, nil) {
			o.edges[i] = append(o.edges[i], o.place[p.ID()])
		}
	}
}
