package decision

import (
	"bytes"
	"slices"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/decision/count"
	"github.com/metastate-p2p/metastate/protocol/decision/secret"
)

// openSum judges what a trustee says once a secret vote is closed (SPEC §8.6
// rules 7 and 8).
func (f *fold) openSum(r *protocol.Record) protocol.Verdict {
	body, err := protocol.Body[OpenBody](r)
	if err != nil || len(body.Share) == 0 && len(body.Set) != 32 || len(body.Share) > 0 && len(body.Set) > 0 {
		return malformed(r)
	}
	base := f.Base.Poll(body.Proposal)
	if base == nil || base.Phase != Closed {
		return protocol.Void(r, RulePhase, "It is no secret vote that waits to be opened.")
	}
	c := f.s.Committee(base.Secret.Committee)
	n := c.Number(r.Author())
	if n == 0 || c.Trustees[n-1].Device != r.Header().Key || !f.speaks(r) {
		return protocol.Void(r, RulePower, "It is not by a trustee of this vote, from the device of theirs that has the share.")
	}
	p := *f.s.Poll(body.Proposal)
	if len(body.Share) == 0 {
		return f.acknowledge(r, &p, n, body.Set)
	}
	return f.share(r, base, &p, n, body.Share)
}

// acknowledge takes a trustee's word for the closing that it names. Clerks who lie may
// cover it on another branch than the one that the trustee saw: there it says nothing.
func (f *fold) acknowledge(r *protocol.Record, p *Poll, n int, set []byte) protocol.Verdict {
	if sealed := p.Sealed().Set; !bytes.Equal(set, sealed[:]) {
		return protocol.Void(r, RulePhase, "The trustee opens another closing of this vote.")
	}
	if i, has := slices.BinarySearch(p.Secret.Acks, uint64(n)); !has {
		s := *p.Secret
		s.Acks = slices.Insert(slices.Clone(s.Acks), i, uint64(n))
		p.Secret = &s
		f.s = f.s.put(p)
	}
	return protocol.Stand(r, RuleAck, "A trustee opens this closing, and no other.")
}

// share takes the share of trustee n, if it is of the sum that the base sealed.
func (f *fold) share(r *protocol.Record, base, p *Poll, n int, share []byte) protocol.Verdict {
	if len(base.Secret.Acks) < f.s.Committee(p.Secret.Committee).Kind().Q() {
		return protocol.Void(r, RulePhase, "Too few trustees have acknowledged the closing.")
	}
	s := *p.Secret
	if _, err := s.election.VerifyShare(n, base.Sealed(), share); err != nil {
		s.Wrong = append(slices.Clone(s.Wrong), r.ID())
		slices.SortFunc(s.Wrong, protocol.ID.Compare)
		s.Wrong = slices.Compact(s.Wrong)
		if len(s.Wrong) <= maxWrong {
			p.Secret = &s
			f.s = f.s.put(p)
		}
		return protocol.Void(r, RuleBadShare, "The trustee's share is not what the key makes of the sum.")
	}
	i, has := slices.BinarySearchFunc(s.Shares, uint64(n), func(x OpenedShare, n uint64) int { return int(x.Trustee) - int(n) })
	if !has {
		s.Shares = slices.Insert(slices.Clone(s.Shares), i, OpenedShare{uint64(n), share})
		p.Secret = &s
		f.s = f.s.put(p)
	}
	return protocol.Stand(r, RuleShare, "A trustee's share of the sum, which holds.")
}

// maxWrong bounds what is kept of trustees who lie.
const maxWrong = 31

// unsealAll opens the votes for which this step brought enough shares.
func (f *fold) unsealAll() {
	for _, r := range f.Records {
		if r.Kind() != protocol.Open {
			continue
		}
		body, err := protocol.Body[OpenBody](r)
		if err != nil {
			continue
		}
		p := f.s.Poll(body.Proposal)
		if p == nil || p.Phase != Closed || len(p.Secret.Shares) < f.s.Committee(p.Secret.Committee).Kind().K() {
			continue
		}
		q := *p
		if err := f.reveal(&q); err != nil {
			panic("decision: opening a sum: " + err.Error()) // each share holds, and the sum is of ballots that hold
		}
		f.s = f.s.put(&q)
	}
}

// reveal opens the sum of a poll and counts it. Errors are none of the records':
// shares were verified, and so were the ballots in the sum.
func (f *fold) reveal(p *Poll) error {
	sealed := p.Sealed()
	var shares []*secret.Share
	for _, x := range p.Secret.Shares {
		share, err := p.Secret.election.VerifyShare(int(x.Trustee), sealed, x.Share)
		if err != nil {
			return err
		}
		shares = append(shares, share)
	}
	opened, err := p.Secret.election.Result(sealed, shares)
	if err != nil {
		return err
	}
	class := f.periods(p)
	out, err := p.CountSum(Rule(class), opened)
	if err != nil {
		return err
	}
	p.Result = out
	p.because(RuleOpened, p.Proposal)
	p.Phase, p.Next = Rejected, 0
	if out.Outcome != count.Rejected {
		p.Phase, p.Next = Contest, f.Step.AsOf+class.Contest
	}
	return nil
}

// CountSum counts what the sum of a closed secret vote was opened to.
func (p *Poll) CountSum(rule count.Rule, opened secret.Result) (*Result, error) {
	q := p.Body.question(p.Options)
	q.Electorate, q.Cast, q.Rule = p.Electorate, opened.Ballots, rule
	if p.Body.Tie != TieListed {
		q.Order = p.lot(p.Sealed().Set)
	}
	out := &Result{Counted: opened.Ballots, Height: p.Secret.Height, Ballots: p.ballotsRoot()}
	var err error
	if out.Result, err = CountOpened(p.Body.Method, q, opened); err != nil {
		return nil, err
	}
	out.explain(p)
	return out, nil
}
