package meekstv

import (
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/metastate-p2p/metastate/protocol/decision/count"
)

func (c *contest) say(format string, args ...any) { c.sentence += fmt.Sprintf(format, args...) }

func (c *contest) names(list []int) string {
	names := make([]string, len(list))
	for k, i := range list {
		names[k] = c.q.Options[i]
	}
	return strings.Join(names, ", ")
}

func (c *contest) begun() {
	c.say("Each of %d ballots counts for its first preference. The quota is a part in %d of the votes that are not exhausted.", c.root.n, max(c.q.Seats, 1)+1)
}

func (c *contest) saidElected(now []int) {
	if len(now) > 0 {
		c.say("Elected with the quota of %s: %s. Of what they have above it, as much passes on as leaves them the quota.", c.decimal(c.quota), c.names(now))
	}
}

func (c *contest) saidLosers(list []int) {
	if len(list) == 1 {
		c.say("Even with all %s votes above the quota %s could not overtake anybody: excluded.", c.decimal(c.surplus), c.names(list))
		return
	}
	c.say("Even with all %s votes above the quota and all of each other's, none of these could overtake anybody else: %s are excluded.", c.decimal(c.surplus), c.names(list))
}

func (c *contest) saidLast(equal []int) {
	if c.small() {
		c.say("What elected options had above the quota has passed on. ")
	} else {
		c.say("What elected options have above the quota shrinks no further. ")
	}
	if len(equal) > 1 {
		c.say("Within %s of the fewest votes are %s: the order fixed for ties takes %s. ",
			c.decimal(c.surplus), c.names(slices.Sorted(slices.Values(equal))), c.q.Options[equal[0]])
	}
	c.say("%s is excluded with %s votes.", c.q.Options[equal[0]], c.decimal(c.votes[equal[0]]))
}

func (c *contest) saidFinish(rest []int, fill bool) {
	switch {
	case fill && len(rest) > 0:
		c.say("As many options as vacant seats are left, or fewer, and are elected without the quota: %s.", c.names(rest))
	case c.vacant() == 0:
		c.say("All seats are filled.")
	default:
		c.say("Nobody is left for the other seats.")
	}
}

// round is how things stand, with what was said since the round before.
func (c *contest) round() count.Round {
	r := count.Round{Text: strings.TrimSpace(c.sentence)}
	c.sentence = ""
	residual := new(big.Int).Mul(c.unit, new(big.Int).SetUint64(c.root.n))
	for i, name := range c.q.Options {
		state := count.StateExcluded
		switch {
		case c.q.Out(i):
			state = count.StateWithdrawn
		case c.hopeful[i]:
			state = count.StateHopeful
		case slices.Contains(c.elected, i):
			state = count.StateElected
		}
		residual.Sub(residual, c.votes[i])
		r.Lines = append(r.Lines, count.Line{Name: name, Value: c.decimal(c.votes[i]), State: state})
	}
	r.Facts = []count.Line{
		{Name: "quota", Value: c.decimal(c.quota)},
		{Name: "residual", Value: c.decimal(residual)},
		{Name: "surplus", Value: c.decimal(c.surplus)},
	}
	return r
}
