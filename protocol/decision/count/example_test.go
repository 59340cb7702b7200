package count_test

import (
	"fmt"

	"github.com/metastate-p2p/metastate/protocol/decision/count"
	"github.com/metastate-p2p/metastate/protocol/decision/count/schulze"
)

// Any method counts the same way: lines become marks, and how many made each is
// counted with what the question says.
func Example() {
	var method count.Method = schulze.Method{}
	q := count.Question{Options: []string{"oak", "elm", "ash"}, Seats: 1, Electorate: 9, Cast: 6, Order: count.AsListed(3)}
	var ballots []count.Ballot
	for line, n := range map[string]uint64{"oak > elm": 3, "elm > ash = oak": 2, "ash": 1} {
		marks, err := method.Form(q).Parse(q.Options, line)
		if err != nil {
			panic(err)
		}
		ballots = append(ballots, count.Ballot{Marks: marks, N: n})
	}
	r, err := count.Count(method, q, ballots)
	fmt.Println(r.Outcome, r.Winners, err)
	_, err = method.Form(q).Parse(q.Options, "oak > larch")
	fmt.Println(err)
	// Output:
	// elected [oak] <nil>
	// write the options with > between them, the best first, as b>a, or - for none; "larch" is none of the options: oak, elm, ash
}
