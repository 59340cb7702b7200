package scottishstv_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/metastate-p2p/metastate/protocol/decision/count"
	"github.com/metastate-p2p/metastate/protocol/decision/count/counttest"
	"github.com/metastate-p2p/metastate/protocol/decision/count/scottishstv"
)

func Example() {
	options := []string{"ann", "bob", "cat"}
	form := scottishstv.Method{}.Form(count.Question{})
	var ballots []count.Ballot
	for line, n := range map[string]uint64{"ann>bob": 6, "bob": 1, "cat": 2} {
		marks, _ := form.Parse(options, line)
		ballots = append(ballots, count.Ballot{Marks: marks, N: n})
	}
	q := count.Question{Options: options, Seats: 2, Cast: 9, Electorate: 9, Order: count.AsListed(3)}
	r, _ := count.Count(scottishstv.Method{}, q, ballots)
	fmt.Println(r.Winners)
	for _, l := range r.Rounds[1].Lines {
		fmt.Println(l.Name, l.Value, l.State)
	}
	// Output:
	// [ann bob]
	// ann 4.00000 elected
	// bob 2.99998 hopeful
	// cat 2.00000 hopeful
}

// TestReferences compares every figure of every stage with counts of real and
// made-up elections by the droop package.
func TestReferences(t *testing.T) {
	dir := counttest.Shared(t, "elections/stv")
	const tail = "-scotland-fixed-p5-d5.txt"
	paths, err := filepath.Glob(filepath.Join(dir, "*"+tail))
	if err != nil || len(paths) < 13 {
		t.Fatal(len(paths), "references", err)
	}
	for _, path := range paths {
		name := strings.TrimSuffix(path, tail)
		t.Run(filepath.Base(name), func(t *testing.T) {
			e := counttest.Election(t, name+".blt")
			r, err := count.Count(scottishstv.Method{}, e.Question(), e.Ballots)
			if err != nil {
				t.Fatal(err)
			}
			stages := counttest.Reference(t, path, e.Names)
			if len(r.Rounds) != len(stages)+1 {
				t.Fatalf("%d rounds, want %d", len(r.Rounds), len(stages)+1)
			}
			facts := map[string]string{"exhausted": "Nontransferable votes", "residual": "Residual", "surplus": "Surplus"}
			for i, s := range stages {
				s.Done().Agree(t, r.Rounds[i], facts)
			}
			last := stages[len(stages)-1]
			last[len(last)-1].Agree(t, r.Rounds[len(stages)], facts)
			if want := counttest.Who(stages, "Elect"); !slices.Equal(r.Winners, want) {
				t.Errorf("elected %v, want %v", r.Winners, want)
			}
			if lots := counttest.Who(stages, "Break tie by lot"); r.Tied != (len(lots) > 0) {
				t.Errorf("tied %v, want %v", r.Tied, lots)
			}
			b, err := os.ReadFile(path)
			if err != nil || !strings.Contains(string(b), "\tQuota: "+r.Rounds[0].Facts[0].Value+"\n") {
				t.Errorf("the quota is not %v: %v", r.Rounds[0].Facts[0], err)
			}
		})
	}
}

func TestTies(t *testing.T) {
	options := []string{"a", "b", "c", "d"}
	for what, x := range map[string]struct {
		ballots string
		seats   uint64
		order   []int
		winners string
		tied    bool
	}{
		"the first of the order is excluded":        {"2 a,1 b,1 c", 1, []int{0, 2, 1, 3}, "a", true},
		"the first of the order has its surplus":    {"6 a>c>d,6 b>d>c,1 c,1 d", 3, []int{1, 0, 2, 3}, "b a d", true},
		"as above, the other way":                   {"6 a>c>d,6 b>d>c,1 c,1 d", 3, []int{0, 1, 2, 3}, "a b c", true},
		"an earlier stage decides on the exclusion": {"5 a,2 b,3 c,1 d>b", 1, []int{2, 1, 0, 3}, "a", false},
	} {
		var ballots []count.Ballot
		for line := range strings.SplitSeq(x.ballots, ",") {
			var n uint64
			var text string
			if _, err := fmt.Sscan(line, &n, &text); err != nil {
				t.Fatal(err)
			}
			m, err := count.Ranking{Strict: true}.Parse(options, text)
			if err != nil {
				t.Fatal(err)
			}
			ballots = append(ballots, count.Ballot{Marks: m, N: n})
		}
		r := counttest.Must(t, scottishstv.Method{}, count.Question{Options: options, Seats: x.seats, Order: x.order}, ballots)
		if strings.Join(r.Winners, " ") != x.winners || r.Tied != x.tied {
			t.Errorf("%s: %v, tied %v", what, r.Winners, r.Tied)
			for _, round := range r.Rounds {
				t.Log(round.Text, round.Lines)
			}
		}
	}
}

func TestRefused(t *testing.T) {
	q := count.Question{Options: []string{"a", "b"}, Order: count.AsListed(2), Seats: 1}
	if _, err := count.Count(scottishstv.Method{}, q, []count.Ballot{{Marks: count.Marks{1, 1}, N: 1}}); err == nil {
		t.Error("takes equal ranks")
	}
	q.Params.Top = 2
	if err := (scottishstv.Method{}).Check(q); err == nil {
		t.Error("takes params of another method")
	}
	q.Params.Top, q.Electorate, q.Cast = 0, 10, 4
	q.Rule.Quorum = func(cast, of uint64) bool { return 2*cast >= of }
	r, err := count.Count(scottishstv.Method{}, q, []count.Ballot{{Marks: count.Marks{1, 0}, N: 4}})
	if err != nil || r.Outcome != count.Rejected || r.Winners != nil {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestHuge: as many ballots as a count takes overflow nothing.
func TestHuge(t *testing.T) {
	q := count.Question{Options: []string{"a", "b", "c"}, Order: count.AsListed(3), Seats: 2}
	r := counttest.Must(t, scottishstv.Method{}, q, []count.Ballot{{Marks: count.Marks{1, 2, 0}, N: count.MaxTotal - 3}, {Marks: count.Marks{0, 0, 1}, N: 3}})
	// The surplus is the ballots less the quota, 22,906,492,246 of 68,719,476,736.
	if want := []string{"a", "b"}; !slices.Equal(r.Winners, want) || r.Rounds[1].Lines[0].Value != "22906492246.00000" {
		t.Errorf("%v %+v", r.Winners, r.Rounds[1])
	}
}

func TestLaws(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		q := counttest.Question(rt, 6, 4)
		ballots := counttest.Rankings(rt, len(q.Options), true)
		counttest.Laws(rt, t, scottishstv.Method{}, q, ballots)
		r := counttest.Must(t, scottishstv.Method{}, q, ballots)
		counttest.Transferable(rt, q, ballots, r)
	})
}

func BenchmarkScottishMillion(b *testing.B) { counttest.Million(b, scottishstv.Method{}, 5) }
