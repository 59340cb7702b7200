// Package meekstv counts rankings by Brian Meek's single transferable vote, in
// two forms: the parametric one of the droop package with 18 digits and 9 that
// guard them, and the Reference STV Rule of the Proportional Representation
// Foundation with 9 digits.
//
// Each option has a part of every vote that it keeps; the rest passes on to the
// next on the ballot. Nobody keeps more than it needs: what an elected option
// keeps is lowered until it has the quota, and the quota is lowered with what is
// exhausted. When this has settled, whoever has fewest votes is excluded and
// keeps nothing, as if it had never stood.
package meekstv

import (
	"math/big"
	"slices"

	"github.com/metastate-p2p/metastate/protocol/decision/count"
)

// most iterations of a round. They halve the surplus, or nearly so with very many
// seats, so that no election needs as many.
const most = 10_000

// Method fills seats by transferable votes.
type Method struct {
	Reference bool // by the Foundation's rule
}

// Options are those that the proposal lists, at least one, each once.
func (Method) Options(given []string) ([]string, error) {
	return count.Names(given, 1, count.MarksOfRanking)
}

// Check takes no params.
func (Method) Check(q count.Question) error { return count.NoParams(q) }

// Form is a ranking, which may have equal ranks: these share the vote evenly.
func (Method) Form(count.Question) count.Form { return count.Ranking{} }

// Count fills the seats round by round.
func (m Method) Count(q count.Question, ballots []count.Ballot) count.Result {
	c := begin(m, q, ballots)
	r := count.Result{Outcome: count.Rejected, Votes: c.first()}
	r.Rounds = append(r.Rounds, c.round())
	switch {
	case !q.Quorate():
		r.Rounds = append(r.Rounds, count.TooFew())
		return r
	case c.root.n == 0:
		r.Rounds = append(r.Rounds, count.Say("No ballot ranks an option: nobody is elected."))
		return r
	}
	for c.vacant() > 0 && len(c.running()) > c.vacant() {
		if losers, settled := c.iterate(); len(losers) > 0 {
			c.exclude(losers)
		} else if settled {
			c.excludeLast()
		}
		r.Rounds = append(r.Rounds, c.round())
		c.forget()
	}
	c.finish()
	r.Rounds, r.Outcome, r.Tied = append(r.Rounds, c.round()), count.Elected, c.tied
	for _, i := range c.elected {
		r.Winners = append(r.Winners, q.Options[i])
	}
	return r
}

// contest is the state of a count.
type contest struct {
	*rule
	q       count.Question
	seats   int
	root    *node
	keep    []fraction // by option: what it keeps; excluded and withdrawn ones nothing
	got     []fraction // by option: votes of this distribution
	votes   []*big.Int // by option, as they are told
	hopeful []bool
	elected []int // in order
	figures
	tied     bool
	sentence string
}

// figures are votes that are no option's.
type figures struct {
	quota   *big.Int
	surplus *big.Int // of all elected, over the quota
}

func begin(m Method, q count.Question, ballots []count.Ballot) *contest {
	n := len(q.Options)
	c := &contest{
		rule: guarded(), q: q, seats: int(min(max(q.Seats, 1), uint64(n))), root: tree(q, ballots), keep: make([]fraction, n),
		votes: make([]*big.Int, n), hopeful: make([]bool, n), figures: figures{surplus: new(big.Int)},
	}
	if m.Reference {
		c.rule = reference()
	}
	for i := range q.Options {
		if c.hopeful[i] = !q.Out(i); c.hopeful[i] {
			c.keep[i] = c.whole
		}
	}
	c.distribute()
	c.limit()
	c.begun()
	return c
}

// first is on how many ballots each option is first, alone or with equal ones.
func (c *contest) first() []count.Option {
	out := make([]count.Option, len(c.q.Options))
	for i, name := range c.q.Options {
		out[i].Name = name
	}
	for _, x := range c.root.next() {
		for _, o := range x.options {
			out[o].N += x.n
		}
	}
	return out
}

func (c *contest) vacant() int { return c.seats - len(c.elected) }

// running are the hopeful options, in the order listed.
func (c *contest) running() (list []int) {
	for i, h := range c.hopeful {
		if h {
			list = append(list, i)
		}
	}
	return list
}

// distribute gives each option what it keeps of all ballots.
func (c *contest) distribute() {
	c.got = make([]fraction, len(c.votes))
	c.give(c.root, c.whole)
	for i, v := range c.got {
		c.votes[i] = v.big()
	}
}

// limit finds the quota for the votes as they are.
func (c *contest) limit() {
	sum := new(big.Int)
	for _, v := range c.votes {
		sum.Add(sum, v)
	}
	c.quota = sum.Div(sum, new(big.Int).SetUint64(max(c.q.Seats, 1)+1))
	if c.up {
		c.quota.Add(c.quota, big.NewInt(1))
	}
}

