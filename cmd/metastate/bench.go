package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/metastate-p2p/metastate/cmd/metastate/internal/bench"
)

func (a *app) benchCommands() *cobra.Command {
	return group(
		"bench", "Measure this machine, each figure beside its bound",
		a.benchCommand("verify", "Measure reading and verifying records", ""),
		a.benchCommand("store", "Measure durable appends", "The files are written where the system keeps temporary ones (TMPDIR).\n"),
		a.benchCommand("advance", "Measure what a record costs as a community grows, and its way to finality",
			"--records is the longest history that it compares, 1000000 by default: that\ntakes a minute or two to make and 1.2 GB of memory. Files are written where the\nsystem keeps temporary ones (TMPDIR).\n"),
		a.benchCommand("sync", "Measure a node that catches up with another on loopback",
			"The files are written where the system keeps temporary ones (TMPDIR).\n"),
		a.benchCommand("gossip", "Measure gossip among 20 hosts of one process, and go-libp2p-pubsub's defaults beside it",
			"--records are offered at 200 and at 800 a second. It opens ports on loopback.\n"),
		a.benchCommand("reconcile", "Measure how two nodes find what their sets differ in",
			"--records is how many ids both hold, 1000000 by default: that takes some 400 MB\nof memory. --diff is how many one of them lacks, half on either side.\n"),
		a.benchCommand("idle", "Measure a node in which nothing happens, with one metastate and with many",
			"--records is how many metastates share a presence, 1000 by default: to found them\ntakes minutes, in a folder where the system keeps temporary files (TMPDIR).\n"),
		a.benchCommand("ballot", "Measure secret ballots, made, verified and audited, and votes in the open",
			"--records is how many members hold the secret vote that is audited, 10000 by\ndefault. A hundred times as many ballots, at most 1000000, are counted in the open:\nto sign these takes half a minute and 1.3 GB of memory.\n"),
	)
}

func (a *app) benchCommand(name, short, more string) *cobra.Command {
	c := &cobra.Command{
		Use: name, Short: short, Args: arguments(0, 0),
		Long: short + ".\n\n" +
			"Figures are medians over the runs, with the least and the greatest. A ratio is\n" +
			"taken inside each run and shown beside the bar that it is held against.\n" + more +
			"It needs no node, and takes both processors: leave the machine to it.",
	}
	var opts bench.Options
	f := c.Flags()
	f.IntVar(&opts.Records, "records", 0, "records to measure with (default 20000; for advance and reconcile, 1000000; for gossip, 2000; for idle, 1000 metastates; for ballot, 10000)")
	if name == "sync" || name == "reconcile" {
		f.IntVar(&opts.Diff, "diff", 0, "for sync: records that one of two running nodes lacks (default 1000); for reconcile: ids that either lacks (default 1, 100 and 10000)")
	}
	f.IntVar(&opts.Runs, "runs", 5, "how often to take each figure")
	return local(a, c, func(ctx context.Context, _ []string) (bench.Result, error) {
		for _, n := range []string{"records", "diff", "runs"} {
			if v, _ := f.GetInt(n); f.Changed(n) && v < 1 {
				return bench.Result{}, usage(c, "--%s needs a number over 0", n)
			}
		}
		if a.onTerminal() && !a.opts.json && !a.opts.quiet {
			opts.Progress = func(s string) { fmt.Fprintln(a.stderr, s) }
		}
		boundMemory() // as run does
		r, err := bench.Run(ctx, name, opts)
		if errors.Is(err, bench.ErrUsage) {
			return r, usage(c, "%s", err)
		}
		return r, err
	}, showBench)
}

func showBench(p *page, r bench.Result) {
	rows := make([][]string, 0, len(r.Rows))
	for _, row := range r.Rows {
		rows = append(rows, []string{row.What, amount(row.Median), amount(row.Least) + " – " + amount(row.Greatest), orDash(row.Unit), orDash(row.Bar)})
	}
	p.table("nothing was measured", []string{"FIGURE", "MEDIAN", "RANGE", "UNIT", "BAR"}, rows)
	if !p.plain {
		m := r.Machine
		p.line("")
		p.line("%d runs on %s, %d CPUs, %s/%s, %s", r.Runs, orDash(m.Model), m.CPUs, m.OS, m.Arch, m.Go)
	}
}

// amount writes a figure with as many digits as it is worth.
func amount(v float64) string {
	switch {
	case v >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}
