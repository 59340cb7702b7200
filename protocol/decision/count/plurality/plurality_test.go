package plurality

import (
	"slices"
	"testing"

	"github.com/metastate-p2p/metastate/protocol/decision/count"
)

func TestOptionsAndNormal(t *testing.T) {
	for _, bad := range [][]string{nil, {"a", "a"}, {" a"}} {
		if _, err := (Method{}).Options(bad); err == nil {
			t.Errorf("takes %q", bad)
		}
	}
	options, err := Method{}.Options([]string{"a", "b"})
	if err != nil || !slices.Equal(options, []string{"a", "b"}) {
		t.Fatal(options, err)
	}
	for in, want := range map[string]count.Choice{"a": "a", " b\n": "b", "c": "", "A": "", "": "", "a,b": ""} {
		got, err := count.Normal(Method{}.Form(count.Question{}), options, in)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
}

func TestCount(t *testing.T) {
	half := func(cast, electorate uint64) bool { return 2*cast >= electorate }
	none := func(uint64, uint64) bool { return true }
	for what, x := range map[string]struct {
		seats   uint64
		quorum  func(uint64, uint64) bool
		votes   map[count.Choice]uint64
		winners []string
		order   bool
	}{
		"one seat":                     {1, none, map[count.Choice]uint64{"a": 3, "b": 2}, []string{"a"}, false},
		"no seats named":               {0, none, map[count.Choice]uint64{"b": 3, "a": 2}, []string{"b"}, false},
		"a tie":                        {1, none, map[count.Choice]uint64{"a": 2, "b": 2, "c": 1}, nil, false},
		"two seats":                    {2, none, map[count.Choice]uint64{"a": 1, "b": 2, "c": 3}, []string{"c", "b"}, false},
		"a tie inside is none":         {2, none, map[count.Choice]uint64{"b": 2, "a": 2, "c": 1}, []string{"a", "b"}, false},
		"a tie at the last seat":       {2, none, map[count.Choice]uint64{"a": 3, "b": 2, "c": 2}, []string{"a"}, false},
		"a tie over all":               {2, none, map[count.Choice]uint64{"a": 2, "b": 2, "c": 2}, nil, false},
		"nobody is elected by nobody":  {3, none, map[count.Choice]uint64{"a": 1}, []string{"a"}, false},
		"no votes":                     {1, none, nil, nil, false},
		"too few":                      {1, half, map[count.Choice]uint64{"a": 4}, nil, false},
		"just enough":                  {1, half, map[count.Choice]uint64{"a": 5}, []string{"a"}, false},
		"more seats than have a voter": {3, none, map[count.Choice]uint64{"a": 2, "b": 2}, []string{"a", "b"}, false},
		"an order for ties":            {2, none, map[count.Choice]uint64{"a": 3, "b": 2, "c": 2}, []string{"a", "c"}, true},
		"an order where nobody ties":   {1, none, map[count.Choice]uint64{"a": 3, "c": 2}, []string{"a"}, true},
	} {
		var ballots []count.Ballot
		var cast uint64
		options := []string{"a", "b", "c"}
		for c, n := range x.votes {
			m, _ := count.One{}.Parse(options, string(c))
			ballots, cast = append(ballots, count.Ballot{Marks: m, N: n}), cast+n
		}
		q := count.Question{
			Options: options, Seats: x.seats, Electorate: 10, Cast: cast, Rule: count.Rule{Quorum: x.quorum},
			Order: []int{2, 1, 0}, Open: !x.order,
		}
		r, err := count.Count(Method{}, q, ballots)
		if err != nil {
			t.Fatal(err)
		}
		outcome := count.Elected
		if len(x.winners) == 0 {
			outcome = count.Rejected
		}
		if !slices.Equal(r.Winners, x.winners) || r.Outcome != outcome || len(r.Votes) != 3 || len(r.Rounds) < 2 {
			t.Errorf("%s: %+v", what, r)
		}
	}
}
