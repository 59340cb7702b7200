package count_test

import (
	"slices"
	"testing"

	"github.com/metastate-p2p/metastate/protocol/decision/count"
)

func TestPiles(t *testing.T) {
	q := count.Question{Options: []string{"a", "b", "c", "d"}, Withdrawn: []bool{false, true, false, false}}
	p := count.NewPiles(q, []count.Ballot{
		{Marks: count.Marks{1, 2, 3, 4}, N: 5},
		{Marks: count.Marks{2, 1, 0, 0}, N: 3}, // for b, who withdrew
		{Marks: count.Marks{0, 1, 0, 0}, N: 7}, // for nobody else
		{Marks: count.Marks{0, 0, 0, 0}, N: 2},
		{Marks: count.Marks{0, 0, 2, 1}, N: 0},
	})
	if first := p.First(); !slices.Equal(first, []uint64{8, 0, 0, 0}) {
		t.Fatalf("first preferences: %v", first)
	}
	moved := map[int]uint64{}
	p.Pass(0, []bool{false, true, false, true}, func(paper, to int) { moved[to] += p.N[paper] })
	if len(moved) != 2 || moved[3] != 5 || moved[-1] != 3 || !slices.Equal(p.First(), []uint64{0, 0, 0, 5}) {
		t.Errorf("passed on: %v", moved)
	}
	p.Pass(3, []bool{true, true, true, false}, func(paper, to int) { moved[to] += p.N[paper] })
	if moved[-1] != 8 {
		t.Errorf("a ballot does not go back: %v", moved)
	}
}

func TestApart(t *testing.T) {
	stages := [][]uint64{{5, 4, 3, 9}, {6, 6, 3, 9}, {7, 7, 7, 9}}
	for _, x := range []struct {
		tied   []int
		fewest bool
		want   int
	}{
		{[]int{0, 1, 2}, true, 2},  // alone with 3 in the second
		{[]int{0, 1, 2}, false, 0}, // two have 6 there, so the first decides
		{[]int{1, 0}, false, 0},
		{[]int{1, 0}, true, 1},
		{[]int{2}, true, 2},
	} {
		if got := count.Apart(stages, x.tied, x.fewest); got != x.want {
			t.Errorf("%v, fewest %v: %d, want %d", x.tied, x.fewest, got, x.want)
		}
	}
	if got := count.Apart(stages[2:], []int{0, 1, 2}, true); got != -1 {
		t.Errorf("equal in all stages, but it is %d", got)
	}
}

func TestExtreme(t *testing.T) {
	q := count.Question{Order: []int{3, 2, 1, 0}}
	votes := []uint64{5, 1, 5, 1}
	for _, x := range []struct {
		of     []bool
		fewest bool
		want   []int
	}{
		{[]bool{true, true, true, true}, false, []int{2, 0}},
		{[]bool{true, true, true, true}, true, []int{3, 1}},
		{[]bool{true, true, false, false}, true, []int{1}},
		{make([]bool, 4), true, nil},
	} {
		if got := q.Extreme(votes, x.of, x.fewest); !slices.Equal(got, x.want) {
			t.Errorf("of %v, fewest %v: %v, want %v", x.of, x.fewest, got, x.want)
		}
	}
}
