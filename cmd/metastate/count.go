package main

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/metastate-p2p/metastate/node"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/decision/count"
	"github.com/metastate-p2p/metastate/protocol/decision/count/chart"
)

// counted is the answer of count.
type counted struct {
	Title   string            `json:"title,omitempty"`
	Method  string            `json:"method"`
	Options []string          `json:"options"` // as the file has them
	Ballots uint64            `json:"ballots"`
	Outcome string            `json:"outcome"`
	Elected []string          `json:"elected"`
	Votes   map[string]uint64 `json:"votes"`
	Seats   map[string]uint64 `json:"seats"`  // of each list
	Matrix  [][]uint64        `json:"matrix"` // how many prefer one option, by the row, to another
	Dropped []string          `json:"dropped"`
	Tied    bool              `json:"tied"`
	Rounds  []node.Round      `json:"rounds"`
}

// counting is what a count is asked for.
type counting struct {
	methodFlags
	method string
	seats  uint64
	write  string
}

func (a *app) countCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "count FILE", Short: "Count the ballots of a file",
		Long: "Count the ballots of a file, step by step. It needs no node and no vault.\n\n" +
			"The file is BLT, or a table of comma-separated values: name,votes for party lists,\n" +
			"or a heading with the options and a ballot a line, with how many made it first.",
		Args: arguments(1, 1),
		Example: "  metastate count council.blt --method scottish-stv\n" +
			"  metastate count lists.csv --method dhondt --seats 80 --threshold 3%",
	}
	var ask counting
	f := c.Flags()
	f.StringVar(&ask.method, "method", "", "how it is counted: "+strings.Join(countable(), ", "))
	f.Uint64Var(&ask.seats, "seats", 0, "how many to elect (default: as a BLT file says, else 1)")
	ask.flags(f)
	f.StringVar(&ask.write, "write", "", "file to write the ballots in, as BLT or CSV by its name")
	svg := svgFlag(c)
	return local(a, c, func(_ context.Context, args []string) (counted, error) {
		v, err := ask.count(c, args[0])
		if err != nil {
			return v, err
		}
		return v, draw(*svg, chart.Count{
			Title: v.Title, Options: slices.Clone(v.Options), Seats: seatsOf(v.Options, v.Seats), Matrix: v.Matrix,
		}, v.Rounds, func(s string) string { return s })
	}, showCounted)
}

// countable are the methods that count files: those whose options are one's own.
func countable() []string {
	return slices.DeleteFunc(decision.Methods(), func(name string) bool { return name == "yes-no" || name == "consent" })
}

// count reads the flags, then the file, then counts.
func (ask *counting) count(c *cobra.Command, file string) (v counted, err error) {
	if ask.method == "" {
		return v, usage(c, "--method is needed: one of %s", strings.Join(countable(), ", "))
	}
	if !slices.Contains(countable(), ask.method) {
		return v, usage(c, "there is no method %q to count a file by: give one of %s", ask.method, strings.Join(countable(), ", "))
	}
	if c.Flags().Changed("seats") && ask.seats == 0 {
		return v, usage(c, "--seats is at least 1")
	}
	if err := ask.parse(c); err != nil {
		return v, err
	}
	m, err := decision.MethodByName(ask.method)
	if err != nil {
		return v, err
	}
	e, err := readBallots(file)
	if err != nil {
		return v, err
	}
	if _, err := ask.arrange(c, e.question.Options); err != nil {
		return v, err
	}
	e.question.Params, e.question.Seats = ask.params, cmp.Or(ask.seats, e.question.Seats)
	err = m.Check(e.question)
	if err != nil && ask.seats == 0 && e.question.Seats > 1 {
		e.question.Seats = 1 // the file's seats are for methods that elect several
		err = m.Check(e.question)
	}
	if err != nil {
		return v, usage(c, "%s can't count this: %s", ask.method, inWords(err.Error()))
	}
	if ask.write != "" {
		if err := e.write(c, ask.write); err != nil {
			return v, err
		}
	}
	if e.ballots, err = e.as(c, ask.method, m.Form(e.question)); err != nil {
		return v, err
	}
	r, err := count.Count(m, e.question, e.ballots)
	if err != nil {
		return v, usage(c, "%s can't count this: %s", ask.method, inWords(err.Error()))
	}
	return resultOf(ask.method, e, r), nil
}

func resultOf(method string, e *election, r count.Result) counted {
	v := counted{
		Title: e.title, Method: method, Options: e.question.Options, Ballots: e.question.Cast, Outcome: r.Outcome,
		Elected: append([]string{}, r.Winners...), Votes: node.SeatsOf(r.Votes), Seats: map[string]uint64{},
		Matrix: append([][]uint64{}, r.Matrix...), Dropped: append([]string{}, r.Dropped...),
		Tied: r.Tied, Rounds: node.RoundsOf(r.Rounds),
	}
	if r.Seats != nil {
		v.Seats = node.SeatsOf(r.Seats)
	}
	return v
}

// showCounted prints the result, and how it came to be.
func showCounted(p *page, v counted) {
	if v.Title != "" {
		p.line("%s", v.Title)
		p.line("")
	}
	elected := strings.Join(v.Elected, ", ")
	p.fields("method", v.Method, "ballots", strconv.FormatUint(v.Ballots, 10), "elected", orDash(elected))
	if len(v.Dropped) > 0 {
		p.fields("dropped", strings.Join(v.Dropped, ", "))
	}
	p.line("")
	same := func(s string) string { return s }
	showVotes(p, v.Options, v.Votes, v.Seats, same)
	showMatrix(p, v.Options, v.Matrix)
	p.line("")
	showRounds(p, v.Rounds, same)
}

// showMatrix prints how many prefer each option to each other, which have numbers
// as headings, as names would be too wide.
func showMatrix(p *page, options []string, matrix [][]uint64) {
	if len(matrix) == 0 {
		return
	}
	p.line("")
	heading := []string{"", "PREFERRED TO"}
	var rows [][]string
	for i, line := range matrix {
		heading = append(heading, strconv.Itoa(i+1))
		row := []string{strconv.Itoa(i + 1), options[i]}
		for j, n := range line {
			cell := strconv.FormatUint(n, 10)
			if i == j {
				cell = "-"
			}
			row = append(row, cell)
		}
		rows = append(rows, row)
	}
	p.table("", heading, rows)
}

// showRounds prints the steps of a count, with how options stand after each.
func showRounds(p *page, rounds []node.Round, called func(string) string) {
	for i, r := range rounds {
		p.line("%2d. %s", i+1, r.Text)
		var rows [][]string
		for _, l := range r.Lines {
			rows = append(rows, []string{"   ", called(l.Option), l.Value, l.State})
		}
		for _, name := range slices.Sorted(maps.Keys(r.Facts)) {
			rows = append(rows, []string{"   ", name, r.Facts[name], ""})
		}
		if len(rows) > 0 {
			p.columns(rows)
			p.line("")
		}
	}
}
