package httpapi

import (
	"net/http"

	"github.com/metastate-p2p/metastate/node"
)

// routeDecisions serves proposals, votes and their counts.
func (a *api) routeDecisions(mux *http.ServeMux) {
	mux.Handle("GET /api/v1/proposals", inside(a, queryTime, proposals))
	mux.Handle("POST /api/v1/proposals", inside(a, actTime, propose))
	mux.Handle("GET /api/v1/proposals/one", inside(a, queryTime, proposal))
	mux.Handle("GET /api/v1/proposals/why", inside(a, queryTime, proposalWhy))
	mux.Handle("GET /api/v1/proposals/tally", inside(a, queryTime, tally))
	mux.Handle("GET /api/v1/proposals/ballots", inside(a, queryTime, ballots))
	mux.Handle("POST /api/v1/proposals/revise", inside(a, actTime, revise))
	mux.Handle("POST /api/v1/proposals/say", inside(a, actTime, say))
	mux.Handle("GET /api/v1/proposals/comments", inside(a, queryTime, comments))
	mux.Handle("POST /api/v1/delegations", inside(a, actTime, delegate))
	mux.Handle("GET /api/v1/delegations", inside(a, queryTime, delegations))
	mux.Handle("POST /api/v1/votes", inside(a, actTime, vote))
	mux.Handle("POST /api/v1/votes/prepare", inside(a, actTime, prepareVote))
	mux.Handle("POST /api/v1/votes/challenge", inside(a, actTime, challengeVote))
	mux.Handle("POST /api/v1/votes/opening", inside(a, queryTime, checkOpening))
	mux.Handle("GET /api/v1/trustee", inside(a, queryTime, trusteeStatus))
	mux.Handle("GET /api/v1/votes/receipt", inside(a, queryTime, receipt))
	mux.Handle("GET /api/v1/votes/check", inside(a, queryTime, checkReceipt))
}

func proposalRef(r *http.Request) string { return r.URL.Query().Get("proposal") }

func proposals(_ *http.Request, c Community) (node.ProposalList, error) {
	list := c.Proposals()
	list.Proposals = orEmpty(list.Proposals)
	for i := range list.Proposals {
		list.Proposals[i].Options = orEmpty(list.Proposals[i].Options)
	}
	return list, nil
}

func propose(r *http.Request, c Community) (node.ProposalRef, error) {
	req, err := decode[node.ProposeRequest](r)
	if err != nil {
		return node.ProposalRef{}, err
	}
	return c.Propose(r.Context(), req)
}

func proposal(r *http.Request, c Community) (node.Proposal, error) {
	p, err := c.Proposal(proposalRef(r))
	p.Options = orEmpty(p.Options)
	return p, err
}

func proposalWhy(r *http.Request, c Community) (node.Why, error) {
	why, err := c.ProposalWhy(proposalRef(r))
	why.Because = orEmpty(why.Because)
	return why, err
}

func tally(r *http.Request, c Community) (node.Tally, error) {
	t, err := c.Tally(proposalRef(r))
	t.Winners, t.Rounds = orEmpty(t.Winners), orEmpty(t.Rounds)
	return t, err
}

func ballots(r *http.Request, c Community) (node.BallotSheet, error) {
	return c.Sheet(proposalRef(r))
}

func vote(r *http.Request, c Community) (node.VoteReceipt, error) {
	req, err := decode[node.VoteRequest](r)
	if err != nil {
		return node.VoteReceipt{}, err
	}
	return c.Cast(r.Context(), proposalRef(r), req)
}

func prepareVote(r *http.Request, c Community) (node.PreparedBallot, error) {
	req, err := decode[node.VoteRequest](r)
	if err != nil {
		return node.PreparedBallot{}, err
	}
	return c.PrepareVote(r.Context(), proposalRef(r), req)
}

func challengeVote(r *http.Request, c Community) (node.BallotOpening, error) {
	return c.ChallengeVote(r.Context(), proposalRef(r))
}

func checkOpening(r *http.Request, c Community) (node.OpenedBallot, error) {
	o, err := decode[node.BallotOpening](r)
	if err != nil {
		return node.OpenedBallot{}, err
	}
	return c.CheckOpening(r.Context(), o)
}

func trusteeStatus(_ *http.Request, c Community) (node.TrusteeStatus, error) {
	return c.TrusteeStatus()
}

func revise(r *http.Request, c Community) (node.RecordRef, error) {
	req, err := decode[node.ReviseRequest](r)
	if err != nil {
		return node.RecordRef{}, err
	}
	return c.Revise(r.Context(), proposalRef(r), req)
}

func say(r *http.Request, c Community) (node.RecordRef, error) {
	req, err := decode[node.WordRequest](r)
	if err != nil {
		return node.RecordRef{}, err
	}
	return c.Say(r.Context(), proposalRef(r), req)
}

func comments(r *http.Request, c Community) (node.CommentList, error) {
	return c.Comments(proposalRef(r))
}

func delegate(r *http.Request, c Community) (node.RecordRef, error) {
	req, err := decode[node.DelegateRequest](r)
	if err != nil {
		return node.RecordRef{}, err
	}
	return c.Delegate(r.Context(), req)
}

func delegations(_ *http.Request, c Community) (node.DelegationList, error) { return c.Delegations() }

func receipt(r *http.Request, c Community) (node.VoteReceipt, error) {
	return c.Receipt(proposalRef(r))
}

func checkReceipt(r *http.Request, c Community) (node.VoteReceipt, error) {
	return c.CheckReceipt(r.URL.Query().Get("code"))
}
