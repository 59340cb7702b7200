package meekstv_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/metastate-p2p/metastate/protocol/decision/count"
	"github.com/metastate-p2p/metastate/protocol/decision/count/counttest"
	"github.com/metastate-p2p/metastate/protocol/decision/count/meekstv"
)

var methods = map[string]meekstv.Method{"meek-stv": {}, "meek-prf": {Reference: true}}

// TestReferences compares every figure of every round with counts of real and
// made-up elections by the droop package.
func TestReferences(t *testing.T) {
	dir := counttest.Shared(t, "elections/stv")
	for tail, method := range map[string]string{
		"-meek-o9-guarded-p18-g9-d18.txt": "meek-stv",
		"-meek-prf-o6-fixed-p9-d9.txt":    "meek-prf",
	} {
		paths, err := filepath.Glob(filepath.Join(dir, "*"+tail))
		if err != nil || len(paths) < 4 {
			t.Fatal(len(paths), "references", err)
		}
		for _, path := range paths {
			name := strings.TrimSuffix(path, tail)
			t.Run(filepath.Base(name)+" "+method, func(t *testing.T) {
				e := counttest.Election(t, name+".blt")
				r, err := count.Count(methods[method], e.Question(), e.Ballots)
				if err != nil {
					t.Fatal(err)
				}
				stages := counttest.Reference(t, path, e.Names)
				if len(r.Rounds) != len(stages)+1 {
					t.Fatalf("%d rounds, want %d", len(r.Rounds), len(stages)+1)
				}
				for i, s := range stages {
					agree(t, s, r.Rounds[i])
				}
				last := stages[len(stages)-1]
				last[len(last)-1].Agree(t, r.Rounds[len(stages)], map[string]string{"quota": "Quota", "residual": "Residual"})
				if want := counttest.Who(stages, "Elect"); !slices.Equal(r.Winners, want) {
					t.Errorf("elected %v, want %v", r.Winners, want)
				}
				if ties := counttest.Who(stages, "Break tie"); r.Tied != (len(ties) > 0) {
					t.Errorf("tied %v, want %v", r.Tied, ties)
				}
			})
		}
	}
}

// agree compares a round: votes as they were when it was decided who is elected
// or excluded, states as they are after it, and the facts of the iteration.
func agree(t *testing.T, s counttest.Stage, round count.Round) {
	t.Helper()
	facts := map[string]string{"quota": "Quota", "residual": "Residual", "surplus": "Surplus"}
	done, iterated := s.Done(), false
	for _, a := range s {
		if strings.HasPrefix(a.What, "Iterate") {
			done.Facts, iterated = a.Facts, true
		}
	}
	if !iterated && strings.HasPrefix(done.What, "Elect") {
		delete(facts, "surplus") // told as it was before
	}
	for _, a := range s {
		if a.What == "Defeat certain loser" { // the first tells votes, the last states
			for i, l := range done.Lines {
				k := slices.IndexFunc(a.Lines, func(o count.Line) bool { return o.Name == l.Name })
				done.Lines[i].Value = a.Lines[k].Value
			}
			break
		}
	}
	done.Agree(t, round, facts)
}

func TestLaws(t *testing.T) {
	for name, m := range methods {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				q := counttest.Question(rt, 6, 4)
				ballots := counttest.Rankings(rt, len(q.Options), rapid.Bool().Draw(rt, "strict"))
				counttest.Laws(rt, t, m, q, ballots)
				counttest.Transferable(rt, q, ballots, counttest.Must(t, m, q, ballots))
			})
		})
	}
}

// TestEnds: no election goes on for ever, whatever the votes.
func TestEnds(t *testing.T) {
	for name, m := range methods {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				n := rapid.IntRange(2, 24).Draw(rt, "options")
				q := count.Question{Seats: uint64(rapid.IntRange(1, n).Draw(rt, "seats")), Order: count.AsListed(n)}
				for i := range n {
					q.Options = append(q.Options, fmt.Sprintf("o%02d", i))
				}
				ballots := counttest.Rankings(rt, n, false)
				for i := range ballots {
					ballots[i].N <<= rapid.IntRange(0, 28).Draw(rt, "times")
				}
				if r := counttest.Must(t, m, q, ballots); r.Outcome == count.Elected && uint64(len(r.Winners)) != q.Seats {
					rt.Fatalf("%d elected of %d", len(r.Winners), q.Seats)
				}
			})
		})
	}
}

// TestAllOptions counts ballots as long as there can be, in one rank and in 255.
func TestAllOptions(t *testing.T) {
	q := count.Question{Seats: 2, Order: count.AsListed(count.MaxOptions)}
	up, equal := make(count.Marks, count.MaxOptions), make(count.Marks, count.MaxOptions)
	down := slices.Clone(up)
	for i := range q.Order {
		q.Options = append(q.Options, fmt.Sprint(i))
		up[i], equal[i], down[i] = uint8(i+1), 1, uint8(count.MaxOptions-i)
	}
	for name, m := range methods {
		r := counttest.Must(t, m, q, []count.Ballot{{Marks: up, N: 3}, {Marks: down, N: 3}, {Marks: equal, N: 1}})
		if want := []string{"0", "254"}; !slices.Equal(r.Winners, want) || r.Votes[0].N != 4 || r.Votes[100].N != 1 {
			t.Errorf("%s: %v", name, r.Winners)
		}
	}
}

