package checkpoint

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/certificate"
	"github.com/metastate-p2p/metastate/protocol/merkle"
	"github.com/metastate-p2p/metastate/protocol/roll"
	"github.com/metastate-p2p/metastate/protocol/state"
)

// Errors of [Tip.Apply]. Both mean that a quorum signed what does not follow:
// the node must stop finalising, say so, and keep both.
var (
	// ErrStateRoot: the value's records lead to another state.
	ErrStateRoot = errors.New("the state root is not what the records lead to")
	// ErrNotNext: the value does not extend what is covered.
	ErrNotNext = errors.New("the value does not extend the last checkpoint")
)

// A Tip is the latest final checkpoint with all that follows from it: the
// state, and the sets of covered records. It is immutable.
type Tip struct {
	ref      protocol.Ref
	state    *state.State
	control  merkle.Set
	frontier []protocol.ID
	era      protocol.ID // [certificate.Value.Era] of the checkpoint
}

// Begin is the tip before the first checkpoint, which covers nothing.
func Begin(genesis *protocol.Record) (Tip, error) {
	s, err := state.Begin(genesis)
	if err != nil {
		return Tip{}, fmt.Errorf("checkpoint: %w", err)
	}
	return Tip{state: s}, nil
}

// Ref names the checkpoint; zero before the first.
func (t Tip) Ref() protocol.Ref { return t.ref }

// State is the state as of the checkpoint.
func (t Tip) State() *state.State { return t.state }

// Covered is the set of covered records of an open subject, or with the zero
// id those of the control plane. Of a subject that a checkpoint before this one
// closed it is empty: nothing is covered there any more.
func (t Tip) Covered(subject protocol.ID) merkle.Set {
	if subject.IsZero() {
		return t.control
	}
	return t.state.Decisions().Covered(subject)
}

// Covers reports whether the checkpoint or one before it covers r.
func (t Tip) Covers(r *protocol.Record) bool { return t.Covered(r.Header().Subject).Has(r.ID()) }

// Frontier are the heads of the covered control plane, rising, the lowest if
// there are more than [MaxFrontier].
func (t Tip) Frontier() []protocol.ID { return t.frontier }

// Clerks are those who sign the next checkpoint.
func (t Tip) Clerks() []certificate.Clerk {
	seats := t.state.Roll().Clerks()
	out := make([]certificate.Clerk, len(seats))
	for i, c := range seats {
		out[i] = certificate.Clerk{Persona: c.Persona, Key: c.Key}
	}
	slices.SortFunc(out, func(a, b certificate.Clerk) int {
		if c := a.Persona.Compare(b.Persona); c != 0 {
			return c
		}
		return protocol.ID(a.Key).Compare(protocol.ID(b.Key))
	})
	return out
}

// A Next is a checkpoint to be: its value, the chunks that the value names,
// and the tip that it makes.
type Next struct {
	Value    certificate.Value
	Encoded  []byte
	Chunks   [][]byte
	Tip      Tip
	Verdicts []protocol.Verdict
	before   []certificate.Clerk // in force until it
}

// Signers are those clerks, in the era that the checkpoint leaves.
func (t Tip) Signers() certificate.Signers {
	return certificate.Signers{Era: t.era, Clerks: t.Clerks()}
}

// Propose makes the value that covers as many of the records as fit, at a
// checkpoint time not before the last (SPEC §7.4). Records already covered,
// without their ancestors, or of subjects that take none now are left out.
func (t Tip) Propose(records []*protocol.Record, asOf int64) (Next, error) {
	return t.next(t.coverable(records), max(asOf, t.state.AsOf()), protocol.ID{})
}

// ProposeUnder is Propose for the successors that a recall names: if the clerks
// in force do not cover it, they do, in the checkpoint that carries it out. The
// records must let it be carried out.
func (t Tip) ProposeUnder(recall protocol.ID, records []*protocol.Record, asOf int64) (Next, error) {
	n, err := t.next(t.coverable(records), max(asOf, t.state.AsOf()), recall)
	if err == nil && n.Signers() == nil {
		err = fmt.Errorf("checkpoint: height %d: %w: its records do not carry out the recall %s", n.Value.Height, ErrNotNext, recall)
	}
	return n, err
}

