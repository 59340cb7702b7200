package equalshares_test

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/metastate-p2p/metastate/protocol/decision/count"
	"github.com/metastate-p2p/metastate/protocol/decision/count/counttest"
	"github.com/metastate-p2p/metastate/protocol/decision/count/equalshares"
)

// election has options a, b, c … and ballots as "3 ab".
func election(options int, lines ...string) (count.Question, []count.Ballot) {
	q := count.Question{Order: count.AsListed(options)}
	for i := range options {
		q.Options = append(q.Options, string(rune('a'+i)))
	}
	var ballots []count.Ballot
	for _, line := range lines {
		var n uint64
		var names string
		_, _ = fmt.Sscanf(line, "%d %s", &n, &names)
		marks := make(count.Marks, options)
		for _, c := range names {
			marks[c-'a'] = 1
		}
		ballots = append(ballots, count.Ballot{Marks: marks, N: n})
		q.Cast += n
	}
	q.Electorate = q.Cast
	return q, ballots
}

// Six in ten want the first three projects, four in ten the others.
func Example() {
	q, ballots := election(6, "6 abc", "4 def")
	q.Params = count.Params{Costs: []uint64{20, 20, 20, 20, 20, 20}, Budget: 60}
	r, err := count.Count(equalshares.Method{}, q, ballots)
	fmt.Println(r.Winners, err)
	for _, round := range r.Rounds {
		fmt.Println(round.Text)
	}
	// Output:
	// [a b d] <nil>
	// 10 of 10 who may vote did. There is a budget of 60, and 10 ballots have an equal share of it. Each option's number is how many approve of it.
	// Each has 6. More can be funded within the budget if each has more: raised once, to 7, is the most by which it is kept. What follows is paid from these shares.
	// a costs 20. Those who approve of it pay 10/3 each, or what they have left: the least for each unit of the cost.
	// b costs 20. Those who approve of it pay 10/3 each, or what they have left: the least for each unit of the cost.
	// d costs 20. Those who approve of it pay 5 each, or what they have left: the least for each unit of the cost.
	// Between options with equal payments, costs and approvals the order fixed for ties decided.
	// Funded: a, b, d. This costs 60 of 60.
	// For comparison: by most approvals alone a, b, c would be funded.
}

