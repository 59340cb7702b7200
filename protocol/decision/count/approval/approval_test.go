package approval_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/metastate-p2p/metastate/protocol/decision/count"
	"github.com/metastate-p2p/metastate/protocol/decision/count/approval"
)

func Example() {
	m := approval.Method{}
	q := count.Question{Options: []string{"oak", "elm", "ash"}, Seats: 2, Electorate: 9, Cast: 6, Order: count.AsListed(3)}
	var ballots []count.Ballot
	for line, n := range map[string]uint64{"oak,elm": 3, "elm": 1, "ash,oak": 2} {
		marks, _ := m.Form(q).Parse(q.Options, line)
		ballots = append(ballots, count.Ballot{Marks: marks, N: n})
	}
	r, err := count.Count(m, q, ballots)
	fmt.Println(r.Outcome, r.Winners, r.Votes, err)
	// Output: elected [oak elm] [{oak 5} {elm 4} {ash 2}] <nil>
}

func TestRefused(t *testing.T) {
	m := approval.Method{}
	for _, bad := range [][]string{nil, {"a", "a"}, {"a,b"}, {"-"}} {
		if _, err := m.Options(bad); err == nil {
			t.Errorf("takes %q", bad)
		}
	}
	if m.Check(count.Question{Params: count.Params{Top: 1}}) == nil {
		t.Error("takes a param")
	}
	q := count.Question{Options: []string{"a", "b"}, Order: count.AsListed(2)}
	if _, err := count.Count(m, q, []count.Ballot{{Marks: count.Marks{2, 0}, N: 1}}); err == nil {
		t.Error("counts what is no approval")
	}
}

// Nobody approves of anything; somebody withdrew; a tie is open.
func TestEdges(t *testing.T) {
	q := count.Question{Options: []string{"a", "b"}, Order: count.AsListed(2), Open: true}
	for what, x := range map[string]struct {
		ballots   []count.Ballot
		withdrawn []bool
		winners   []string
	}{
		"blank":     {[]count.Ballot{{Marks: count.Marks{0, 0}, N: 3}}, nil, nil},
		"tie":       {[]count.Ballot{{Marks: count.Marks{1, 1}, N: 3}}, nil, nil},
		"withdrawn": {[]count.Ballot{{Marks: count.Marks{1, 1}, N: 3}}, []bool{true, false}, []string{"b"}},
	} {
		q.Withdrawn = x.withdrawn
		r, err := count.Count(approval.Method{}, q, x.ballots)
		if err != nil || !slices.Equal(r.Winners, x.winners) || (r.Outcome == count.Elected) != (x.winners != nil) || r.Tied != (what == "tie") {
			t.Errorf("%s: %+v %v", what, r, err)
		}
	}
}
