package state_test

import (
	"fmt"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/state/statetest"
)

// debates draws what a member says on a proposal besides voting.
func (p *play) debates(label, by, verb string, args []string, how statetest.How) *protocol.Record {
	proposal := func(i int) protocol.ID {
		if i < len(args) && p.labels[args[i]] != nil {
			return p.record(args[i]).ID()
		}
		return protocol.ID{}
	}
	switch verb {
	case "revise": // POLL CLASS DURATION [EFFECT]
		body := decision.ProposeBody{Title: label, Method: "yes-no", Class: args[1], Voting: p.seconds(args[2]) - statetest.Start}
		if len(args) > 3 {
			p.effect(&body, args[3:])
		}
		return p.w.Record(by, protocol.Revise, decision.ReviseBody{Proposal: proposal(0), Body: body}, how)
	case "withdraw":
		return p.w.Record(by, protocol.Withdraw, decision.WithdrawBody{Proposal: proposal(0)}, how)
	case "support": // POLL [not]
		return p.w.Record(by, protocol.Support, decision.SupportBody{Proposal: proposal(0), Not: len(args) > 1}, how)
	case "delegate": // NAME|- [POLL|CLASS]
		body := decision.DelegateBody{Proposal: proposal(1)}
		if args[0] != "-" {
			body.To = p.w.Persona(args[0])
		}
		if len(args) > 1 && body.Proposal.IsZero() {
			body.Class = args[1]
		}
		return p.w.Record(by, protocol.Delegate, body, how)
	case "comment":
		return p.w.Bulk(by, protocol.Comment, proposal(0), decision.CommentBody{Text: "Why not?"}, how)
	}
	return p.w.Record(by, protocol.Kind(verb), decision.WordsBody{Proposal: proposal(0), Text: "It harms some."}, how)
}

// ballot draws a ballot: "CHOICE [for NAME] [on REVISION] [because]".
func (p *play) ballot(by, poll, choice string, words []string, how statetest.How) *protocol.Record {
	if p.w.Knows(choice) {
		choice = p.w.Persona(choice).String()
	}
	body := decision.BallotBody{Choice: choice}
	for i := 0; i < len(words); i++ {
		switch words[i] {
		case "because":
			body.Reason = "It harms some."
		case "for":
			i++
			body.For = p.w.Persona(words[i])
		case "on":
			i++
			body.Version = p.record(words[i]).ID()
		default:
			p.fail("no such word of a ballot")
		}
	}
	return p.w.Bulk(by, protocol.Ballot, p.record(poll).ID(), body, how)
}

// debateWords are what was said on a poll besides votes, and by whom votes came.
func (p *play) debateWords(poll *decision.Poll) []string {
	tally, err := p.view.Decisions().Tally(poll.Proposal, p.view.Charter(), p.view.Roll())
	if err != nil {
		p.fail("%v", err)
	}
	d := poll.Debate
	return []string{
		string(poll.Phase), fmt.Sprintf("support=%d", d.Support), fmt.Sprintf("objections=%d", d.Objections),
		fmt.Sprintf("dissents=%d", len(d.Dissents)), fmt.Sprintf("carried=%d", tally.Carried), fmt.Sprintf("assisted=%d", tally.Assisted),
		fmt.Sprintf("covered=%d", p.view.Decisions().Covered(poll.Proposal).Len()), "because=" + string(poll.Because[len(poll.Because)-1].Rule),
	}
}
