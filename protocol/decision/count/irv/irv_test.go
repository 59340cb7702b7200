package irv_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/metastate-p2p/metastate/protocol/decision/count"
	"github.com/metastate-p2p/metastate/protocol/decision/count/counttest"
	"github.com/metastate-p2p/metastate/protocol/decision/count/irv"
)

func Example() {
	options := []string{"a", "b", "c"}
	form := irv.Method{}.Form(count.Question{})
	var ballots []count.Ballot
	for line, n := range map[string]uint64{"a": 4, "b>a": 3, "c>b": 2} {
		marks, _ := form.Parse(options, line)
		ballots = append(ballots, count.Ballot{Marks: marks, N: n})
	}
	q := count.Question{Options: options, Seats: 1, Cast: 9, Electorate: 9, Order: count.AsListed(3)}
	r, _ := count.Count(irv.Method{}, q, ballots)
	for _, round := range r.Rounds {
		fmt.Println(round.Text)
	}
	// Output:
	// Nobody has more than half of 9 ballots. c is excluded with 2, and these ballots pass to whom they rank next.
	// b has 5 of 9 ballots, more than half, and is elected.
}

func TestCount(t *testing.T) {
	options := []string{"a", "b", "c", "d"}
	for what, x := range map[string]struct {
		ballots   string
		withdrawn []bool
		winner    string
		excluded  string // in order
		exhausted string // at the end
		tied      bool
	}{
		"more than half":           {ballots: "3 a,2 b", winner: "a", exhausted: "0"},
		"half is not enough":       {ballots: "4 a,2 b,2 c>b", winner: "a", excluded: "d c b", exhausted: "4", tied: true},
		"of those that count":      {ballots: "3 a,2 b,2 c,1 d", winner: "a", excluded: "d c", exhausted: "3", tied: true},
		"ballots pass over":        {ballots: "4 a,2 d>c>b,1 c>d>b,3 b", winner: "b", excluded: "c d", exhausted: "0"},
		"an earlier round decides": {ballots: "4 a,3 b,2 c>b,1 d>c,2 d>b>c", winner: "b", excluded: "c d", exhausted: "1"},
		"withdrawn":                {ballots: "5 a>b,3 b,4 c", withdrawn: []bool{true, false, false, false}, winner: "b", exhausted: "0"},
		"a ballot of withdrawn":    {ballots: "5 a,3 b,2 c", withdrawn: []bool{true, false, false, false}, winner: "b", exhausted: "0"},
		"no ballots":               {ballots: "3 -", exhausted: "0"},
	} {
		t.Run(what, func(t *testing.T) {
			q := count.Question{Options: options, Seats: 1, Withdrawn: x.withdrawn, Order: []int{3, 2, 1, 0}}
			var ballots []count.Ballot
			for line := range strings.SplitSeq(x.ballots, ",") {
				n, text, _ := strings.Cut(line, " ")
				m, err := irv.Method{}.Form(q).Parse(options, text)
				if err != nil {
					t.Fatal(err)
				}
				k, _ := strconv.ParseUint(n, 10, 64)
				ballots = append(ballots, count.Ballot{Marks: m, N: k})
			}
			r := counttest.Must(t, irv.Method{}, q, ballots)
			var excluded []string
			for i, round := range r.Rounds[:len(r.Rounds)-1] {
				for j, l := range round.Lines {
					if l.State == count.StateExcluded && (i == 0 || r.Rounds[i-1].Lines[j].State == count.StateHopeful) {
						excluded = append(excluded, l.Name)
					}
				}
			}
			end := r.Rounds[len(r.Rounds)-1].Facts[1].Value
			if strings.Join(r.Winners, " ") != x.winner || strings.Join(excluded, " ") != x.excluded || end != x.exhausted || r.Tied != x.tied {
				t.Errorf("%v after %v, %s exhausted, tied %v", r.Winners, excluded, end, r.Tied)
			}
			if (r.Outcome == count.Elected) != (x.winner != "") {
				t.Error(r.Outcome)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	q := count.Question{Options: []string{"a", "b"}, Order: count.AsListed(2), Seats: 1}
	if _, err := count.Count(irv.Method{}, q, []count.Ballot{{Marks: count.Marks{1, 1}, N: 1}}); err == nil {
		t.Error("takes equal ranks")
	}
	q.Seats = 2
	if err := (irv.Method{}).Check(q); err == nil {
		t.Error("takes two seats")
	}
	q.Seats, q.Params.Top = 1, 2
	if err := (irv.Method{}).Check(q); err == nil {
		t.Error("takes params of another method")
	}
	q.Params.Top, q.Electorate, q.Cast = 0, 10, 4
	q.Rule.Quorum = func(cast, of uint64) bool { return 2*cast >= of }
	r, err := count.Count(irv.Method{}, q, []count.Ballot{{Marks: count.Marks{1, 0}, N: 4}})
	if err != nil || r.Outcome != count.Rejected || r.Winners != nil {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestLaws(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		q := counttest.Question(rt, 6, 1)
		ballots := counttest.Rankings(rt, len(q.Options), true)
		counttest.Laws(rt, t, irv.Method{}, q, ballots)
		r := counttest.Must(t, irv.Method{}, q, ballots)
		var first uint64
		for _, v := range r.Votes {
			first += v.N
		}
		if (len(r.Winners) == 1) != (first > 0) {
			rt.Fatalf("%d first choices elect %v", first, r.Winners)
		}
		for _, round := range r.Rounds {
			var sum uint64
			for _, l := range append(round.Lines, round.Facts[1]) {
				n, err := strconv.ParseUint(l.Value, 10, 64)
				if err != nil {
					rt.Fatal(err)
				}
				sum += n
			}
			if sum != first {
				rt.Fatalf("%d of %d ballots are anywhere: %+v", sum, first, round)
			}
		}
		for _, v := range r.Votes {
			if 2*v.N > first && r.Winners[0] != v.Name {
				rt.Fatalf("%s had more than half, %v won", v.Name, r.Winners)
			}
		}
	})
}

func BenchmarkIRVMillion(b *testing.B) { counttest.Million(b, irv.Method{}, 1) }
