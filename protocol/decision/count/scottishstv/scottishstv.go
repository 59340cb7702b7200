// Package scottishstv counts strict rankings by the single transferable vote as
// Scotland elects its councils: the Scottish Local Government Elections Order
// 2007, rules 45 to 52.
//
// Whoever has the quota is elected. What somebody has above it passes on from
// all of their ballots, each at a part of its value, in decimals of five digits
// that are cut off. When there is nothing to pass on, whoever has the fewest
// votes is excluded, and those ballots pass on at the value they have.
package scottishstv

import (
	"cmp"
	"math/bits"
	"slices"

	"github.com/metastate-p2p/metastate/protocol/decision/count"
)

// scale is a vote in units of the last digit.
const scale = 100_000

// Method fills seats by transferable votes.
type Method struct{}

// Options are those that the proposal lists, at least one, each once.
func (Method) Options(given []string) ([]string, error) {
	return count.Names(given, 1, count.MarksOfRanking)
}

// Check takes no params.
func (Method) Check(q count.Question) error { return count.NoParams(q) }

// Form is a ranking without equal ranks.
func (Method) Form(count.Question) count.Form { return count.Ranking{Strict: true} }

// Count fills the seats stage by stage.
func (Method) Count(q count.Question, ballots []count.Ballot) count.Result {
	c := begin(q, ballots)
	r := count.Result{Outcome: count.Rejected, Votes: make([]count.Option, len(q.Options))}
	for i, name := range q.Options {
		r.Votes[i] = count.Option{Name: name, N: c.votes[i] / scale}
	}
	switch {
	case !q.Quorate():
		r.Rounds = append(r.Rounds, c.round(), count.TooFew())
		return r
	case c.total == 0:
		r.Rounds = append(r.Rounds, count.Say("No ballot ranks an option: nobody is elected."))
		return r
	}
	for {
		c.elect()
		r.Rounds = append(r.Rounds, c.round())
		if c.complete() {
			break
		}
		c.stages, c.surplus = append(c.stages, slices.Clone(c.votes)), c.above()
		if pending := c.q.Extreme(c.votes, c.pending, false); len(pending) > 0 {
			c.transfer(pending)
			continue
		}
		c.exclude(c.q.Extreme(c.votes, c.hopeful, true))
		if c.complete() { // no further election by quota, rule 52
			r.Rounds = append(r.Rounds, c.round())
			break
		}
	}
	c.finish()
	r.Rounds, r.Outcome, r.Tied = append(r.Rounds, c.round()), count.Elected, c.tied
	for _, i := range c.elected {
		r.Winners = append(r.Winners, q.Options[i])
	}
	return r
}

// contest is the state of a count. Votes are in units of the last digit.
type contest struct {
	q       count.Question
	piles   *count.Piles
	value   []uint32   // of each ballot of a paper
	votes   []uint64   // by option
	stages  [][]uint64 // the votes at the end of each stage
	hopeful []bool
	pending []bool // elected, with a surplus to be transferred, which may be 0
	elected []int  // in order
	figures
	tied     bool
	sentence string
}

// figures are votes that are no option's.
type figures struct {
	total   uint64 // all votes
	quota   uint64
	exhaust uint64 // that could not be transferred
	surplus uint64 // to be transferred when the stage began
}

// begin puts each ballot to its first preference (rule 45) and finds the quota
// (rule 46).
func begin(q count.Question, ballots []count.Ballot) *contest {
	n := len(q.Options)
	c := &contest{q: q, piles: count.NewPiles(q, ballots), hopeful: make([]bool, n), pending: make([]bool, n)}
	c.votes = c.piles.First()
	for i := range c.votes {
		c.votes[i] *= scale
		c.total += c.votes[i]
		c.hopeful[i] = !q.Out(i)
	}
	c.quota = (c.total/scale/(c.seats()+1) + 1) * scale
	c.value = make([]uint32, len(c.piles.N))
	for i := range c.value {
		c.value[i] = scale
	}
	c.begun()
	return c
}

func (c *contest) seats() uint64 { return max(c.q.Seats, 1) }

// vacant is how many seats are not filled.
func (c *contest) vacant() uint64 { return c.seats() - uint64(len(c.elected)) }

// running is how many options are hopeful.
func (c *contest) running() (n uint64) {
	for _, h := range c.hopeful {
		if h {
			n++
		}
	}
	return n
}

// complete reports whether nothing is left to decide (rule 52).
func (c *contest) complete() bool { return c.vacant() == 0 || c.running() <= c.vacant() }

// above is what those who wait for their transfer have above the quota.
func (c *contest) above() (sum uint64) {
	for i, p := range c.pending {
		if p {
			sum += c.votes[i] - c.quota
		}
	}
	return sum
}

// elect elects whoever has the quota (rule 47), the most votes first.
func (c *contest) elect() {
	var now []int
	for _, i := range c.q.Order {
		if c.hopeful[i] && c.votes[i] >= c.quota {
			now = append(now, i)
		}
	}
	slices.SortStableFunc(now, func(a, b int) int { return cmp.Compare(c.votes[b], c.votes[a]) })
	for _, i := range now {
		c.hopeful[i], c.pending[i] = false, true
	}
	c.elected = append(c.elected, now...)
	c.saidElected(now)
}

// transfer passes on what one of the options with the largest surplus has above
// the quota (rules 48, 49). It may be 0.
func (c *contest) transfer(largest []int) {
	from := c.choose(largest, false)
	surplus, votes := c.votes[from]-c.quota, c.votes[from]
	c.pending[from], c.votes[from] = false, c.quota
	c.saidTransfer(from, surplus, votes, largest)
	c.pass(from, func(value uint32) uint32 {
		hi, lo := bits.Mul64(uint64(value), surplus)
		part, _ := bits.Div64(hi, lo, votes)
		return uint32(part)
	})
}

// exclude passes on all votes of one of the options with the fewest (rules 50,
// 51).
func (c *contest) exclude(fewest []int) {
	from := c.choose(fewest, true)
	c.saidExclude(from, fewest)
	c.hopeful[from], c.votes[from] = false, 0
	c.pass(from, func(value uint32) uint32 { return value })
}

func (c *contest) pass(from int, part func(value uint32) uint32) {
	c.piles.Pass(from, c.hopeful, func(paper, to int) {
		c.value[paper] = part(c.value[paper])
		worth := uint64(c.value[paper]) * c.piles.N[paper]
		if to < 0 {
			c.exhaust += worth
			return
		}
		c.votes[to] += worth
	})
}

// choose settles a tie by the earlier stages, else by the order for ties.
func (c *contest) choose(equal []int, fewest bool) int {
	if len(equal) == 1 {
		return equal[0]
	}
	if i := count.Apart(c.stages, equal, fewest); i >= 0 {
		return i
	}
	c.tied = true
	return equal[0]
}

// finish gives the seats left to whoever is still there, if they suffice (rule
// 52).
func (c *contest) finish() {
	fill := c.vacant() > 0
	var now []int
	for i, h := range c.hopeful {
		if h && fill {
			now = append(now, i)
		}
		c.hopeful[i], c.pending[i] = false, false
	}
	c.elected = append(c.elected, now...)
	c.saidFinish(now)
}
