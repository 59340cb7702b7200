package decision

import (
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/abroad"
	"github.com/metastate-p2p/metastate/protocol/charter"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
	"github.com/metastate-p2p/metastate/protocol/decision/count"
	"github.com/metastate-p2p/metastate/protocol/merkle"
	"github.com/metastate-p2p/metastate/protocol/roll"
)

// Rules that decisions cite (SPEC §8).
const (
	RuleOpen      protocol.Rule = "proposal/open"
	RuleBallot    protocol.Rule = "ballot"
	RuleElector   protocol.Rule = "ballot/electorate"
	RuleNotOpen   protocol.Rule = "ballot/not-open"
	RuleChoice    protocol.Rule = "ballot/choice"
	RuleSeq       protocol.Rule = "ballot/seq"
	RuleClosed    protocol.Rule = "poll/closed"
	RulePower     protocol.Rule = "power"
	RuleMalformed protocol.Rule = "malformed"
)

// Words says each rule that can stand behind a decision in a sentence.
var Words = map[protocol.Rule]string{
	RuleOpen:   "A member put it to the vote under the charter.",
	RuleClosed: "The vote closed at the first checkpoint at or past its deadline.",
}

// State is every proposal with its votes. It is immutable; the zero State has
// none.
type State struct {
	polls  merkle.Map[*Poll]
	firsts merkle.Map[firstVote] // of entrenched changes, by the new charter's id
	timers roll.Timers           // when phases end, by proposal
	closed []protocol.ID         // polls that the last step closed, rising

	final map[protocol.ID]merkle.Set // their covered sets; nothing is covered there any more
}

// A firstVote is a change of an entrenched article that waits for the second.
type firstVote struct {
	Base protocol.ID `cbor:"base"`
	At   int64       `cbor:"t"`
}

// AppendLeaf encodes the first vote for the state root.
func (v firstVote) AppendLeaf(b []byte) []byte { return append(b, dagcbor.Encode(v)...) }

// Poll is the poll that a proposal opened, nil if there is none.
func (s State) Poll(proposal protocol.ID) *Poll {
	p, _ := s.polls.Get(proposal)
	return p
}

// Polls are all polls in order of proposal id.
func (s State) Polls() iter.Seq[*Poll] {
	return func(yield func(*Poll) bool) {
		for _, p := range s.polls.All() {
			if !yield(p) {
				return
			}
		}
	}
}

// NextDeadline is when the next phase of any poll ends, if one will.
func (s State) NextDeadline() (int64, bool) {
	at, _, ok := s.timers.Next()
	return at, ok
}

// Covered is the set of covered records of a poll that is open, or that the last
// step closed.
func (s State) Covered(poll protocol.ID) merkle.Set {
	if set, ok := s.final[poll]; ok {
		return set
	}
	if p := s.Poll(poll); p != nil {
		return p.Covered
	}
	return merkle.Set{}
}

// JustClosed are the polls that the last step closed, rising.
func (s State) JustClosed() []protocol.ID { return s.closed }

// Root is the digest of all polls, for the state root.
func (s State) Root() [32]byte { return s.polls.Root() }

// FirstsRoot is the digest of entrenched changes that wait for a second vote.
func (s State) FirstsRoot() [32]byte { return s.firsts.Root() }

func (s State) put(p *Poll) State {
	var was int64
	if old := s.Poll(p.Proposal); old != nil {
		was = old.Next
	}
	s.timers = s.timers.Move(p.Proposal, was, p.Next)
	s.polls = s.polls.Put(p.Proposal, p)
	return s
}

// A Batch is what one step applies: the records of decisions' kinds that
// nothing has struck out.
type Batch struct {
	Base      State
	BaseRoll  roll.Batch // judges authors in the final state
	Roll      roll.State // after the step's records
	Abroad    abroad.State
	Step      roll.Step
	Charter   *charter.Charter
	CharterID protocol.ID
	Records   []*protocol.Record
	Bulk      []*protocol.Record // all of the step, struck out or not
	// Provisional keeps proposals drafts and ends no phase: only a checkpoint
	// opens and closes.
	Provisional bool
}