func count1(t testing.TB, q count.Question, ballots []count.Ballot) count.Result {
	t.Helper()
	r, err := count.Count(equalshares.Method{}, q, ballots)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestCount(t *testing.T) {
	none := count.Params{Complete: equalshares.None}
	for name, x := range map[string]struct {
		options int
		ballots []string
		seats   uint64
		params  count.Params
		change  func(*count.Question)
		want    string
		tied    bool
	}{
		"nobody votes":            {2, nil, 1, count.Params{}, nil, "", false},
		"nobody approves":         {2, []string{"3 "}, 1, count.Params{}, nil, "", false},
		"too few":                 {2, []string{"3 a"}, 1, count.Params{}, func(q *count.Question) { q.Rule.Quorum = func(uint64, uint64) bool { return false } }, "", false},
		"withdrawn":               {2, []string{"3 a", "2 b"}, 1, count.Params{Complete: equalshares.Utilitarian}, func(q *count.Question) { q.Withdrawn = []bool{true, false} }, "b", false},
		"one party":               {3, []string{"4 abc"}, 2, none, func(q *count.Question) { q.Order = []int{2, 0, 1} }, "c a", true},
		"each their part":         {4, []string{"5 ab", "5 cd"}, 2, none, nil, "a c", true},
		"a minority too small":    {4, []string{"8 abc", "2 d"}, 2, none, nil, "a", true},
		"whose money is left":     {4, []string{"8 abc", "2 d"}, 2, count.Params{Complete: equalshares.Utilitarian}, nil, "a b", true},
		"raised for a committee":  {4, []string{"8 abc", "2 d"}, 2, count.Params{}, nil, "a b", true},
		"cheaper before popular":  {3, []string{"4 ab", "1 b"}, 0, count.Params{Costs: []uint64{4, 5, 9}, Budget: 10, Complete: none.Complete}, nil, "b a", false},
		"the poor pay all":        {3, []string{"1 ab", "2 ac", "3 bc"}, 0, count.Params{Costs: []uint64{6, 6, 12}, Budget: 24, Complete: none.Complete}, nil, "c b", false},
		"more than the budget":    {1, []string{"4 a"}, 0, count.Params{Costs: []uint64{11}, Budget: 10}, nil, "", false},
		"fractions":               {2, []string{"3 ab", "4 a"}, 0, count.Params{Costs: []uint64{5, 3}, Budget: 8, Complete: none.Complete}, nil, "a", false},
		"what is left is for all": {2, []string{"3 ab", "4 a"}, 0, count.Params{Costs: []uint64{5, 3}, Budget: 8}, nil, "a b", false},
	} {
		q, ballots := election(x.options, x.ballots...)
		q.Seats, q.Params = x.seats, x.params
		if x.change != nil {
			x.change(&q)
		}
		r := count1(t, q, ballots)
		if strings.Join(r.Winners, " ") != x.want || (r.Outcome == count.Elected) != (x.want != "") || r.Tied != x.tied {
			t.Errorf("%s: %v %v %v\n%+v", name, r.Winners, r.Outcome, r.Tied, r.Rounds)
		}
	}
}

func TestPayments(t *testing.T) {
	q, ballots := election(3, "1 ab", "2 ac", "3 bc")
	q.Params = count.Params{Costs: []uint64{6, 6, 12}, Budget: 24, Complete: equalshares.None}
	r := count1(t, q, ballots)
	// 24 for 6 voters are 4 each. c: 5 voters pay 12/5 each. b: 1 has 4 and 3 have
	// 8/5: 4 pay 6/4.
	want := map[string]string{"highest payment": "3/2", "voters with a,b": "1, 3/2 each", "voters with b,c": "3, 3/2 each"}
	for _, f := range r.Rounds[3].Facts {
		if want[f.Name] != f.Value {
			t.Errorf("%s: %s instead of %s", f.Name, f.Value, want[f.Name])
		}
		delete(want, f.Name)
	}
	if len(want) > 0 {
		t.Errorf("not told: %v in %+v", want, r.Rounds)
	}
}

// Shares are raised as often as is said and no more.
func TestRaises(t *testing.T) {
	q, ballots := election(2, "999 a", "1 b")
	q.Params = count.Params{Costs: []uint64{900, 4000}, Budget: 5000}
	r := count1(t, q, ballots)
	if !strings.Contains(r.Rounds[1].Text, "raised 1000 times, to 1005,") || !slices.Equal(r.Winners, []string{"a", "b"}) {
		t.Errorf("%v: %s", r.Winners, r.Rounds[1].Text)
	}
}

func TestRefused(t *testing.T) {
	q, _ := election(2)
	for name, p := range map[string]count.Params{
		"complete": {Complete: "all"}, "budget alone": {Budget: 5}, "one cost": {Costs: []uint64{1}, Budget: 5},
		"no budget": {Costs: []uint64{1, 1}}, "much money": {Costs: []uint64{1, 1}, Budget: 1<<40 + 1},
		"free": {Costs: []uint64{0, 1}, Budget: 5}, "dear": {Costs: []uint64{1, 1<<40 + 1}, Budget: 5}, "another's": {Top: 5},
	} {
		q.Params = p
		if (equalshares.Method{}).Check(q) == nil {
			t.Errorf("takes %s", name)
		}
	}
	q.Params, q.Seats = count.Params{}, 3
	if (equalshares.Method{}).Check(q) == nil {
		t.Error("takes more seats than options")
	}
	if _, err := (equalshares.Method{}).Options([]string{"a,b"}); err == nil {
		t.Error("takes a comma in a name")
	}
}

func draw(t *rapid.T) (count.Question, []count.Ballot) {
	q := counttest.Question(t, 6, 4)
	q.Seats = min(q.Seats, uint64(len(q.Options)))
	if rapid.Bool().Draw(t, "costs") {
		n := len(q.Options)
		q.Params.Costs = rapid.SliceOfN(rapid.Uint64Range(1, 12), n, n).Draw(t, "cost")
		q.Params.Budget = rapid.Uint64Range(1, 40).Draw(t, "budget")
	}
	q.Params.Complete = rapid.SampledFrom([]string{"", equalshares.None, equalshares.Utilitarian, equalshares.Add1U}).Draw(t, "complete")
	return q, rapid.SliceOfN(rapid.Custom(func(t *rapid.T) count.Ballot {
		n := len(q.Options)
		return count.Ballot{
			Marks: rapid.SliceOfN(rapid.Uint8Range(0, 1), n, n).Draw(t, "marks"), N: uint64(rapid.IntRange(1, 4).Draw(t, "n")),
		}
	}), 0, 8).Draw(t, "ballots")
}

func cost(q count.Question, name string) uint64 {
	if len(q.Params.Costs) == 0 {
		return 1
	}
	return q.Params.Costs[slices.Index(q.Options, name)]
}

func TestLaws(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		q, ballots := draw(rt)
		if len(q.Params.Costs) == 0 { // which go by place
			counttest.Laws(rt, t, equalshares.Method{}, q, ballots)
		}
		r := counttest.Must(t, equalshares.Method{}, q, ballots)
		budget, spent := q.Params.Budget, uint64(0)
		if budget == 0 {
			budget = q.Seats
		}
		for i, w := range r.Winners {
			spent += cost(q, w)
			if k := slices.Index(q.Options, w); r.Votes[k].N == 0 || slices.Contains(r.Winners[:i], w) {
				rt.Fatalf("%s is funded by nobody, or twice: %+v", w, r)
			}
		}
		if spent > budget {
			rt.Fatalf("%d of %d is spent: %+v", spent, budget, r)
		}
		if q.Params.Complete == equalshares.None {
			return
		}
		for i, o := range q.Options {
			if r.Votes[i].N > 0 && !slices.Contains(r.Winners, o) && cost(q, o) <= budget-spent {
				rt.Fatalf("%s fits in what is left: %+v", o, r)
			}
		}
	})
}

