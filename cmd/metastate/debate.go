package main

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/metastate-p2p/metastate/node"
	"github.com/metastate-p2p/metastate/node/httpapi"
	"github.com/metastate-p2p/metastate/protocol"
)

// showDebate shows what was said on a proposal besides votes.
func showDebate(p *page, q node.Proposal) {
	if q.Rehearsal {
		p.line("This is a rehearsal: it has no effect.")
	}
	if q.Version != q.Proposal {
		p.fields("revised, this version is", q.Version.String())
	}
	if s := q.Support; s != nil {
		p.fields("supported by", strconv.FormatUint(s.Have, 10)+" besides its author", "needs to come to the vote", strconv.FormatUint(s.Sponsors, 10)+", and of all members "+s.Share)
	}
	switch officer := cmp.Or(q.VotedByName, q.VotedBy.String()); {
	case q.VotedBy.IsZero():
	case q.MayVote:
		p.line("An officer, %s, cast your vote for you. Your own replaces it.", officer)
		p.next("metastate vote cast %s", q.Proposal)
	default:
		p.line("An officer, %s, cast your vote for you.", officer)
	}
	if q.Objections > 0 {
		p.fields("objections to the result", strconv.FormatUint(q.Objections, 10))
	}
	for _, d := range q.Dissents {
		p.line("")
		p.line("Minority report by %s:", orDash(d.Name))
		p.text(orDash(d.Text))
	}
}

func (a *app) proposeReviseCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "revise PROPOSAL", Short: "Change one's proposal while it is discussed",
		Long: "Change one's proposal while it is discussed. What no flag names stays as it is. Ballots\n" +
			"are on the version that stands when the discussion ends.",
		Args:    arguments(1, 1),
		Example: `  metastate propose revise bafy… --text "As Anna suggests, in June."`,
	}
	var title, text, charter string
	var options []string
	var closesIn duration
	f := c.Flags()
	f.StringVar(&title, "title", "", "the question, in one line")
	f.StringVar(&text, "text", "", "what there is to say about it")
	f.StringSliceVar(&options, "options", nil, "what there is to choose from, with commas between")
	f.StringVar(&charter, "amend", "", "of an amendment: the file of another charter")
	f.Var(&closesIn, "closes-in", "how long the vote is open, such as 3d")
	c.PreRunE = func(c *cobra.Command, _ []string) error {
		if !slices.ContainsFunc([]string{"title", "text", "options", "amend", "closes-in"}, f.Changed) {
			return usage(c, "say what to change: --title, --text, --options, --amend or --closes-in")
		}
		return nil
	}
	return act(a, c, func(ctx context.Context, n *httpapi.Client, args []string) (r node.RecordRef, err error) {
		req := node.ReviseRequest{ClosesIn: time.Duration(closesIn), Options: options}
		if f.Changed("title") {
			req.Title = &title
		}
		if f.Changed("text") {
			req.Text = &text
		}
		if charter != "" {
			if req.Charter, _, err = readCharter(charter); err != nil {
				return r, err
			}
		}
		return n.In(a.opts.metastate).Revise(ctx, args[0], req)
	}, showRecord("The proposal is revised, once a checkpoint has taken this in."))
}

// sayCommand is a command by which a member says something on a proposal.
func (a *app) sayCommand(c *cobra.Command, req *node.WordRequest, done string) *cobra.Command {
	c.Args = arguments(1, 1)
	return act(a, c, func(ctx context.Context, n *httpapi.Client, args []string) (node.RecordRef, error) {
		return n.In(a.opts.metastate).Say(ctx, args[0], *req)
	}, showRecord(done))
}

// needsText requires the text of a flag.
func needsText(c *cobra.Command, flag string, text *string) {
	c.PreRunE = func(c *cobra.Command, _ []string) error {
		if strings.TrimSpace(*text) == "" {
			return usage(c, "--%s is needed", flag)
		}
		return nil
	}
}

func (a *app) proposeWithdrawCommand() *cobra.Command {
	c := &cobra.Command{Use: "withdraw PROPOSAL", Short: "Take one's proposal back before its vote"}
	return a.sayCommand(c, &node.WordRequest{Kind: node.WordWithdraw}, "The proposal is withdrawn, once a checkpoint has taken this in.")
}

func (a *app) proposeSupportCommand() *cobra.Command {
	c := &cobra.Command{Use: "support PROPOSAL", Short: "Support a proposal, so that it comes to the vote"}
	req := &node.WordRequest{Kind: node.WordSupport}
	c.Flags().BoolVar(&req.Back, "take-back", false, "support it no more")
	return a.sayCommand(c, req, "It is said, and counts once a checkpoint has taken it in.")
}

func (a *app) proposeContestCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "contest PROPOSAL", Short: "Object to a result before it takes effect",
		Long: "Object to a result in the contest period, with a reason. If as many object as the charter\n" +
			"says for the class, the decision is set aside until it is taken once more.",
	}
	req := &node.WordRequest{Kind: node.WordContest}
	c.Flags().StringVar(&req.Text, "reason", "", "why, at most 1000 bytes")
	needsText(c, "reason", &req.Text)
	return a.sayCommand(c, req, "The objection is made, and counts once a checkpoint has taken it in.")
}

