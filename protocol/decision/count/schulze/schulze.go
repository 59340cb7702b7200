// Package schulze counts rankings by the method of Markus Schulze, with the
// quorum, the majorities and the default option of Debian's constitution, A.6.
//
// Each two options are compared: one defeats the other if more voters prefer it
// than prefer the other. If no option defeats all others, chains of defeats
// decide: a chain is as strong as its weakest defeat, and an option wins to which
// no other has a stronger chain than it has back. The winner needs only the
// matrix of who is preferred to whom, so that a secret poll reveals no more
// ([FromMatrix]).
package schulze

import (
	"cmp"
	"errors"
	"fmt"
	"math/bits"
	"slices"

	"github.com/metastate-p2p/metastate/protocol/charter"
	"github.com/metastate-p2p/metastate/protocol/decision/count"
)

// Method elects one option by rankings.
type Method struct{}

// Options are those that the proposal lists, at least one, each once.
func (Method) Options(given []string) ([]string, error) {
	return count.Names(given, 1, count.MarksOfRanking)
}

// Check takes one seat, and the params default, majority and quorum. The latter
// two need a default.
func (Method) Check(q count.Question) error {
	if q.Seats > 1 {
		return errors.New("this method elects one option: set one seat, or take scottish-stv or meek-stv to elect several")
	}
	p := q.Params
	p.Default, p.Majority, p.Quorum = "", nil, 0
	if !p.IsZero() {
		return errors.New("this method takes no params but default, majority and quorum")
	}
	if p = q.Params; p.Default == "" {
		if len(p.Majority) > 0 || p.Quorum > 0 {
			return errors.New("a majority or a quorum is against the default option: name the default too")
		}
		return nil
	}
	if i := slices.Index(q.Options, p.Default); i < 0 || q.Out(i) {
		return fmt.Errorf("the default %.40q is none of the options", p.Default)
	}
	for i, m := range p.Majority {
		switch {
		case !slices.Contains(q.Options, m.Option) || m.Option == p.Default:
			return fmt.Errorf("a majority is set for %.40q, which is the default or none of the options", m.Option)
		case i > 0 && p.Majority[i-1].Option >= m.Option:
			return errors.New("majorities stand by rising option, each option once")
		case m.Ratio.Num == 0 || m.Ratio.Den == 0:
			return fmt.Errorf("the majority for %.40q has a zero: write it as 3:1", m.Option)
		}
	}
	return nil
}

// Form is a ranking with equal ranks. Options left out are last together.
func (Method) Form(count.Question) count.Form { return count.Ranking{} }

// Count compares the options and elects from the matrix.
func (Method) Count(q count.Question, ballots []count.Ballot) count.Result {
	return FromMatrix(q, Matrix(len(q.Options), ballots))
}

// Matrix is how many voters prefer option i, by the row, to option j.
func Matrix(n int, ballots []count.Ballot) [][]uint64 {
	flat := make([]uint64, n*n)
	rank := make([]uint8, n)
	for _, b := range ballots {
		for i, m := range b.Marks {
			rank[i] = m - 1 // an option without a mark is after all others
		}
		for i, ri := range rank {
			row := flat[i*n : i*n+n]
			for j, rj := range rank {
				var prefers uint64
				if ri < rj {
					prefers = b.N
				}
				row[j] += prefers
			}
		}
	}
	rows := make([][]uint64, n)
	for i := range rows {
		rows[i] = flat[i*n : i*n+n : i*n+n]
	}
	return rows
}

// FromMatrix elects by how many voters prefer option i, by the row, to option j.
// The question is one that Check accepts, the matrix a square of its options.
func FromMatrix(q count.Question, matrix [][]uint64) count.Result {
	c := &contest{q: q, n: matrix}
	r := count.Result{Outcome: count.Rejected, Matrix: matrix, Votes: c.defeats()}
	r.Rounds = append(r.Rounds, c.compared(r.Votes))
	if !q.Quorate() {
		r.Rounds = append(r.Rounds, count.TooFew())
		return r
	}
	c.drop(&r)
	if len(c.left) == 0 || q.Params.Default == "" && c.silent() {
		r.Rounds = append(r.Rounds, count.Say("Nobody prefers any option to another: nobody is elected."))
		return r
	}
	c.connect()
	best := c.best()
	r.Tied = len(best) > 1
	if r.Tied && q.Open {
		r.Rounds = append(r.Rounds, c.open(best, r.Votes))
		return r
	}
	winner := best[0]
	r.Winners = []string{q.Options[winner]}
	r.Rounds = append(r.Rounds, c.won(best, r.Votes))
	if q.Options[winner] != q.Params.Default {
		r.Outcome = count.Elected
	}
	return r
}

