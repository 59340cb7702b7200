package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/metastate-p2p/metastate/node"
	"github.com/metastate-p2p/metastate/node/httpapi"
)

func (a *app) whyCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "why PERSONA|OFFICE|PROPOSAL|RECORD", Short: "Explain a fact by rules and records",
		Long: "Explain a fact by the rules and records that decided it: why somebody has their standing or office, where a proposal stands, or what became of a record, such as an endorsement or a ballot (by its receipt).",
		Args: arguments(1, 1),
	}
	return query(a, c, func(ctx context.Context, n *httpapi.Client, args []string) (node.Why, error) {
		return n.In(a.opts.metastate).Why(ctx, args[0])
	}, showWhy)
}
