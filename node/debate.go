package node

import (
	"context"
	"slices"
	"time"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/roll"
)

// Words are what members say on proposals besides voting.
const (
	WordWithdraw = string(protocol.Withdraw) // by its author, before the vote
	WordSupport  = string(protocol.Support)  // while it is discussed
	WordContest  = string(protocol.Contest)  // against a result, with a reason
	WordDissent  = string(protocol.Dissent)  // a minority report
	WordComment  = string(protocol.Comment)
)

// WordRequest says something on a proposal.
type WordRequest struct {
	Kind    string      `json:"kind"`              // a Word constant
	Text    string      `json:"text,omitempty"`    // of contest, dissent and comment
	To      protocol.ID `json:"to,omitzero"`       // the comment that one answers
	Suggest string      `json:"suggest,omitempty"` // another text, that a comment suggests
	Back    bool        `json:"back,omitempty"`    // takes support back
}

// ReviseRequest changes a proposal while it is discussed. What is not set stays.
type ReviseRequest struct {
	Title    *string       `json:"title,omitempty"`
	Text     *string       `json:"text,omitempty"`
	Options  []string      `json:"options,omitempty"`
	ClosesIn time.Duration `json:"closesIn,omitempty"`
	Charter  string        `json:"charter,omitempty"` // of an amendment: another charter, YAML
}

// Comment is part of a proposal's discussion.
type Comment struct {
	Record  protocol.ID `json:"record"`
	Author  protocol.ID `json:"author"`
	Name    string      `json:"name,omitempty"`
	Text    string      `json:"text"`
	To      protocol.ID `json:"to,omitzero"`
	Suggest string      `json:"suggest,omitempty"`
	Final   bool        `json:"final"` // covered by a checkpoint
}

// CommentList is a proposal's discussion, in no order of theirs but answers after
// what they answer.
type CommentList struct {
	Comments []Comment `json:"comments"`
}

// DelegateRequest gives one's vote to another, or takes it back.
type DelegateRequest struct {
	To       protocol.ID `json:"to,omitzero"`        // nobody any more, if zero
	Proposal string      `json:"proposal,omitempty"` // for one vote
	Class    string      `json:"class,omitempty"`    // for a class of decisions; neither: for all
}

// DelegationList is who gave their vote to whom.
type DelegationList struct {
	Delegations []DelegationEntry `json:"delegations"`
}

// DelegationEntry is a vote given to another.
type DelegationEntry struct {
	From     protocol.ID `json:"from"`
	FromName string      `json:"fromName,omitempty"`
	To       protocol.ID `json:"to"`
	ToName   string      `json:"toName,omitempty"`
	Proposal protocol.ID `json:"proposal,omitzero"`
	Class    string      `json:"class,omitempty"`
}

// poll finds a proposal in the final state, which judges what is said on it.
func (c *Community) poll(ref string) (*Snapshot, *roll.Member, *decision.Poll, error) {
	s, m, err := c.me()
	if err != nil {
		return nil, nil, nil, err
	}
	id, err := s.proposal(ref)
	if err != nil {
		return nil, nil, nil, err
	}
	p := s.Final.Decisions().Poll(id)
	if p == nil {
		return nil, nil, nil, refuse("the clerks have not made the proposal final yet"+c.missing(), "metastate propose show "+id.String()+" --until final")
	}
	if now := s.View.Decisions().Poll(id); now != nil && now.Phase == decision.Withdrawn && p.Phase != now.Phase {
		return nil, nil, nil, refuse("its author has withdrawn the proposal, which the next checkpoint makes final", "metastate propose show "+id.String())
	}
	return s, m, p, nil
}

// Say says something on a proposal.
func (c *Community) Say(ctx context.Context, ref string, req WordRequest) (RecordRef, error) {
	_, m, p, err := c.poll(ref)
	if err != nil {
		return RecordRef{}, err
	}
	if err := sayable(m, p, req); err != nil {
		return RecordRef{}, err
	}
	id := p.Proposal
	switch req.Kind {
	case WordWithdraw:
		r, err := c.act(protocol.Withdraw, decision.WithdrawBody{Proposal: id})
		return c.done(ctx, r, err)
	case WordSupport:
		r, err := c.act(protocol.Support, decision.SupportBody{Proposal: id, Not: req.Back})
		return c.done(ctx, r, err)
	case WordComment:
		r, err := c.write(protocol.Comment, id, decision.CommentBody{Text: req.Text, To: req.To, Suggest: req.Suggest})
		return c.done(ctx, r, err)
	}
	r, err := c.act(protocol.Kind(req.Kind), decision.WordsBody{Proposal: id, Text: req.Text})
	return c.done(ctx, r, err)
}

