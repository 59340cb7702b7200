// Package plurality counts ballots that name one option each. The options with
// most votes fill the seats. Options with equal votes for the last seats fill
// none of them, unless an order for ties was fixed before: a seat that the voters
// did not decide stays as it was.
package plurality

import "github.com/metastate-p2p/metastate/protocol/decision/count"

// Method counts one choice a ballot.
type Method struct{}

// Options are those that the proposal lists, at least one, each once.
func (Method) Options(given []string) ([]string, error) { return count.Names(given, 1, "") }

// Check takes no params.
func (Method) Check(q count.Question) error { return count.NoParams(q) }

// Form is one option.
func (Method) Form(count.Question) count.Form { return count.One{} }

// Count fills the seats.
func (Method) Count(q count.Question, ballots []count.Ballot) count.Result {
	return count.MostVotes(q, ballots, "votes")
}
