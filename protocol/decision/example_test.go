package decision_test

import (
	"fmt"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/charter"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/decision/count"
)

// Eight may vote, five do. Whoever has the poll and its class can say how it
// stands, and why.
func Example() {
	poll := &decision.Poll{
		Body:       decision.ProposeBody{Title: "A tool library", Method: "yes-no", Class: charter.ClassOrdinary, Voting: 3600},
		Options:    []string{"yes", "no", "abstain"},
		Electorate: 8,
	}
	for i, choice := range []count.Choice{"yes", "yes", "yes", "no", "abstain"} {
		voter := protocol.ID{byte(i)}
		poll.Ballots = poll.Ballots.Put(voter, &decision.Vote{Choice: choice})
	}
	class := charter.Class{
		Threshold: charter.Fraction{Num: 1, Den: 2}, Strict: true, Of: charter.OfVotes,
		Quorum: charter.Fraction{Num: 1, Den: 2},
	}
	result, err := poll.Count(decision.Rule(class), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(result.Outcome)
	for _, step := range result.Rounds {
		fmt.Println("-", step.Text)
	}

	// Output:
	// passed
	// - 5 of 8 who may vote did: 3 yes, 1 no, 1 abstain.
	// - The rule: more than 1/2 of the yes and no votes must say yes. At least 1/2 of those who may vote must vote.
	// - 3 yes is enough of 4 yes and no votes: passed.
}
