package plurality_test

import (
	"fmt"

	"github.com/metastate-p2p/metastate/protocol/decision/count"
	"github.com/metastate-p2p/metastate/protocol/decision/count/plurality"
)

// Two seats: the second is tied, and nothing settles ties.
func Example() {
	q := count.Question{Options: []string{"Anna", "Ben", "Cveta"}, Seats: 2, Electorate: 9, Cast: 7, Order: count.AsListed(3), Open: true}
	r, err := count.Count(plurality.Method{}, q, []count.Ballot{
		{Marks: count.Marks{1, 0, 0}, N: 3}, {Marks: count.Marks{0, 1, 0}, N: 2}, {Marks: count.Marks{0, 0, 1}, N: 2},
	})
	fmt.Println(r.Outcome, r.Winners, r.Tied, err)
	fmt.Println(r.Rounds[1].Text)
	// Output:
	// elected [Anna] true <nil>
	// Equal votes for the last seats have Ben, Cveta: these seats stay open.
}