// Apply recomputes what a certified value claims from the records it newly
// covers, which must be exactly those. Errors wrap [ErrNotNext] or
// [ErrStateRoot].
func (t Tip) Apply(v certificate.Value, records []*protocol.Record) (Next, error) {
	if v.Metastate != t.state.Metastate() || v.Height != t.ref.Height+1 || v.Prev != t.ref.ID || v.AsOf < t.state.AsOf() {
		return Next{}, fmt.Errorf("checkpoint: height %d: %w", v.Height, ErrNotNext)
	}
	if got := t.coverable(records); len(got) != len(records) {
		return Next{}, fmt.Errorf("checkpoint: height %d: %w: %d of its %d records can't be covered",
			v.Height, ErrNotNext, len(records)-len(got), len(records))
	}
	n, err := t.next(records, v.AsOf, v.Under())
	if err != nil {
		return Next{}, err
	}
	claimed, err := v.Encode()
	if err != nil {
		return Next{}, err
	}
	switch {
	case n.Signers() == nil:
		return Next{}, fmt.Errorf("checkpoint: height %d: %w: its records do not carry out the recall that it names", v.Height, ErrNotNext)
	case n.Value.StateRoot != v.StateRoot:
		return Next{}, fmt.Errorf("checkpoint: height %d: %w", v.Height, ErrStateRoot)
	case !slices.Equal(n.Encoded, claimed):
		return Next{}, fmt.Errorf("checkpoint: height %d: %w: its lists differ", v.Height, ErrNotNext)
	}
	return n, nil
}

// Ripe reports whether the next checkpoint could cover r together with the
// records in the given set: all that r names as before it is covered or among
// them.
func (t Tip) Ripe(r *protocol.Record, in map[protocol.ID]bool) bool {
	return t.open(r) && (r.Plane() == protocol.Bulk || t.closed(r, in))
}

// open reports whether the next checkpoint could cover r, given room and r's
// ancestors.
func (t Tip) open(r *protocol.Record) bool {
	h := r.Header()
	if t.Covers(r) || h.Metastate != t.state.Metastate() && r.ID() != t.state.Metastate() {
		return false
	}
	if h.Checkpoint.Height > t.ref.Height { // nobody could judge it yet: it may be anyone's
		return false
	}
	if r.Plane() == protocol.Control {
		return !t.elsewhere(r)
	}
	p := t.state.Decisions().Poll(h.Subject)
	return p != nil && p.Phase.Takes(r.Kind())
}

// elsewhere reports whether r is a recall that was to follow another checkpoint
// of this height: a step knows its height only.
func (t Tip) elsewhere(r *protocol.Record) bool {
	at := r.Header().Checkpoint
	if r.Kind() != protocol.Recall || at.Height != t.ref.Height || at.ID == t.ref.ID {
		return false
	}
	body, err := protocol.Body[roll.RecallBody](r)
	return err == nil && !body.From.IsZero()
}

// coverable picks records that a next value may cover, inside every cap. Where
// there are too many, ballots have half of the room, so that nobody holds them
// up past a deadline by writing other records.
func (t Tip) coverable(records []*protocol.Record) []*protocol.Record {
	ordered := state.Order(records)
	n := slices.IndexFunc(ordered, func(r *protocol.Record) bool { return r.Plane() == protocol.Bulk })
	if n < 0 {
		n = len(ordered)
	}
	ballots := t.coverableBulk(ordered[n:])
	room := certificate.MaxNewlyCovered - min(len(ballots), certificate.MaxNewlyCovered/2)
	var out []*protocol.Record
	in := map[protocol.ID]bool{}
	for _, r := range ordered[:n] {
		if len(out) == room {
			break
		}
		if !in[r.ID()] && t.Ripe(r, in) {
			in[r.ID()] = true
			out = append(out, r)
		}
	}
	return append(out, ballots[:min(len(ballots), certificate.MaxNewlyCovered-len(out))]...)
}

// coverableBulk picks records of subjects.
func (t Tip) coverableBulk(records []*protocol.Record) (out []*protocol.Record) {
	in, subjects := map[protocol.ID]bool{}, map[protocol.ID]bool{}
	for _, r := range records {
		subject := r.Header().Subject
		if in[r.ID()] || !t.Ripe(r, nil) || !subjects[subject] && len(subjects) == certificate.MaxSubjects {
			continue
		}
		in[r.ID()], subjects[subject] = true, true
		if out = append(out, r); len(out) == certificate.MaxNewlyCovered {
			break
		}
	}
	return out
}

// closed reports whether everything that r names as before it is covered or
// in the value to be.
func (t Tip) closed(r *protocol.Record, in map[protocol.ID]bool) bool {
	for _, p := range ancestry(r) {
		// What an admission carries is covered with it, and is in no set.
		inside := p == r.Header().Prev && t.state.Continues(r.Header())
		if !in[p] && !t.control.Has(p) && !inside {
			return false
		}
	}
	return true
}

