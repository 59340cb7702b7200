package schulze_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/metastate-p2p/metastate/protocol/charter"
	"github.com/metastate-p2p/metastate/protocol/decision/count"
	"github.com/metastate-p2p/metastate/protocol/decision/count/counttest"
	"github.com/metastate-p2p/metastate/protocol/decision/count/schulze"
)

func Example() {
	options := []string{"a", "b", "c"}
	form := schulze.Method{}.Form(count.Question{})
	var ballots []count.Ballot
	for line, n := range map[string]uint64{"a>b>c": 4, "b>c>a": 3, "c>a>b": 2} {
		marks, _ := form.Parse(options, line)
		ballots = append(ballots, count.Ballot{Marks: marks, N: n})
	}
	q := count.Question{Options: options, Seats: 1, Cast: 9, Electorate: 9, Order: count.AsListed(3)}
	r, _ := count.Count(schulze.Method{}, q, ballots)
	fmt.Println(r.Outcome, r.Winners, r.Matrix)
	for _, f := range r.Rounds[len(r.Rounds)-1].Facts {
		fmt.Println(f.Name, f.Value)
	}
	// Output:
	// elected [a] [[0 6 4] [3 0 7] [5 2 0]]
	// a > b 6 to 3
	// b > c > a 5 to 4
	// a > b > c 6 to 3
	// c > a 5 to 4
}

// parse makes ballots of lines as "3 a>b".
func parse(t *testing.T, options []string, lines string) []count.Ballot {
	t.Helper()
	var ballots []count.Ballot
	for line := range strings.SplitSeq(lines, ",") {
		var n uint64
		var text string
		if _, err := fmt.Sscan(line, &n, &text); err != nil {
			t.Fatal(err)
		}
		m, err := count.Ranking{}.Parse(options, text)
		if err != nil {
			t.Fatal(err)
		}
		ballots = append(ballots, count.Ballot{Marks: m, N: n})
	}
	return ballots
}

func majority(option string, num, den uint64) count.Majority {
	return count.Majority{Option: option, Ratio: charter.Fraction{Num: num, Den: den}}
}

func TestCount(t *testing.T) {
	options := []string{"a", "b", "c", "d"}
	for what, x := range map[string]struct {
		ballots string
		params  count.Params
		open    bool
		winner  string
		outcome string
		dropped string
		tied    bool
	}{
		"one defeats all":            {ballots: "3 a>b,2 b>c>a,2 c>a>b", winner: "a", outcome: count.Elected},
		"unranked are last together": {ballots: "2 b,1 a>c>d", winner: "b", outcome: count.Elected},
		"a circle":                   {ballots: "4 a>b>c>d,3 b>c>a>d,2 c>a>b>d", winner: "a", outcome: count.Elected},
		// a>b 6:5, b>c 6:4 (one ranks them equally), c>a 7:4: a loses most, b>c is
		// stronger than a>b by fewer against it.
		"as many for, fewer against": {ballots: "4 a>b=c,1 c>a>b,3 b>c>a,1 c>a>b,1 c>b=a", winner: "c", outcome: count.Elected},
		"nobody":                     {ballots: "0 a", outcome: count.Rejected},
		"equal marks only":           {ballots: "5 a=b=c=d", outcome: count.Rejected},
		"a tie":                      {ballots: "1 a>b,1 b>a", winner: "b", outcome: count.Elected, tied: true},
		"a tie left open":            {ballots: "1 a>b,1 b>a", open: true, outcome: count.Rejected, tied: true},
		"the default wins":           {ballots: "3 d>a,2 a>d", params: count.Params{Default: "d"}, winner: "d", outcome: count.Rejected, dropped: "a b c"},
		"equal to the default":       {ballots: "2 a>d,2 d>a", params: count.Params{Default: "d"}, winner: "d", outcome: count.Rejected, dropped: "a b c"},
		"short of the quorum":        {ballots: "4 a>b>d,1 b>c>d", params: count.Params{Default: "d", Quorum: 5}, winner: "b", outcome: count.Elected, dropped: "a c"},
		"exactly the majority":       {ballots: "6 a>d,2 d>a", params: count.Params{Default: "d", Majority: []count.Majority{majority("a", 3, 1)}}, winner: "a", outcome: count.Elected, dropped: "b c"},
		"short of the majority":      {ballots: "5 a>b>d,2 d>a", params: count.Params{Default: "d", Majority: []count.Majority{majority("a", 3, 1)}}, winner: "b", outcome: count.Elected, dropped: "a c"},
		"half a majority is one":     {ballots: "2 a>d,2 d>a", params: count.Params{Default: "d", Majority: []count.Majority{majority("a", 1, 2)}}, winner: "d", outcome: count.Rejected, dropped: "a b c"},
		"dropped ones defeat nobody": {ballots: "3 b>a>d,3 d>a,2 a>b>d", params: count.Params{Default: "d", Quorum: 5, Majority: []count.Majority{majority("b", 2, 1)}}, winner: "a", outcome: count.Elected, dropped: "b c"},
	} {
		t.Run(what, func(t *testing.T) {
			q := count.Question{Options: options, Seats: 1, Params: x.params, Open: x.open, Order: []int{3, 2, 1, 0}}
			r := counttest.Must(t, schulze.Method{}, q, parse(t, options, x.ballots))
			if strings.Join(r.Winners, " ") != x.winner || r.Outcome != x.outcome || strings.Join(r.Dropped, " ") != x.dropped || r.Tied != x.tied {
				t.Errorf("%+v", r)
			}
		})
	}
}

