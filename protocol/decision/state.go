package decision

import (
	"bytes"
	"iter"
	"maps"
	"slices"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/abroad"
	"github.com/metastate-p2p/metastate/protocol/charter"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
	"github.com/metastate-p2p/metastate/protocol/decision/committee"
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
	RuleVersion   protocol.Rule = "ballot/version"
	RuleReason    protocol.Rule = "ballot/reason"
	RuleAssisted  protocol.Rule = "ballot/assisted"
	RulePhase     protocol.Rule = "proposal/phase"
	RuleRevised   protocol.Rule = "proposal/revised"
	RuleWithdrawn protocol.Rule = "proposal/withdrawn"
	RuleSupport   protocol.Rule = "proposal/support"
	RuleNoSupport protocol.Rule = "proposal/unsupported"
	RuleContest   protocol.Rule = "decision/contest"
	RuleSetAside  protocol.Rule = "decision/set-aside"
	RuleDissent   protocol.Rule = "decision/dissent"
	RuleDelegate  protocol.Rule = "delegate"
	RuleComment   protocol.Rule = "comment"
	RuleProof     protocol.Rule = "ballot/proof"
	RuleTrustee   protocol.Rule = "trustee"
	RuleAck       protocol.Rule = "open/acknowledge"
	RuleShare     protocol.Rule = "open/share"
	RuleBadShare  protocol.Rule = "open/bad-share"
	RuleOpened    protocol.Rule = "poll/opened"
	RuleNoKey     protocol.Rule = "poll/no-key"
	RulePower     protocol.Rule = "power"
	RuleMalformed protocol.Rule = "malformed"
)

// Words says each rule that can stand behind a decision in a sentence.
var Words = map[protocol.Rule]string{
	RuleOpen:   "A member put it to the vote under the charter.",
	RuleClosed: "The vote closed at the first checkpoint at or past its deadline.",

	RuleOpened:    "Enough trustees gave their shares, and the sum of its ballots was opened.",
	RuleNoKey:     "Its trustees could not make a key, as too few of them dealt good shares.",
	RuleRevised:   "Its author put another text in its place while it was discussed.",
	RuleWithdrawn: "Its author took it back before the vote.",
	RuleNoSupport: "Too few members supported it by the end of its discussion for a vote.",
	RuleSetAside:  "So many of those who could vote objected to the decision that it is set aside until it is taken once more.",
}

