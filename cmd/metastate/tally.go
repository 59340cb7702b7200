package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/metastate-p2p/metastate/node"
	"github.com/metastate-p2p/metastate/node/httpapi"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/decision/count"
	"github.com/metastate-p2p/metastate/protocol/decision/count/chart"
)

func (a *app) tallyCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "tally PROPOSAL", Short: "Count a vote",
		Long: "Count a vote. The outcome stands once a checkpoint has closed the vote.",
		Args: arguments(1, 1),
	}
	explain := false
	c.Flags().BoolVar(&explain, "explain", false, "tell how it was counted, step by step")
	svg := svgFlag(c)
	write := c.Flags().String("write", "", "write the ballots of an open vote to this file, .blt or .csv, for any other program to count")
	return query(a, c, func(ctx context.Context, n *httpapi.Client, args []string) (node.Tally, error) {
		in := n.In(a.opts.metastate)
		t, err := in.Tally(ctx, args[0])
		if err == nil && *write != "" {
			err = writeSheet(ctx, c, in, t, *write)
		}
		if err != nil || !t.Final {
			return t, err // of what is not over there is nothing to draw
		}
		return t, draw(*svg, chart.Count{
			Title: t.Title, Options: slices.Clone(t.Options), Seats: seatsOf(t.Options, t.Seats), Matrix: t.Matrix,
		}, t.Rounds, calledBy(t.Names))
	}, func(p *page, t node.Tally) {
		showTally(p, t)
		switch {
		case explain && len(t.Rounds) == 0:
			p.line("")
			p.line("There are no steps to tell yet: the vote is not counted to its end.")
		case explain:
			showMatrix(p, called(t.Options, t.Names), t.Matrix)
			p.line("")
			showRounds(p, t.Rounds, calledBy(t.Names))
		}
		if *write != "" && t.Carried > 0 {
			p.line("")
			p.line("The file has the ballots that were cast, and not the %s that members gave to others: these count besides.", node.Counted(int(t.Carried), "vote"))
		}
		switch {
		case *svg == "":
		case t.Final:
			p.line("")
			p.line("The count is drawn in %s.", *svg)
		default:
			p.line("")
			p.line("Nothing is drawn: the vote is not closed by a checkpoint yet.")
		}
		if t.Checkpoint != nil {
			p.line("")
			p.fields("closed by", fmt.Sprintf("checkpoint %d, %s", t.Checkpoint.Height, t.Checkpoint.ID))
		}
	})
}

// writeSheet writes the ballots of an open vote into a file.
func writeSheet(ctx context.Context, c *cobra.Command, in httpapi.Inside, t node.Tally, path string) error {
	s, err := in.Sheet(ctx, t.Proposal.String())
	if err != nil {
		return err
	}
	options := called(s.Options, s.Names)
	e := election{title: s.Title, question: count.Question{Options: options, Seats: s.Seats, Order: count.AsListed(len(options))}}
	for _, b := range s.Ballots {
		marks := make(count.Marks, len(b.Marks))
		for i, m := range b.Marks {
			marks[i] = uint8(m)
		}
		e.ballots = append(e.ballots, count.Ballot{Marks: marks, N: b.N})
	}
	m, err := decision.MethodByName(s.Method)
	if err != nil {
		return err
	}
	switch m.Form(e.question).(type) {
	case count.One, count.Approvals, count.Ranking:
	default:
		if strings.EqualFold(filepath.Ext(path), ".blt") {
			return usage(c, "BLT files hold rankings, and ballots of the method %s are numbers: write a file whose name ends in .csv", s.Method)
		}
	}
	return e.write(c, path)
}

// calledBy is what one option is called.
func calledBy(names map[string]string) func(string) string {
	return func(option string) string { return called([]string{option}, names)[0] }
}

// showTally prints how a vote stands.
func showTally(p *page, t node.Tally) {
	outcome := t.Outcome
	switch {
	case t.Secrecy != nil && t.Phase == "closed":
		outcome = "none yet: the trustees open it"
	case t.Final && t.Phase == string(decision.Rejected) && (t.Outcome == count.Passed || t.Outcome == count.Elected):
		outcome += ", and then set aside by objections"
	case t.Secrecy != nil && t.Final && t.Counted < t.Secrecy.Least:
		outcome += ": too few ballots to open their sum"
	case !t.Final:
		outcome = "none yet: the vote is not closed by a checkpoint"
	}
	pairs := []string{"outcome", orDash(outcome)}
	if len(t.Winners) > 0 { // a vote by yes and no has none
		label := "winners"
		if !t.Final {
			label = "ahead so far"
		}
		pairs = append(pairs, label, strings.Join(called(t.Winners, t.Names), ", "))
	}
	if len(t.Dropped) > 0 {
		pairs = append(pairs, "dropped", strings.Join(called(t.Dropped, t.Names), ", "))
	}
	pairs = append(pairs, "phase", t.Phase, "final", yesNo(t.Final),
		"electorate", strconv.FormatUint(t.Electorate, 10),
		"counted", strconv.FormatUint(t.Counted, 10), "refused", strconv.FormatUint(t.Refused, 10),
	)
	p.fields(append(pairs, secrecyPairs(t.Secrecy)...)...)
	if len(t.Votes) > 0 {
		p.line("")
		showVotes(p, t.Options, t.Votes, t.Seats, calledBy(t.Names))
	}
}

// showVotes prints the votes of each option, and the seats of each list.
func showVotes(p *page, options []string, votes, seats map[string]uint64, called func(string) string) {
	heading, rows := []string{"OPTION", "VOTES"}, [][]string{}
	if len(seats) > 0 {
		heading = append(heading, "SEATS")
	}
	for _, o := range options {
		row := []string{called(o), strconv.FormatUint(votes[o], 10)}
		if len(seats) > 0 {
			row = append(row, strconv.FormatUint(seats[o], 10))
		}
		rows = append(rows, row)
	}
	p.table("", heading, rows)
}
