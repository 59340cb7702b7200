package merkle

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
)

// All yields the entries in ascending order of their keys.
func (m Map[V]) All() iter.Seq2[[32]byte, V] {
	return func(yield func([32]byte, V) bool) { m.tree().each(yield) }
}

// From yields the entries whose keys are start or greater, in ascending order
// of their keys. Getting to the first costs O(depth).
func (m Map[V]) From(start [32]byte) iter.Seq2[[32]byte, V] {
	return func(yield func([32]byte, V) bool) {
		if near := m.root.nearest(&start); near != nil {
			m.tree().eachFrom(&start, criticalBit(&near.hash, &start), yield)
		}
	}
}

// Under yields the entries whose keys share their first n bits with prefix,
// those that [Map.Range] digests, in ascending order of their keys.
func (m Map[V]) Under(prefix [32]byte, n int) iter.Seq2[[32]byte, V] {
	return func(yield func([32]byte, V) bool) { m.tree().under(&prefix, n).each(yield) }
}

// each yields t's entries and reports whether more are wanted.
func (t subtree[V]) each(yield func([32]byte, V) bool) bool {
	switch {
	case t.n == nil:
		return true
	case t.isLeaf():
		return yield(t.n.hash, t.n.val)
	}
	return t.side(0).each(yield) && t.side(1).each(yield)
}

// eachFrom yields t's entries from start on; crit is the critical bit of start
// and the key nearest to it.
func (t subtree[V]) eachFrom(start *[32]byte, crit int, yield func([32]byte, V) bool) bool {
	if t.isLeaf() || t.bit() > crit {
		// start differs from every key here at crit, and from none before.
		if crit < KeyBits && bitAt(start, crit) == 1 {
			return true
		}
		return t.each(yield)
	}
	if bitAt(start, t.bit()) == 1 {
		return t.side(1).eachFrom(start, crit, yield)
	}
	return t.side(0).eachFrom(start, crit, yield) && t.side(1).each(yield)
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
	open []half[V] // at most KeyBits
	last *node[V]  // the leaf at the end of the edge
	n    int
}

type half[V Value] struct {
	crit int
	left *node[V]
}

func (b *builder[V]) add(leaf *node[V]) {
	if b.n > 0 {
		crit := criticalBit(&b.last.hash, &leaf.hash)
		b.open = append(b.open, half[V]{crit, b.fold(crit)})
	}
	b.last = leaf
	b.n++
}

// fold closes the open nodes below critical bit crit and returns the subtree.
func (b *builder[V]) fold(crit int) *node[V] {
	n := b.last
	for len(b.open) > 0 && b.open[len(b.open)-1].crit > crit {
		h := b.open[len(b.open)-1]
		b.open = b.open[:len(b.open)-1]
		n = pair(h.crit, h.left, n)
	}
	return n
}