// contest is the state of a count.
type contest struct {
	q    count.Question
	n    [][]uint64 // who is preferred to whom
	left []int      // options that are neither withdrawn nor dropped
	path [][]link   // the strongest chain from the row to the column
}

// A link is how strong a chain of defeats is, which is its weakest defeat, and
// where it goes first. The zero link is no chain.
type link struct {
	yes, no uint64 // voters of the weakest defeat, and those against
	via     int    // the option that the chain's first defeat is of
}

// stronger reports whether a defeat has more voters for it, or as many and fewer
// against it.
func (l link) stronger(m link) bool {
	return l.yes > m.yes || l.yes == m.yes && l.yes > 0 && l.no < m.no
}

func (c *contest) beats(i, j int) bool { return c.n[i][j] > c.n[j][i] }

// defeats is how many options each defeats.
func (c *contest) defeats() []count.Option {
	out := make([]count.Option, len(c.q.Options))
	for i, name := range c.q.Options {
		out[i].Name = name
		for j := range c.q.Options {
			if !c.q.Out(i) && !c.q.Out(j) && c.beats(i, j) {
				out[i].N++
			}
		}
	}
	return out
}

// silent reports whether nobody prefers anything.
func (c *contest) silent() bool {
	for _, row := range c.n {
		if slices.Max(row) > 0 {
			return false
		}
	}
	return true
}

// drop leaves out the options that were withdrawn, then those that miss the
// quorum or their majority.
func (c *contest) drop(r *count.Result) {
	against := slices.Index(c.q.Options, c.q.Params.Default)
	round := count.Round{}
	for i, name := range c.q.Options {
		if c.q.Out(i) {
			continue
		}
		if why := c.missing(i, against); why != "" {
			r.Dropped = append(r.Dropped, name)
			round.Text += fmt.Sprintf("%s is dropped: %s. ", name, why)
			continue
		}
		c.left = append(c.left, i)
	}
	if against < 0 {
		return
	}
	if round.Text == "" {
		round.Text = fmt.Sprintf("Each option has its quorum and majority against %s. ", c.q.Params.Default)
	}
	round.Text = round.Text[:len(round.Text)-1]
	round.Lines = c.lines(r.Votes, -1)
	r.Rounds = append(r.Rounds, round)
}

// missing says what an option lacks against the default (Debian's constitution,
// A.6.2 and A.6.3).
func (c *contest) missing(i, against int) string {
	if against < 0 || i == against {
		return ""
	}
	yes, no, name := c.n[i][against], c.n[against][i], c.q.Params.Default
	if yes < c.q.Params.Quorum {
		return fmt.Sprintf("%d prefer it to %s, and the quorum is %d", yes, name, c.q.Params.Quorum)
	}
	ratio := charter.Fraction{Num: 1, Den: 1}
	for _, m := range c.q.Params.Majority {
		if m.Option == c.q.Options[i] {
			ratio = m.Ratio
		}
	}
	fh, fl := bits.Mul64(yes, ratio.Den)
	nh, nl := bits.Mul64(no, ratio.Num)
	if yes <= no || cmp.Or(cmp.Compare(fh, nh), cmp.Compare(fl, nl)) < 0 {
		return fmt.Sprintf("%d prefer it to %s and %d the other way round, which is no majority of %d:%d", yes, name, no, ratio.Num, ratio.Den)
	}
	return ""
}

// connect finds the strongest chain between each two options that are left.
func (c *contest) connect() {
	c.path = make([][]link, len(c.n))
	for _, i := range c.left {
		c.path[i] = make([]link, len(c.n))
		for _, j := range c.left {
			if c.beats(i, j) {
				c.path[i][j] = link{c.n[i][j], c.n[j][i], j}
			}
		}
	}
	for _, k := range c.left {
		for _, i := range c.left {
			first := c.path[i][k]
			if i == k || first.yes == 0 {
				continue
			}
			for _, j := range c.left {
				chain := c.path[k][j]
				if chain.stronger(first) {
					chain = first
				}
				if chain.via = first.via; i != j && chain.stronger(c.path[i][j]) {
					c.path[i][j] = chain
				}
			}
		}
	}
}

// best are the options to which none has a stronger chain than they have back,
// by the order for ties.
func (c *contest) best() []int {
	var best []int
	for _, i := range c.q.Order {
		if slices.Contains(c.left, i) && !slices.ContainsFunc(c.left, func(j int) bool { return c.path[j][i].stronger(c.path[i][j]) }) {
			best = append(best, i)
		}
	}
	return best
}