// sayable refuses what the rules would void, and says when it can be said.
func sayable(m *roll.Member, p *decision.Poll, req WordRequest) error {
	hint := "metastate propose show " + p.Proposal.String()
	in := func(phases ...decision.Phase) bool { return slices.Contains(phases, p.Phase) }
	limit := 0
	switch req.Kind {
	case WordWithdraw:
		if p.Author != m.Persona {
			return refuse("only its author withdraws a proposal", hint)
		}
		if !in(decision.Discussion, decision.Frozen) {
			return refuse("a proposal is withdrawn before its vote opens: this one is in the phase "+string(p.Phase), hint)
		}
	case WordSupport:
		if p.Author == m.Persona {
			return refuse("your own proposal has your support already", hint)
		}
		if !in(decision.Discussion) {
			return refuse("a proposal is supported while it is discussed: this one is in the phase "+string(p.Phase), hint)
		}
	case WordContest, WordDissent:
		limit = decision.MaxReason
		ok := in(decision.Contest) || req.Kind == WordDissent && in(decision.Passed)
		switch {
		case !ok || p.Body.Rehearsal:
			return refuse("that is said after the vote, before the decision is in force: this one is in the phase "+string(p.Phase), hint)
		case !m.Voice() || !m.VoiceAt(p.RecordDate):
			return refuse("only who could vote on a decision says so of it", hint)
		}
	case WordComment:
		limit = decision.MaxComment
		if !in(decision.Discussion, decision.Frozen, decision.Voting) {
			return refuse("the discussion is over: the proposal is in "+string(p.Phase), hint)
		}
	default:
		return &Error{Code: "usage", Exit: ExitUsage, Message: "nothing called " + req.Kind + " is said on proposals", Hint: "metastate propose --help"}
	}
	if err := decision.CheckText("text", req.Text, limit); limit > 0 && err != nil {
		return &Error{Code: "usage", Exit: ExitUsage, Message: plain(err), Hint: hint, Err: err}
	}
	if err := decision.CheckText("suggested text", req.Suggest, decision.MaxText); req.Suggest != "" && err != nil {
		return &Error{Code: "usage", Exit: ExitUsage, Message: plain(err), Hint: hint, Err: err}
	}
	if m.Rank() < roll.RankMember && limit != decision.MaxReason {
		return refuse("only members in full standing do that", "metastate status")
	}
	return nil
}

// Revise puts another version in one's proposal's place while it is discussed.
func (c *Community) Revise(ctx context.Context, ref string, req ReviseRequest) (RecordRef, error) {
	s, m, p, err := c.poll(ref)
	if err != nil {
		return RecordRef{}, err
	}
	hint := "metastate propose show " + p.Proposal.String()
	switch {
	case p.Author != m.Persona:
		return RecordRef{}, refuse("only its author revises a proposal: suggest another text in a comment", "metastate propose comment "+p.Proposal.String())
	case p.Phase != decision.Discussion:
		return RecordRef{}, refuse("a proposal is revised while it is discussed: this one is in the phase "+string(p.Phase), hint)
	case p.Debate.Revisions == decision.MaxRevisions:
		return RecordRef{}, refuse("it was revised as often as a proposal can be: withdraw it and make another", hint)
	}
	body, err := c.proposed(p)
	if err != nil {
		return RecordRef{}, err
	}
	if req.Title != nil {
		body.Title = *req.Title
	}
	if req.Text != nil {
		body.Text = *req.Text
	}
	if req.Options != nil {
		body.Options = req.Options
	}
	if req.ClosesIn > 0 {
		body.Voting = int64(req.ClosesIn / time.Second)
	}
	if req.Charter != "" {
		class := body.Class
		body.Act = nil
		if err := c.effect(s, &body, &ActRequest{Kind: decision.Amend, Charter: req.Charter}); err != nil {
			return RecordRef{}, err
		}
		if body.Class != class {
			return RecordRef{}, refuse("these changes of the charter are decided by another class: make another proposal", hint)
		}
	}
	if err := c.checkProposal(s, m, body); err != nil {
		return RecordRef{}, err
	}
	r, err := c.act(protocol.Revise, decision.ReviseBody{Proposal: p.Proposal, Body: body})
	return c.done(ctx, r, err)
}

// proposed is the version of a proposal that would be voted on, with its text.
func (c *Community) proposed(p *decision.Poll) (body decision.ProposeBody, err error) {
	r, err := c.recordOf(p.Version())
	if err != nil {
		return body, err
	}
	return decision.Proposed(r)
}

