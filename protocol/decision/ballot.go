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
	by     protocol.ID // the officer who casts it for the voter, zero if they do
	seq    uint64
	choice count.Choice
	sealed []byte // of a secret ballot
}

func (c cast) compare(d cast) int {
	return cmp.Or(c.voter.Compare(d.voter), c.by.Compare(d.by), cmp.Compare(c.seq, d.seq))
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
	slices.SortFunc(good, cast.compare)
	over := f.overAssisted(base, good)
	for i, c := range good {
		if over[c.by] && !c.by.IsZero() {
			p.Refused++
			f.verdicts = append(f.verdicts, protocol.Void(c.r, RuleAssisted, "The officer casts ballots for more members than one may."))
			continue
		}
		same := func(j int) bool { return j >= 0 && j < len(good) && good[j].compare(c) == 0 }
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
	switch {
	case !voted:
	case c.by != was.By && !c.by.IsZero():
		return protocol.Void(c.r, RuleAssisted, "The member has cast a ballot, or another officer for them.")
	case c.by == was.By && was.Seq >= c.seq:
		if was.Seq == c.seq { // a lower one is merely replaced already
			p.Refused++
		}
		return protocol.Void(c.r, RuleSeq, "A ballot of this voter with this number or a higher one counts already.")
	}
	if p.Secret != nil {
		var before []byte
		if voted {
			before = was.Sealed
		}
		s, err := p.Secret.replace(before, c.sealed)
		if err != nil {
			return protocol.Void(c.r, RuleProof, "There are more ballots than a sum can be opened of.")
		}
		p.Secret = s
	}
	p.Ballots = p.Ballots.Put(c.voter, &Vote{Seq: c.seq, Ballot: c.r.ID(), Choice: c.choice, Sealed: c.sealed, By: c.by})
	if !c.by.IsZero() {
		return protocol.Stand(c.r, RuleAssisted, "Cast by an officer for a member, who can replace it.")
	}
	return protocol.Stand(c.r, RuleBallot, "Cast by a member of the electorate while the poll was open.")
}

// overAssisted are the officers whose ballots of this step, with those that count,
// are for more members than the charter lets one assist: none of these stands.
func (f *fold) overAssisted(base *Poll, good []cast) map[protocol.ID]bool {
	members := map[protocol.ID]map[protocol.ID]bool{} // by officer
	for _, c := range good {
		if !c.by.IsZero() && members[c.by] == nil {
			members[c.by] = map[protocol.ID]bool{}
		}
		if !c.by.IsZero() {
			members[c.by][c.voter] = true
		}
	}
	if len(members) == 0 {
		return nil
	}
	for voter, v := range base.Ballots.All() {
		if list := members[v.By]; list != nil {
			list[voter] = true
		}
	}
	over := map[protocol.ID]bool{}
	for by, list := range members {
		over[by] = uint64(len(list)) > f.Charter.Assist.Cap
	}
	return over
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
	body, err := protocol.Body[BallotBody](r)
	if err != nil || len(body.Choice) > MaxChoice || body.Reason != "" && CheckText("reason", body.Reason, MaxReason) != nil {
		return cast{}, malformed(r)
	}
	c := cast{r: r, voter: h.Persona, seq: h.Seq}
	if !body.For.IsZero() {
		if v := f.mayAssist(p, r, body.For); !v.Stands {
			return cast{}, v
		}
		c.voter, c.by = body.For, h.Persona
	}
	m := f.BaseRoll.Base.Member(c.voter)
	if m == nil || !m.VoiceAt(p.RecordDate) {
		return cast{}, protocol.Void(r, RuleElector, "The voter was not a member when the vote opened.")
	}
	if body.Version != p.Debate.Version {
		return cast{}, protocol.Void(r, RuleVersion, "The ballot is on another text of the proposal than is voted on.")
	}
	if p.Secret != nil {
		return f.secretBallot(p, c, body)
	}
	if len(body.Ballot) != 0 {
		return cast{}, malformed(r)
	}
	form, err := p.Form()
	if err != nil {
		return cast{}, protocol.Void(r, RuleMalformed, "This version has no such counting method.")
	}
	c.choice, err = count.Normal(form, p.Options, body.Choice)
	if err != nil || string(c.choice) != body.Choice {
		return cast{}, protocol.Void(r, RuleChoice, "The choice is not one that this question offers.")
	}
	if NeedsReason(p.Body.Method, c.choice) && body.Reason == "" {
		return cast{}, protocol.Void(r, RuleReason, "An objection says why.")
	}
	return c, protocol.Stand(r, RuleBallot, "")
}

// secretBallot judges a ballot of a secret vote.
func (f *fold) secretBallot(p *Poll, c cast, body BallotBody) (cast, protocol.Verdict) {
	if body.Choice != "" || body.Reason != "" || !body.For.IsZero() {
		return cast{}, malformed(c.r)
	}
	if !p.CheckBallot(c.r) {
		return cast{}, protocol.Void(c.r, RuleProof, "The ballot does not prove that it is one of this voter in this vote.")
	}
	c.sealed = p.Secret.election.Ciphertexts(body.Ballot)
	return c, protocol.Stand(c.r, RuleBallot, "")
}

// NeedsReason reports whether a ballot with a choice counts only with a reason.
func NeedsReason(method string, choice count.Choice) bool {
	return method == "consent" && choice == "object"
}

// mayAssist requires an officer whom the charter lets cast ballots for others.
func (f *fold) mayAssist(p *Poll, r *protocol.Record, voter protocol.ID) protocol.Verdict {
	officer := f.BaseRoll.Base.Member(r.Author())
	a := f.Charter.Assist
	if a.Cap == 0 || officer == nil || !officer.Holds(a.Office) || !officer.VoiceAt(p.RecordDate) || voter == r.Author() {
		return protocol.Void(r, RuleAssisted, "The charter lets nobody, or not the author, cast a ballot for another.")
	}
	return protocol.Stand(r, RuleAssisted, "")
}