// plainly is the method voter by voter, with fractions.
func plainly(q count.Question, ballots []count.Ballot, share *big.Rat) (funded []string) {
	var voters []count.Marks
	for _, b := range ballots {
		for range b.N {
			voters = append(voters, b.Marks)
		}
	}
	money := make([]*big.Rat, len(voters))
	for i := range money {
		money[i] = new(big.Rat).Set(share)
	}
	for {
		best, bestRho, bestMost := -1, new(big.Rat), new(big.Rat)
		for _, o := range q.Order {
			if slices.Contains(funded, q.Options[o]) || q.Out(o) {
				continue
			}
			var has []*big.Rat
			for i, v := range voters {
				if v[o] != 0 {
					has = append(has, money[i])
				}
			}
			slices.SortFunc(has, (*big.Rat).Cmp)
			c := new(big.Rat).SetUint64(cost(q, q.Options[o]))
			rest := new(big.Rat).Set(c)
			for k, m := range has {
				most := new(big.Rat).Quo(rest, big.NewRat(int64(len(has)-k), 1))
				if m.Cmp(most) < 0 {
					rest.Sub(rest, m)
					continue
				}
				rho := new(big.Rat).Quo(most, c)
				if best >= 0 {
					lower := rho.Cmp(bestRho)
					was := new(big.Rat).SetUint64(cost(q, q.Options[best]))
					if lower > 0 || lower == 0 && (c.Cmp(was) > 0 || c.Cmp(was) == 0 && len(has) <= supporters(voters, best)) {
						break
					}
				}
				best, bestRho, bestMost = o, rho, most
				break
			}
		}
		if best < 0 {
			return funded
		}
		funded = append(funded, q.Options[best])
		for i, v := range voters {
			if v[best] != 0 {
				pays := bestMost
				if money[i].Cmp(pays) < 0 {
					pays = money[i]
				}
				money[i] = new(big.Rat).Sub(money[i], pays)
			}
		}
	}
}

func supporters(voters []count.Marks, o int) (n int) {
	for _, v := range voters {
		n += int(v[o])
	}
	return n
}

func TestPlainly(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		q, ballots := draw(rt)
		q.Params.Complete = equalshares.None
		r := counttest.Must(t, equalshares.Method{}, q, ballots)
		var voters int64
		for _, b := range ballots {
			voters += int64(b.N)
		}
		if voters == 0 {
			return
		}
		budget := int64(q.Params.Budget)
		if budget == 0 {
			budget = int64(q.Seats)
		}
		if want := plainly(q, ballots, big.NewRat(budget, voters)); !slices.Equal(r.Winners, want) {
			rt.Fatalf("%v instead of %v", r.Winners, want)
		}
	})
}

// A group that is large enough for so many of the seats, and agrees on so many
// options, has a member who approves of so many of those elected (extended
// justified representation).
func TestRepresentation(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		q, ballots := draw(rt)
		q.Params, q.Withdrawn = count.Params{Complete: equalshares.None}, nil
		r := counttest.Must(t, equalshares.Method{}, q, ballots)
		var voters uint64
		for _, b := range ballots {
			voters += b.N
		}
		elected := func(m count.Marks) (n int) {
			for _, w := range r.Winners {
				n += int(m[slices.Index(q.Options, w)])
			}
			return n
		}
		for set := range 1 << len(q.Options) { // on which a group agrees
			agree, size := 0, uint64(0)
			for o := range q.Options {
				agree += set >> o & 1
			}
			for _, b := range ballots {
				all := true
				for o, v := range b.Marks {
					all = all && (set>>o&1 == 0 || v != 0)
				}
				// The largest group of which nobody has as many elected.
				if all && elected(b.Marks) < agree {
					size += b.N
				}
			}
			if agree > 0 && size*q.Seats >= uint64(agree)*voters && size > 0 {
				rt.Fatalf("%d of %d voters agree on %d options and none of them has as many: %v", size, voters, agree, r.Winners)
			}
		}
	})
}

// A hundred thousand different ballots of a million voters on 64 projects.
func BenchmarkCount(b *testing.B) {
	const n = 64
	random := rand.New(rand.NewPCG(1, 2))
	q := count.Question{Order: count.AsListed(n)}
	for i := range n {
		q.Options = append(q.Options, fmt.Sprint(i))
		q.Params.Costs = append(q.Params.Costs, 1000+random.Uint64N(100_000))
	}
	q.Params.Budget = 1_000_000
	var ballots []count.Ballot
	for range 100_000 {
		marks := make(count.Marks, n)
		for range 1 + random.IntN(10) {
			marks[min(random.IntN(n), random.IntN(n))] = 1
		}
		ballots = append(ballots, count.Ballot{Marks: marks, N: 10})
	}
	for b.Loop() {
		count1(b, q, ballots)
	}
}