// recordOf reads a record.
func (c *Community) recordOf(id protocol.ID) (*protocol.Record, error) {
	inner, err := c.stored(id)
	if err != nil {
		return nil, storeError(err)
	}
	return protocol.Parse(inner)
}

// Comments is a proposal's discussion.
func (c *Community) Comments(ref string) (CommentList, error) {
	out := CommentList{Comments: []Comment{}}
	s := c.Snapshot()
	if s == nil {
		return out, errNotYet()
	}
	id, err := s.proposal(ref)
	if err != nil {
		return out, err
	}
	st, err := c.disk()
	if err != nil {
		return out, err
	}
	p := s.Final.Decisions().Poll(id)
	for record, err := range st.Set(id) {
		if err != nil {
			return out, storeError(err)
		}
		r, err := c.recordOf(record)
		if err != nil || r.Kind() != protocol.Comment {
			continue // pruned, or a ballot
		}
		body, err := protocol.Body[decision.CommentBody](r)
		if err != nil {
			continue
		}
		x := Comment{Record: record, Author: r.Author(), Text: body.Text, To: body.To, Suggest: body.Suggest}
		if m := s.View.Roll().Member(r.Author()); m != nil {
			x.Name = m.Name
		}
		x.Final = p != nil && (p.Phase.Closed() || p.Covered.Has(record))
		out.Comments = append(out.Comments, x)
	}
	out.Comments = threaded(out.Comments)
	return out, nil
}

// threaded puts answers after what they answer.
func threaded(list []Comment) []Comment {
	known, under := map[protocol.ID]bool{}, map[protocol.ID][]Comment{}
	for _, x := range list {
		known[x.Record] = true
	}
	for _, x := range list {
		if !known[x.To] {
			under[protocol.ID{}] = append(under[protocol.ID{}], x)
			continue
		}
		under[x.To] = append(under[x.To], x)
	}
	out := make([]Comment, 0, len(list))
	stack := slices.Clone(under[protocol.ID{}])
	slices.Reverse(stack)
	for len(stack) > 0 { // no circles: a record can't name a later one
		x := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		out = append(out, x)
		for _, answer := range slices.Backward(under[x.Record]) {
			stack = append(stack, answer)
		}
	}
	return out
}

// Delegate gives this persona's vote to another, or takes it back.
func (c *Community) Delegate(ctx context.Context, req DelegateRequest) (RecordRef, error) {
	s, m, err := c.me()
	if err != nil {
		return RecordRef{}, err
	}
	if m.Rank() < roll.RankMember {
		return RecordRef{}, refuse("only members in full standing give their vote to others", "metastate status")
	}
	body := decision.DelegateBody{To: req.To, Class: req.Class}
	if req.Proposal != "" {
		_, _, p, err := c.poll(req.Proposal)
		if err != nil {
			return RecordRef{}, err
		}
		if p.Phase.Closed() {
			return RecordRef{}, refuse("that vote has closed", "metastate tally "+p.Proposal.String())
		}
		body.Proposal = p.Proposal
	}
	_, known := s.Final.Charter().Class(req.Class)
	switch {
	case req.Class != "" && req.Proposal != "":
		return RecordRef{}, &Error{Code: "usage", Exit: ExitUsage, Message: "a vote is given for one proposal, for a class of decisions, or for all", Hint: "metastate vote delegate --help"}
	case req.Class != "" && !known:
		return RecordRef{}, &Error{Code: "usage", Exit: ExitUsage, Message: "the charter has no class of decision " + req.Class, Hint: "metastate charter show"}
	case req.To.IsZero():
	case s.Final.Charter().Delegation.Cap == 0:
		return RecordRef{}, refuse("the charter does not let members give their vote to others", "amend the charter: delegation, with a cap")
	case req.To == m.Persona:
	case !s.Final.Roll().Member(req.To).Voice():
		return RecordRef{}, refuse("a vote is given to a member", "metastate roll list")
	}
	r, err := c.act(protocol.Delegate, body)
	return c.done(ctx, r, err)
}

// Delegations are all votes given to others in the provisional state.
func (c *Community) Delegations() (DelegationList, error) {
	out := DelegationList{Delegations: []DelegationEntry{}}
	s := c.Snapshot()
	if s == nil {
		return out, errNotYet()
	}
	name := func(id protocol.ID) string {
		if m := s.View.Roll().Member(id); m != nil {
			return m.Name
		}
		return ""
	}
	for _, d := range s.View.Decisions().Delegations() {
		out.Delegations = append(out.Delegations, DelegationEntry{
			From: d.Persona, FromName: name(d.Persona), To: d.To, ToName: name(d.To), Proposal: d.Proposal, Class: d.Class,
		})
	}
	return out, nil
}
