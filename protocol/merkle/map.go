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
	root *node[V]
}

// node is a subtree: an inner node, or a leaf, which has no kids; a nil node is
// nothing. Both are one type so that a reference is one word and a node one line
// of cache: what a walk fetches from memory at every level is most of what a
// large map costs.
//
// It is immutable but for the digest of an inner node, which is filled in at
// most once: whoever moves state from unfilled to filling by compare-and-swap
// writes hash and then stores filledIn, and nobody reads hash before. A leaf's
// digest is not kept: it is wanted again only when its parent is rebuilt.
type node[V Value] struct {
	kids  [2]*node[V]
	state atomic.Uint32 // the critical bit, above how far the digest is
	count uint32        // leaves below; 2^32 entries would need some 400 GiB
	val   V             // of a leaf; not last, as Go pads a struct that ends in an empty field
	hash  [32]byte      // an inner node's digest, a leaf's key
}

const (
	filling = iota + 1 // 0: unfilled
	filledIn

	stateBits = 2
)

// newLeaf is the subtree of one entry.
func newLeaf[V Value](key [32]byte, v V) *node[V] {
	return &node[V]{count: 1, val: v, hash: key}
}

// branch is told the count: to ask the kids would fetch one more node from
// memory at every level.
func branch[V Value](crit uint8, kids [2]*node[V], count uint32) *node[V] {
	n := &node[V]{kids: kids, count: count}
	n.state.Store(uint32(crit) << stateBits) // unfilled
	return n
}

func (n *node[V]) isLeaf() bool { return n.kids[0] == nil }

// bit is the critical bit of an inner node.
func (n *node[V]) bit() uint8 { return uint8(n.state.Load() >> stateBits) }

// Len returns the number of entries.
func (m Map[V]) Len() int { return m.root.len() }

// Get returns the value of key and whether there is one.
func (m Map[V]) Get(key [32]byte) (v V, ok bool) {
	l := m.root.nearest(&key)
	if l == nil || l.hash != key {
		return v, false
	}
	return l.val, true
}

// Has reports whether there is an entry for key.
func (m Map[V]) Has(key [32]byte) bool {
	l := m.root.nearest(&key)
	return l != nil && l.hash == key
}

// Put returns m with key mapped to v, in place of the value it had, if any.
func (m Map[V]) Put(key [32]byte, v V) Map[V] {
	added := newLeaf(key, v)
	near := m.root.nearest(&key)
	if near == nil {
		return Map[V]{added}
	}
	return Map[V]{m.root.put(added, criticalBit(&near.hash, &key))}
}

// Delete returns m without key; m itself if it has no such entry.
func (m Map[V]) Delete(key [32]byte) Map[V] {
	if !m.Has(key) {
		return m
	}
	return Map[V]{m.root.without(&key)}
}

// put returns n with the leaf added; crit is the critical bit of its key and
// the key it is nearest to, KeyBits if they are equal.
func (n *node[V]) put(added *node[V], crit int) *node[V] {
	if n.isLeaf() && crit == KeyBits {
		return added
	}
	if n.isLeaf() || int(n.bit()) > crit {
		return join(crit, n, added)
	}
	bit, kids, count := n.bit(), n.kids, n.count
	side := bitAt(&added.hash, int(bit))
	kids[side] = kids[side].put(added, crit)
	if crit < KeyBits {
		count++
	}
	return branch(bit, kids, count)
}

// without returns n without key, which it holds; nil if that was all.
func (n *node[V]) without(key *[32]byte) *node[V] {
	if n.isLeaf() {
		return nil
	}
	kids := n.kids
	side := bitAt(key, int(n.bit()))
	if kids[side] = kids[side].without(key); kids[side] == nil {
		return kids[1-side]
	}
	return branch(n.bit(), kids, n.count-1)
}

// join returns the parent, at critical bit crit, of a subtree and a leaf.
func join[V Value](crit int, n, added *node[V]) *node[V] {
	var kids [2]*node[V]
	side := bitAt(&added.hash, crit)
	kids[side], kids[1-side] = added, n
	return branch(uint8(crit), kids, n.count+1)
}

func (n *node[V]) len() int {
	if n == nil {
		return 0
	}
	return int(n.count)
}

// nearest returns the leaf at the end of key's path (rule 7), nil if n is
// nothing. No leaf of n shares a longer prefix with key.
func (n *node[V]) nearest(key *[32]byte) *node[V] {
	if n == nil {
		return nil
	}
	for !n.isLeaf() {
		n = n.kids[bitAt(key, int(n.bit()))]
	}
	return n
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
