package lists_test

import (
	"strings"
	"testing"

	"github.com/metastate-p2p/metastate/protocol/charter"
	"github.com/metastate-p2p/metastate/protocol/decision/count"
	"github.com/metastate-p2p/metastate/protocol/decision/count/lists"
)

// candidates are named after list and place, with the group after a dash.
func candidates(words ...string) (all []count.List) {
	for _, w := range words {
		var list count.List
		for c := range strings.FieldsSeq(w) {
			name, group, _ := strings.Cut(c, "-")
			list = append(list, count.Candidate{Name: name, Group: group})
		}
		all = append(all, list)
	}
	return all
}

func TestCandidates(t *testing.T) {
	part := func(group string, num, den uint64) count.Balance {
		return count.Balance{Group: group, Share: charter.Fraction{Num: num, Den: den}}
	}
	for name, x := range map[string]struct {
		seats   uint64
		lists   []count.List
		balance []count.Balance
		want    string
		says    string
	}{
		"by place":     {3, candidates("a1 a2 a3", "b1 b2"), nil, "a1 a2 b1", ""},
		"seats open":   {6, candidates("a1 a2", "b1 b2 b3"), nil, "a1 a2 b1 b2", "A has 2 candidates: 2 seats of its 4 stay open."},
		"no candidate": {1, candidates("", "b1"), nil, "", "A has 0 candidates"},
		"balanced already": {
			3, candidates("a1-m a2-w a3-w", "b1-w b2-m"),
			[]count.Balance{part("w", 1, 2)},
			"a1 a2 b1", "",
		},
		"one gives way": {
			4, candidates("a1-m a2-m a3-m a4-w a5-w", "b1-m b2-w"),
			[]count.Balance{part("w", 2, 5)},
			"a1 a4 a5 b2", "A: a2 gives way to a5, so that 2 of its 3 elected are of the group w.",
		},
		"rounded up": {
			3, candidates("a1-m a2-m a3-w", "b1-m b2-w"),
			[]count.Balance{part("w", 1, 100)},
			"a1 a3 b2", "",
		},
		"too few of the group": {
			4, candidates("a1-m a2-m a3-m a4-w", "b1-m b2-m"),
			[]count.Balance{part("w", 2, 3)},
			"a1 a2 a4 b1", "B can't have 1 of the group w among its 1 elected: it has 0.",
		},
		"another group is not broken": {
			4, candidates("a1-w a2-m a3-m a4-y", "b1-w b2-y"),
			[]count.Balance{part("m", 1, 3), part("w", 1, 3), part("y", 1, 3)},
			"a1 a2 a4 b1", "B can't have 1 of the group m",
		},
		"who has no group is spared first from below": {
			4, candidates("a1 a2-w a3-w a4-y", "b1"),
			[]count.Balance{part("w", 2, 3), part("y", 1, 3)},
			"a2 a3 a4 b1", "",
		},
	} {
		q, ballots := question(x.seats, 70, 30)
		q.Params = count.Params{Lists: x.lists}
		if len(x.balance) > 0 {
			q.Params.Balance = x.balance
		}
		r, err := count.Count(lists.Hare, q, ballots)
		told := false
		for _, round := range r.Rounds {
			told = told || strings.Contains(round.Text, x.says)
		}
		if err != nil || strings.Join(r.Winners, " ") != x.want || !told {
			t.Errorf("%s: %v %v %+v", name, r.Winners, err, r.Rounds)
		}
	}
}
