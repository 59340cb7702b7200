// Package plurality counts ballots that name one option each. The options with
// most votes fill the seats. Options with equal votes for the last seats fill
// none of them: a seat that the voters did not decide stays as it was, and
// neither chance nor the order of a list decides for them.
package plurality

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/metastate-p2p/metastate/protocol/decision/count"
)

// Method counts one choice a ballot.
type Method struct{}

// Options are those that the proposal lists, at least one, each once.
func (Method) Options(given []string) ([]string, error) {
	if len(given) == 0 {
		return nil, errors.New("name the options to choose from")
	}
	seen := map[string]bool{}
	for _, o := range given {
		if seen[o] || o != strings.TrimSpace(o) {
			return nil, fmt.Errorf("the option %q stands twice or has space around it", o)
		}
		seen[o] = true
	}
	return slices.Clone(given), nil
}

// Normal accepts one of the options.
func (Method) Normal(options []string, line string) (count.Choice, error) {
	c := strings.TrimSpace(line)
	if !slices.Contains(options, c) {
		return "", errors.New("write one of: " + strings.Join(options, ", "))
	}
	return count.Choice(c), nil
}

// Count fills the seats.
func (Method) Count(q count.Question, votes []count.Votes) count.Result {
	n := map[count.Choice]uint64{}
	var cast uint64
	for _, v := range votes {
		n[v.Choice] += v.N
		cast += v.N
	}
	r := count.Result{Outcome: count.Rejected, Rounds: []string{
		fmt.Sprintf("%d of %d who may vote did, for %s.", cast, q.Electorate, seats(int(max(q.Seats, 1)))),
	}}
	for _, o := range q.Options {
		r.Votes = append(r.Votes, count.Option{Name: o, N: n[count.Choice(o)]})
	}
	if !q.Rule.Quorum(cast, q.Electorate) {
		r.Rounds = append(r.Rounds, "Too few voted for a decision: nobody is elected.")
		return r
	}
	r.Winners = winners(r.Votes, int(max(q.Seats, 1)))
	if len(r.Winners) == 0 {
		r.Rounds = append(r.Rounds, "No option has most votes: nobody is elected.")
		return r
	}
	r.Outcome = count.Elected
	r.Rounds = append(r.Rounds, "Most votes have: "+strings.Join(r.Winners, ", ")+".")
	if open := int(max(q.Seats, 1)) - len(r.Winners); open > 0 {
		r.Rounds = append(r.Rounds, fmt.Sprintf("Not filled: %s. The next options have equal votes, or none.", seats(open)))
	}
	return r
}

func seats(n int) string {
	if n == 1 {
		return "1 seat"
	}
	return fmt.Sprintf("%d seats", n)
}

// winners are the options with most votes that fill the seats without a tie at
// the last.
func winners(votes []count.Option, seats int) (names []string) {
	list := slices.DeleteFunc(slices.Clone(votes), func(o count.Option) bool { return o.N == 0 })
	slices.SortStableFunc(list, func(a, b count.Option) int { // stable: equals in the order listed
		switch {
		case a.N > b.N:
			return -1
		case a.N < b.N:
			return 1
		}
		return 0
	})
	if len(list) > seats {
		last := list[seats].N // who does not get in any more
		list = slices.DeleteFunc(list[:seats], func(o count.Option) bool { return o.N == last })
	}
	for _, o := range list {
		names = append(names, o.Name)
	}
	return names
}
