package node

import (
	"context"
	"strings"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/decision"
	counting "github.com/metastate-p2p/metastate/protocol/decision/count"
	"github.com/metastate-p2p/metastate/protocol/roll"
)

// VoteRequest casts a ballot.
type VoteRequest struct {
	Choice string      `json:"choice"`           // one line, as the method takes it
	Reason string      `json:"reason,omitempty"` // an objection needs one, in an open vote
	For    protocol.ID `json:"for,omitzero"`     // the member whom an officer casts it for, in an open vote
	// Prepared casts the secret ballot that was prepared; there is no choice then.
	Prepared bool `json:"prepared,omitempty"`
}

// Vote casts a ballot. A later one replaces it until the poll closes.
func (c *Community) Vote(ctx context.Context, ref, choice string) (VoteReceipt, error) {
	return c.Cast(ctx, ref, VoteRequest{Choice: choice})
}

// Cast casts a ballot, in an open vote for oneself or by an officer for a member who
// can't.
func (c *Community) Cast(ctx context.Context, ref string, req VoteRequest) (VoteReceipt, error) {
	if req.Prepared {
		p, err := c.votable(ref)
		if err != nil {
			return VoteReceipt{}, err
		}
		return c.castPrepared(ctx, p)
	}
	p, choice, err := c.chosen(ref, req)
	if err != nil {
		return VoteReceipt{}, err
	}
	if p.IsSecret() {
		return c.castSecret(ctx, p, choice)
	}
	r, err := c.write(protocol.Ballot, p.Proposal, decision.BallotBody{Choice: string(choice), Version: p.Debate.Version, For: req.For, Reason: req.Reason})
	if err != nil {
		return VoteReceipt{}, err
	}
	out := VoteReceipt{Receipt: r.ID().String(), Sent: c.hand(ctx, r)}
	out.Clerks, out.Receipts = c.book().receipts(p.Proposal, r.ID())
	return out, nil
}

// mayAssist requires an officer whom the charter lets cast ballots for others, if
// one is cast for another.
func mayAssist(s *Snapshot, m *roll.Member, p *decision.Poll, voter protocol.ID) error {
	a := s.Final.Charter().Assist
	switch v, voted := p.Ballots.Get(voter); {
	case voter.IsZero():
		return nil
	case a.Cap == 0:
		return refuse("the charter lets nobody cast ballots for others", "amend the charter: assist, with an office and a cap")
	case !m.Holds(a.Office) || voter == m.Persona:
		return refuse("the charter lets holders of the office "+a.Office+" cast ballots for other members", "metastate office list")
	case !s.Final.Roll().Member(voter).VoiceAt(p.RecordDate):
		return refuse("they were not a member when this vote opened", "metastate roll list")
	case voted && v.By != m.Persona:
		return refuse("they have cast a ballot, or another officer for them", "metastate propose show "+p.Proposal.String())
	}
	return nil
}

// votable is a proposal that this persona may vote on now, or why not.
func (c *Community) votable(ref string) (*decision.Poll, error) {
	s, m, err := c.me()
	if err != nil {
		return nil, err
	}
	id, err := s.proposal(ref)
	if err != nil {
		return nil, err
	}
	p := s.Final.Decisions().Poll(id)
	switch {
	case p == nil:
		return nil, refuse("the vote is not open yet: the clerks have not made the proposal final"+c.missing(), "metastate propose show "+id.String()+" --until phase=voting")
	case p.Phase.Closed():
		return nil, refuse("the vote has closed", "metastate tally "+id.String())
	case p.Phase == decision.Frozen && p.IsSecret():
		return nil, refuse("the vote is not open yet: its trustees make the key that ballots are encrypted under", "metastate propose show "+id.String()+" --until phase=voting")
	case p.Phase != decision.Voting:
		return nil, refuse("the vote is not open yet: the proposal is in "+string(p.Phase), "metastate propose show "+id.String())
	case !m.VoiceAt(p.RecordDate):
		return nil, refuse("you were not a member when this vote opened", "you can vote in those that opened since")
	}
	return p, nil
}

// chosen is the proposal that a request votes on, and its choice in normal form.
func (c *Community) chosen(ref string, req VoteRequest) (*decision.Poll, counting.Choice, error) {
	p, err := c.votable(ref)
	if err != nil {
		return nil, "", err
	}
	s, m, err := c.me()
	if err != nil {
		return nil, "", err
	}
	switch {
	case p.IsSecret() && !req.For.IsZero():
		return nil, "", refuse("in a secret vote nobody votes for another", "leave out --for")
	case p.IsSecret() && req.Reason != "":
		return nil, "", refuse("a secret ballot has no reason: it would say how you vote", "leave out --reason; metastate propose comment "+p.Proposal.String()+" --text X says something to all")
	}
	if err := mayAssist(s, m, p, req.For); err != nil {
		return nil, "", err
	}
	form, err := p.Form()
	if err != nil {
		return nil, "", err
	}
	normal, err := counting.Normal(form, p.Options, req.Choice)
	if names := s.candidates(p); err != nil && names != nil {
		normal, err = c.candidate(form, p.Options, names, req.Choice)
	}
	if err != nil {
		return nil, "", &Error{Code: "bad-choice", Exit: ExitUsage, Message: "this is no choice in this vote: " + err.Error(), Hint: "metastate propose show " + p.Proposal.String(), Err: err}
	}
	if !p.IsSecret() && decision.NeedsReason(p.Body.Method, normal) && strings.TrimSpace(req.Reason) == "" {
		return nil, "", &Error{Code: "no-reason", Exit: ExitUsage, Message: "an objection says why: without a reason it does not count", Hint: "give --reason"}
	}
	if err := decision.CheckText("reason", req.Reason, decision.MaxReason); req.Reason != "" && err != nil {
		return nil, "", &Error{Code: "usage", Exit: ExitUsage, Message: plain(err), Err: err}
	}
	return p, normal, nil
}