// An Outcome is what a batch leads to.
type Outcome struct {
	State     State
	Roll      roll.State // after the decisions that came into force
	Abroad    abroad.State
	Charter   *charter.Charter
	CharterID protocol.ID
	Verdicts  []protocol.Verdict
}

// Apply returns the polls after the batch, what decisions in force made of roll
// and charter, and a verdict on each record. Records come before deadlines: a
// ballot covered by the checkpoint that closes its poll counts.
func Apply(b Batch) Outcome {
	f := &fold{Batch: b, s: b.Base}
	f.s.closed, f.s.final = nil, nil
	f.cover()
	f.proposals()
	ballots := map[protocol.ID][]*protocol.Record{} // by poll
	for _, r := range b.Records {
		if r.Kind() == protocol.Ballot {
			poll := r.Header().Subject
			ballots[poll] = append(ballots[poll], r)
		}
	}
	for _, poll := range slices.SortedFunc(maps.Keys(ballots), protocol.ID.Compare) {
		f.cast(poll, ballots[poll])
	}
	if !b.Provisional {
		f.deadlines()
		for _, poll := range f.opened { // once it is known who belongs after this step
			p := *f.s.Poll(poll)
			p.Electorate = f.Roll.Whole()
			f.s = f.s.put(&p)
		}
	}
	c, id := f.amended()
	return Outcome{State: f.s, Roll: f.Roll, Abroad: f.Abroad, Charter: c, CharterID: id, Verdicts: f.verdicts}
}

// cover adds the step's records to the covered sets of polls that are open in
// the base, whatever is made of them.
func (f *fold) cover() {
	if f.Provisional {
		return
	}
	sets := map[protocol.ID]merkle.Set{}
	for _, r := range f.Bulk {
		subject := r.Header().Subject
		base := f.Base.Poll(subject)
		if base == nil || base.Phase != Voting {
			continue
		}
		set, ok := sets[subject]
		if !ok {
			set = base.Covered
		}
		sets[subject] = set.Add(r.ID())
	}
	for id, set := range sets {
		p := *f.s.Poll(id)
		p.Covered = set
		f.s = f.s.put(&p)
	}
}

type fold struct {
	Batch
	s        State
	opened   []protocol.ID
	amend    []amendment
	verdicts []protocol.Verdict
}

// proposals opens those that may be. Of an author who brings more than fit, none.
func (f *fold) proposals() {
	fresh := map[protocol.ID]uint64{}
	var good []*protocol.Record
	for _, r := range f.Records {
		if r.Kind() != protocol.Propose {
			continue
		}
		if v := f.proposable(r); !v.Stands {
			f.verdicts = append(f.verdicts, v)
			continue
		}
		good = append(good, r)
		fresh[r.Author()]++
	}
	for _, r := range good {
		if f.BaseRoll.Base.Member(r.Author()).Quota().Polls+fresh[r.Author()] > MaxPolls {
			f.verdicts = append(f.verdicts, protocol.Void(r, RulePower, "Too many proposals of the author wait for a vote."))
			continue
		}
		f.open(r)
		f.verdicts = append(f.verdicts, protocol.Stand(r, RuleOpen, "A member put it to the vote under the charter."))
	}
}

// proposable judges a proposal by itself.
func (f *fold) proposable(r *protocol.Record) protocol.Verdict {
	body, err := protocol.Body[ProposeBody](r)
	if err != nil || body.Validate() != nil {
		return protocol.Void(r, RuleMalformed, "This proposal is not of a shape that can be voted on.")
	}
	if !f.BaseRoll.Authorised(r) {
		return protocol.Void(r, RulePower, "Only members propose.")
	}
	class, ok := f.Charter.Class(body.Class)
	if !ok {
		return protocol.Void(r, RuleMalformed, "The charter has no such class of decision.")
	}
	if body.Voting < class.Voting {
		return protocol.Void(r, RuleMalformed, "The vote is shorter than the charter's shortest for its class.")
	}
	if err := f.class(body); err != nil {
		return protocol.Void(r, RulePower, err.Error())
	}
	return protocol.Verdict{Stands: true}
}

