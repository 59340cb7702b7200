package secret

import (
	"fmt"
	"math/bits"
)

// Bounds of elections.
const (
	MaxOptions = 64       // to choose from
	MaxRanked  = 8        // to rank
	MaxScore   = 10       // that an option can get
	MaxCredits = 10_000   // of each voter
	MaxBallot  = 48 << 10 // bytes
	MaxTotal   = 1 << 32  // that can be opened: of one option, over all ballots
)

// A Kind is what a ballot marks.
type Kind string

// Kinds of ballots.
const (
	One       Kind = "one"       // 1 for one option, 0 for the others
	Approvals Kind = "approvals" // 0 or 1 for each
	Scores    Kind = "scores"    // 0 to Top for each
	Quadratic Kind = "quadratic" // votes, whose squares are at most Top together
	Ranking   Kind = "ranking"   // a rank for each, equal ones allowed, 0 below all others
)

// A Shape is what a ballot may say.
type Shape struct {
	Kind Kind
	Top  uint64 // of Scores, the highest; of Quadratic, the credits; else 0
}

// A statement says that the sums of ciphertexts are one of the lists.
type statement struct {
	of    [][]term // for each number of a list
	lists [][]int64
}

// A term is a ciphertext of the ballot, some times.
type term struct {
	at    int
	times int64
}

// A layout is a shape for a number of options.
type layout struct {
	options     int
	shape       Shape
	ciphertexts int
	statements  []statement
	opened      []int // which ciphertexts are summed up and opened
	top         uint64
}

// Check refuses shapes of which there are no ballots for so many options, and says
// what to change.
func (s Shape) Check(options int) error {
	_, err := newLayout(s, options)
	return err
}

func newLayout(s Shape, options int) (*layout, error) {
	l := &layout{options: options, shape: s, top: 1}
	least, most := 1, MaxOptions
	if s.Kind == Ranking {
		least, most = 2, MaxRanked
	}
	if options < least || options > most {
		return nil, fmt.Errorf("%d options, a secret ballot of this kind has from %d to %d", options, least, most)
	}
	if topped := s.Kind == Scores || s.Kind == Quadratic; !topped && s.Top != 0 {
		return nil, fmt.Errorf("ballots of the kind %q have no top", s.Kind)
	}
	switch s.Kind {
	case One:
		l.one()
	case Approvals:
		l.each(1)
	case Scores:
		if s.Top < 1 || s.Top > MaxScore {
			return nil, fmt.Errorf("a highest score of %d, secret ballots have from 1 to %d", s.Top, MaxScore)
		}
		l.top = s.Top
		l.each(int64(s.Top))
	case Quadratic:
		if s.Top < 1 || s.Top > MaxCredits {
			return nil, fmt.Errorf("%d credits, secret ballots have from 1 to %d", s.Top, MaxCredits)
		}
		l.quadratic()
	case Ranking:
		l.ranking()
	default:
		return nil, fmt.Errorf("no kind of secret ballot is called %.20q", s.Kind)
	}
	if n := l.size(); n > MaxBallot {
		return nil, fmt.Errorf("a ballot would have %d bytes, more than %d: take fewer options, or a lower top", n, MaxBallot)
	}
	return l, nil
}

// branches counts the lists of all statements.
func (l *layout) branches() (n int) {
	for _, s := range l.statements {
		n += len(s.lists)
	}
	return n
}

// add adds a ciphertext and returns its place.
func (l *layout) add() int { l.ciphertexts++; return l.ciphertexts - 1 }

// tally adds a ciphertext that is opened.
func (l *layout) tally() int {
	at := l.add()
	l.opened = append(l.opened, at)
	return at
}

// upTo are the lists of one number from 0 to top.
func upTo(top int64) (lists [][]int64) {
	for v := range top + 1 {
		lists = append(lists, []int64{v})
	}
	return lists
}

// one: the numbers are those of a choice of one.
func (l *layout) one() {
	var s statement
	for i := range l.options {
		s.of = append(s.of, []term{{l.tally(), 1}})
		list := make([]int64, l.options)
		list[i] = 1
		s.lists = append(s.lists, list)
	}
	l.statements = []statement{s}
}

// each: every number is from 0 to top.
func (l *layout) each(top int64) {
	for range l.options {
		l.statements = append(l.statements, statement{[][]term{{{l.tally(), 1}}}, upTo(top)})
	}
}

// quadratic: each option has its votes v and, beside them, v²; all v² and what is
// left over are the credits, what is left over being written in bits.
func (l *layout) quadratic() {
	l.top = isqrt(l.shape.Top)
	var pairs [][]int64
	for v := range int64(l.top) + 1 {
		pairs = append(pairs, []int64{v, v * v})
	}
	var spent []term
	for range l.options {
		v, square := l.tally(), l.add()
		l.statements = append(l.statements, statement{[][]term{{{v, 1}}, {{square, 1}}}, pairs})
		spent = append(spent, term{square, 1})
	}
	for i := range bits.Len64(l.shape.Top) {
		bit := l.add()
		l.statements = append(l.statements, statement{[][]term{{{bit, 1}}}, upTo(1)})
		spent = append(spent, term{bit, 1 << i})
	}
	l.statements = append(l.statements, statement{[][]term{spent}, [][]int64{{int64(l.shape.Top)}}})
}

func isqrt(n uint64) (root uint64) {
	for (root+1)*(root+1) <= n {
		root++
	}
	return root
}

// ranking: the first ciphertexts are the options' ranks, from 0. Of each pair a, b
// follow whether a is above b and whether b is above a, which are opened; with the
// difference d of their ranks they are ([d>0], [d<0], d). Differences add up, so
// who is above whom does too: it is a weak order, and every one can be said.
func (l *layout) ranking() {
	for range l.options {
		l.add()
	}
	var lists [][]int64
	for d := int64(1 - l.options); d < int64(l.options); d++ {
		lists = append(lists, []int64{bit(d > 0), bit(d < 0), d})
	}
	for a := range l.options {
		for b := a + 1; b < l.options; b++ {
			above, below := l.tally(), l.tally()
			difference := []term{{b, 1}, {a, -1}}
			l.statements = append(l.statements, statement{[][]term{{{above, 1}}, {{below, 1}}, difference}, lists})
		}
	}
}

func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