// ancestry are the records that r names as before it, each once.
func ancestry(r *protocol.Record) []protocol.ID {
	h := r.Header()
	if h.Prev.IsZero() || slices.Contains(h.Parents, h.Prev) {
		return h.Parents
	}
	return append([]protocol.ID{h.Prev}, h.Parents...)
}

// Signers are who may sign the checkpoint: the clerks in force, or if it names a
// recall the successors that this names. Nil if it names a recall that its
// records don't carry out.
func (n Next) Signers() []certificate.Clerk {
	recall := n.Value.Under()
	if recall.IsZero() {
		return n.before
	}
	for _, r := range n.Tip.state.Roll().JustRecalled() {
		if r.Act == recall {
			return Successors(r)
		}
	}
	return nil
}

// Successors are those whom a recall makes clerks, in the order that their
// signatures are numbered.
func Successors(r roll.Recalled) []certificate.Clerk {
	out := make([]certificate.Clerk, len(r.In))
	for i, c := range r.In {
		out[i] = certificate.Clerk{Persona: c.Persona, Key: c.Key}
	}
	return out
}

// next computes the checkpoint that covers exactly the records.
func (t Tip) next(records []*protocol.Record, asOf int64, recall protocol.ID) (Next, error) {
	s, verdicts := t.state.Advance(state.Step{Records: records, AsOf: asOf})
	n := Next{Tip: t, Verdicts: verdicts, before: t.Clerks()}
	n.Tip.state = s
	bySubject := map[protocol.ID][]protocol.ID{}
	heads := map[protocol.ID]bool{}
	for _, h := range t.frontier {
		heads[h] = true
	}
	for _, r := range records {
		subject := r.Header().Subject
		bySubject[subject] = append(bySubject[subject], r.ID())
	}
	for _, r := range state.Order(records) {
		if r.Plane() == protocol.Bulk {
			continue
		}
		for _, p := range ancestry(r) {
			delete(heads, p)
		}
		heads[r.ID()] = true
	}
	// The digest says what is covered. The heads only help others find it: more
	// than a value has room for must not keep a record from being covered, and
	// what the value doesn't list no later one depends on.
	n.Tip.frontier = slices.SortedFunc(maps.Keys(heads), protocol.ID.Compare)
	n.Tip.frontier = n.Tip.frontier[:min(len(n.Tip.frontier), certificate.MaxFrontier)]
	n.Value = certificate.Value{
		Version: certificate.Version, Metastate: s.Metastate(), Height: s.Height(), Prev: t.ref.ID, AsOf: asOf,
		Clerks: n.Tip.Clerks(), Last: t.era, StateRoot: s.Root(),
	}
	if !recall.IsZero() {
		n.Value.Recall = []protocol.ID{recall}
	}
	for _, subject := range slices.SortedFunc(maps.Keys(bySubject), protocol.ID.Compare) {
		if err := n.cover(subject, bySubject[subject]); err != nil {
			return Next{}, err
		}
	}
	n.Value.Control.Frontier = n.Tip.frontier
	n.Value.Control.Digest = n.Tip.control.Root()
	n.Value.Control.Count = uint64(n.Tip.control.Len())
	for _, id := range s.Decisions().JustClosed() {
		ballots, counted, result := s.Decisions().Poll(id).Closing()
		n.Value.Closings = append(n.Value.Closings, certificate.Closing{Poll: id, Digest: ballots, Count: counted, Result: result})
	}
	b, err := n.Value.Encode()
	if err != nil {
		return Next{}, fmt.Errorf("checkpoint: making height %d: %w", n.Value.Height, err)
	}
	n.Encoded = b
	n.Tip.era = n.Value.Era()
	n.Tip.ref = protocol.Ref{Height: n.Value.Height, ID: protocol.Sum(b)}
	return n, nil
}

// cover adds newly covered ids to one set and lists them in the value.
func (n *Next) cover(subject protocol.ID, ids []protocol.ID) error {
	slices.SortFunc(ids, protocol.ID.Compare)
	chunks, err := certificate.SplitChunks(ids)
	if err != nil {
		return err
	}
	names := make([]protocol.ID, len(chunks))
	for i, c := range chunks {
		names[i] = protocol.Sum(c)
	}
	n.Chunks = append(n.Chunks, chunks...)
	if subject.IsZero() {
		for _, id := range ids {
			n.Tip.control = n.Tip.control.Add(id)
		}
		n.Value.Control.Chunks = names
		return nil
	}
	set := n.Tip.Covered(subject)
	n.Value.Subjects = append(n.Value.Subjects, certificate.Subject{
		Subject: subject, Digest: set.Root(), Count: uint64(set.Len()), Chunks: names,
	})
	return nil
}
