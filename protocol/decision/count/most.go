package count

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// NoParams refuses params.
func NoParams(q Question) error {
	if !q.Params.IsZero() {
		return errors.New("this method takes no params")
	}
	return nil
}

// IsZero reports whether nothing is set.
func (p Params) IsZero() bool {
	return p.Top == 0 && p.Default == "" && len(p.Majority) == 0 && p.Quorum == 0 && p.Threshold.Den == 0 && p.Threshold.Num == 0 &&
		p.Base == "" && len(p.Lists) == 0 && len(p.Balance) == 0 && len(p.Costs) == 0 && p.Budget == 0 && p.Complete == ""
}

// Sums are the marks of each option added up; 0 of those withdrawn.
func Sums(q Question, ballots []Ballot) []Option {
	n := make([]uint64, len(q.Options))
	for _, b := range ballots {
		for i, v := range b.Marks {
			n[i] += uint64(v) * b.N
		}
	}
	out := make([]Option, len(n))
	for i, o := range q.Options {
		out[i].Name = o
		if !q.Out(i) {
			out[i].N = n[i]
		}
	}
	return out
}

// Out reports whether an option was withdrawn.
func (q Question) Out(i int) bool { return q.Withdrawn != nil && q.Withdrawn[i] }

// Quorate reports whether enough voted for the class of the decision.
func (q Question) Quorate() bool {
	return q.Rule.Quorum == nil || q.Rule.Quorum(q.Cast, q.Electorate)
}

// TooFew is the last round of a count without a quorum.
func TooFew() Round { return Say("Too few voted for a decision: nobody is elected.") }

// Lines are the options of a result as lines of a round.
func Lines(votes []Option) []Line {
	lines := make([]Line, len(votes))
	for i, v := range votes {
		lines[i] = Line{Name: v.Name, Value: strconv.FormatUint(v.N, 10)}
	}
	return lines
}

// Seated says how many seats there are in words.
func Seated(n uint64) string {
	if n == 1 {
		return "1 seat"
	}
	return fmt.Sprintf("%d seats", n)
}

// MostVotes fills the seats with the options whose marks add up to most. Options
// without any get none. A tie for the last seats is settled by the question's
// order, or leaves them open, as it says. It is how all methods count that only
// add up; unit is what they add: "votes", "points".
func MostVotes(q Question, ballots []Ballot, unit string) Result {
	votes := Sums(q, ballots)
	seats := max(q.Seats, 1)
	first := Say("%d of %d who may vote did, for %s.", q.Cast, q.Electorate, Seated(seats))
	first.Lines = Lines(votes)
	r := Result{Outcome: Rejected, Votes: votes, Rounds: []Round{first}}
	if !q.Quorate() {
		r.Rounds = append(r.Rounds, TooFew())
		return r
	}
	list, tied := most(q, votes)
	settled := len(tied) > 0 && !q.Open
	switch {
	case settled:
		r.Rounds = append(r.Rounds, Say("Equal %s for the last seats have %s: the order fixed for ties decides.", unit, q.names(tied)))
	case len(tied) > 0:
		list = slices.DeleteFunc(list, func(i int) bool { return slices.Contains(tied, i) })
		r.Rounds = append(r.Rounds, Say("Equal %s for the last seats have %s: these seats stay open.", unit, q.names(tied)))
	}
	r.Tied = len(tied) > 0
	if len(list) == 0 {
		r.Rounds = append(r.Rounds, Say("No option has most %s: nobody is elected.", unit))
		return r
	}
	r.Outcome = Elected
	for _, i := range list {
		r.Winners = append(r.Winners, q.Options[i])
	}
	last := Say("Most %s have: %s.", unit, strings.Join(r.Winners, ", "))
	if open := seats - uint64(len(list)); open > 0 {
		last.Text += fmt.Sprintf(" Not filled: %s.", Seated(open))
	}
	last.Lines = Lines(votes)
	for _, i := range list {
		last.Lines[i].State = StateElected
	}
	r.Rounds = append(r.Rounds, last)
	return r
}

func (q Question) names(list []int) string {
	var names []string
	for _, i := range list {
		names = append(names, q.Options[i])
	}
	return strings.Join(names, ", ")
}

// most are the options that fill the seats, equals by the order for ties, and
// those that a tie for the last seats is between, in or out, if there is one.
func most(q Question, votes []Option) (list, tied []int) {
	place := make([]int, len(q.Options))
	for at, i := range q.Order {
		place[i] = at
	}
	for i, v := range votes {
		if v.N > 0 {
			list = append(list, i)
		}
	}
	slices.SortFunc(list, func(a, b int) int {
		return cmp.Or(cmp.Compare(votes[b].N, votes[a].N), cmp.Compare(place[a], place[b]))
	})
	seats := int(min(max(q.Seats, 1), uint64(len(list))))
	if seats < len(list) && votes[list[seats-1]].N == votes[list[seats]].N {
		last := votes[list[seats]].N
		for _, i := range list {
			if votes[i].N == last {
				tied = append(tied, i)
			}
		}
	}
	list = list[:seats]
	slices.SortFunc(list, func(a, b int) int { return cmp.Or(cmp.Compare(votes[b].N, votes[a].N), cmp.Compare(a, b)) })
	return list, tied
}
