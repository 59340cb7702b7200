package main

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/metastate-p2p/metastate/node"
	"github.com/metastate-p2p/metastate/node/httpapi"
	"github.com/metastate-p2p/metastate/protocol/decision"
)

func (a *app) proposeCommands() *cobra.Command {
	return group("propose", "Put questions to the vote, and follow them",
		a.proposeOpenCommand(), a.proposeListCommand(), a.proposeShowCommand(), a.proposeWhyCommand(),
		a.proposeReviseCommand(), a.proposeWithdrawCommand(), a.proposeSupportCommand(),
		a.proposeCommentCommand(), a.proposeCommentsCommand(), a.proposeContestCommand(), a.proposeDissentCommand())
}

func (a *app) proposeOpenCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "open", Short: "Put a question to the vote",
		Args:    arguments(0, 0),
		Example: `  metastate propose open --title "Shall we meet on Friday?" --closes-in 3d`,
	}
	req := node.ProposeRequest{}
	var closesIn duration
	var made node.Proposal // what it is once made
	f := c.Flags()
	f.StringVar(&req.Title, "title", "", "the question, in one line")
	f.StringVar(&req.Text, "text", "", "what there is to say about it")
	f.StringVar(&req.Method, "method", "", "how votes are cast and counted: "+strings.Join(decision.Methods(), ", ")+" (default yes-no, or plurality with --elect)")
	f.StringSliceVar(&req.Options, "options", nil, "what there is to choose from, with commas between, for methods that need it")
	f.Uint64Var(&req.Seats, "seats", 0, "how many of the options win, for methods that elect several (default 1)")
	f.StringVar(&req.Class, "class", "", "class of decision, as in the charter (default ordinary, or what the effect takes)")
	f.StringVar(&req.Tie, "tie", "", "how ties are settled: lot, or listed for the order of --options (default: what a tie decides stays open)")
	f.BoolVar(&req.Secret, "secret", false, "nobody learns how anybody voted: trustees open the sum alone")
	f.Uint64Var(&req.Trustees, "trustees", 0, "of a secret vote: refuse unless so many trustees are in office")
	f.Uint64Var(&req.Least, "least", 0, "of a secret vote: how many ballots must be cast for it to be opened (default 3)")
	f.BoolVar(&req.Rehearsal, "rehearse", false, "a mock vote: it opens at once and has no effect")
	f.StringVar(&req.Confirms, "confirm", "", "take this decision once more, which objections set aside")
	var method methodFlags
	method.flags(f)
	var effect effect
	effect.flags(f)
	f.Var(&closesIn, "closes-in", "how long the vote is open, such as 3d, from the checkpoint that opens it")
	c.PreRunE = func(c *cobra.Command, _ []string) error { return readProposal(c, &req, closesIn, &method, &effect) }
	return act(a, c, func(ctx context.Context, n *httpapi.Client, _ []string) (node.ProposalRef, error) {
		req.ClosesIn = time.Duration(closesIn)
		var err error
		if req.Act, err = effect.request(ctx, n, n.In(a.opts.metastate)); err != nil {
			return node.ProposalRef{}, err
		}
		in := n.In(a.opts.metastate)
		ref, err := in.Propose(ctx, req)
		if err == nil && !a.opts.json {
			if q, err := in.Proposal(ctx, ref.Proposal.String()); err == nil {
				made = q // else it is told as what most are, one that is voted on at once
			}
		}
		return ref, err
	}, func(p *page, v node.ProposalRef) {
		waits := before(made) && made.Until != nil && made.Until.After(time.Now().Add(time.Second))
		if waits {
			p.line("The proposal is made: its phase is %s. Members vote after that.", phase(made))
		} else {
			p.line("The proposal is open: members can vote once a checkpoint has taken it in.")
		}
		if req.Rehearsal {
			p.line("It is a rehearsal: it has no effect.")
		}
		p.fields("proposal", v.Proposal.String(), "taken over by", node.Counted(v.Sent, "peer"))
		if req.Secret {
			p.line("It opens once its trustees have made the key, which their nodes do by themselves.")
		}
		switch {
		case waits:
			p.next("metastate propose show %s", v.Proposal)
		case req.Secret:
			p.next("metastate vote cast %s", v.Proposal)
		default:
			p.next("metastate vote cast %s --choice %s", v.Proposal, someChoice(req))
		}
	})
}

// someChoice is a choice that a vote takes, to show how one is written.
func someChoice(req node.ProposeRequest) string {
	switch {
	case req.Method == "consent":
		return "consent"
	case len(req.Options) == 0:
		return "yes"
	case req.Method == "score" || req.Method == "quadratic":
		return quote(req.Options[0] + ":1")
	}
	return quote(req.Options[0])
}

