package decision

import (
	"cmp"
	"slices"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/decision/count"
	"github.com/metastate-p2p/metastate/protocol/roll"
)

// A cast is a ballot that is good by itself.
type cast struct {
	r      *protocol.Record
	voter  protocol.ID
	seq    uint64
	choice count.Choice
}

// cast applies the ballots of one poll. Of one voter's ballots the highest seq
// counts; of two different ones with the same seq, the one covered first, and
// if one checkpoint covers both, neither (SPEC §8.2).
func (f *fold) cast(poll protocol.ID, list []*protocol.Record) {
	base := f.Base.Poll(poll)
	// A poll past its deadline may still be open, if the last checkpoint closed
	// as many as one can.
	if base == nil || base.Phase != Voting || base.Next <= f.BaseRoll.AsOf {
		for _, r := range list {
			f.verdicts = append(f.verdicts, protocol.Void(r, RuleNotOpen, "The poll is not open at the last final checkpoint."))
		}
		return
	}
	p := *f.s.Poll(poll)
	var good []cast
	for _, r := range list {
		c, v := f.ballot(base, r)
		if v.Stands {
			good = append(good, c)
			continue
		}
		p.Refused++
		f.verdicts = append(f.verdicts, v)
	}
	slices.SortFunc(good, func(a, b cast) int {
		return cmp.Or(a.voter.Compare(b.voter), cmp.Compare(a.seq, b.seq))
	})
	for i, c := range good {
		same := func(j int) bool {
			return j >= 0 && j < len(good) && good[j].voter == c.voter && good[j].seq == c.seq
		}
		if same(i-1) || same(i+1) {
			p.Refused++
			f.verdicts = append(f.verdicts, protocol.Void(c.r, RuleSeq, "The voter made two different ballots with one number; neither counts."))
			continue
		}
		f.verdicts = append(f.verdicts, f.count(&p, c))
	}
	f.s = f.s.put(&p)
}

func (f *fold) count(p *Poll, c cast) protocol.Verdict {
	was, voted := p.Ballots.Get(c.voter)
	if voted && was.Seq >= c.seq {
		if was.Seq == c.seq { // a lower one is merely replaced already
			p.Refused++
		}
		return protocol.Void(c.r, RuleSeq, "A ballot of this voter with this number or a higher one counts already.")
	}
	p.Ballots = p.Ballots.Put(c.voter, &Vote{Seq: c.seq, Ballot: c.r.ID(), Choice: c.choice})
	return protocol.Stand(c.r, RuleBallot, "Cast by a member of the electorate while the poll was open.")
}

// ballot judges one ballot by itself.
func (f *fold) ballot(p *Poll, r *protocol.Record) (cast, protocol.Verdict) {
	h := r.Header()
	d := f.BaseRoll.Base.Device(h.Key)
	if d == nil || d.Persona != h.Persona || !d.Speaks(f.BaseRoll.AsOf, r.ID()) {
		return cast{}, protocol.Void(r, RulePower, "The device may not sign for this persona.")
	}
	if now := f.Roll.Device(h.Key).Marks(); now.Revoked != 0 && !slices.Contains(now.Spared, r.ID()) {
		return cast{}, protocol.Void(r, roll.RuleCut, "The device was revoked, and the ballot was not let stand.")
	}
	m := f.BaseRoll.Base.Member(h.Persona)
	if m == nil || !m.VoiceAt(p.RecordDate) {
		return cast{}, protocol.Void(r, RuleElector, "The voter was not a member when the vote opened.")
	}
	body, err := protocol.Body[BallotBody](r)
	if err != nil || len(body.Choice) > MaxChoice {
		return cast{}, protocol.Void(r, RuleMalformed, "This ballot is not of the shape the protocol asks for.")
	}
	method, err := MethodByName(p.Body.Method)
	if err != nil {
		return cast{}, protocol.Void(r, RuleMalformed, "This version has no such counting method.")
	}
	choice, err := method.Normal(p.Options, body.Choice)
	if err != nil || string(choice) != body.Choice {
		return cast{}, protocol.Void(r, RuleChoice, "The choice is not one that this question offers.")
	}
	return cast{r, h.Persona, h.Seq, choice}, protocol.Stand(r, RuleBallot, "")
}
