package yesno_test

import (
	"fmt"

	"github.com/metastate-p2p/metastate/protocol/decision/count"
	"github.com/metastate-p2p/metastate/protocol/decision/count/yesno"
)

// Two thirds of those who say yes or no must say yes; who abstains is not asked.
func Example() {
	options, _ := yesno.Method{}.Options(nil)
	q := count.Question{Options: options, Electorate: 20, Cast: 9, Order: count.AsListed(3)}
	q.Rule = count.Rule{Words: "two thirds must say yes.", Passes: func(yes, of uint64) bool { return 3*yes >= 2*of }}
	r, err := count.Count(yesno.Method{}, q, []count.Ballot{
		{Marks: count.Marks{1, 0, 0}, N: 4}, {Marks: count.Marks{0, 1, 0}, N: 2}, {Marks: count.Marks{0, 0, 1}, N: 3},
	})
	fmt.Println(r.Outcome, err)
	for _, round := range r.Rounds {
		fmt.Println(round.Text)
	}
	// Output:
	// passed <nil>
	// 9 of 20 who may vote did: 4 yes, 2 no, 3 abstain.
	// The rule: two thirds must say yes.
	// 4 yes is enough of 6 yes and no votes: passed.
}
