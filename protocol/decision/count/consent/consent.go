// Package consent counts how a group agrees: a motion passes when nobody objects
// to it. Standing aside is to leave it to the others. An objection stops the
// motion until it is answered by another text, or until so many more consent that
// the charter's class of decisions passes over it.
package consent

import (
	"errors"
	"slices"
	"strings"

	"github.com/metastate-p2p/metastate/protocol/decision/count"
)

// Choices, in the order that results list them.
const (
	Consent    = "consent"
	StandAside = "stand-aside"
	Object     = "object"
	Abstain    = "abstain"
)

var options = []string{Consent, StandAside, Object, Abstain}

// Method counts consent and objections.
type Method struct{}

// Options are always consent, stand-aside, object and abstain.
func (Method) Options(given []string) ([]string, error) {
	if len(given) > 0 && !slices.Equal(given, options) {
		return nil, errors.New("a question of consent has no options of its own: leave them out")
	}
	return slices.Clone(options), nil
}

// Check takes no params, and no seats to fill.
func (Method) Check(q count.Question) error {
	if !slices.Equal(q.Options, options) || q.Withdrawn != nil {
		return errors.New("the options of a question of consent are " + strings.Join(options, ", "))
	}
	return count.NoParams(q)
}

// Form is one of the choices, in any case.
func (Method) Form(count.Question) count.Form { return form{} }

type form struct{ count.One }

func (f form) Parse(options []string, line string) (count.Marks, error) {
	return f.One.Parse(options, strings.ToLower(strings.TrimSpace(line)))
}

// Count passes the motion if nobody objects and somebody consents, or if the
// class passes over the objections.
func (Method) Count(q count.Question, ballots []count.Ballot) count.Result {
	votes := count.Sums(q, ballots)
	consent, aside, object, abstain := votes[0].N, votes[1].N, votes[2].N, votes[3].N
	first := count.Say("%d of %d who may vote did: %d consent, %d stand aside, %d object, %d abstain.", q.Cast, q.Electorate, consent, aside, object, abstain)
	first.Lines = count.Lines(votes)
	r := count.Result{Outcome: count.Rejected, Votes: votes, Rounds: []count.Round{first}}
	var last count.Round
	switch {
	case !q.Quorate():
		last = count.Say("Too few voted for a decision: rejected.")
	case q.Rule.Sided != nil && !q.Rule.Sided(consent+object, q.Cast):
		last = count.Say("Too few of those who voted consent or object: rejected.")
	case consent == 0:
		last = count.Say("Nobody consents: rejected.")
	case object == 0:
		r.Outcome, last = count.Passed, count.Say("Nobody objects: passed.")
	case q.Rule.Override == nil:
		last = count.Say("Objections stand, and this class of decisions passes over none: rejected. They are answered by another text.")
	case q.Rule.Override(consent, consent+object):
		r.Outcome = count.Passed
		last = count.Say("%d consent out of %d who consent or object: enough to pass over the objections. Passed.", consent, consent+object)
	default:
		last = count.Say("%d consent out of %d who consent or object: not enough to pass over the objections. Rejected; objections are answered by another text.", consent, consent+object)
	}
	r.Rounds = append(r.Rounds, last)
	return r
}
