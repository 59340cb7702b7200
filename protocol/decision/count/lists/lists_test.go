package lists_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/metastate-p2p/metastate/protocol/charter"
	"github.com/metastate-p2p/metastate/protocol/decision/count"
	"github.com/metastate-p2p/metastate/protocol/decision/count/lists"
)

var all = []lists.Method{lists.DHondt, lists.SainteLague, lists.Hare, lists.Droop}

// question has lists called A, B, C … with these votes.
func question(seats uint64, votes ...uint64) (count.Question, []count.Ballot) {
	q := count.Question{Seats: seats, Order: count.AsListed(len(votes))}
	var ballots []count.Ballot
	for i, n := range votes {
		q.Options = append(q.Options, string(rune('A'+i)))
		marks := make(count.Marks, len(votes))
		marks[i] = 1
		ballots = append(ballots, count.Ballot{Marks: marks, N: n})
		q.Cast += n
	}
	q.Electorate = q.Cast
	return q, ballots
}

func seatsOf(r count.Result) (list []uint64) {
	for _, s := range r.Seats {
		list = append(list, s.N)
	}
	return list
}

func Example() {
	q, ballots := question(3, 53, 24, 23)
	for _, m := range []lists.Method{lists.DHondt, lists.SainteLague} {
		r, err := count.Count(m, q, ballots)
		fmt.Println(m, r.Seats, err)
	}
	r, _ := count.Count(lists.Hare, q, ballots)
	for _, round := range r.Rounds {
		fmt.Println(round.Text)
	}
	// Output:
	// dhondt [{A 2} {B 1} {C 0}] <nil>
	// sainte-lague [{A 1} {B 1} {C 1}] <nil>
	// 100 of 100 who may vote did. There are 100 valid votes for lists, and 3 seats.
	// The quota is of all valid votes, 100: 100/3 votes a seat. Each list has a seat for every whole quota.
	// The 2 seats left go one each to the largest remainders: what votes are left over of whole quotas.
	// Seats: A 1, B 1, C 1.
}

