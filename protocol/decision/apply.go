package decision

import (
	"bytes"
	"maps"
	"slices"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/abroad"
	"github.com/metastate-p2p/metastate/protocol/charter"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
	"github.com/metastate-p2p/metastate/protocol/merkle"
	"github.com/metastate-p2p/metastate/protocol/roll"
)

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
