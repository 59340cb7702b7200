package schulze

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/metastate-p2p/metastate/protocol/decision/count"
)

// compared is the round that tells how each two options compare.
func (c *contest) compared(votes []count.Option) count.Round {
	r := count.Say("%d of %d who may vote did. Each two options are compared; an option's number is how many others it defeats.", c.q.Cast, c.q.Electorate)
	r.Lines = count.Lines(votes)
	for i, a := range c.q.Options {
		if c.q.Out(i) {
			r.Lines[i].State = count.StateWithdrawn
			continue
		}
		r.Lines[i].State = count.StateHopeful
		for j, b := range c.q.Options {
			if !c.q.Out(j) && (c.beats(i, j) || i < j && c.n[i][j] == c.n[j][i]) {
				r.Facts = append(r.Facts, count.Line{Name: a + " before " + b, Value: figures(c.n[i][j], c.n[j][i])})
			}
		}
	}
	return r
}

func figures(yes, no uint64) string {
	return strconv.FormatUint(yes, 10) + " to " + strconv.FormatUint(no, 10)
}

// lines are the options as they stand once some were dropped, or once one won.
func (c *contest) lines(votes []count.Option, winner int) []count.Line {
	lines := count.Lines(votes)
	for i := range lines {
		switch {
		case c.q.Out(i):
			lines[i].State = count.StateWithdrawn
		case i == winner:
			lines[i].State = count.StateElected
		case winner >= 0 || !slices.Contains(c.left, i):
			lines[i].State = count.StateExcluded
		default:
			lines[i].State = count.StateHopeful
		}
	}
	return lines
}

// open is the last round where nothing decides between the best.
func (c *contest) open(best []int, votes []count.Option) count.Round {
	r := count.Say("%s: the seat stays open.", c.level(best))
	r.Lines, r.Facts = c.lines(votes, -1), c.chains(best[0])
	return r
}

// level says that the best have chains of the same strength.
func (c *contest) level(best []int) string {
	names := make([]string, len(best))
	for i, o := range best {
		names[i] = c.q.Options[o]
	}
	slices.Sort(names)
	return "No stronger chain of defeats decides between " + strings.Join(names, " and ")
}

// won is the last round: why the first of the best is elected.
func (c *contest) won(best []int, votes []count.Option) count.Round {
	winner, name := best[0], c.q.Options[best[0]]
	var r count.Round
	all := func(j int) bool { return j == winner || c.beats(winner, j) }
	switch {
	case len(best) > 1:
		r = count.Say("%s: the order fixed for ties decides for %s.", c.level(best), name)
		r.Facts = c.chains(winner)
	case len(c.left) == 1:
		r = count.Say("%s is the only option left.", name)
	case !slices.ContainsFunc(c.left, func(j int) bool { return !all(j) }):
		r = count.Say("%s defeats each other option that is left.", name)
	default:
		r = count.Say("No option defeats all others. From %s to each other goes a chain of defeats that is stronger than any back; a chain is as strong as its weakest defeat.", name)
		r.Facts = c.chains(winner)
	}
	if name == c.q.Params.Default {
		r.Text += " It is the default: nothing else is decided."
	}
	r.Lines = c.lines(votes, winner)
	return r
}

// chains are the strongest chains from an option to each other, and back.
func (c *contest) chains(from int) []count.Line {
	var facts []count.Line
	for _, j := range c.left {
		if j != from {
			facts = append(facts, c.chain(from, j), c.chain(j, from))
		}
	}
	return facts
}

func (c *contest) chain(from, to int) count.Line {
	l := c.path[from][to]
	if l.yes == 0 {
		return count.Line{Name: fmt.Sprintf("%s … %s", c.q.Options[from], c.q.Options[to]), Value: "none"}
	}
	name := c.q.Options[from]
	for at := from; at != to; name += " > " + c.q.Options[at] {
		at = c.path[at][to].via
	}
	return count.Line{Name: name, Value: figures(l.yes, l.no)}
}