// Elections with known results.
func TestPublished(t *testing.T) {
	percent := func(n, of uint64) charter.Fraction { return charter.Fraction{Num: n, Den: of} }
	for name, x := range map[string]struct {
		method lists.Method
		params count.Params
		seats  uint64
		votes  []uint64
		want   []uint64
	}{
		// Coordination Council of Belarus, May 2024: votes as pozirk.online/en/news/87475
		// gave them, seats as the commission corrected its first count the next day
		// (bgmedia.site, 28 May 2024). The quota is of all votes.
		"Coordination Council 2024": {
			lists.Hare,
			count.Params{Threshold: percent(3, 100)},
			80,
			[]uint64{104, 432, 605, 489, 184, 616, 1050, 2358, 226, 61, 598},
			[]uint64{0, 6, 8, 6, 0, 8, 13, 28, 3, 0, 8},
		},
		// Bundestag 2025, the Bund rows of the returning officer's kerg2.csv: CDU, AfD,
		// SPD, Grüne, Linke, CSU, BSW, FDP. (One more seat went to the SSW, which the
		// threshold does not concern.) Others are the rest of 49,649,512 valid votes.
		"Bundestag 2025": {
			lists.SainteLague,
			count.Params{Threshold: percent(5, 100)},
			629,
			[]uint64{11196374, 10328780, 8149124, 5762380, 4356532, 2964028, 2472947, 2148757, 2270590},
			[]uint64{164, 152, 120, 85, 64, 44, 0, 0, 0},
		},
		"Bundestag 2025 with the SSW": {
			lists.SainteLague,
			count.Params{},
			630,
			[]uint64{11196374, 10328780, 8149124, 5762380, 4356532, 2964028, 76138},
			[]uint64{164, 152, 120, 85, 64, 44, 1},
		},
		// Bundestag 2005, bundeswahlleiter.de b_tabelle_99: SPD, CDU, CSU, Grüne, FDP,
		// Linke, others. Seats without overhang mandates (9 of the SPD, 7 of the CDU).
		"Bundestag 2005": {
			lists.Hare,
			count.Params{Threshold: percent(5, 100), Base: count.BaseSeated},
			598,
			[]uint64{16194665, 13136740, 3494309, 3838326, 4648144, 4118194, 1857610},
			[]uint64{213, 173, 46, 51, 61, 54, 0},
		},
		// Second Chamber of the Netherlands, 22 November 2023, Kiesraad: PVV, GL-PvdA, VVD,
		// NSC, D66, BBB, CDA, SP, Denk, PvdD, FvD, SGP, CU, Volt, JA21, BVNL, 50Plus, and two
		// for all others, of whom none had a 150th of the votes, which a list needs. The last
		// seat was the SP's; with 160 votes more it had been D66's (nltimes.nl, 1 December
		// 2023).
		"Second Chamber 2023": {
			lists.DHondt,
			count.Params{Threshold: percent(1, 150)},
			150,
			[]uint64{2450878, 1643073, 1589519, 1343287, 656292, 485551, 345822, 328225, 246765, 235148, 232963, 217270, 212532, 178802, 71345, 52913, 51043, 44253, 47045},
			[]uint64{37, 25, 24, 20, 9, 7, 5, 5, 3, 3, 3, 3, 3, 2, 1, 0, 0, 0, 0},
		},
		"Second Chamber 2023 with 160 votes more": {
			lists.DHondt,
			count.Params{Threshold: percent(1, 150)},
			150,
			[]uint64{2450878, 1643073, 1589519, 1343287, 656292 + 160, 485551, 345822, 328225, 246765, 235148, 232963, 217270, 212532, 178802, 71345, 52913, 51043, 44253, 47045},
			[]uint64{37, 25, 24, 20, 10, 7, 5, 4, 3, 3, 3, 3, 3, 2, 1, 0, 0, 0, 0},
		},
		// The example of Wikipedia's article on the D'Hondt method.
		"D'Hondt": {lists.DHondt, count.Params{}, 8, []uint64{100_000, 80_000, 30_000, 20_000}, []uint64{4, 3, 1, 0}},
		// The same one of its article on the Sainte-Laguë method.
		"Sainte-Laguë": {lists.SainteLague, count.Params{}, 8, []uint64{100_000, 80_000, 30_000, 20_000}, []uint64{3, 3, 1, 1}},
		// electowiki.org/wiki/D'Hondt_method
		"D'Hondt, electowiki": {lists.DHondt, count.Params{}, 7, []uint64{340_000, 280_000, 160_000, 60_000}, []uint64{3, 3, 1, 0}},
		// staatsrecht.honikel.de, an example by three methods.
		"Honikel, D'Hondt":      {lists.DHondt, count.Params{}, 10, []uint64{6100, 5000, 900}, []uint64{6, 4, 0}},
		"Honikel, Sainte-Laguë": {lists.SainteLague, count.Params{}, 10, []uint64{6100, 5000, 900}, []uint64{5, 4, 1}},
		"Honikel, Hare":         {lists.Hare, count.Params{}, 10, []uint64{6100, 5000, 900}, []uint64{5, 4, 1}},
		// The examples of Wikipedia's article on the largest remainder method, the last
		// two of which are an Alabama paradox.
		"Hare":        {lists.Hare, count.Params{}, 10, []uint64{47000, 16000, 15800, 12000, 6100, 3100}, []uint64{5, 2, 1, 1, 1, 0}},
		"Droop":       {lists.Droop, count.Params{}, 10, []uint64{47000, 16000, 15800, 12000, 6100, 3100}, []uint64{5, 2, 2, 1, 0, 0}},
		"Alabama, 25": {lists.Hare, count.Params{}, 25, []uint64{1500, 1500, 900, 500, 500, 200}, []uint64{7, 7, 4, 3, 3, 1}},
		"Alabama, 26": {lists.Hare, count.Params{}, 26, []uint64{1500, 1500, 900, 500, 500, 200}, []uint64{8, 8, 5, 2, 2, 1}},
	} {
		q, ballots := question(x.seats, x.votes...)
		q.Params = x.params
		r, err := count.Count(x.method, q, ballots)
		if err != nil || !slices.Equal(seatsOf(r), x.want) || r.Outcome != count.Elected || r.Tied {
			t.Errorf("%s: %v instead of %v, %v", name, seatsOf(r), x.want, err)
		}
	}
}

