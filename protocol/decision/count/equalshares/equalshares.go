// Package equalshares spends a budget by the Method of Equal Shares (Peters,
// Pierczyński, Skowron: Proportional Participatory Budgeting, 2021), on ballots
// that approve of any number of options.
//
// Every voter has an equal share of the budget. An option is funded by those who
// approve of it, who pay alike as far as they have money. In each round the option
// is funded of which a payer pays the least for each unit of its cost, so that no
// group spends the money of another: a part of the voters who agree decide over
// that part of the budget.
//
// Money that is left over completes the result by a named rule, see [None],
// [Utilitarian] and [Add1U]. With options that cost 1 each and a budget of the
// seats it elects a committee.
//
// Payments are exact fractions. Ties go to the lower cost, then to more approvals,
// then by the question's order, as equalshares.net computes it (SPEC §8.3).
package equalshares

import (
	"errors"
	"fmt"
	"slices"

	"github.com/metastate-p2p/metastate/protocol/decision/count"
)

// How money left over is used.
const (
	None        = "none"        // not at all
	Utilitarian = "utilitarian" // for what most approve of, as far as it goes
	Add1U       = "add1u"       // shares are raised as long as the result fits; then as Utilitarian; the default
)

// MaxMoney bounds a cost, and the budget.
const MaxMoney = 1 << 40

// Method spends a budget.
type Method struct{}

// Options are those that the proposal lists, at least one, each once.
func (Method) Options(given []string) ([]string, error) {
	return count.Names(given, 1, count.MarksOfApprovals)
}

// Form is any number of options.
func (Method) Form(count.Question) count.Form { return count.Approvals{} }

// Check takes costs and a budget, or seats, and the rule of completion.
func (Method) Check(q count.Question) error {
	p := q.Params
	if !slices.Contains([]string{"", None, Utilitarian, Add1U}, p.Complete) {
		return fmt.Errorf("complete says how money left over is used: %s, %s or %s", None, Utilitarian, Add1U)
	}
	switch {
	case len(p.Costs) == 0 && p.Budget != 0:
		return errors.New("a budget goes with the costs of options: name them, or leave both out to fill seats")
	case len(p.Costs) == 0 && q.Seats > uint64(len(q.Options)):
		return errors.New("more seats than options")
	case len(p.Costs) == 0:
	case len(p.Costs) != len(q.Options):
		return fmt.Errorf("%d costs for %d options: name the cost of each, in their order", len(p.Costs), len(q.Options))
	case p.Budget < 1 || p.Budget > MaxMoney:
		return fmt.Errorf("the budget is from 1 to %d", uint64(MaxMoney))
	}
	for _, c := range p.Costs {
		if c < 1 || c > MaxMoney {
			return fmt.Errorf("a cost is from 1 to %d", uint64(MaxMoney))
		}
	}
	p.Costs, p.Budget, p.Complete = nil, 0, ""
	if !p.IsZero() {
		return errors.New("equal-shares takes no params but costs, budget and complete")
	}
	return nil
}

// Count spends the budget.
func (Method) Count(q count.Question, ballots []count.Ballot) count.Result {
	r := count.Result{Outcome: count.Rejected, Votes: count.Sums(q, ballots)}
	b := newBudget(q, r.Votes, ballots)
	b.begin()
	if !q.Quorate() {
		r.Rounds = append(b.rounds, count.TooFew())
		return r
	}
	plan := b.complete()
	b.tell(plan)
	b.compare(plan)
	for _, i := range plan.funded {
		r.Winners = append(r.Winners, q.Options[i])
	}
	if len(r.Winners) > 0 {
		r.Outcome = count.Elected
	}
	r.Rounds, r.Tied = b.rounds, plan.tied
	return r
}
