package secret

import (
	"fmt"
	"slices"
)

// normal refuses marks that the shape does not allow, and gives equal ballots
// equal marks: in a ranking every option has its rank, without gaps.
func (l *layout) normal(marks []uint8) ([]uint8, error) {
	if len(marks) != l.options {
		return nil, fmt.Errorf("%d marks for %d options", len(marks), l.options)
	}
	if l.shape.Kind == Ranking {
		return dense(marks), nil
	}
	var sum, squares uint64
	for _, m := range marks {
		if uint64(m) > l.top {
			return nil, fmt.Errorf("a mark of %d, the highest is %d", m, l.top)
		}
		sum += uint64(m)
		squares += uint64(m) * uint64(m)
	}
	if l.shape.Kind == One && sum != 1 {
		return nil, fmt.Errorf("%d options are marked, it must be one", sum)
	}
	if l.shape.Kind == Quadratic && squares > l.shape.Top {
		return nil, fmt.Errorf("the votes cost %d credits, there are %d", squares, l.shape.Top)
	}
	return slices.Clone(marks), nil
}

// dense gives ranks from 1 without gaps; what has none comes last.
func dense(marks []uint8) []uint8 {
	ranks := make([]int, len(marks))
	for i, m := range marks {
		if ranks[i] = int(m); m == 0 {
			ranks[i] = 256
		}
	}
	all := slices.Clone(ranks)
	slices.Sort(all)
	all = slices.Compact(all)
	out := make([]uint8, len(marks))
	for i, r := range ranks {
		at, _ := slices.BinarySearch(all, r)
		out[i] = uint8(at + 1)
	}
	return out
}

// numbers are what the ciphertexts encrypt for normal marks.
func (l *layout) numbers(marks []uint8) []uint64 {
	out := make([]uint64, 0, l.ciphertexts)
	switch l.shape.Kind {
	case Quadratic:
		left := l.shape.Top
		for _, m := range marks {
			square := uint64(m) * uint64(m)
			out, left = append(out, uint64(m), square), left-square
		}
		for len(out) < l.ciphertexts {
			out, left = append(out, left&1), left>>1
		}
	case Ranking:
		for _, m := range marks {
			out = append(out, uint64(m)-1)
		}
		for a := range marks {
			for b := a + 1; b < len(marks); b++ {
				out = append(out, uint64(bit(marks[a] < marks[b])), uint64(bit(marks[b] < marks[a])))
			}
		}
	default:
		for _, m := range marks {
			out = append(out, uint64(m))
		}
	}
	return out
}

// marked are where the marks stand among the ciphertexts, how high each can be,
// and what is added to it.
func (l *layout) marked() (at []int, top uint64, add uint8) {
	if l.shape.Kind == Ranking {
		for i := range l.options {
			at = append(at, i)
		}
		return at, uint64(l.options) - 1, 1
	}
	return l.opened, l.top, 0
}