func TestEdges(t *testing.T) {
	half := charter.Fraction{Num: 1, Den: 2}
	for name, x := range map[string]struct {
		method lists.Method
		change func(*count.Question)
		seats  uint64
		votes  []uint64
		want   []uint64
		tied   bool
	}{
		"no votes":               {lists.DHondt, nil, 3, []uint64{0, 0}, []uint64{0, 0}, false},
		"no seats named are one": {lists.Hare, nil, 0, []uint64{2, 3}, []uint64{0, 1}, false},
		"the threshold is met":   {lists.Hare, func(q *count.Question) { q.Params.Threshold = half }, 2, []uint64{5, 4, 1}, []uint64{2, 0, 0}, false},
		"nobody meets it":        {lists.DHondt, func(q *count.Question) { q.Params.Threshold = half }, 2, []uint64{4, 4, 1}, []uint64{0, 0, 0}, false},
		"without a vote never":   {lists.Hare, nil, 3, []uint64{4, 0}, []uint64{3, 0}, false},
		"withdrawn":              {lists.DHondt, func(q *count.Question) { q.Withdrawn = []bool{true, false, false} }, 2, []uint64{9, 4, 1}, []uint64{0, 2, 0}, false},
		"too few":                {lists.Droop, func(q *count.Question) { q.Rule.Quorum = func(uint64, uint64) bool { return false } }, 2, []uint64{9, 4}, []uint64{0, 0}, false},
		// Equal votes.
		"each has one":              {lists.DHondt, nil, 2, []uint64{3, 3}, []uint64{1, 1}, false},
		"a tie goes by order":       {lists.DHondt, func(q *count.Question) { q.Order = []int{1, 0} }, 3, []uint64{3, 3}, []uint64{1, 2}, true},
		"or stays open":             {lists.SainteLague, func(q *count.Question) { q.Open = true }, 3, []uint64{3, 3}, []uint64{1, 1}, true},
		"a tie of one of three":     {lists.DHondt, func(q *count.Question) { q.Order = []int{2, 1, 0} }, 3, []uint64{7, 3, 3}, []uint64{2, 0, 1}, true},
		"a tie of remainders":       {lists.Hare, func(q *count.Question) { q.Order = []int{2, 1, 0} }, 3, []uint64{4, 4, 4, 0}[:3], []uint64{1, 1, 1}, false},
		"two seats of three":        {lists.Hare, func(q *count.Question) { q.Order = []int{2, 1, 0} }, 2, []uint64{4, 4, 4}, []uint64{0, 1, 1}, true},
		"two seats of three, open":  {lists.Hare, func(q *count.Question) { q.Open = true }, 2, []uint64{4, 4, 4}, []uint64{0, 0, 0}, true},
		"one seat sure, one open":   {lists.Droop, func(q *count.Question) { q.Open = true }, 2, []uint64{7, 3, 3}, []uint64{1, 0, 0}, true},
		"a seat sure after another": {lists.Hare, func(q *count.Question) { q.Open = true }, 4, []uint64{70, 45, 22, 22, 1}, []uint64{2, 1, 0, 0, 0}, true},
		// The quota is of all votes, and most of them are below the threshold.
		"remainders again": {
			lists.Hare, func(q *count.Question) { q.Params.Threshold = charter.Fraction{Num: 1, Den: 4} }, 10,
			[]uint64{30, 25, 15, 15, 15},
			[]uint64{5, 5, 0, 0, 0},
			false,
		},
		"or the quota is of the others": {
			lists.Hare, func(q *count.Question) {
				q.Params.Threshold, q.Params.Base = charter.Fraction{Num: 1, Den: 4}, count.BaseSeated
			}, 10, []uint64{30, 25, 15, 15, 15}, []uint64{5, 5, 0, 0, 0}, false,
		},
		"remainders thrice": {
			lists.Droop, func(q *count.Question) { q.Params.Threshold = charter.Fraction{Num: 1, Den: 4} }, 9,
			[]uint64{30, 25, 15, 15, 15},
			[]uint64{5, 4, 0, 0, 0},
			false,
		},
		"one list has all": {
			lists.Hare, func(q *count.Question) { q.Params.Threshold = charter.Fraction{Num: 1, Den: 3} }, 10,
			[]uint64{40, 30, 30},
			[]uint64{10, 0, 0},
			false,
		},
	} {
		q, ballots := question(x.seats, x.votes...)
		if x.change != nil {
			x.change(&q)
		}
		r, err := count.Count(x.method, q, ballots)
		outcome := count.Rejected
		if slices.Max(x.want) > 0 {
			outcome = count.Elected
		}
		if err != nil || !slices.Equal(seatsOf(r), x.want) || r.Tied != x.tied || r.Outcome != outcome {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}

// Every seat is told with its quotient, and what the next one would have taken.
func TestTold(t *testing.T) {
	q, ballots := question(8, 100_000, 80_000, 30_000, 20_000)
	r, err := count.Count(lists.DHondt, q, ballots)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range r.Rounds[1].Facts {
		got = append(got, f.Name+": "+f.Value)
	}
	if want := []string{
		"seat 1: A, 100000", "seat 2: B, 80000", "seat 3: A, 50000", "seat 4: B, 40000", "seat 5: A, 100000/3", "seat 6: C, 30000",
		"seat 7: B, 80000/3", "seat 8: A, 25000", "lowest quotient with a seat: 25000", "highest quotient without a seat: 20000",
	}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if l := r.Rounds[1].Lines[2]; l.Value != "15000" || l.State != count.StateElected {
		t.Errorf("%+v", l)
	}
}

func TestRefused(t *testing.T) {
	one := []count.List{{{Name: "x", Group: "g"}}, {{Name: "y"}}}
	for name, p := range map[string]count.Params{
		"threshold over 1":       {Threshold: charter.Fraction{Num: 3, Den: 2}},
		"threshold of nothing":   {Threshold: charter.Fraction{Num: 3}},
		"base":                   {Base: "valid"},
		"another's":              {Top: 5},
		"candidates of one list": {Lists: one[:1]},
		"one candidate twice":    {Lists: []count.List{{{Name: "x"}}, {{Name: "x"}}}},
		"no name":                {Lists: []count.List{{{}}, nil}},
		"hidden":                 {Lists: []count.List{{{Name: "a\u202eb"}}, nil}},
		"long":                   {Lists: []count.List{{{Name: strings.Repeat("x", 121)}}, nil}},
		"group":                  {Lists: []count.List{{{Name: "a", Group: "\n"}}, nil}},
		"balance of none":        {Balance: []count.Balance{{Group: "g", Share: charter.Fraction{Num: 1, Den: 2}}}},
		"no such group":          {Lists: one, Balance: []count.Balance{{Group: "h", Share: charter.Fraction{Num: 1, Den: 2}}}},
		"no group":               {Lists: one, Balance: []count.Balance{{Share: charter.Fraction{Num: 1, Den: 2}}}},
		"no share":               {Lists: one, Balance: []count.Balance{{Group: "g", Share: charter.Fraction{Den: 2}}}},
		"more than all":          {Lists: one, Balance: []count.Balance{{Group: "g", Share: charter.Fraction{Num: 3, Den: 2}}}},
		"a group twice":          {Lists: one, Balance: slices.Repeat([]count.Balance{{Group: "g", Share: charter.Fraction{Num: 1, Den: 2}}}, 2)},
	} {
		q, _ := question(1, 1, 1)
		q.Params = p
		if lists.Hare.Check(q) == nil {
			t.Errorf("takes %s", name)
		}
	}
	q, _ := question(1<<20+1, 1, 1)
	if lists.DHondt.Check(q) == nil || lists.Method("imperiali").Check(count.Question{}) == nil {
		t.Error("takes too many seats, or a method that there is not")
	}
	q, _ = question(1, 1, 1)
	if q.Params.Base = count.BaseAll; lists.DHondt.Check(q) == nil || lists.Hare.Check(q) != nil {
		t.Error("a divisor method has no quota")
	}
	var many count.List
	var groups []count.Balance
	for i := range 10_001 {
		many = append(many, count.Candidate{Name: fmt.Sprint(i), Group: string(rune('a' + i%26))})
	}
	for i := range 17 {
		groups = append(groups, count.Balance{Group: string(rune('a' + i)), Share: charter.Fraction{Num: 1, Den: 99}})
	}
	q.Params = count.Params{Lists: []count.List{many[:9_999], {{Name: "x"}}}, Balance: groups[:16]}
	if err := lists.Hare.Check(q); err != nil {
		t.Error(err)
	}
	if q.Params.Balance = groups; lists.Hare.Check(q) == nil {
		t.Error("takes 17 groups")
	}
	if q.Params = (count.Params{Lists: []count.List{many, nil}}); lists.Hare.Check(q) == nil {
		t.Error("takes 10,001 candidates")
	}
	if _, err := lists.Hare.Options([]string{"a", "a"}); err == nil {
		t.Error("takes a list twice")
	}
}
