package equalshares

import (
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/metastate-p2p/metastate/protocol/decision/count"
)

// maxTold is how many different ballots of a purchase are told.
const maxTold = 40

func (b *budget) say(format string, args ...any) *count.Round {
	b.rounds = append(b.rounds, count.Say(format, args...))
	return &b.rounds[len(b.rounds)-1]
}

func words(r *big.Rat) string { return r.RatString() }

func (b *budget) names(list []int) string {
	if len(list) == 0 {
		return "nothing"
	}
	var names []string
	for _, i := range list {
		names = append(names, b.Options[i])
	}
	return strings.Join(names, ", ")
}

// lines are all options with their approvals, as they stand when some are funded.
func (b *budget) lines(funded []int, last bool) []count.Line {
	var lines []count.Line
	for i, o := range b.Options {
		l := count.Line{Name: o, Value: fmt.Sprint(b.votes[i]), State: count.StateHopeful}
		switch {
		case b.Out(i):
			l.State = count.StateWithdrawn
		case slices.Contains(funded, i):
			l.State = count.StateElected
		case last:
			l.State = count.StateExcluded
		}
		lines = append(lines, l)
	}
	return lines
}

func (b *budget) begin() {
	r := b.say("%d of %d who may vote did. There is a budget of %d, and %d ballots have an equal share of it. Each option's number is how many approve of it.", b.Cast, b.Electorate, b.total, b.voters)
	r.Lines = b.lines(nil, false)
	r.Facts = []count.Line{{Name: "budget", Value: fmt.Sprint(b.total)}}
	for i, o := range b.Options {
		if len(b.Params.Costs) > 0 {
			r.Facts = append(r.Facts, count.Line{Name: "cost of " + o, Value: fmt.Sprint(b.cost[i])})
		}
	}
}

// tell explains how the plan came to be.
func (b *budget) tell(p *plan) {
	switch {
	case b.voters == 0:
		b.say("Nobody voted: nothing is funded.")
		return
	case p.raised > 0:
		b.say("Each has %s. More can be funded within the budget if each has more: raised %s, to %s, is the most by which it is kept. What follows is paid from these shares.",
			words(b.share(0)), times(p.raised), words(p.share))
	default:
		b.say("Each has %s.", words(p.share))
	}
	for k, x := range p.bought {
		i := x.option
		r := b.say("%s costs %d. Those who approve of it pay %s each, or what they have left: the least for each unit of the cost.", b.Options[i], b.cost[i], words(x.most))
		r.Lines = b.lines(p.funded[:k+1], false)
		r.Facts = b.payments(x)
	}
	for k, i := range p.funded[len(p.bought):] {
		r := b.say("Of what the budget left over pays for, most approve of %s, which costs %d.", b.Options[i], b.cost[i])
		r.Lines = b.lines(p.funded[:len(p.bought)+k+1], false)
	}
	if p.tied {
		b.say("Between options with equal payments, costs and approvals the order fixed for ties decided.")
	}
	r := b.say("Funded: %s. This costs %d of %d.", b.names(p.funded), p.spent, b.total)
	r.Lines = b.lines(p.funded, true)
	r.Facts = []count.Line{{Name: "left over", Value: fmt.Sprint(b.total - p.spent)}}
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// payments are who pays what, by ballot.
func (b *budget) payments(x purchase) []count.Line {
	facts := []count.Line{{Name: "highest payment", Value: words(x.most)}}
	rest := new(big.Rat)
	for k, i := range b.approves[x.option] {
		n := b.ballots[i].N
		if k >= maxTold {
			rest.Add(rest, new(big.Rat).Mul(x.paid[k], new(big.Rat).SetUint64(n)))
			continue
		}
		facts = append(facts, count.Line{
			Name:  "voters with " + string(count.Approvals{}.Line(b.Options, b.ballots[i].Marks)),
			Value: fmt.Sprintf("%d, %s each", n, words(x.paid[k])),
		})
	}
	if rest.Sign() > 0 {
		facts = append(facts, count.Line{Name: "other voters", Value: words(rest) + " in all"})
	}
	return facts
}

// compare tells what would be funded by most approvals alone.
func (b *budget) compare(p *plan) {
	greedy := b.greedy()
	r := b.say("For comparison: by most approvals alone %s would be funded.", b.names(greedy))
	r.Facts = []count.Line{
		{Name: "voters who approve of something funded", Value: fmt.Sprint(b.served(p.funded))},
		{Name: "voters who would by most approvals alone", Value: fmt.Sprint(b.served(greedy))},
	}
}
