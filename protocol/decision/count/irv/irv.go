// Package irv counts strict rankings by instant-runoff voting, also known as the
// alternative vote. Each ballot counts for the option it ranks highest of those
// still in the running; whoever has more than half of these ballots is elected,
// and until somebody has, whoever has fewest is excluded.
package irv

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/metastate-p2p/metastate/protocol/decision/count"
)

// Method elects one option by excluding others.
type Method struct{}

// Options are those that the proposal lists, at least one, each once.
func (Method) Options(given []string) ([]string, error) {
	return count.Names(given, 1, count.MarksOfRanking)
}

// Check takes one seat and no params.
func (Method) Check(q count.Question) error {
	if q.Seats > 1 {
		return errors.New("this method elects one option: set one seat, or take scottish-stv or meek-stv to elect several")
	}
	return count.NoParams(q)
}

// Form is a ranking without equal ranks.
func (Method) Form(count.Question) count.Form { return count.Ranking{Strict: true} }

// Count excludes options until one has more than half.
func (Method) Count(q count.Question, ballots []count.Ballot) count.Result {
	c := contest{q: q, piles: count.NewPiles(q, ballots), hopeful: make([]bool, len(q.Options))}
	c.votes = c.piles.First()
	r := count.Result{Outcome: count.Rejected, Votes: make([]count.Option, len(c.votes))}
	for i, n := range c.votes {
		c.hopeful[i], c.continuing = !q.Out(i), c.continuing+n
		r.Votes[i] = count.Option{Name: q.Options[i], N: n}
	}
	switch {
	case !q.Quorate():
		r.Rounds = append(r.Rounds, c.round("The first choices."), count.TooFew())
		return r
	case c.continuing == 0:
		r.Rounds = append(r.Rounds, c.round("No ballot ranks an option: nobody is elected."))
		return r
	}
	for {
		if i := c.majority(); i >= 0 {
			r.Rounds, r.Winners, r.Outcome = append(r.Rounds, c.elect(i)), []string{q.Options[i]}, count.Elected
			return r
		}
		i, tie, settled := c.last()
		r.Tied = r.Tied || settled
		r.Rounds = append(r.Rounds, c.exclude(i, tie))
	}
}

// contest is the state of a count.
type contest struct {
	q          count.Question
	piles      *count.Piles
	hopeful    []bool
	votes      []uint64
	stages     [][]uint64 // the votes of each round so far
	continuing uint64     // ballots that count for somebody
	exhausted  uint64     // ballots that rank nobody hopeful any more
}

// majority is the option with more than half, or -1.
func (c *contest) majority() int {
	return slices.IndexFunc(c.votes, func(n uint64) bool { return 2*n > c.continuing })
}

// last is whom to exclude, how a tie was settled in words, and whether by the
// order for ties.
func (c *contest) last() (option int, tie string, settled bool) {
	c.stages = append(c.stages, slices.Clone(c.votes))
	tied := c.q.Extreme(c.votes, c.hopeful, true)
	if len(tied) == 1 {
		return tied[0], "", false
	}
	names := make([]string, len(tied))
	for i, o := range tied {
		names[i] = c.q.Options[o]
	}
	slices.Sort(names)
	tie = " Equally few have " + strings.Join(names, ", ")
	if o := count.Apart(c.stages, tied, true); o >= 0 {
		return o, tie + fmt.Sprintf("; in the latest round where one of them had fewest, it was %s.", c.q.Options[o]), false
	}
	return tied[0], tie + ", in all rounds that could decide: the order fixed for ties does.", true
}

func (c *contest) exclude(option int, tie string) count.Round {
	text := fmt.Sprintf("Nobody has more than half of %d ballots.%s %s is excluded with %d, and these ballots pass to whom they rank next.",
		c.continuing, tie, c.q.Options[option], c.votes[option])
	c.hopeful[option] = false
	r := c.round(text)
	c.votes[option] = 0
	c.piles.Pass(option, c.hopeful, func(paper, to int) {
		n := c.piles.N[paper]
		if to < 0 {
			c.continuing, c.exhausted = c.continuing-n, c.exhausted+n
			return
		}
		c.votes[to] += n
	})
	return r
}

func (c *contest) elect(option int) count.Round {
	r := c.round(fmt.Sprintf("%s has %d of %d ballots, more than half, and is elected.", c.q.Options[option], c.votes[option], c.continuing))
	for i := range r.Lines {
		switch {
		case i == option:
			r.Lines[i].State = count.StateElected
		case r.Lines[i].State == count.StateHopeful:
			r.Lines[i].State = count.StateExcluded
		}
	}
	return r
}

// round tells how the options stand.
func (c *contest) round(text string) count.Round {
	r := count.Round{Text: text, Facts: []count.Line{
		{Name: "continuing", Value: strconv.FormatUint(c.continuing, 10)},
		{Name: "exhausted", Value: strconv.FormatUint(c.exhausted, 10)},
	}}
	for i, name := range c.q.Options {
		state := count.StateExcluded
		switch {
		case c.q.Out(i):
			state = count.StateWithdrawn
		case c.hopeful[i]:
			state = count.StateHopeful
		}
		r.Lines = append(r.Lines, count.Line{Name: name, Value: strconv.FormatUint(c.votes[i], 10), State: state})
	}
	return r
}