func TestCheck(t *testing.T) {
	for what, bad := range map[string]count.Question{
		"two seats":                   {Seats: 2},
		"scores":                      {Params: count.Params{Top: 5}},
		"no such default":             {Params: count.Params{Default: "x"}},
		"a default that is withdrawn": {Params: count.Params{Default: "b"}, Withdrawn: []bool{false, true}},
		"a quorum against nothing":    {Params: count.Params{Quorum: 1}},
		"a majority against nothing":  {Params: count.Params{Majority: []count.Majority{majority("a", 2, 1)}}},
		"a majority of the default":   {Params: count.Params{Default: "b", Majority: []count.Majority{majority("b", 2, 1)}}},
		"a majority of nobody":        {Params: count.Params{Default: "b", Majority: []count.Majority{majority("x", 2, 1)}}},
		"a majority twice":            {Params: count.Params{Default: "b", Majority: []count.Majority{majority("a", 2, 1), majority("a", 3, 1)}}},
		"a majority of none":          {Params: count.Params{Default: "b", Majority: []count.Majority{majority("a", 0, 1)}}},
		"a majority of one in none":   {Params: count.Params{Default: "b", Majority: []count.Majority{majority("a", 1, 0)}}},
	} {
		bad.Options = []string{"a", "b"}
		if err := (schulze.Method{}).Check(bad); err == nil {
			t.Errorf("takes %s", what)
		}
	}
	if _, err := (schulze.Method{}).Options([]string{"a>b"}); err == nil {
		t.Error("takes an option that no ballot can name")
	}
}

func TestQuorumOfTheClass(t *testing.T) {
	options := []string{"a", "b"}
	q := count.Question{Options: options, Order: count.AsListed(2), Electorate: 10, Cast: 4}
	q.Rule.Quorum = func(cast, of uint64) bool { return 2*cast >= of }
	r, err := count.Count(schulze.Method{}, q, parse(t, options, "4 a>b"))
	if err != nil || r.Outcome != count.Rejected || r.Winners != nil || r.Matrix[0][1] != 4 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestLaws(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		q := counttest.Question(rt, 5, 1)
		q.Open = rapid.Bool().Draw(rt, "open")
		if d := rapid.IntRange(0, len(q.Options)-1).Draw(rt, "default"); rapid.Bool().Draw(rt, "has default") && !q.Out(d) {
			q.Params.Default, q.Params.Quorum = q.Options[d], rapid.Uint64Range(0, 9).Draw(rt, "quorum")
		}
		ballots := counttest.Rankings(rt, len(q.Options), false)
		r := counttest.Must(t, schulze.Method{}, q, ballots)
		if again := schulze.FromMatrix(withCast(q, ballots), r.Matrix); fmt.Sprintf("%+v", again) != fmt.Sprintf("%+v", r) {
			rt.Fatalf("the matrix alone elects otherwise")
		}
		chainsHold(rt, q, r)
		if q.Params.Default != "" {
			return // its name is a param
		}
		counttest.Laws(rt, t, schulze.Method{}, q, ballots)
		for i, o := range q.Options {
			beaten, others := 0, 0
			for j := range q.Options {
				if i != j && !q.Out(i) && !q.Out(j) {
					if others++; r.Matrix[i][j] > r.Matrix[j][i] {
						beaten++
					}
				}
			}
			if others > 0 && beaten == others && !slices.Equal(r.Winners, []string{o}) {
				rt.Fatalf("%s defeats each other, and %v won", o, r.Winners)
			}
		}
	})
}