// iterate lowers what elected options keep until one more is elected, until some
// are sure to lose, or until the surplus has settled.
func (c *contest) iterate() (losers []int, settled bool) {
	last := new(big.Int).Mul(c.unit, new(big.Int).SetUint64(c.root.n))
	for k := 1; ; k++ {
		c.distribute()
		c.limit()
		now := c.reached()
		c.elect(now)
		c.surplus = new(big.Int)
		for _, i := range c.elected {
			c.surplus.Add(c.surplus, c.votes[i]).Sub(c.surplus, c.quota)
		}
		if c.surplus.Sign() < 0 { // by what was cut off
			c.surplus.SetUint64(0)
		}
		switch {
		case len(now) > 0:
			return nil, false
		case c.small(), c.cmp(c.surplus, last) >= 0, k == most:
			return nil, true
		}
		if losers = c.losers(); len(losers) > 0 {
			return losers, false
		}
		last = c.surplus
		for _, i := range c.elected {
			c.keep[i] = c.lower(c.keep[i], c.quota, c.votes[i])
		}
	}
}

// small reports whether the surplus is none.
func (c *contest) small() bool {
	if c.up {
		return c.surplus.Cmp(c.omega) < 0
	}
	return c.cmp(c.surplus, c.omega) <= 0
}

// reached are the hopeful options that have the quota, or more than it where it
// is not rounded up. There are no more of them than vacant seats, but for what
// is cut off.
func (c *contest) reached() (now []int) {
	for _, i := range c.q.Order {
		if d := c.cmp(c.votes[i], c.quota); c.hopeful[i] && (d > 0 || d == 0 && c.up) {
			now = append(now, i)
		}
	}
	slices.SortStableFunc(now, func(a, b int) int { return c.votes[b].Cmp(c.votes[a]) })
	now = now[:min(len(now), c.vacant())]
	slices.Sort(now)
	return now
}

func (c *contest) elect(now []int) {
	for _, i := range now {
		c.hopeful[i] = false
	}
	c.elected = append(c.elected, now...)
	c.saidElected(now)
}

// losers are options that can't catch up even with the whole surplus: the
// parametric rule excludes them at once. By rising votes, those within the
// surplus of the first of them are a group; losers are as many groups from the
// lowest as together with the surplus have less than the next group's first.
// They leave enough for the seats: fewer could not hold all other votes, since
// none of them has more than the quota.
func (c *contest) losers() []int {
	if c.up {
		return nil
	}
	list := c.running()
	slices.SortStableFunc(list, func(a, b int) int { return c.votes[a].Cmp(c.votes[b]) })
	lowest, sum := new(big.Int), new(big.Int)
	sure := 0
	for k, i := range list {
		if c.cmp(new(big.Int).Add(lowest, c.surplus), c.votes[i]) < 0 { // a group begins
			if k > 0 && c.cmp(new(big.Int).Add(sum, c.surplus), c.votes[i]) < 0 {
				sure = k
			}
			lowest = c.votes[i]
		}
		sum.Add(sum, c.votes[i])
	}
	slices.Sort(list[:sure])
	return list[:sure]
}

// exclude excludes options, which keep nothing from now on.
func (c *contest) exclude(list []int) {
	for _, i := range list {
		c.hopeful[i], c.keep[i] = false, fraction{}
	}
	c.saidLosers(list)
}

// excludeLast excludes one option. Those within the surplus of the fewest votes
// are equal; the order for ties takes one of them.
func (c *contest) excludeLast() {
	var fewest *big.Int
	for _, i := range c.running() {
		if fewest == nil || c.votes[i].Cmp(fewest) < 0 {
			fewest = c.votes[i]
		}
	}
	reach := new(big.Int).Add(fewest, c.surplus)
	var equal []int
	for _, i := range c.q.Order {
		if c.hopeful[i] && c.cmp(reach, c.votes[i]) >= 0 {
			equal = append(equal, i)
		}
	}
	c.tied = c.tied || len(equal) > 1
	c.hopeful[equal[0]], c.keep[equal[0]] = false, fraction{}
	c.saidLast(equal)
}

// forget takes their votes from those who were excluded, once these were told.
func (c *contest) forget() {
	for i := range c.votes {
		if c.keep[i].zero() {
			c.votes[i] = new(big.Int)
		}
	}
}

// finish gives the seats left to whoever is still there.
func (c *contest) finish() {
	rest, fill := c.running(), c.vacant() > 0
	for _, i := range rest {
		if c.hopeful[i] = false; fill {
			c.elected = append(c.elected, i)
		} else {
			c.keep[i] = fraction{}
		}
	}
	c.saidFinish(rest, fill)
	if !c.up {
		c.distribute()
	}
	c.forget()
}
