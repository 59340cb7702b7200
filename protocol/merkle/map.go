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

// node is an entry, or two levels of the binary tree: an inner node whose sides
// are a kid each, or an inner node with two kids. How inner nodes are paired
// depends on what came when, and shows in no digest. What a walk fetches from
// memory at every node is most of what a large map costs: so there is one type,
// to which a reference is one word, with few nodes on a path.
//
// A node is immutable but for its digest, which is filled in at most once:
// whoever moves state from unfilled to filling by compare-and-swap writes hash
// and then stores filledIn, and nobody reads hash before. A leaf's digest is not
// kept: it is wanted again only when its parent is rebuilt.
type node[V Value] struct {
	state atomic.Uint32 // how far the digest is, below the critical bits of the node, its left and its right side
	count uint32        // leaves below; 2^32 entries would need some 400 GiB
	kids  [4]*node[V]   // two a side; both the same where the side is one kid; none in a leaf
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

// pair is the inner node with a critical bit and two sides. It takes in a side
// that is one level of the tree and not two.
func pair[V Value](crit int, left, right *node[V]) *node[V] {
	n := &node[V]{count: left.count + right.count}
	state := uint32(crit)
	for i, kid := range [2]*node[V]{left, right} {
		a, b := kid, kid
		if !kid.isLeaf() && !kid.forks(0) && !kid.forks(1) {
			a, b = kid.kids[0], kid.kids[2]
			state |= uint32(kid.bit(0)) << (8 * (i + 1))
		}
		n.kids[2*i], n.kids[2*i+1] = a, b
	}
	n.state.Store(state << stateBits)
	return n
}

// replaced is n with two kids on a side in place of those it has there, or one
// kid twice; crit is the critical bit of two. It is told the count: to ask the
// kids would fetch one more node from memory at every level.
func (n *node[V]) replaced(side int, crit uint8, kids [2]*node[V], count uint32) *node[V] {
	c := &node[V]{count: count, kids: n.kids}
	c.kids[2*side], c.kids[2*side+1] = kids[0], kids[1]
	shift := 8*(side+1) + stateBits
	c.state.Store(n.state.Load()&^(1<<stateBits-1)&^(0xff<<shift) | uint32(crit)<<shift)
	return c
}

func (n *node[V]) isLeaf() bool { return n.kids[0] == nil }

// forks reports whether a side is an inner node of two kids.
func (n *node[V]) forks(side int) bool { return n.kids[2*side] != n.kids[2*side+1] }

// bit is the critical bit of an inner node at 0, or of its left side at 1, its
// right side at 2, where these fork.
func (n *node[V]) bit(at int) uint8 { return uint8(n.state.Load() >> (stateBits + 8*at)) }

// kidOf is the kid on the path of a key.
func (n *node[V]) kidOf(key *[32]byte) *node[V] {
	bits := n.state.Load() >> stateBits
	side := bitAt(key, int(bits&0xff))
	return n.kids[2*side+bitAt(key, int(bits>>(8*(side+1))&0xff))]
}

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
	if n.above(crit) {
		return fork(crit, n, added)
	}
	count := n.count
	if crit < KeyBits {
		count++
	}
	side := bitAt(&added.hash, int(n.bit(0)))
	bit, kids := n.bit(side+1), [2]*node[V]{n.kids[2*side], n.kids[2*side+1]}
	switch forks := n.forks(side); {
	case forks && int(bit) > crit:
		kids = order(crit, pair(int(bit), kids[0], kids[1]), added)
		bit = uint8(crit)
	case forks:
		at := bitAt(&added.hash, int(bit))
		kids[at] = kids[at].put(added, crit)
	case kids[0].above(crit) && crit < KeyBits:
		kids = order(crit, kids[0], added)
		bit = uint8(crit)
	default:
		kid := kids[0].put(added, crit)
		kids = [2]*node[V]{kid, kid}
	}
	return n.replaced(side, bit, kids, count)
}

// above reports whether what branches off at crit does so above n.
func (n *node[V]) above(crit int) bool { return n.isLeaf() || int(n.bit(0)) > crit }

// without returns n without key, which it holds; nil if that was all.
func (n *node[V]) without(key *[32]byte) *node[V] {
	if n.isLeaf() {
		return nil
	}
	side := bitAt(key, int(n.bit(0)))
	bit, kids := n.bit(side+1), [2]*node[V]{n.kids[2*side], n.kids[2*side+1]}
	if n.forks(side) {
		at := bitAt(key, int(bit))
		if kids[at] = kids[at].without(key); kids[at] == nil {
			kids[at] = kids[1-at]
		}
		return n.replaced(side, bit, kids, n.count-1)
	}
	if kid := kids[0].without(key); kid != nil {
		return n.replaced(side, bit, [2]*node[V]{kid, kid}, n.count-1)
	}
	other := 1 - side
	if !n.forks(other) {
		return n.kids[2*other]
	}
	return pair(int(n.bit(other+1)), n.kids[2*other], n.kids[2*other+1])
}

// fork returns the parent, at critical bit crit, of a subtree and a leaf.
func fork[V Value](crit int, n, added *node[V]) *node[V] {
	kids := order(crit, n, added)
	return pair(crit, kids[0], kids[1])
}

// order puts a subtree and a leaf, which part at crit, on their sides.
func order[V Value](crit int, n, added *node[V]) (kids [2]*node[V]) {
	side := bitAt(&added.hash, crit)
	kids[side], kids[1-side] = added, n
	return kids
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
		n = n.kidOf(key)
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
