package decision

import (
	"slices"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/charter"
	"github.com/metastate-p2p/metastate/protocol/decision/committee"
	"github.com/metastate-p2p/metastate/protocol/decision/count"
)

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
