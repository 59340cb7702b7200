package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/metastate-p2p/metastate/node"
	"github.com/metastate-p2p/metastate/node/httpapi"
	"github.com/metastate-p2p/metastate/protocol"
)

func (a *app) disputeCommands() *cobra.Command {
	return group("dispute", "See and settle which branch of checkpoints this node follows",
		a.disputeShowCommand(), a.disputeFollowCommand(), a.disputePartCommand())
}

func (a *app) disputeShowCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "show", Short: "Say which checkpoints are disputed, who signed them, and what of yours is affected",
		Long: "Say which checkpoints are disputed, who signed them, and what of yours is affected. A node that was shown two final checkpoints of one height stops, keeps both, and waits for your order.\n" +
			"With --json each branch's first certificate is in the answer: whoever has it can check the signatures.",
		Args: arguments(0, 0),
	}
	return query(a, c, func(ctx context.Context, n *httpapi.Client, _ []string) (node.Dispute, error) {
		return n.In(a.opts.metastate).Dispute(ctx)
	}, showDispute)
}

func (a *app) disputeFollowCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "follow", Short: "Follow the branch that a checkpoint is on, or go back to the last one in common",
		Long: "Follow the branch that a checkpoint is on, or go back to the last one in common, from where more than half of the members can recall the clerks (office recall).\n" +
			"The branch is checked first: its signatures, and that its records lead to what was signed. What you leave is kept. What you did only there is offered again where you go.",
		Example: "  metastate dispute follow --checkpoint bafyreid4hn",
		Args:    arguments(0, 0),
	}
	var to string
	c.Flags().StringVar(&to, "checkpoint", "", "the checkpoint's id, or its beginning")
	c.PreRunE = func(c *cobra.Command, _ []string) error {
		if to == "" {
			return usage(c, "--checkpoint is needed: the id of the checkpoint to follow")
		}
		return nil
	}
	return act(a, c, func(ctx context.Context, n *httpapi.Client, _ []string) (node.Dispute, error) {
		return n.In(a.opts.metastate).Follow(ctx, to)
	}, showDispute)
}

func (a *app) disputePartCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "part", Short: "Stay on this node's own branch, whatever others follow",
		Long: "Stay on this node's own branch, whatever others follow: the branches part as forks. The other certificates are kept. dispute follow leads to another branch later, too.",
		Args: arguments(0, 0),
	}
	return act(a, c, func(ctx context.Context, n *httpapi.Client, _ []string) (node.Dispute, error) {
		return n.In(a.opts.metastate).Part(ctx)
	}, showDispute)
}

func showDispute(p *page, d node.Dispute) {
	if d.Trouble == "" {
		p.line("This node follows its branch: nothing stops it.")
	} else {
		p.line("This node has stopped: %s.", d.Trouble)
	}
	if len(d.Others) == 0 {
		return
	}
	common := checkpointText(&d.Common)
	if d.Common.Height == 0 {
		common = "not known yet: the checkpoints between are being asked for"
	}
	p.fields("in common", common)
	row := func(name string, b node.Branch) []string {
		return []string{name, checkpointText(b.Last), branchText(b), namesOf(b.Signers, d.Names)}
	}
	rows := [][]string{row("here", d.Here)}
	for _, b := range d.Others {
		rows = append(rows, row("other", b))
	}
	p.table("", []string{"BRANCH", "UP TO", "STATE", "SIGNED BY"}, rows)
	if len(d.Accused) > 0 {
		p.line("Signed more than one: %s", namesOf(d.Accused, d.Names))
	}
	for _, act := range d.Acts {
		what := "would be said again on another branch"
		if act.Stays {
			what = "is good on another branch as it is"
		}
		p.line("Your %s %s %s.", act.Kind, act.Record, what)
	}
	if d.Trouble != "" {
		p.next("metastate dispute follow --checkpoint ID, or metastate dispute part to stay")
	}
}

func checkpointText(r *node.CheckpointRef) string {
	if r == nil {
		return "-"
	}
	return fmt.Sprintf("%d %s", r.Height, r.ID)
}

// branchText says what is known of a branch.
func branchText(b node.Branch) string {
	var words []string
	switch {
	case b.Fault != "":
		words = append(words, "does not follow from its records")
	case b.Checked:
		words = append(words, "holds")
	case b.First != nil && !b.Left: // what is left behind is not looked at
		words = append(words, "not all of it is held yet")
	}
	if b.Recall != nil {
		words = append(words, "chosen by more than half of the members")
	}
	if b.Left {
		words = append(words, "left by your order")
	}
	return orDash(strings.Join(words, ", "))
}

// namesOf are personas by name where one has it.
func namesOf(list []protocol.ID, names map[string]string) string {
	var ids []string
	for _, id := range list {
		ids = append(ids, id.String())
	}
	return orDash(strings.Join(called(ids, names), ", "))
}
