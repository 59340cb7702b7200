// Package yesno counts yes, no and abstain. A motion passes when enough of
// those who said yes or no, or enough of the whole electorate, said yes, as
// the charter's decision class asks, and enough of the electorate voted.
// Abstaining counts towards the quorum and not towards the threshold of votes.
package yesno

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/metastate-p2p/metastate/protocol/decision/count"
)

// Choices, in the order that results list them.
const (
	Yes     = "yes"
	No      = "no"
	Abstain = "abstain"
)

var options = []string{Yes, No, Abstain}

// Method counts yes, no and abstain.
type Method struct{}

// Options are always yes, no and abstain.
func (Method) Options(given []string) ([]string, error) {
	if len(given) > 0 && !slices.Equal(given, options) {
		return nil, errors.New("a yes-no question has no options of its own: leave them out")
	}
	return slices.Clone(options), nil
}

// Normal accepts yes, no or abstain, in any case.
func (Method) Normal(_ []string, line string) (count.Choice, error) {
	c := strings.ToLower(strings.TrimSpace(line))
	if !slices.Contains(options, c) {
		return "", errors.New("write yes, no or abstain")
	}
	return count.Choice(c), nil
}

// Count applies the class's threshold and quorum.
func (Method) Count(q count.Question, votes []count.Votes) count.Result {
	n := map[count.Choice]uint64{}
	for _, v := range votes {
		n[v.Choice] += v.N
	}
	yes, no, abstain := n[Yes], n[No], n[Abstain]
	cast := yes + no + abstain
	of, ofWords := yes+no, "yes and no votes"
	if q.Rule.OfRoll {
		of, ofWords = q.Electorate, "members who may vote"
	}
	r := count.Result{
		Outcome: count.Rejected,
		Votes:   []count.Option{{Name: Yes, N: yes}, {Name: No, N: no}, {Name: Abstain, N: abstain}},
		Rounds: []string{
			fmt.Sprintf("%d of %d who may vote did: %d yes, %d no, %d abstain.", cast, q.Electorate, yes, no, abstain),
			"The rule: " + q.Rule.Words,
		},
	}
	switch {
	case !q.Rule.Quorum(cast, q.Electorate):
		r.Rounds = append(r.Rounds, "Too few voted for a decision: rejected.")
	case of == 0 || !q.Rule.Passes(yes, of):
		r.Rounds = append(r.Rounds, fmt.Sprintf("%d yes is not enough of %d %s: rejected.", yes, of, ofWords))
	default:
		r.Outcome = count.Passed
		r.Rounds = append(r.Rounds, fmt.Sprintf("%d yes is enough of %d %s: passed.", yes, of, ofWords))
	}
	return r
}
