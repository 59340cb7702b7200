package quadratic_test

import (
	"fmt"
	"testing"

	"github.com/metastate-p2p/metastate/protocol/decision/count"
	"github.com/metastate-p2p/metastate/protocol/decision/count/quadratic"
)

func Example() {
	m := quadratic.Method{}
	q := count.Question{Options: []string{"oak", "elm", "ash"}, Electorate: 9, Cast: 3, Order: count.AsListed(3)}
	var ballots []count.Ballot
	for line, n := range map[string]uint64{"oak:6,elm:8": 1, "elm:3,ash:9": 2} {
		marks, _ := m.Form(q).Parse(q.Options, line)
		ballots = append(ballots, count.Ballot{Marks: marks, N: n})
	}
	r, err := count.Count(m, q, ballots)
	fmt.Println(r.Outcome, r.Winners, r.Votes, err)
	// Output: elected [ash] [{oak 6} {elm 14} {ash 18}] <nil>
}

func TestCredits(t *testing.T) {
	m, options := quadratic.Method{}, []string{"a", "b"}
	for _, x := range []struct {
		credits uint64
		line    string
		ok      bool
	}{
		{0, "a:10", true},
		{0, "a:10,b:1", false},
		{0, "a:11", false},
		{0, "a:6,b:8", true},
		{0, "a:7,b:8", false},
		{1, "b:1", true},
		{1, "a:1,b:1", false},
		{1, "b:2", false},
		{99, "a:9,b:4", true},
		{99, "a:9,b:5", false},
		{99, "a:10", false},
		{10_000, "a:100", true},
		{10_000, "a:101", false},
	} {
		q := count.Question{Params: count.Params{Top: x.credits}}
		if _, err := m.Form(q).Parse(options, x.line); (err == nil) != x.ok || m.Check(q) != nil {
			t.Errorf("%d credits, %s: %v", x.credits, x.line, err)
		}
	}
	for _, bad := range []count.Params{{Top: 10_001}, {Top: 5, Budget: 1}, {Default: "a"}} {
		if m.Check(count.Question{Params: bad}) == nil {
			t.Errorf("takes %+v", bad)
		}
	}
	if _, err := m.Options([]string{"a,b"}); err == nil {
		t.Error("takes an option with a comma")
	}
}
