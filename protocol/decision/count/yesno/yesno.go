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

// Check takes no params.
func (Method) Check(q count.Question) error { return count.NoParams(q) }

// Form is yes, no or abstain, in any case.
func (Method) Form(count.Question) count.Form { return form{} }

type form struct{ count.One }

func (f form) Parse(options []string, line string) (count.Marks, error) {
	m, err := f.One.Parse(options, strings.ToLower(strings.TrimSpace(line)))
	if err != nil {
		return nil, errors.New("write yes, no or abstain")
	}
	return m, nil
}

// Count applies the class's threshold and quorum.
func (Method) Count(q count.Question, ballots []count.Ballot) count.Result {
	votes := count.Sums(q, ballots)
	yes, no, abstain := votes[0].N, votes[1].N, votes[2].N
	of, ofWords := yes+no, "yes and no votes"
	if q.Rule.OfRoll {
		of, ofWords = q.Electorate, "members who may vote"
	}
	r := count.Result{
		Outcome: count.Rejected,
		Votes:   votes,
		Rounds: []count.Round{
			{Text: fmt.Sprintf("%d of %d who may vote did: %d yes, %d no, %d abstain.", q.Cast, q.Electorate, yes, no, abstain), Lines: count.Lines(votes)},
			count.Say("The rule: %s", q.Rule.Words),
		},
	}
	switch {
	case !q.Quorate():
		r.Rounds = append(r.Rounds, count.Say("Too few voted for a decision: rejected."))
	case q.Rule.Sided != nil && !q.Rule.Sided(yes+no, q.Cast):
		r.Rounds = append(r.Rounds, count.Say("Too many abstained for a decision: rejected."))
	case of == 0 || !q.Rule.Passes(yes, of):
		r.Rounds = append(r.Rounds, count.Say("%d yes is not enough of %d %s: rejected.", yes, of, ofWords))
	default:
		r.Outcome = count.Passed
		r.Rounds = append(r.Rounds, count.Say("%d yes is enough of %d %s: passed.", yes, of, ofWords))
	}
	return r
}
