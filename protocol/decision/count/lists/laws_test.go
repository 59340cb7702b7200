package lists_test

import (
	"fmt"
	"math/big"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/metastate-p2p/metastate/protocol/charter"
	"github.com/metastate-p2p/metastate/protocol/decision/count"
	"github.com/metastate-p2p/metastate/protocol/decision/count/counttest"
	"github.com/metastate-p2p/metastate/protocol/decision/count/lists"
)

// draw is any question, with ballots.
func draw(t *rapid.T) (count.Question, []count.Ballot) {
	q := counttest.Question(t, 7, 20)
	var ballots []count.Ballot
	for i := range q.Options {
		marks := make(count.Marks, len(q.Options))
		marks[i] = 1
		ballots = append(ballots, count.Ballot{Marks: marks, N: rapid.Uint64Range(0, 30).Draw(t, "votes")})
	}
	if rapid.Bool().Draw(t, "threshold") {
		q.Params.Threshold = charter.Fraction{Num: rapid.Uint64Range(0, 4).Draw(t, "num"), Den: 20}
	}
	return q, ballots
}

func TestLaws(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := rapid.SampledFrom(all).Draw(rt, "method")
		q, ballots := draw(rt)
		q.Open = rapid.Bool().Draw(rt, "open")
		if m == lists.Hare || m == lists.Droop {
			q.Params.Base = rapid.SampledFrom([]string{"", count.BaseAll, count.BaseSeated}).Draw(rt, "base")
		}
		counttest.Laws(rt, t, m, q, ballots)
		r := counttest.Must(t, m, q, ballots)
		var given uint64
		for i, s := range r.Seats {
			given += s.N
			for k, other := range r.Seats {
				if r.Votes[i].N > r.Votes[k].N && s.N < other.N {
					rt.Fatalf("%s has more votes and fewer seats than %s: %+v", s.Name, other.Name, r)
				}
			}
		}
		switch {
		case r.Outcome != count.Elected && given > 0, given > q.Seats:
			rt.Fatalf("%d seats of %d: %+v", given, q.Seats, r)
		case r.Outcome == count.Elected && given != q.Seats && !(q.Open && r.Tied):
			rt.Fatalf("%d seats of %d: %+v", given, q.Seats, r)
		}
	})
}

// With another seat no list has fewer by a divisor method (house monotonicity),
// and its seats are those of the highest of all quotients.
func TestDivisors(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := rapid.SampledFrom(all[:2]).Draw(rt, "method")
		q, ballots := draw(rt)
		r := counttest.Must(t, m, q, ballots)
		q.Seats++
		more := counttest.Must(t, m, q, ballots)
		q.Seats--
		for i, s := range r.Seats {
			if s.N > more.Seats[i].N {
				rt.Fatalf("%+v has fewer of %d seats: %+v", s, q.Seats+1, more.Seats)
			}
		}
		if want := highest(m, q, r.Votes); r.Outcome == count.Elected && !slices.Equal(seatsOf(r), want) {
			rt.Fatalf("%v are the highest quotients, not %v", want, r.Seats)
		}
	})
}

// highest counts in another way: all quotients, sorted.
func highest(m lists.Method, q count.Question, votes []count.Option) []uint64 {
	type quotient struct {
		list int
		n    *big.Rat
	}
	var all []quotient
	var valid uint64
	for _, v := range votes {
		valid += v.N
	}
	for _, i := range q.Order {
		if th := q.Params.Threshold; votes[i].N == 0 || th.Den > 0 && votes[i].N*th.Den < th.Num*valid {
			continue
		}
		for s := range int64(q.Seats) {
			d := s + 1
			if m == lists.SainteLague {
				d = 2*s + 1
			}
			all = append(all, quotient{i, big.NewRat(int64(votes[i].N), d)})
		}
	}
	slices.SortStableFunc(all, func(a, b quotient) int { return b.n.Cmp(a.n) })
	seats := make([]uint64, len(votes))
	for _, x := range all[:min(int(q.Seats), len(all))] {
		seats[x.list]++
	}
	return seats
}

// By largest remainders without a threshold a list has its share of the seats,
// rounded down or up (the quota rule); by Droop's quota no less than the quotas.
func TestQuotaRule(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		q, ballots := draw(rt)
		q.Params.Threshold = charter.Fraction{}
		r := counttest.Must(t, lists.Hare, q, ballots)
		var valid uint64
		for _, v := range r.Votes {
			valid += v.N
		}
		if valid == 0 {
			return
		}
		for i, s := range r.Seats {
			if exact := r.Votes[i].N * q.Seats; s.N*valid+valid <= exact || s.N*valid >= exact+valid {
				rt.Fatalf("%+v of %d for %d of %d votes", s, q.Seats, r.Votes[i].N, valid)
			}
		}
		r = counttest.Must(t, lists.Droop, q, ballots)
		for i, s := range r.Seats {
			if n := r.Votes[i].N / (valid/(q.Seats+1) + 1); s.N < n {
				rt.Fatalf("%+v has %d quotas", s, n)
			}
		}
	})
}

// Who is elected of a list: as many as it has seats, of each group its part
// wherever the list has any way to it.
func TestBalance(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var list count.List
		has := map[string]uint64{}
		for i, g := range rapid.SliceOfN(rapid.SampledFrom([]string{"", "m", "w"}), 1, 8).Draw(rt, "groups") {
			list = append(list, count.Candidate{Name: fmt.Sprint(i), Group: g})
			has[g]++
		}
		q, ballots := question(uint64(rapid.IntRange(1, len(list)).Draw(rt, "seats")), 1)
		q.Params.Lists = []count.List{list}
		share := charter.Fraction{Num: rapid.Uint64Range(1, 5).Draw(rt, "num"), Den: 5}
		group := rapid.SampledFrom([]string{"m", "w"}).Draw(rt, "group")
		if has[group] == 0 {
			return
		}
		q.Params.Balance = []count.Balance{{Group: group, Share: share}}
		r := counttest.Must(t, lists.DHondt, q, ballots)
		var n uint64
		for _, c := range list {
			if slices.Contains(r.Winners, c.Name) && c.Group == group {
				n++
			}
		}
		if n < min(share.Needs(q.Seats), has[group]) || uint64(len(r.Winners)) != q.Seats {
			rt.Fatalf("%v of %v with %s of %s", r.Winners, list, share, group)
		}
	})
}
