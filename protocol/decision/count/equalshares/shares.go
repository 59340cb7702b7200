package equalshares

import (
	"math/big"
	"slices"

	"github.com/metastate-p2p/metastate/protocol/decision/count"
)

// A budget is what is spent, and by whom.
type budget struct {
	count.Question
	votes    []uint64 // that approve of each option
	cost     []uint64
	total    uint64 // to spend
	voters   uint64
	ballots  []count.Ballot // different ones
	approves [][]int        // by option: indexes of ballots
	place    []int          // in the order for ties
	rounds   []count.Round
}

func newBudget(q count.Question, votes []count.Option, ballots []count.Ballot) *budget {
	b := &budget{
		Question: q, cost: q.Params.Costs, total: q.Params.Budget,
		approves: make([][]int, len(q.Options)), place: make([]int, len(q.Options)),
	}
	for at, i := range q.Order {
		b.place[i] = at
	}
	if len(b.cost) == 0 {
		b.cost, b.total = slices.Repeat([]uint64{1}, len(q.Options)), max(q.Seats, 1)
	}
	for _, v := range votes {
		b.votes = append(b.votes, v.N)
	}
	index := map[string]int{}
	for _, ballot := range ballots {
		b.voters += ballot.N
		i, ok := index[string(ballot.Marks)]
		if !ok {
			i, index[string(ballot.Marks)] = len(b.ballots), len(b.ballots)
			b.ballots = append(b.ballots, count.Ballot{Marks: ballot.Marks})
		}
		b.ballots[i].N += ballot.N
	}
	b.ballots = slices.DeleteFunc(b.ballots, func(x count.Ballot) bool { return x.N == 0 })
	slices.SortFunc(b.ballots, func(x, y count.Ballot) int { return slices.Compare(y.Marks, x.Marks) })
	for i, ballot := range b.ballots {
		for o, v := range ballot.Marks {
			if v != 0 && !q.Out(o) {
				b.approves[o] = append(b.approves[o], i)
			}
		}
	}
	return b
}

// A plan is what a share of each voter funds.
type plan struct {
	share  *big.Rat
	raised int   // times
	funded []int // in order
	spent  uint64
	bought []purchase // of funded, as far as voters paid; others are completion
	tied   bool       // the order for ties decided
}

// A purchase is what was paid for an option.
type purchase struct {
	option int
	most   *big.Rat   // that any voter paid
	paid   []*big.Rat // by a voter with each of the ballots that approve of it
}

// A wallet is the money of voters with each ballot, in units of 1/scale.
type wallet struct {
	money []big.Int
	scale big.Int
}

// offer is how an option would be paid for: a payer who has enough pays
// rest/payers, the others pay all they have.
type offer struct {
	rest   big.Int
	payers uint64
	rho    *big.Rat // the highest payment, for a unit of cost
}

// spend funds options from equal shares until no option can be.
func (b *budget) spend(share *big.Rat) *plan {
	p := &plan{share: share}
	w := &wallet{money: make([]big.Int, len(b.ballots))}
	w.scale.Set(share.Denom())
	for i := range w.money {
		w.money[i].Set(share.Num())
	}
	var open []int
	least := make([]*big.Rat, len(b.cost)) // rho never falls, as money only goes
	for i, v := range b.votes {
		if v > 0 {
			open, least[i] = append(open, i), new(big.Rat)
		}
	}
	for {
		slices.SortStableFunc(open, func(x, y int) int { return least[x].Cmp(least[y]) })
		var best []int
		var offers []*offer
		for k := 0; k < len(open); k++ {
			i := open[k]
			if len(best) > 0 && least[i].Cmp(offers[0].rho) > 0 {
				break
			}
			o := b.offer(w, i)
			if o == nil {
				open = slices.Delete(open, k, k+1)
				k--
				continue
			}
			least[i] = o.rho
			c := -1
			if len(best) > 0 {
				c = o.rho.Cmp(offers[0].rho)
			}
			if c < 0 {
				best, offers = best[:0], offers[:0]
			}
			if c <= 0 {
				best, offers = append(best, i), append(offers, o)
			}
		}
		if len(best) == 0 {
			return p
		}
		i, tied := b.first(best)
		p.tied = p.tied || tied
		p.bought = append(p.bought, b.pay(w, i, offers[slices.Index(best, i)]))
		p.funded, p.spent = append(p.funded, i), p.spent+b.cost[i]
		open = slices.DeleteFunc(open, func(o int) bool { return o == i })
	}
}