// open makes a poll of a proposal.
func (f *fold) open(r *protocol.Record) {
	body, _ := protocol.Body[ProposeBody](r)
	class, _ := f.Charter.Class(body.Class)
	m, _ := MethodByName(body.Method)
	options, _ := m.Options(body.Options)
	body.Text = ""
	p := &Poll{
		Proposal: r.ID(), Author: r.Author(), Body: body, Options: options,
		Phase: Draft, Because: []protocol.Cause{{Rule: RuleOpen, Record: r.ID()}},
	}
	if body.Act != nil && body.Act.Charter != nil {
		act := *body.Act
		p.amends, p.charter, act.Charter = act.Charter, act.Charter.ID(), nil
		p.Body.Act = &act
	}
	if !f.Provisional {
		p.Phase, p.Next = Discussion, f.Step.AsOf+class.Discussion
	}
	f.Roll = f.Roll.Polled(p.Author, 1)
	f.s = f.s.put(p)
}

// Rule is the rule of a class of decision as a count needs it.
func Rule(class charter.Class) count.Rule {
	words := "at least"
	if class.Strict {
		words = "more than"
	}
	of := "the yes and no votes"
	if class.Of == charter.OfRoll {
		of = "all who may vote"
	}
	sentence := fmt.Sprintf("%s %s of %s must say yes.", words, class.Threshold, of)
	if class.Quorum.Num > 0 {
		sentence += fmt.Sprintf(" At least %s of those who may vote must vote.", class.Quorum)
	}
	return count.Rule{
		Passes: class.Passes, OfRoll: class.Of == charter.OfRoll, Quorum: class.Quorum.AtLeast, Words: sentence,
	}
}

// deadlines ends the phases whose time has come.
func (f *fold) deadlines() {
	for {
		at, poll, ok := f.s.timers.Next()
		if !ok || at > f.Step.AsOf {
			return
		}
		p := *f.s.Poll(poll)
		class, _ := f.Charter.Class(p.Body.Class)
		switch p.Phase {
		case Discussion:
			p.Phase, p.Next = Frozen, f.Step.AsOf+class.Freeze
		case Frozen:
			p.Phase, p.Next = Voting, f.Step.AsOf+p.Body.Voting
			p.RecordDate, p.Opened = f.Step.Height, f.Step.AsOf
			f.opened = append(f.opened, poll)
		case Voting:
			if len(f.s.closed) == MaxClosings {
				return // the rest are due at the next checkpoint, at once
			}
			f.close(&p, class)
		case Contest:
			p.Phase, p.Next = Passed, f.Step.AsOf+class.Exit
		case Passed:
			p.Phase, p.Next = InForce, 0
			f.enact(&p)
		}
		f.s = f.s.put(&p)
	}
}

func (f *fold) close(p *Poll, class charter.Class) {
	result, err := p.Tally(Rule(class))
	if err != nil {
		panic("decision: " + err.Error()) // an open poll has a method of this version
	}
	result.Height = f.Step.Height
	p.Result = result
	if f.s.final == nil {
		f.s.final = map[protocol.ID]merkle.Set{}
	}
	f.s.final[p.Proposal], p.Covered = p.Covered, merkle.Set{}
	i, _ := slices.BinarySearchFunc(f.s.closed, p.Proposal, protocol.ID.Compare)
	f.s.closed = slices.Insert(slices.Clone(f.s.closed), i, p.Proposal)
	p.Because = append(slices.Clone(p.Because), protocol.Cause{Rule: RuleClosed, Record: p.Proposal})
	f.Roll = f.Roll.Polled(p.Author, -1)
	p.Phase, p.Next = Rejected, 0
	if result.Outcome != count.Rejected {
		p.Phase, p.Next = Contest, f.Step.AsOf+class.Contest
	}
}
