package equalshares

import (
	"math/big"
	"slices"
)

// Bounds of how often shares are raised: so many times, and so many times the
// number of different ballots.
const (
	maxRaises = 1000
	maxWork   = 1 << 20
)

// complete spends the budget, and what is left of it as the question says.
func (b *budget) complete() *plan {
	if b.voters == 0 {
		return &plan{share: new(big.Rat)}
	}
	p := b.spend(b.share(0))
	if b.Params.Complete == None {
		return p
	}
	if b.Params.Complete != Utilitarian {
		for k := 1; k <= min(maxRaises, maxWork/len(b.ballots)) && !b.exhausted(p); k++ {
			next := b.spend(b.share(k))
			if next.spent > b.total {
				break
			}
			next.raised, p = k, next
		}
	}
	for _, i := range b.byApprovals() {
		if !slices.Contains(p.funded, i) && b.cost[i] <= b.total-p.spent {
			p.funded, p.spent = append(p.funded, i), p.spent+b.cost[i]
		}
	}
	return p
}

// share is what each voter has after so many raises: of a committee by a seat for
// all together; else by a hundredth, in whole units.
func (b *budget) share(raises int) *big.Rat {
	voters := new(big.Int).SetUint64(b.voters)
	if raises == 0 || len(b.Params.Costs) == 0 {
		return new(big.Rat).SetFrac(new(big.Int).SetUint64(b.total+uint64(raises)), voters)
	}
	whole := b.total / b.voters
	step := max(1, (whole+99)/100)
	return new(big.Rat).SetInt(new(big.Int).SetUint64(whole + uint64(raises)*step))
}

// exhausted reports whether the money left pays for nothing that anybody wants.
func (b *budget) exhausted(p *plan) bool {
	for i, v := range b.votes {
		if v > 0 && !slices.Contains(p.funded, i) && b.cost[i] <= b.total-p.spent {
			return false
		}
	}
	return true
}

// byApprovals are the options that anybody approves of, those of most first, then
// the cheaper, then by the order for ties.
func (b *budget) byApprovals() []int {
	var list []int
	for i, v := range b.votes {
		if v > 0 {
			list = append(list, i)
		}
	}
	slices.SortFunc(list, func(x, y int) int {
		if b.votes[x] != b.votes[y] {
			return less(b.votes[x] > b.votes[y])
		}
		return b.before(x, y)
	})
	return list
}

// greedy is what would be funded by most approvals alone.
func (b *budget) greedy() (list []int) {
	left := b.total
	for _, i := range b.byApprovals() {
		if b.cost[i] <= left {
			list, left = append(list, i), left-b.cost[i]
		}
	}
	return list
}

// served is how many voters approve of any of the options.
func (b *budget) served(list []int) (n uint64) {
	for _, ballot := range b.ballots {
		if slices.ContainsFunc(list, func(i int) bool { return ballot.Marks[i] != 0 }) {
			n += ballot.N
		}
	}
	return n
}