// first is which of options that are alike is funded, and whether only the order
// for ties said so.
func (b *budget) first(best []int) (int, bool) {
	i := slices.MinFunc(best, b.before)
	for _, o := range best {
		if o != i && b.cost[o] == b.cost[i] && b.votes[o] == b.votes[i] {
			return i, true
		}
	}
	return i, false
}

func (b *budget) before(x, y int) int {
	switch {
	case b.cost[x] != b.cost[y]:
		return less(b.cost[x] < b.cost[y])
	case b.votes[x] != b.votes[y]:
		return less(b.votes[x] > b.votes[y])
	}
	return b.place[x] - b.place[y]
}

func less(yes bool) int {
	if yes {
		return -1
	}
	return 1
}

// offer is nil if those who approve of the option can't pay for it.
func (b *budget) offer(w *wallet, option int) *offer {
	o := &offer{}
	var has, n big.Int
	for _, i := range b.approves[option] {
		n.SetUint64(b.ballots[i].N)
		has.Add(&has, n.Mul(&n, &w.money[i]))
		o.payers += b.ballots[i].N
	}
	o.rest.SetUint64(b.cost[option])
	o.rest.Mul(&o.rest, &w.scale)
	if has.Cmp(&o.rest) < 0 {
		return nil
	}
	rich := slices.Clone(b.approves[option])
	for poorer := true; poorer; {
		poorer = false
		var each, part big.Int
		each.DivMod(&o.rest, n.SetUint64(o.payers), &part)
		if part.Sign() > 0 {
			each.Add(&each, big.NewInt(1)) // who has less than this has less than the fraction
		}
		var still []int
		for _, i := range rich {
			if w.money[i].Cmp(&each) >= 0 {
				still = append(still, i)
				continue
			}
			n.SetUint64(b.ballots[i].N)
			o.rest.Sub(&o.rest, n.Mul(&n, &w.money[i]))
			o.payers -= b.ballots[i].N
			poorer = true
		}
		rich = still
	}
	per := new(big.Int).SetUint64(o.payers)
	per.Mul(per, new(big.Int).SetUint64(b.cost[option]))
	o.rho = new(big.Rat).SetFrac(&o.rest, per.Mul(per, &w.scale))
	return o
}

// pay takes the payments. It makes the unit of money so small that they are whole.
func (b *budget) pay(w *wallet, option int, o *offer) purchase {
	payers := new(big.Int).SetUint64(o.payers)
	finer := new(big.Int).Div(payers, new(big.Int).GCD(nil, nil, payers, &o.rest))
	if finer.Cmp(big.NewInt(1)) > 0 {
		for i := range w.money {
			w.money[i].Mul(&w.money[i], finer)
		}
		w.scale.Mul(&w.scale, finer)
		o.rest.Mul(&o.rest, finer)
	}
	most := new(big.Int).Div(&o.rest, payers)
	bought := purchase{option: option, most: new(big.Rat).SetFrac(most, &w.scale)}
	for _, i := range b.approves[option] {
		pays := most
		if w.money[i].Cmp(most) < 0 {
			pays = new(big.Int).Set(&w.money[i])
		}
		bought.paid = append(bought.paid, new(big.Rat).SetFrac(pays, &w.scale))
		w.money[i].Sub(&w.money[i], pays)
	}
	return bought
}