func BenchmarkSchulzeMillion(b *testing.B) {
	counttest.Million(b, schulze.Method{}, 1)
}

func withCast(q count.Question, ballots []count.Ballot) count.Question {
	for _, b := range ballots {
		q.Cast += b.N
	}
	q.Electorate = q.Cast
	return q
}

// chainsHold follows each chain that the last round tells, defeat by defeat: its
// strength is that of its weakest.
func chainsHold(t *rapid.T, q count.Question, r count.Result) {
	for _, f := range r.Rounds[len(r.Rounds)-1].Facts {
		if f.Value == "none" {
			continue
		}
		var yes, no uint64
		if _, err := fmt.Sscanf(f.Value, "%d to %d", &yes, &no); err != nil {
			t.Fatal(err)
		}
		names, weakest := strings.Split(f.Name, " > "), false
		for k := range len(names) - 1 {
			i, j := slices.Index(q.Options, names[k]), slices.Index(q.Options, names[k+1])
			y, n := r.Matrix[i][j], r.Matrix[j][i]
			if y <= n || y < yes || y == yes && n > no {
				t.Fatalf("%s %s: %d to %d is in it", f.Name, f.Value, y, n)
			}
			weakest = weakest || y == yes && n == no
		}
		if !weakest {
			t.Fatalf("%s has no defeat of %s", f.Name, f.Value)
		}
	}
}

// sequential is Debian's constitution, A.6, word by word: the weakest defeats in
// the Schwartz set are dropped until it has none.
func sequential(left []int, n [][]uint64) []int {
	type defeat struct{ a, b int }
	var defeats []defeat
	for _, a := range left {
		for _, b := range left {
			if n[a][b] > n[b][a] {
				defeats = append(defeats, defeat{a, b})
			}
		}
	}
	weaker := func(x, y defeat) bool {
		return n[x.a][x.b] < n[y.a][y.b] || n[x.a][x.b] == n[y.a][y.b] && n[x.b][x.a] > n[y.b][y.a]
	}
	for {
		reach := map[defeat]bool{}
		for _, d := range defeats {
			reach[d] = true
		}
		for _, k := range left {
			for _, i := range left {
				for _, j := range left {
					if reach[defeat{i, k}] && reach[defeat{k, j}] {
						reach[defeat{i, j}] = true
					}
				}
			}
		}
		var set []int
		for _, a := range left {
			if !slices.ContainsFunc(left, func(b int) bool { return reach[defeat{b, a}] && !reach[defeat{a, b}] }) {
				set = append(set, a)
			}
		}
		var inside []defeat
		for _, d := range defeats {
			if slices.Contains(set, d.a) && slices.Contains(set, d.b) {
				inside = append(inside, d)
			}
		}
		if len(inside) == 0 {
			return set
		}
		defeats = slices.DeleteFunc(defeats, func(d defeat) bool {
			return slices.Contains(inside, d) && !slices.ContainsFunc(inside, func(o defeat) bool { return weaker(o, d) })
		})
	}
}

func TestDroppingDefeatsElectsTheSame(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, 7).Draw(rt, "options")
		matrix := make([][]uint64, n)
		for i := range matrix {
			matrix[i] = rapid.SliceOfN(rapid.Uint64Range(0, 6), n, n).Draw(rt, "row")
			matrix[i][i] = 0
		}
		q := count.Question{Order: count.AsListed(n)}
		for i := range n {
			q.Options = append(q.Options, fmt.Sprint("o", i))
		}
		set := sequential(q.Order, matrix)
		for _, first := range q.Order {
			q.Order = append([]int{first}, slices.DeleteFunc(count.AsListed(n), func(i int) bool { return i == first })...)
			r := schulze.FromMatrix(q, matrix)
			if len(r.Winners) == 0 {
				return // nobody prefers anything
			}
			if won := r.Winners[0] == q.Options[first]; won != slices.Contains(set, first) || r.Tied != (len(set) > 1) {
				rt.Fatalf("%v: %s has won, the Schwartz set is %v", matrix, r.Winners[0], set)
			}
		}
	})
}
