package count

import "slices"

// Piles are ballots with strict ranks, each in the pile of the option for which
// it counts now. Options withdrawn are on none of them, and ballots that rank
// nobody else are left out.
type Piles struct {
	N     []uint64  // of each paper: how many ballots it stands for
	of    [][]int32 // papers by option
	prefs []uint8   // options by rank, of all papers, one after the other
	at    []int     // of each paper: where its option stands in prefs
	end   []int     // of each paper: where its options end
}

// NewPiles puts each ballot on the pile of its first option.
func NewPiles(q Question, ballots []Ballot) *Piles {
	p := &Piles{
		N: make([]uint64, 0, len(ballots)), of: make([][]int32, len(q.Options)), prefs: make([]uint8, 0, len(ballots)),
		at: make([]int, 0, len(ballots)), end: make([]int, 0, len(ballots)),
	}
	var byRank [256]uint8
	for _, b := range ballots {
		most := uint8(0)
		for o, rank := range b.Marks {
			byRank[rank], most = uint8(o), max(most, rank)
		}
		start := len(p.prefs)
		for _, o := range byRank[1 : int(most)+1] {
			if !q.Out(int(o)) {
				p.prefs = append(p.prefs, o)
			}
		}
		if start == len(p.prefs) || b.N == 0 {
			p.prefs = p.prefs[:start]
			continue
		}
		first := p.prefs[start]
		p.of[first] = append(p.of[first], int32(len(p.N)))
		p.N, p.at, p.end = append(p.N, b.N), append(p.at, start), append(p.end, len(p.prefs))
	}
	return p
}

// First is how many ballots each pile holds.
func (p *Piles) First() []uint64 {
	n := make([]uint64, len(p.of))
	for o, papers := range p.of {
		for _, paper := range papers {
			n[o] += p.N[paper]
		}
	}
	return n
}

// Pass moves each paper of an option's pile to the next option on it that is
// among those given, and tells of it; an option of -1 is none.
func (p *Piles) Pass(option int, among []bool, moved func(paper, option int)) {
	papers := p.of[option]
	p.of[option] = nil
	for _, paper := range papers {
		at, end := p.at[paper]+1, p.end[paper]
		for at < end && !among[p.prefs[at]] {
			at++
		}
		if p.at[paper] = at; at == end {
			moved(int(paper), -1)
			continue
		}
		next := int(p.prefs[at])
		p.of[next] = append(p.of[next], paper)
		moved(int(paper), next)
	}
}

// Apart looks back over the votes at the end of each stage, the latest last, for
// one at which one of the tied options alone had the most votes of them, or the
// fewest. It answers with that option, or with -1.
func Apart(stages [][]uint64, tied []int, fewest bool) int {
	for _, votes := range slices.Backward(stages) {
		best, alone := tied[0], true
		for _, o := range tied[1:] {
			switch {
			case votes[o] == votes[best]:
				alone = false
			case votes[o] < votes[best] == fewest:
				best, alone = o, true
			}
		}
		if alone {
			return best
		}
	}
	return -1
}

// Extreme are the options given that have the most votes, or the fewest, in the
// order for ties.
func (q Question) Extreme(votes []uint64, of []bool, fewest bool) []int {
	var list []int
	for _, o := range q.Order {
		if !of[o] {
			continue
		}
		if len(list) > 0 && votes[o] != votes[list[0]] {
			if votes[o] < votes[list[0]] != fewest {
				continue
			}
			list = list[:0]
		}
		list = append(list, o)
	}
	return list
}