// TestEverythingExhausts: where the votes of those elected reach nobody else,
// the quota falls until nothing is above it, and the order for ties fills seats.
func TestEverythingExhausts(t *testing.T) {
	for name, m := range methods {
		q := count.Question{Options: []string{"a", "b", "c", "d"}, Seats: 3, Order: []int{2, 3, 1, 0}}
		r := counttest.Must(t, m, q, []count.Ballot{{Marks: count.Marks{1, 0, 0, 0}, N: 1 << 35}})
		if want := []string{"a", "b", "d"}; !slices.Equal(r.Winners, want) || !r.Tied {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

func parse(t *testing.T, options []string, lines string) (ballots []count.Ballot) {
	t.Helper()
	for line := range strings.SplitSeq(lines, ",") {
		var n uint64
		var text string
		if _, err := fmt.Sscan(line, &n, &text); err != nil {
			t.Fatal(err)
		}
		marks, err := count.Ranking{}.Parse(options, text)
		if err != nil {
			t.Fatal(err)
		}
		ballots = append(ballots, count.Ballot{Marks: marks, N: n})
	}
	return ballots
}

func TestEqualRanks(t *testing.T) {
	options := []string{"a", "b", "c", "d"}
	for what, x := range map[string]struct {
		ballots string
		seats   uint64
		round   int
		votes   string // of a, b, c, d in the round
	}{
		"halves":                          {"6 a=b,4 c,1 d>c", 2, 0, "3.000000000 3.000000000 4.000000000 1.000000000"},
		"thirds are cut off":              {"1 a=b=c,2 a,2 b,2 c", 2, 0, "2.333333333 2.333333333 2.333333333 0.000000000"},
		"who is excluded has no share":    {"5 a=d,4 b,4 c", 2, 2, "5.000000000 4.000000000 4.000000000 0.000000000"},
		"a vote for one passes on to two": {"5 d>a=b>c,6 a,6 b,7 c", 2, 2, "8.500000000 8.500000000 7.000000000 0.000000000"},
		"a rank of nobody is passed over": {"3 c=d>a,3 a,4 b", 1, 3, "6.000000000 4.000000000 0.000000000 0.000000000"},
		// a keeps 0.370370371 of each vote, and b and c get half of 0.629629629.
		"what is not kept is shared": {"9 a>b=c,1 d", 2, 2, "3.333333339 2.833333326 2.833333326 1.000000000"},
	} {
		q := count.Question{Options: options, Seats: x.seats, Order: []int{3, 2, 1, 0}}
		r := counttest.Must(t, methods["meek-prf"], q, parse(t, options, x.ballots))
		var votes []string
		for _, l := range r.Rounds[x.round].Lines {
			votes = append(votes, l.Value)
		}
		if got := strings.Join(votes, " "); got != x.votes {
			t.Errorf("%s: %s", what, got)
		}
	}
	r := counttest.Must(t, meekstv.Method{}, count.Question{Options: options, Seats: 1, Order: count.AsListed(4)}, parse(t, options, "2 a=b,1 c,1 -"))
	if want := []count.Option{{Name: "a", N: 2}, {Name: "b", N: 2}, {Name: "c", N: 1}, {Name: "d"}}; !slices.Equal(r.Votes, want) {
		t.Errorf("first preferences %v", r.Votes)
	}
}

func TestRefused(t *testing.T) {
	q := count.Question{Options: []string{"a", "b"}, Order: count.AsListed(2), Seats: 1}
	q.Params.Top = 2
	if err := (meekstv.Method{}).Check(q); err == nil {
		t.Error("takes params of another method")
	}
	q.Params.Top, q.Electorate, q.Cast = 0, 10, 4
	q.Rule.Quorum = func(cast, of uint64) bool { return 2*cast >= of }
	r, err := count.Count(meekstv.Method{}, q, []count.Ballot{{Marks: count.Marks{1, 0}, N: 4}})
	if err != nil || r.Outcome != count.Rejected || r.Winners != nil {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := (meekstv.Method{}).Options([]string{"a=b"}); err == nil {
		t.Error("takes an option that no ballot can name")
	}
}

func BenchmarkMeekMillion(b *testing.B) { counttest.Million(b, meekstv.Method{}, 5) }

func Example() {
	options := []string{"ann", "bob", "cat"}
	form := meekstv.Method{}.Form(count.Question{})
	var ballots []count.Ballot
	for line, n := range map[string]uint64{"ann>bob=cat": 6, "bob": 1, "cat": 2} {
		marks, _ := form.Parse(options, line)
		ballots = append(ballots, count.Ballot{Marks: marks, N: n})
	}
	q := count.Question{Options: options, Seats: 2, Cast: 9, Electorate: 9, Order: count.AsListed(3)}
	r, _ := count.Count(meekstv.Method{}, q, ballots)
	fmt.Println(r.Winners)
	for _, round := range r.Rounds[1:] {
		fmt.Println(round.Text)
	}
	// Output:
	// [ann cat]
	// Elected with the quota of 3.000000000000000000: ann. Of what they have above it, as much passes on as leaves them the quota.
	// Elected with the quota of 3.000000000000000000: cat. Of what they have above it, as much passes on as leaves them the quota.
	// All seats are filled.
}
