// Package counttest has what tests of counting methods share: random elections,
// and laws that hold for every method.
package counttest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/metastate-p2p/metastate/protocol/decision/count"
)

// Question draws a question of up to so many options and seats, any of which
// may be withdrawn, with any order for ties.
func Question(t *rapid.T, options, seats int) count.Question {
	n := rapid.IntRange(1, options).Draw(t, "options")
	q := count.Question{
		Seats: uint64(rapid.IntRange(1, seats).Draw(t, "seats")),
		Order: rapid.Permutation(count.AsListed(n)).Draw(t, "order"),
	}
	for i := range n {
		q.Options = append(q.Options, fmt.Sprintf("o%02d", i))
	}
	if rapid.IntRange(0, 3).Draw(t, "some withdrawn") == 0 {
		q.Withdrawn = rapid.SliceOfN(rapid.Bool(), n, n).Draw(t, "withdrawn")
	}
	return q
}

// Rankings draws ballots that rank any of n options, some of them many times.
func Rankings(t *rapid.T, n int, strict bool) []count.Ballot {
	different := rapid.IntRange(0, 12).Draw(t, "different")
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) count.Ballot {
		order := rapid.Permutation(count.AsListed(n)).Draw(t, "preferences")
		m, rank := make(count.Marks, n), uint8(0)
		for i, o := range order[:rapid.IntRange(0, n).Draw(t, "ranked")] {
			if strict || i == 0 || rapid.IntRange(0, 2).Draw(t, "equal") > 0 {
				rank++
			}
			m[o] = rank
		}
		return count.Ballot{Marks: m, N: uint64(rapid.IntRange(1, 9).Draw(t, "n"))}
	}), different, different).Draw(t, "ballots")
}

// Must counts, and fails the test if the method refuses.
func Must(t testing.TB, m count.Method, q count.Question, ballots []count.Ballot) count.Result {
	t.Helper()
	for _, b := range ballots {
		q.Cast += b.N
	}
	q.Electorate = q.Cast
	r, err := count.Count(m, q, ballots)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Laws are what holds for every method: the order of ballots and whether equal
// ones come as one change nothing at all, names change names, and the order in
// which options are listed changes nobody's winning.
func Laws(t *rapid.T, tb testing.TB, m count.Method, q count.Question, ballots []count.Ballot) {
	r := Must(tb, m, q, ballots)
	shuffled := rapid.Permutation(ballots).Draw(t, "order of ballots")
	if again := Must(tb, m, q, shuffled); !reflect.DeepEqual(r, again) {
		t.Fatalf("another order of ballots: %+v\n%+v", r, again)
	}
	var split []count.Ballot
	for _, b := range shuffled {
		for range b.N {
			split = append(split, count.Ballot{Marks: slices.Clone(b.Marks), N: 1})
		}
	}
	if again := Must(tb, m, q, split); !reflect.DeepEqual(r, again) {
		t.Fatalf("ballots one by one: %+v\n%+v", r, again)
	}
	listed(t, tb, m, q, ballots, r)
}

// listed counts the same question with its options listed in another order and
// under other names.
func listed(t *rapid.T, tb testing.TB, m count.Method, q count.Question, ballots []count.Ballot, r count.Result) {
	at := rapid.Permutation(count.AsListed(len(q.Options))).Draw(t, "listed") // where each option goes
	other := q
	other.Options, other.Order = make([]string, len(at)), make([]int, len(at))
	if q.Withdrawn != nil {
		other.Withdrawn = make([]bool, len(at))
	}
	name := map[string]string{}
	for i, o := range q.Options {
		other.Options[at[i]], name["new "+o] = "new "+o, o
		if q.Withdrawn != nil {
			other.Withdrawn[at[i]] = q.Withdrawn[i]
		}
	}
	for i, o := range q.Order {
		other.Order[i] = at[o]
	}
	var marked []count.Ballot
	for _, b := range ballots {
		marks := make(count.Marks, len(at))
		for i, v := range b.Marks {
			marks[at[i]] = v
		}
		marked = append(marked, count.Ballot{Marks: marks, N: b.N})
	}
	again := Must(tb, m, other, marked)
	was, is := map[string]bool{}, map[string]bool{}
	for _, w := range r.Winners {
		was[w] = true
	}
	for _, w := range again.Winners {
		is[name[w]] = true
	}
	if !maps.Equal(was, is) || r.Outcome != again.Outcome || r.Tied != again.Tied {
		t.Fatalf("listed otherwise: %v instead of %v", again.Winners, r.Winners)
	}
}

// Million counts a million ballots that rank 20 options: all of them, so that
// nearly all ballots differ, or the first few, in any number from 1 to 6.
func Million(b *testing.B, m count.Method, seats uint64) {
	const n = 20
	q := count.Question{Seats: seats, Order: count.AsListed(n)}
	for i := range n {
		q.Options = append(q.Options, fmt.Sprintf("o%02d", i))
	}
	for _, x := range []struct {
		name string
		most int
	}{{"distinct", n}, {"truncated", 6}} {
		b.Run(x.name, func(b *testing.B) {
			random := rand.New(rand.NewPCG(1, 2))
			ballots := make([]count.Ballot, 1_000_000)
			for i := range ballots {
				marks, ranked := make(count.Marks, n), n
				if x.most < n {
					ranked = 1 + random.IntN(x.most)
				}
				for r := range ranked {
					o := min(random.IntN(n), random.IntN(n)) // some are liked better
					for marks[o] != 0 {
						o = (o + 1) % n
					}
					marks[o] = uint8(r + 1)
				}
				ballots[i] = count.Ballot{Marks: marks, N: 1}
			}
			for b.Loop() {
				Must(b, m, q, ballots)
			}
		})
	}
}