// State is every proposal with its votes. It is immutable; the zero State has
// none.
type State struct {
	polls  merkle.Map[*Poll]
	firsts merkle.Map[firstVote] // of entrenched changes, by the new charter's id
	said   merkle.Map[stance]    // what members said that lasts

	committees merkle.Map[*committee.Committee] // of trustees
	timers     roll.Timers                      // when phases end, by proposal
	closed     []protocol.ID                    // polls that the last step closed, rising

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

// Covered is the set of covered records of a proposal that takes any, or did until
// the last step.
func (s State) Covered(poll protocol.ID) merkle.Set {
	if set, ok := s.final[poll]; ok {
		return set
	}
	if p := s.Poll(poll); p != nil {
		return p.Covered
	}
	return merkle.Set{}
}

// JustClosed are the polls that the last step counted, rising.
func (s State) JustClosed() []protocol.ID { return s.closed }

// JustEnded are the polls of which nothing more is covered after the last step.
func (s State) JustEnded() iter.Seq[protocol.ID] { return maps.Keys(s.final) }

// Root is the digest of all polls, for the state root.
func (s State) Root() [32]byte { return s.polls.Root() }

// CommitteesRoot is the digest of all committees of trustees.
func (s State) CommitteesRoot() [32]byte { return s.committees.Root() }

// SaidRoot is the digest of what members said that lasts.
func (s State) SaidRoot() [32]byte { return s.said.Root() }

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
	f.debate()
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
		f.unsealAll()
		f.tick()
		f.deadlines()
		for _, poll := range f.opened { // once it is known who belongs after this step
			p := *f.s.Poll(poll)
			p.Electorate = f.Roll.Whole()
			if p.Secret != nil {
				if err := p.begin(f.s.Committee(p.Secret.Committee), f.Roll.Roots().Members); err != nil {
					panic("decision: " + err.Error()) // the proposal was checked, and there is the key
				}
			}
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
		if base == nil || !base.Phase.Takes(r.Kind()) {
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

	trustees   []protocol.ID // see holders
	trusteesID protocol.ID
}

// proposals opens those that may be. Of an author who brings more than fit, none.
func (f *fold) proposals() {
	fresh := map[protocol.ID]uint64{}
	var good []*protocol.Record
	for _, r := range f.Records {
		if r.Kind() != protocol.Propose {
			continue
		}
		body, err := protocol.Body[ProposeBody](r)
		if err != nil {
			f.verdicts = append(f.verdicts, malformed(r))
			continue
		}
		if v := f.proposable(r, body); !v.Stands {
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

// proposable judges what a record proposes by itself.
func (f *fold) proposable(r *protocol.Record, body ProposeBody) protocol.Verdict {
	if body.Validate() != nil {
		return protocol.Void(r, RuleMalformed, "This proposal is not of a shape that can be voted on.")
	}
	if !f.BaseRoll.Authorised(r) {
		return protocol.Void(r, RulePower, "Only members propose.")
	}
	class, ok := f.Charter.Class(body.Class)
	if !ok {
		return protocol.Void(r, RuleMalformed, "The charter has no such class of decision.")
	}
	if body.Voting < class.Voting && !body.Rehearsal {
		return protocol.Void(r, RuleMalformed, "The vote is shorter than the charter's shortest for its class.")
	}
	if err := f.class(body); err != nil {
		return protocol.Void(r, RulePower, err.Error())
	}
	if err := f.mayBeSecret(body); err != nil {
		return protocol.Void(r, RulePower, err.Error())
	}
	if !body.Confirms.IsZero() && !f.confirms(body) {
		return protocol.Void(r, RulePower, "It confirms no decision that was set aside and is the same.")
	}
	return protocol.Verdict{Stands: true}
}

// confirms reports whether a proposal takes a decision again that objections set
// aside.
func (f *fold) confirms(body ProposeBody) bool {
	p := f.Base.Poll(body.Confirms)
	if p == nil || !p.SetAside() || body.Rehearsal {
		return false
	}
	var again Poll
	again.ask(body)
	was, now := p.Body, again.Body
	was.Title, now.Title, now.Confirms = "", "", protocol.ID{}
	was.Voting, now.Voting = 0, 0
	return bytes.Equal(dagcbor.Encode(was), dagcbor.Encode(now)) && again.charter == p.charter
}

// open makes a poll of a proposal.
func (f *fold) open(r *protocol.Record) {
	body, _ := protocol.Body[ProposeBody](r)
	p := &Poll{Proposal: r.ID(), Author: r.Author(), Phase: Draft}
	p.ask(body)
	p.because(RuleOpen, r.ID())
	if !f.Provisional {
		class := f.periods(p)
		p.Phase, p.Next, p.Debate.Began = Discussion, f.Step.AsOf+class.Discussion, f.Step.Height
		if p.IsSecret() {
			f.call(p)
		}
	}
	f.Roll = f.Roll.Polled(p.Author, 1)
	f.s = f.s.put(p)
}

// ask makes a valid body what the poll asks.
func (p *Poll) ask(body ProposeBody) {
	m, _ := MethodByName(body.Method)
	p.Options, _ = m.Options(body.Options)
	body.Text = ""
	p.Body, p.amends, p.charter = body, nil, protocol.ID{}
	if body.Act != nil && body.Act.Charter != nil {
		act := *body.Act
		p.amends, p.charter, act.Charter = act.Charter, act.Charter.ID(), nil
		p.Body.Act = &act
	}
}

// because adds a reason for where the poll stands.
func (p *Poll) because(rule protocol.Rule, record protocol.ID) {
	p.Because = append(slices.Clone(p.Because), protocol.Cause{Rule: rule, Record: record})
}

// periods is the class of a poll as it runs for it: a rehearsal waits for nothing.
func (f *fold) periods(p *Poll) charter.Class {
	class, _ := f.Charter.Class(p.Body.Class)
	if p.Body.Rehearsal {
		class.Discussion, class.Freeze, class.Contest, class.Exit = 0, 0, 0, 0
	}
	return class
}

// deadlines ends the phases whose time has come.
func (f *fold) deadlines() {
	for {
		at, poll, ok := f.s.timers.Next()
		if !ok || at > f.Step.AsOf {
			return
		}
		if f.s.Poll(poll) == nil { // a committee's: tick has ended its stage, if it could
			return
		}
		p := *f.s.Poll(poll)
		class := f.periods(&p)
		switch p.Phase {
		case Discussion:
			if !f.supported(&p) && !p.Body.Rehearsal {
				p.because(RuleNoSupport, poll)
				f.end(&p, Rejected)
				continue
			}
			f.s = f.s.forget(poll, supports)
			p.Phase, p.Next = Frozen, f.Step.AsOf+class.Freeze
		case Frozen:
			switch f.keyed(&p) {
			case committee.Ready:
			case committee.Failed:
				p.because(RuleNoKey, poll)
				f.end(&p, Rejected)
				continue
			default: // see tick
				p.Next = 0
				f.s = f.s.put(&p)
				continue
			}
			p.Phase, p.Next = Voting, f.Step.AsOf+p.Body.Voting
			p.RecordDate, p.Opened = f.Step.Height, f.Step.AsOf
			f.opened = append(f.opened, poll)
		case Voting:
			if len(f.s.closed) == MaxClosings {
				return // the rest are due at the next checkpoint, at once
			}
			f.close(&p, class)
		case Contest:
			f.s = f.s.forget(poll, contests)
			p.Phase, p.Next = Passed, f.Step.AsOf+class.Exit
			if f.contested(&p) {
				p.because(RuleSetAside, poll)
				f.s = f.s.forget(poll, dissents)
				p.Phase, p.Next = Rejected, 0
			}
			if p.Body.Rehearsal {
				p.Next = 0
			}
		case Passed:
			p.Phase, p.Next = InForce, 0
			f.s = f.s.forget(poll, dissents)
			f.enact(&p)
		}
		f.s = f.s.put(&p)
	}
}

func (f *fold) close(p *Poll, class charter.Class) {
	if p.Secret == nil {
		result, err := p.Count(Rule(class), f.s.carried(p, f.Charter, f.Roll))
		if err != nil {
			panic("decision: " + err.Error()) // an open poll has a method of this version
		}
		result.Height = f.Step.Height
		p.Result = result
	}
	f.retire(p)
	i, _ := slices.BinarySearchFunc(f.s.closed, p.Proposal, protocol.ID.Compare)
	f.s.closed = slices.Insert(slices.Clone(f.s.closed), i, p.Proposal)
	p.because(RuleClosed, p.Proposal)
	f.Roll = f.Roll.Polled(p.Author, -1)
	f.s = f.s.forget(p.Proposal, delegates)
	if p.Secret != nil {
		f.seal(p)
		return
	}
	p.Phase, p.Next = Rejected, 0
	if p.Result.Outcome != count.Rejected {
		p.Phase, p.Next = Contest, f.Step.AsOf+class.Contest
	}
}
