// Package quadratic counts ballots on which voters buy votes: n votes for one
// option cost n·n of the credits that each voter has. The options with most votes
// fill the seats. Credits that are not spent are worth nothing.
package quadratic

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/metastate-p2p/metastate/protocol/decision/count"
)

// Credits of each voter: without params, and at most with them.
const (
	Credits    = 100
	MaxCredits = 10_000
)

// Method counts votes bought.
type Method struct{}

// Options are those that the proposal lists, at least one, each once.
func (Method) Options(given []string) ([]string, error) {
	return count.Names(given, 1, count.MarksOfScores)
}

// Check takes the param top.
func (Method) Check(q count.Question) error {
	p := q.Params
	if p.Top > MaxCredits {
		return fmt.Errorf("top is each voter's credits, from 1 to %d", MaxCredits)
	}
	if p.Top = 0; !p.IsZero() {
		return errors.New("quadratic takes no param but top, each voter's credits")
	}
	return nil
}

// Form is options with votes for each, whose squares add up to the credits at
// most.
func (Method) Form(q count.Question) count.Form {
	credits, top := cmp.Or(q.Params.Top, Credits), uint64(0)
	for (top+1)*(top+1) <= credits {
		top++
	}
	return count.Scores{Top: top, Credits: credits}
}

// Count fills the seats.
func (Method) Count(q count.Question, ballots []count.Ballot) count.Result {
	return count.MostVotes(q, ballots, "votes")
}
