package secret

import (
	"fmt"
	"slices"
	"testing"
)

// matrixOf are the bits of a ranking's ballot as a matrix: who is above whom.
func matrixOf(options int, bits []int64) [][]int64 {
	m := make([][]int64, options)
	for i := range m {
		m[i] = make([]int64, options)
	}
	for a := range options {
		for b := a + 1; b < options; b++ {
			m[a][b], m[b][a] = bits[0], bits[1]
			bits = bits[2:]
		}
	}
	return m
}

// weak tells whether a matrix of bits is a weak order: of two at most one is above
// the other, and for all a, b, c p_ab + p_bc − p_ac is 0 or 1.
func weak(m [][]int64) bool {
	for a := range m {
		for b := range m {
			if a != b && m[a][b]+m[b][a] > 1 {
				return false
			}
			for c := range m {
				if a != b && b != c && a != c {
					if x := m[a][b] + m[b][c] - m[a][c]; x < 0 || x > 1 {
						return false
					}
				}
			}
		}
	}
	return true
}

// holds tells whether all statements hold for the numbers.
func (l *layout) holds(numbers []int64) bool {
	_, lies := (&poll{Election: &Election{layout: l}}).claims(numbers, 0)
	return lies == 0
}

// TestRankingsAreTheWeakOrders: of all patterns of bits, those that pass with some
// ranks are the weak orders and no others: 3, 13 and 75 of 2, 3 and 4 options.
func TestRankingsAreTheWeakOrders(t *testing.T) {
	for options, want := range map[int]int{2: 3, 3: 13, 4: 75} {
		l, err := newLayout(Shape{Ranking, 0}, options)
		if err != nil {
			t.Fatal(err)
		}
		// What passes: each list of ranks leaves one pattern. Only differences of
		// ranks are proven, and none above options−1.
		passed := map[string]bool{}
		ranks := make([]int64, options)
		var each func(i int)
		each = func(i int) {
			if i < options {
				for ranks[i] = int64(1 - options); ranks[i] < int64(options); ranks[i]++ {
					each(i + 1)
				}
				return
			}
			var bits []int64
			for a := range options {
				for b := a + 1; b < options; b++ {
					bits = append(bits, bit(ranks[a] < ranks[b]), bit(ranks[b] < ranks[a]))
				}
			}
			if l.holds(slices.Concat(ranks, bits)) {
				passed[fmt.Sprint(bits)] = true
			}
		}
		each(1) // the first has rank 0
		n := options * (options - 1)
		orders := 0
		for pattern := range 1 << n {
			bits := make([]int64, n)
			for i := range bits {
				bits[i] = int64(pattern >> i & 1)
			}
			is := weak(matrixOf(options, bits))
			orders += int(bit(is))
			if is != passed[fmt.Sprint(bits)] {
				t.Errorf("%d options: %v is a weak order: %v; passes: %v", options, bits, is, passed[fmt.Sprint(bits)])
			}
		}
		if orders != want || len(passed) != want {
			t.Errorf("%d options: %d weak orders, %d pass, must be %d", options, orders, len(passed), want)
		}
	}
}

// TestBitsAreNotFree: given the ranks, no other bits pass.
func TestBitsAreNotFree(t *testing.T) {
	l, err := newLayout(Shape{Ranking, 0}, 3)
	if err != nil {
		t.Fatal(err)
	}
	for pattern := range 1 << 6 {
		numbers := []int64{0, 1, 1}
		for i := range 6 {
			numbers = append(numbers, int64(pattern>>i&1))
		}
		if passes := l.holds(numbers); passes != slices.Equal(numbers[3:], []int64{1, 0, 1, 0, 0, 0}) {
			t.Errorf("%v passes: %v", numbers, passes)
		}
	}
}

func TestRanksAreDense(t *testing.T) {
	for in, want := range map[[4]uint8][]uint8{
		{1, 2, 3, 4}: {1, 2, 3, 4}, {0, 0, 0, 0}: {1, 1, 1, 1}, {9, 0, 9, 3}: {2, 3, 2, 1}, {255, 0, 1, 1}: {2, 3, 1, 1},
	} {
		if got := dense(in[:]); !slices.Equal(got, want) {
			t.Errorf("%v is %v", in, got)
		}
	}
}
