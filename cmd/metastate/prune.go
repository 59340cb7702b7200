package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/metastate-p2p/metastate/node"
	"github.com/metastate-p2p/metastate/node/httpapi"
)

func (a *app) pruneCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "prune", Short: "Give up the ballots of votes long closed, to save space",
		Long: "Give up the ballots of votes that closed longer ago than the charter has nodes keep\n" +
			"them. Results stay, and so does everything that proves them to others; what can't be\n" +
			"done here any more is to recount those votes. Other members' nodes are not touched.",
		Args: arguments(0, 0),
	}
	var older duration
	c.Flags().Var(&older, "older-than", "give up only what closed longer ago than this, such as 800d")
	return act(a, c, func(ctx context.Context, n *httpapi.Client, _ []string) (node.Pruning, error) {
		return n.In(a.opts.metastate).Prune(ctx, time.Duration(older))
	}, func(p *page, out node.Pruning) {
		if out.Records == 0 {
			p.say("There is nothing to give up: no vote closed so long ago.")
			return
		}
		p.fields("votes", fmt.Sprint(out.Polls), "ballots given up", fmt.Sprint(out.Records),
			"bytes", fmt.Sprint(out.Bytes), "history", fmt.Sprintf("from checkpoint %d on", out.Began+1))
	})
}
