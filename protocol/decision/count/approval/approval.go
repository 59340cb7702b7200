// Package approval counts ballots that approve of any number of options. The
// options that most approve of fill the seats.
package approval

import "github.com/metastate-p2p/metastate/protocol/decision/count"

// Method counts approvals.
type Method struct{}

// Options are those that the proposal lists, at least one, each once.
func (Method) Options(given []string) ([]string, error) {
	return count.Names(given, 1, count.MarksOfApprovals)
}

// Check takes no params.
func (Method) Check(q count.Question) error { return count.NoParams(q) }

// Form is any number of options.
func (Method) Form(count.Question) count.Form { return count.Approvals{} }

// Count fills the seats.
func (Method) Count(q count.Question, ballots []count.Ballot) count.Result {
	return count.MostVotes(q, ballots, "approvals")
}
