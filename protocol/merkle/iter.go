package merkle

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
)

// All yields the entries in ascending order of their keys.
func (m Map[V]) All() iter.Seq2[[32]byte, V] {
	return func(yield func([32]byte, V) bool) { m.root.each(yield) }
}

// From yields the entries whose keys are start or greater, in ascending order
// of their keys. Getting to the first costs O(depth).
func (m Map[V]) From(start [32]byte) iter.Seq2[[32]byte, V] {
	return func(yield func([32]byte, V) bool) {
		if near := m.root.nearest(&start); near != nil {
			m.root.eachFrom(&start, criticalBit(&near.hash, &start), yield)
		}
	}
}

// Under yields the entries whose keys share their first n bits with prefix,
// those that [Map.Range] digests, in ascending order of their keys.
func (m Map[V]) Under(prefix [32]byte, n int) iter.Seq2[[32]byte, V] {
	return func(yield func([32]byte, V) bool) { m.root.under(&prefix, n).each(yield) }
}

// each yields n's entries and reports whether more are wanted.
func (n *node[V]) each(yield func([32]byte, V) bool) bool {
	switch {
	case n == nil:
		return true
	case n.isLeaf():
		return yield(n.hash, n.val)
	}
	return n.kids[0].each(yield) && n.kids[1].each(yield)
}

// eachFrom yields n's entries from start on; crit is the critical bit of start
// and the key nearest to it.
func (n *node[V]) eachFrom(start *[32]byte, crit int, yield func([32]byte, V) bool) bool {
	if n.isLeaf() || int(n.bit()) > crit {
		// start differs from every key here at crit, and from none before.
		if crit < KeyBits && bitAt(start, crit) == 1 {
			return true
		}
		return n.each(yield)
	}
	if bitAt(start, int(n.bit())) == 1 {
		return n.kids[1].eachFrom(start, crit, yield)
	}
	return n.kids[0].eachFrom(start, crit, yield) && n.kids[1].each(yield)
}

// ErrUnsorted is wrapped by [FromSorted] when keys do not strictly ascend.
var ErrUnsorted = errors.New("keys are not in strictly ascending order")

// FromSorted builds a map in one pass from entries in strictly ascending
// order of their keys, without the intermediate versions that Puts would make.
// Entries out of order or repeated give an error wrapping [ErrUnsorted].
func FromSorted[V Value](entries iter.Seq2[[32]byte, V]) (Map[V], error) {
	var b builder[V]
	for key, v := range entries {
		if b.last != nil && bytes.Compare(b.last.hash[:], key[:]) >= 0 {
			return Map[V]{}, fmt.Errorf("merkle: building a map: %w: entry %d", ErrUnsorted, b.n)
		}
		b.add(newLeaf(key, v))
	}
	return Map[V]{b.fold(-1)}, nil
}

// builder holds the right edge of a map under construction: inner nodes, by
// ascending critical bit, that have a left side and wait for their right one.
type builder[V Value] struct {
	open []*node[V] // at most KeyBits
	last *node[V]   // the leaf at the end of the edge
	n    int
}

func (b *builder[V]) add(leaf *node[V]) {
	if b.n > 0 {
		crit := criticalBit(&b.last.hash, &leaf.hash)
		left := b.fold(crit)
		b.open = append(b.open, branch(uint8(crit), [2]*node[V]{left}, 0))
	}
	b.last = leaf
	b.n++
}

// fold closes the open nodes below critical bit crit and returns the subtree.
func (b *builder[V]) fold(crit int) *node[V] {
	right := b.last
	for len(b.open) > 0 && int(b.open[len(b.open)-1].bit()) > crit {
		n := b.open[len(b.open)-1]
		b.open = b.open[:len(b.open)-1]
		n.kids[1] = right
		n.count = n.kids[0].count + right.count
		right = n
	}
	return right
}
