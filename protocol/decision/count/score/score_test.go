package score_test

import (
	"fmt"
	"testing"

	"github.com/metastate-p2p/metastate/protocol/decision/count"
	"github.com/metastate-p2p/metastate/protocol/decision/count/score"
)

func Example() {
	m := score.Method{}
	q := count.Question{Options: []string{"oak", "elm", "ash"}, Electorate: 9, Cast: 5, Order: count.AsListed(3)}
	var ballots []count.Ballot
	for line, n := range map[string]uint64{"oak:5,elm:4": 3, "elm:4,ash:2": 2} {
		marks, _ := m.Form(q).Parse(q.Options, line)
		ballots = append(ballots, count.Ballot{Marks: marks, N: n})
	}
	r, err := count.Count(m, q, ballots)
	fmt.Println(r.Outcome, r.Winners, r.Votes, err)
	// Output: elected [elm] [{oak 15} {elm 20} {ash 4}] <nil>
}

func TestTop(t *testing.T) {
	m, options := score.Method{}, []string{"a", "b"}
	for _, x := range []struct {
		top  uint64
		line string
		ok   bool
	}{{0, "a:5", true}, {0, "a:6", false}, {1, "a:1", true}, {1, "a:2", false}, {100, "a:100", true}, {100, "a:101", false}} {
		q := count.Question{Params: count.Params{Top: x.top}}
		if _, err := m.Form(q).Parse(options, x.line); (err == nil) != x.ok || m.Check(q) != nil {
			t.Errorf("top %d, %s: %v", x.top, x.line, err)
		}
	}
	for _, bad := range []count.Params{{Top: 101}, {Top: 5, Budget: 1}, {Complete: "none"}} {
		if m.Check(count.Question{Params: bad}) == nil {
			t.Errorf("takes %+v", bad)
		}
	}
	if _, err := m.Options([]string{"a:b"}); err == nil {
		t.Error("takes an option with a colon")
	}
}
