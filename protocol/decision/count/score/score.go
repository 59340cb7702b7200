// Package score counts ballots that give each option a number of points. The
// options with most points in all fill the seats.
package score

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/metastate-p2p/metastate/protocol/decision/count"
)

// The highest number of points one ballot gives an option: without params, and
// at most with them.
const (
	Top    = 5
	MaxTop = 100
)

// Method counts points.
type Method struct{}

// Options are those that the proposal lists, at least one, each once.
func (Method) Options(given []string) ([]string, error) {
	return count.Names(given, 1, count.MarksOfScores)
}

// Check takes the param top.
func (Method) Check(q count.Question) error {
	p := q.Params
	if p.Top > MaxTop {
		return fmt.Errorf("top is the highest score, from 1 to %d", MaxTop)
	}
	if p.Top = 0; !p.IsZero() {
		return errors.New("score takes no param but top, the highest score")
	}
	return nil
}

// Form is options with 0 to top points each.
func (Method) Form(q count.Question) count.Form {
	return count.Scores{Top: cmp.Or(q.Params.Top, Top)}
}

// Count fills the seats.
func (Method) Count(q count.Question, ballots []count.Ballot) count.Result {
	return count.MostVotes(q, ballots, "points")
}
