package meekstv

import (
	"bytes"
	"slices"

	"github.com/metastate-p2p/metastate/protocol/decision/count"
)

// A paper is a ballot as bytes: for each rank how many options have it, and
// these, rising. Options withdrawn have none.
type paper struct {
	ranks []byte
	n     uint64 // ballots like it
}

// A node is where the papers stand that begin with the same ranks: its own is
// the last of them. Nodes below it are made when votes first pass on to them,
// which few do.
type node struct {
	options []byte // of its rank; none: the root
	n       uint64 // ballots
	papers  []paper
	at      int // where in the papers the next rank begins
	below   []*node
	by      map[string]*node // the same by rank, while they are made and many
	made    bool
}

// tree is the root over all ballots that rank an option.
func tree(q count.Question, ballots []count.Ballot) *node {
	root := &node{papers: make([]paper, 0, len(ballots))}
	var room []byte
	for _, b := range ballots {
		if cap(room)-len(room) < 2*len(b.Marks) {
			room = make([]byte, 0, 64<<10)
		}
		start := len(room)
		if room = appendRanks(room, q, b.Marks); len(room) > start && b.N > 0 {
			root.papers = append(root.papers, paper{room[start:len(room):len(room)], b.N})
			root.n += b.N
		}
	}
	return root
}

// appendRanks writes marks as a paper has them.
func appendRanks(to []byte, q count.Question, m count.Marks) []byte {
	var with [256]uint8 // how many options have a rank
	var at [256]int     // where they stand
	most := uint8(0)
	for o, rank := range m {
		if rank > 0 && !q.Out(o) {
			with[rank]++
			most = max(most, rank)
		}
	}
	for rank, k := range with[:int(most)+1] {
		if k > 0 {
			to = append(to, k)
			at[rank] = len(to)
			to = to[:len(to)+int(k)]
		}
	}
	for o, rank := range m {
		if rank > 0 && !q.Out(o) {
			to[at[rank]] = uint8(o)
			at[rank]++
		}
	}
	return to
}

// next makes the nodes below, one for each different rank that follows.
func (x *node) next() []*node {
	if x.made {
		return x.below
	}
	x.made = true
	for _, p := range x.papers {
		if len(p.ranks) == x.at {
			continue // it ends here
		}
		end := x.at + 1 + int(p.ranks[x.at])
		y := x.child(p.ranks[x.at+1:end], end)
		y.papers, y.n = append(y.papers, p), y.n+p.n
	}
	x.papers, x.by = nil, nil
	return x.below
}

// child finds the node below for a rank, or makes it. Most nodes have few, which
// are looked through.
func (x *node) child(rank []byte, end int) *node {
	const few = 16
	if x.by != nil {
		if y := x.by[string(rank)]; y != nil {
			return y
		}
	} else if i := slices.IndexFunc(x.below, func(y *node) bool { return bytes.Equal(y.options, rank) }); i >= 0 {
		return x.below[i]
	}
	x.below = append(x.below, &node{options: rank, at: end})
	if len(x.below) == few {
		x.by = make(map[string]*node)
		for _, y := range x.below {
			x.by[string(y.options)] = y
		}
	}
	y := x.below[len(x.below)-1]
	if x.by != nil {
		x.by[string(rank)] = y
	}
	return y
}

// give shares out a weight of each ballot of a node: its options keep their part
// of equal shares, and what they don't keep passes on.
func (c *contest) give(x *node, weight fraction) {
	var live uint64
	for _, o := range x.options {
		if !c.keep[o].zero() {
			live++
		}
	}
	if live > 0 {
		share, rest := weight, fraction{}
		if live > 1 {
			share = weight.over(live)
		}
		for _, o := range x.options {
			if !c.keep[o].zero() {
				kept, passed := c.part(share, c.keep[o])
				c.got[o], rest = c.got[o].plus(kept.times(x.n)), rest.plus(passed)
			}
		}
		weight = rest
	}
	if weight.zero() {
		return
	}
	for _, y := range x.next() {
		c.give(y, weight)
	}
}

// part is what an option keeps of a weight, and what it passes on.
func (c *contest) part(weight, keep fraction) (kept, passed fraction) {
	kept = c.mul(weight, keep)
	if c.up {
		return kept, weight.minus(kept)
	}
	return kept, c.mul(weight, c.whole.minus(keep))
}