func (a *app) proposeDissentCommand() *cobra.Command {
	c := &cobra.Command{Use: "dissent PROPOSAL", Short: "Give a decision a minority report, which it carries"}
	req := &node.WordRequest{Kind: node.WordDissent}
	c.Flags().StringVar(&req.Text, "text", "", "the report, at most 1000 bytes")
	needsText(c, "text", &req.Text)
	return a.sayCommand(c, req, "The decision carries the report, once a checkpoint has taken it in.")
}

func (a *app) proposeCommentCommand() *cobra.Command {
	c := &cobra.Command{Use: "comment PROPOSAL", Short: "Say something on a proposal until its vote ends, or suggest another text"}
	req := &node.WordRequest{Kind: node.WordComment}
	f := c.Flags()
	f.StringVar(&req.Text, "text", "", "the comment")
	f.StringVar(&req.Suggest, "suggest", "", "another text for the proposal, which its author may take over")
	to := ""
	f.StringVar(&to, "to", "", "the comment that this one answers")
	c.PreRunE = func(c *cobra.Command, _ []string) (err error) {
		if strings.TrimSpace(req.Text) == "" {
			return usage(c, "--text is needed")
		}
		if req.To, err = protocol.ParseID(to); err != nil && to != "" {
			return usage(c, "--to is the id of a comment, as metastate propose comments prints it")
		}
		return nil
	}
	return a.sayCommand(c, req, "The comment is made.")
}

func (a *app) proposeCommentsCommand() *cobra.Command {
	c := &cobra.Command{Use: "comments PROPOSAL", Short: "Show the discussion of a proposal", Args: arguments(1, 1)}
	return query(a, c, func(ctx context.Context, n *httpapi.Client, args []string) (node.CommentList, error) {
		return n.In(a.opts.metastate).Comments(ctx, args[0])
	}, func(p *page, v node.CommentList) {
		if len(v.Comments) == 0 {
			p.say("Nobody has said anything yet: metastate propose comment PROPOSAL --text …")
		}
		for i, x := range v.Comments {
			if i > 0 {
				p.line("")
			}
			p.fields("by", orDash(x.Name), "comment", x.Record.String())
			if !x.To.IsZero() {
				p.fields("answers", x.To.String())
			}
			p.text(x.Text)
			if x.Suggest != "" {
				p.line("Suggested text:")
				p.text(x.Suggest)
			}
		}
	})
}

func (a *app) voteDelegateCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "delegate [PERSONA]", Short: "Give another member one's vote in what one does not vote on, or take it back",
		Long: "Give another member one's vote, for all decisions, for a class of them or for one. The\n" +
			"narrowest holds, and a ballot of one's own always comes first. It leads on to whom they\n" +
			"gave theirs, if they do not vote. To oneself it means nobody. The charter says whether\n" +
			"votes can be given, and how many one member carries. Never in secret votes.",
		Args: arguments(0, 1),
	}
	var req node.DelegateRequest
	end := false
	f := c.Flags()
	f.StringVar(&req.Proposal, "proposal", "", "for the vote on this proposal")
	f.StringVar(&req.Class, "class", "", "for decisions of this class")
	f.BoolVar(&end, "end", false, "take it back")
	c.PreRunE = func(c *cobra.Command, args []string) error {
		if end == (len(args) == 1) {
			return usage(c, "name the member, or take the vote back with --end")
		}
		return nil
	}
	return act(a, c, func(ctx context.Context, n *httpapi.Client, args []string) (r node.RecordRef, err error) {
		in := n.In(a.opts.metastate)
		if len(args) == 1 {
			m, err := in.RollMember(ctx, args[0])
			if err != nil {
				return r, err
			}
			req.To = m.Persona
		}
		return in.Delegate(ctx, req)
	}, func(p *page, v node.RecordRef) {
		showRecord("It holds once a checkpoint has taken it in.")(p, v)
		p.next("metastate vote delegations")
	})
}

func (a *app) voteDelegationsCommand() *cobra.Command {
	c := &cobra.Command{Use: "delegations", Short: "List who gave their vote to whom", Args: arguments(0, 0)}
	return query(a, c, func(ctx context.Context, n *httpapi.Client, _ []string) (node.DelegationList, error) {
		return n.In(a.opts.metastate).Delegations(ctx)
	}, func(p *page, v node.DelegationList) {
		var rows [][]string
		for _, d := range v.Delegations {
			scope := "all"
			switch {
			case d.Class != "":
				scope = "class " + d.Class
			case !d.Proposal.IsZero():
				scope = d.Proposal.String()
			}
			rows = append(rows, []string{orID(d.FromName, d.From.String()), orID(d.ToName, d.To.String()), scope})
		}
		p.table("Nobody has given their vote to another.", []string{"FROM", "TO", "FOR"}, rows)
	})
}

// orID is a name, or where there is none an id.
func orID(name, id string) string {
	if name == "" {
		return id
	}
	return name
}
