package merkle

import (
	"encoding/binary"
	"math/bits"
	"sync/atomic"
)

// KeyBits is the length of a key in bits, and the greatest depth of a map.
const KeyBits = 256

// A Value is what a [Map] maps keys to.
type Value interface {
	// AppendLeaf appends the value's canonical encoding to b: equal encodings
	// must mean equal values, and the encoding must never change (rule 2).
	// Any number of goroutines may call it at once.
	AppendLeaf(b []byte) []byte
}

// Map is an immutable authenticated map; see the package comment. The zero
// Map is empty. Copying a Map copies a reference to the same version.
type Map[V Value] struct {
	root link[V]
}

// link refers to a subtree: an inner node, a leaf, or (both nil) nothing.
type link[V Value] struct {
	inner *inner[V]
	leaf  *leaf[V]
}

// leaf is one entry. Its digest is not kept: it is wanted again only when its
// parent is rebuilt, and it would double the size of a set. The value comes
// first as Go pads a struct that ends in an empty field.
type leaf[V Value] struct {
	val V
	key [32]byte
}

// inner is immutable but for its digest, which is filled in at most once:
// filled goes from unfilled to filling by compare-and-swap, whoever wins
// writes digest and then stores filledIn, and nobody reads digest before.
type inner[V Value] struct {
	kids   [2]link[V]
	digest [32]byte
	filled atomic.Uint32
	count  uint32 // leaves below; 2^32 entries would need some 400 GiB
	bit    uint8  // the critical bit
}

const (
	unfilled = iota
	filling
	filledIn
)

// Len returns the number of entries.
func (m Map[V]) Len() int { return m.root.len() }

// Get returns the value of key and whether there is one.
func (m Map[V]) Get(key [32]byte) (v V, ok bool) {
	l := m.root.nearest(&key)
	if l == nil || l.key != key {
		return v, false
	}
	return l.val, true
}

// Has reports whether there is an entry for key.
func (m Map[V]) Has(key [32]byte) bool {
	l := m.root.nearest(&key)
	return l != nil && l.key == key
}

// Put returns m with key mapped to v, in place of the value it had, if any.
func (m Map[V]) Put(key [32]byte, v V) Map[V] {
	added := link[V]{leaf: &leaf[V]{key: key, val: v}}
	near := m.root.nearest(&key)
	if near == nil {
		return Map[V]{added}
	}
	return Map[V]{m.root.put(added, criticalBit(&near.key, &key))}
}

// Delete returns m without key; m itself if it has no such entry.
func (m Map[V]) Delete(key [32]byte) Map[V] {
	if !m.Has(key) {
		return m
	}
	return Map[V]{m.root.without(&key)}
}

// put returns l with the leaf added; crit is the critical bit of its key and
// the key it is nearest to, KeyBits if they are equal.
func (l link[V]) put(added link[V], crit int) link[V] {
	n := l.inner
	if n == nil || int(n.bit) > crit {
		if crit == KeyBits {
			return added
		}
		return join(crit, l, added)
	}
	side := bitAt(&added.leaf.key, int(n.bit))
	kids := n.kids
	kids[side] = kids[side].put(added, crit)
	count := n.count
	if crit < KeyBits {
		count++
	}
	return branch(n.bit, kids, count)
}

// without returns l without key, which it holds.
func (l link[V]) without(key *[32]byte) link[V] {
	n := l.inner
	if n == nil {
		return link[V]{}
	}
	side := bitAt(key, int(n.bit))
	kids := n.kids
	if kids[side].leaf != nil {
		return kids[1-side]
	}
	kids[side] = kids[side].without(key)
	return branch(n.bit, kids, n.count-1)
}

// join returns the parent, at critical bit crit, of a subtree and a leaf.
func join[V Value](crit int, l, added link[V]) link[V] {
	var kids [2]link[V]
	side := bitAt(&added.leaf.key, crit)
	kids[side], kids[1-side] = added, l
	return branch(uint8(crit), kids, uint32(l.len()+1))
}

// branch is told the count: to ask the kids would fetch one more node from
// memory at every level, and that is most of what a change in a large map costs.
func branch[V Value](crit uint8, kids [2]link[V], count uint32) link[V] {
	return link[V]{inner: &inner[V]{kids: kids, bit: crit, count: count}}
}

func (l link[V]) len() int {
	switch {
	case l.inner != nil:
		return int(l.inner.count)
	case l.leaf != nil:
		return 1
	}
	return 0
}

// nearest returns the leaf at the end of key's path (rule 7), nil if l is
// empty. No leaf of l shares a longer prefix with key.
func (l link[V]) nearest(key *[32]byte) *leaf[V] {
	for l.inner != nil {
		l = l.inner.kids[bitAt(key, int(l.inner.bit))]
	}
	return l.leaf
}

// bitAt returns bit i of key (rule 1).
func bitAt(key *[32]byte, i int) int {
	return int(key[i/8]>>(7-i%8)) & 1
}

// criticalBit returns the first bit in which a and b differ, KeyBits if none.
func criticalBit(a, b *[32]byte) int {
	for i := 0; i < 32; i += 8 {
		if x := binary.BigEndian.Uint64(a[i:]) ^ binary.BigEndian.Uint64(b[i:]); x != 0 {
			return 8*i + bits.LeadingZeros64(x)
		}
	}
	return KeyBits
}
