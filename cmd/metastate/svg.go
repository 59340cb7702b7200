package main

import (
	"maps"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/metastate-p2p/metastate/node"
	"github.com/metastate-p2p/metastate/protocol/decision/count"
	"github.com/metastate-p2p/metastate/protocol/decision/count/chart"
)

// svgFlag is where a count is drawn.
func svgFlag(c *cobra.Command) *string {
	return c.Flags().String("svg", "", "file to draw the count in, as SVG")
}

// draw writes a count as SVG, if a file is named. Options go by what they are
// called.
func draw(path string, c chart.Count, rounds []node.Round, called func(string) string) error {
	if path == "" {
		return nil
	}
	for _, r := range rounds {
		round := count.Round{Text: r.Text}
		for _, l := range r.Lines {
			round.Lines = append(round.Lines, count.Line{Name: called(l.Option), Value: l.Value, State: l.State})
		}
		for _, name := range slices.Sorted(maps.Keys(r.Facts)) {
			round.Facts = append(round.Facts, count.Line{Name: name, Value: r.Facts[name]})
		}
		c.Rounds = append(c.Rounds, round)
	}
	for i, o := range c.Options {
		c.Options[i] = called(o)
	}
	return writeFile(path, func(f *os.File) error {
		_, err := f.Write(chart.SVG(c))
		return err
	})
}

// seatsOf are the seats of lists in the order of options.
func seatsOf(options []string, seats map[string]uint64) (list []count.Option) {
	for _, o := range options {
		if n, ok := seats[o]; ok {
			list = append(list, count.Option{Name: o, N: n})
		}
	}
	return list
}
