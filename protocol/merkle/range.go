package merkle

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
)

// A Tree is a [Map] or [Set] seen as encoded leaves, whatever its values are:
// what is sent of it, and proved to whoever knows the root.
type Tree interface {
	Root() [32]byte
	Len() int
	// Cut divides the tree into subtrees, in order, and gives the critical bits
	// between them; see [Join].
	Cut(limit int) (parts []Part, bits []byte)
	// Leaves yields the keys and encoded values of a part in ascending order. A
	// value is valid until the next.
	Leaves(p Part) iter.Seq2[[32]byte, []byte]
}

// A Part is one subtree of a tree that was cut: the entries whose keys share
// their first Bits bits with Prefix.
type Part struct {
	Prefix [32]byte
	Bits   int
	Digest [32]byte // of the subtree (rule 6)
}

// leafOverhead is what a leaf weighs in bytes besides its value: the key, and
// room for the framing of both.
const leafOverhead = 40

// Cut divides m into the fewest subtrees that weigh at most limit bytes each:
// a leaf weighs its value's length and 40. A single leaf may weigh more. bits
// holds, for each part but the first, the critical bit of its first key and
// the last key of the part before. Equal maps are cut alike. An empty map has
// no parts.
func (m Map[V]) Cut(limit int) (parts []Part, bits []byte) {
	if m.Len() == 0 {
		return nil, nil
	}
	c := cutter[V]{limit: limit}
	c.visit(m.tree(), 0)
	for i, p := range c.parts {
		c.parts[i].Digest, _ = m.Range(p.Prefix, p.Bits)
	}
	return c.parts, c.bits
}

// Leaves yields the encoded entries of a part.
func (m Map[V]) Leaves(p Part) iter.Seq2[[32]byte, []byte] {
	return func(yield func([32]byte, []byte) bool) {
		var b []byte
		for key, v := range m.Under(p.Prefix, p.Bits) {
			b = v.AppendLeaf(b[:0])
			if !yield(key, b) {
				return
			}
		}
	}
}

// Cut divides s as [Map.Cut] does.
func (s Set) Cut(limit int) (parts []Part, bits []byte) { return s.m.Cut(limit) }

// Leaves yields the keys of a part, each with the empty value.
func (s Set) Leaves(p Part) iter.Seq2[[32]byte, []byte] { return s.m.Leaves(p) }

type cutter[V Value] struct {
	limit   int
	parts   []Part
	bits    []byte
	scratch []byte
}

// visit appends the parts of t, all of whose keys agree in their first bits, and
// returns its weight. Its depth is at most KeyBits.
func (c *cutter[V]) visit(t subtree[V], agree int) (weight int) {
	if t.isLeaf() {
		c.parts = append(c.parts, Part{Prefix: t.n.hash, Bits: agree})
		c.scratch = t.n.val.AppendLeaf(c.scratch[:0])
		return leafOverhead + len(c.scratch)
	}
	parts, bits, bit := len(c.parts), len(c.bits), t.bit()
	weight = c.visit(t.side(0), bit+1)
	c.bits = append(c.bits, uint8(bit))
	weight += c.visit(t.side(1), bit+1)
	if weight <= c.limit { // then so did each side, and was one part
		c.parts, c.bits = c.parts[:parts+1], c.bits[:bits]
		c.parts[parts].Bits = agree
	}
	return weight
}

// ErrShape is wrapped by [Join] when digests and bits make no tree.
var ErrShape = errors.New("digests and critical bits make no tree")

// Join returns the root of the map whose consecutive subtrees have the given
// digests, with the critical bits between them: the inverse of [Map.Cut]. Since
// a root commits to the shape of all above each subtree, digests and bits that
// join to the root of a map are those of its subtrees.
func Join(digests [][32]byte, bits []byte) (root [32]byte, err error) {
	if len(digests) == 0 && len(bits) == 0 {
		return root, nil
	}
	if len(bits) != len(digests)-1 {
		return root, fmt.Errorf("merkle: joining %d subtrees by %d bits: %w", len(digests), len(bits), ErrShape)
	}
	e := edge{last: digests[0]}
	for i, bit := range bits {
		if !e.add(int(bit), digests[i+1]) {
			return root, fmt.Errorf("merkle: joining subtrees at %d: %w", i, ErrShape)
		}
	}
	return e.fold(-1), nil
}

// Digest returns the digest of encoded entries in strictly ascending order of
// their keys (rules 3 to 5), without making a map of them. Others give an error
// wrapping [ErrUnsorted].
func Digest(entries iter.Seq2[[32]byte, []byte]) ([32]byte, error) {
	var e edge
	var last [32]byte
	n := 0
	for key, value := range entries {
		d := sumLeaf(key, sumValue(value))
		switch {
		case n == 0:
			e.last = d
		case bytes.Compare(last[:], key[:]) >= 0:
			return [32]byte{}, fmt.Errorf("merkle: digesting entries: %w: entry %d", ErrUnsorted, n)
		default:
			e.add(criticalBit(&last, &key), d)
		}
		last = key
		n++
	}
	return e.fold(-1), nil
}

// Decode makes a map of encoded entries in strictly ascending order of their
// keys, each value by one, which must not keep the bytes.
func Decode[V Value](entries iter.Seq2[[32]byte, []byte], one func(key [32]byte, value []byte) (V, error)) (Map[V], error) {
	var bad error
	m, err := FromSorted(func(yield func([32]byte, V) bool) {
		for key, value := range entries {
			v, err := one(key, value)
			if err != nil {
				bad = fmt.Errorf("merkle: decoding entry %x: %w", key, err)
				return
			}
			if !yield(key, v) {
				return
			}
		}
	})
	if err = errors.Join(bad, err); err != nil {
		return Map[V]{}, err
	}
	return m, nil
}

// edge is the right edge of a tree under construction, of digests alone: left
// sides, by strictly ascending critical bit, that wait for their right ones.
type edge struct {
	open []side // at most KeyBits
	last [32]byte
}

type side struct {
	bit    int
	digest [32]byte
}

// add puts a subtree to the right of the last; false if no tree has that bit
// there.
func (e *edge) add(bit int, digest [32]byte) bool {
	left := e.fold(bit)
	if n := len(e.open); n > 0 && e.open[n-1].bit == bit {
		return false
	}
	e.open = append(e.open, side{bit, left})
	e.last = digest
	return true
}

// fold closes the sides below critical bit bit and returns the subtree.
func (e *edge) fold(bit int) [32]byte {
	d := e.last
	for n := len(e.open); n > 0 && e.open[n-1].bit > bit; n-- {
		d = sumInner(e.open[n-1].bit, e.open[n-1].digest, d)
		e.open = e.open[:n-1]
	}
	return d
}
