package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/metastate-p2p/metastate/node"
	"github.com/metastate-p2p/metastate/node/httpapi"
)

func (a *app) tallyCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "tally PROPOSAL", Short: "Count a vote",
		Long: "Count a vote. The outcome stands once a checkpoint has closed the vote.",
		Args: arguments(1, 1),
	}
	explain := false
	c.Flags().BoolVar(&explain, "explain", false, "tell how it was counted, step by step")
	return query(a, c, func(ctx context.Context, n *httpapi.Client, args []string) (node.Tally, error) {
		return n.In(a.opts.metastate).Tally(ctx, args[0])
	}, func(p *page, t node.Tally) {
		outcome := t.Outcome
		if !t.Final {
			outcome = "none yet: the vote is not closed by a checkpoint"
		}
		pairs := []string{"outcome", orDash(outcome)}
		if len(t.Winners) > 0 { // a vote by yes and no has none
			pairs = append(pairs, "winners", strings.Join(called(t.Winners, t.Names), ", "))
		}
		p.fields(append(pairs, "phase", t.Phase, "final", yesNo(t.Final),
			"electorate", strconv.FormatUint(t.Electorate, 10),
			"counted", strconv.FormatUint(t.Counted, 10), "refused", strconv.FormatUint(t.Refused, 10),
		)...)
		var rows [][]string
		for _, option := range slices.Sorted(maps.Keys(t.Votes)) {
			rows = append(rows, []string{called([]string{option}, t.Names)[0], strconv.FormatUint(t.Votes[option], 10)})
		}
		if len(rows) > 0 {
			p.line("")
			p.table("", []string{"OPTION", "VOTES"}, rows)
		}
		if explain {
			p.line("")
			for i, r := range t.Rounds {
				p.line("%2d. %s", i+1, r.Text)
			}
		}
		if t.Checkpoint != nil {
			p.line("")
			p.fields("closed by", fmt.Sprintf("checkpoint %d, %s", t.Checkpoint.Height, t.Checkpoint.ID))
		}
	})
}