// readProposal checks the flags of propose open, and reads those that are text or
// files into the request.
func readProposal(c *cobra.Command, req *node.ProposeRequest, closesIn duration, method *methodFlags, effect *effect) (err error) {
	if strings.TrimSpace(req.Title) == "" {
		return usage(c, "--title is needed: the question, in one line")
	}
	if closesIn <= 0 {
		return usage(c, "--closes-in is needed: a duration over 0, such as 3d")
	}
	for _, o := range req.Options {
		if strings.TrimSpace(o) == "" {
			return usage(c, "--options has an empty option: write a,b,c")
		}
	}
	for _, name := range []string{"trustees", "least"} {
		if c.Flags().Changed(name) && !req.Secret {
			return usage(c, "--%s is for secret votes: give --secret, too", name)
		}
		if f := c.Flags().Lookup(name); f.Changed && f.Value.String() == "0" {
			return usage(c, "--%s needs a number over 0", name)
		}
	}
	if effect.count() > 1 {
		return usage(c, "one decision has one effect: give one of --expel, --admit, --elect, --amend, --pact and --end-pact")
	}
	if err = method.parse(c); err != nil {
		return err
	}
	if req.Options, err = method.arrange(c, req.Options); err != nil {
		return err
	}
	req.Params = method.params
	return effect.checkUntil(c)
}

func (a *app) proposeListCommand() *cobra.Command {
	c := &cobra.Command{Use: "list", Short: "List the proposals", Args: arguments(0, 0)}
	return query(a, c, func(ctx context.Context, n *httpapi.Client, _ []string) (node.ProposalList, error) {
		return n.In(a.opts.metastate).Proposals(ctx)
	}, func(p *page, v node.ProposalList) {
		var rows [][]string
		for _, q := range v.Proposals {
			rows = append(rows, []string{q.Title, q.Phase, when(q.Closes), yourVote(q), q.Proposal.String()})
		}
		p.table("There are no proposals. Open one with metastate propose open.",
			[]string{"TITLE", "PHASE", "CLOSES", "YOUR VOTE", "PROPOSAL"}, rows)
	})
}

func (a *app) proposeShowCommand() *cobra.Command {
	c := &cobra.Command{Use: "show PROPOSAL", Short: "Show a proposal", Args: arguments(1, 1)}
	return query(a, c, func(ctx context.Context, n *httpapi.Client, args []string) (node.Proposal, error) {
		return n.In(a.opts.metastate).Proposal(ctx, args[0])
	}, func(p *page, q node.Proposal) {
		p.line("%s", q.Title)
		if q.Text != "" {
			p.line("")
			p.text(q.Text)
		}
		p.line("")
		pairs := []string{
			"proposal", q.Proposal.String(), "by", author(q),
			"method", q.Method, "class", q.Class, "effect", orDash(q.Act), "secret", yesNo(q.Secret), "phase", phase(q),
			"options", orDash(strings.Join(called(q.Options, q.Names), ", ")), "opens", when(q.Opens), "closes", when(q.Closes),
			"electorate", electorate(q), "you may vote", mayVote(q), "your vote", yourVote(q),
		}
		p.fields(append(pairs, secrecyPairs(q.Secrecy)...)...)
		showDebate(p, q)
		switch x := q.Secrecy; {
		case q.MayVote && x != nil && x.Unsent != "":
			p.next("metastate vote cast %s --prepared", q.Proposal)
		case q.MayVote && q.Voted == "" && (x == nil || !x.Cast):
			p.next("metastate vote cast %s", q.Proposal)
		}
	})
}

// author is who made a proposal, by name and id.
func author(q node.Proposal) string {
	if q.AuthorName == "" {
		return q.Author.String()
	}
	return q.AuthorName + ", " + q.Author.String()
}

// phase is where a proposal stands, and until when it stays there at least.
func phase(q node.Proposal) string {
	switch decision.Phase(q.Phase) {
	case decision.Discussion, decision.Frozen, decision.Contest, decision.Passed:
		if q.Until != nil {
			return q.Phase + ", until " + when(q.Until)
		}
	}
	return q.Phase
}

// before reports whether the vote on a proposal is still to open.
func before(q node.Proposal) bool {
	switch decision.Phase(q.Phase) {
	case decision.Draft, decision.Discussion, decision.Frozen:
		return true
	}
	return false
}

// electorate is how many may vote; before the vote opens nobody knows.
func electorate(q node.Proposal) string {
	if before(q) {
		return "who is a member when the vote opens"
	}
	return strconv.FormatUint(q.Electorate, 10)
}

func mayVote(q node.Proposal) string {
	if before(q) {
		return "not yet"
	}
	return yesNo(q.MayVote)
}

// yourVote is one's own vote: of a secret one whether there is one.
func yourVote(q node.Proposal) string {
	switch x := q.Secrecy; {
	case x == nil:
		return orDash(called([]string{q.Voted}, q.Names)[0])
	case x.Unsent != "" && x.Cast:
		return "cast; another is prepared and NOT sent yet"
	case x.Unsent != "":
		return "prepared and NOT sent yet"
	case x.Cast:
		return "cast"
	}
	return orDash("")
}

// called puts names for those options that have one. Two of one name stay ids.
func called(options []string, names map[string]string) []string {
	times := map[string]int{}
	for _, name := range names {
		times[name]++
	}
	out := slices.Clone(options)
	for i, o := range out {
		if name := names[o]; times[name] == 1 {
			out[i] = name
		}
	}
	return out
}

func (a *app) proposeWhyCommand() *cobra.Command {
	c := &cobra.Command{Use: "why PROPOSAL", Short: "Say which rules and records make where a proposal stands", Args: arguments(1, 1)}
	return query(a, c, func(ctx context.Context, n *httpapi.Client, args []string) (node.Why, error) {
		return n.In(a.opts.metastate).ProposalWhy(ctx, args[0])
	}, showWhy)
}
