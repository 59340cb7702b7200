package scottishstv

import (
	"fmt"
	"slices"
	"strings"

	"github.com/metastate-p2p/metastate/protocol/decision/count"
)

func decimal(v uint64) string { return fmt.Sprintf("%d.%05d", v/scale, v%scale) }

func (c *contest) names(list []int) string {
	names := make([]string, len(list))
	for k, i := range list {
		names[k] = c.q.Options[i]
	}
	return strings.Join(names, ", ")
}

func (c *contest) say(format string, args ...any) { c.sentence += fmt.Sprintf(format, args...) }

func (c *contest) begun() {
	c.say("Each of %d ballots counts for its first preference. Elected is who has the quota of %d votes: one more than a part in %d of the ballots.",
		c.total/scale, c.quota/scale, c.seats()+1)
}

func (c *contest) saidElected(now []int) {
	if len(now) > 0 {
		c.say(" The quota is reached by %s: elected.", c.names(now))
	}
}

func (c *contest) saidTransfer(from int, surplus, votes uint64, equal []int) {
	c.tie(from, equal, "as many votes above the quota", "most")
	if surplus == 0 {
		c.say("%s has nothing above the quota to pass on.", c.q.Options[from])
		return
	}
	c.say("%s has %s above the quota. All of these ballots pass to the next preference, each at %s / %s of its value.",
		c.q.Options[from], decimal(surplus), decimal(surplus), decimal(votes))
}

func (c *contest) saidExclude(from int, equal []int) {
	c.tie(from, equal, "equally few votes", "fewest")
	c.say("%s has the fewest votes, %s, and is excluded. These ballots pass to the next preference at the value they have.",
		c.q.Options[from], decimal(c.votes[from]))
}

func (c *contest) tie(taken int, equal []int, what, extreme string) {
	if len(equal) == 1 {
		return
	}
	all := slices.Sorted(slices.Values(equal))
	if count.Apart(c.stages, equal, extreme == "fewest") >= 0 {
		c.say("There are %s for %s; at the latest stage at which one of them had %s, it was %s. ", what, c.names(all), extreme, c.q.Options[taken])
		return
	}
	c.say("There are %s for %s, and no earlier stage decides: the order fixed for ties takes %s. ", what, c.names(all), c.q.Options[taken])
}

func (c *contest) saidFinish(now []int) {
	switch {
	case len(now) > 0:
		c.say("As many options as vacant seats are left, or fewer, and are elected without the quota: %s.", c.names(now))
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
	sum := c.exhaust
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
		sum += c.votes[i]
		r.Lines = append(r.Lines, count.Line{Name: name, Value: decimal(c.votes[i]), State: state})
	}
	r.Facts = []count.Line{
		{Name: "quota", Value: decimal(c.quota)},
		{Name: "exhausted", Value: decimal(c.exhaust)},
		{Name: "residual", Value: decimal(c.total - sum)},
		{Name: "surplus", Value: decimal(c.surplus)},
	}
	return r
}
