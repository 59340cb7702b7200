package merkle

import (
	"crypto/sha256"
	"encoding/binary"
)

// Tags that keep the preimages of leaves and inner nodes apart (rules 4, 5).
// Canonical DAG-CBOR maps, from which ids are made, begin with neither.
const (
	tagLeaf  = 0x00
	tagInner = 0x01
)

// Root returns the digest of all entries (rule 6). The first call on a new
// version hashes what changed; later calls read the result.
func (m Map[V]) Root() [32]byte {
	var scratch []byte
	return m.tree().sum(&scratch)
}

// Range returns the digest and number of the entries whose keys share their
// first n bits with prefix; its other bits don't matter. n below 0 means 0,
// above 256 means 256. The digest equals the root of a map of just those
// entries, so two nodes hold the same entries there if their digests agree.
// The count is this map's own: no digest commits to it.
func (m Map[V]) Range(prefix [32]byte, n int) (digest [32]byte, count int) {
	var scratch []byte
	t := m.tree().under(&prefix, n)
	return t.sum(&scratch), t.len()
}

// under returns the subtree of exactly the keys that share so many bits with
// prefix.
func (t subtree[V]) under(prefix *[32]byte, bits int) subtree[V] {
	bits = min(bits, KeyBits)
	for t.n != nil && !t.isLeaf() && t.bit() < bits {
		t = t.side(bitAt(prefix, t.bit()))
	}
	// All keys of t agree in their first bits, so any one speaks for all.
	if near := t.nearest(prefix); near == nil || criticalBit(&near.hash, prefix) < bits {
		return subtree[V]{}
	}
	return t
}

// sum returns t's digest. scratch is a buffer for values' encodings, grown as
// needed and reused; t's depth, and so the recursion, is at most KeyBits.
func (t subtree[V]) sum(scratch *[]byte) [32]byte {
	n := t.n
	switch {
	case n == nil:
		return [32]byte{}
	case t.isLeaf():
		return sumLeaf(n.hash, n.sumValue(scratch))
	case t.at > 0: // not kept: its node's is
		return sumInner(t.bit(), t.side(0).sum(scratch), t.side(1).sum(scratch))
	}
	state := n.state.Load()
	if state&(1<<stateBits-1) == filledIn {
		return n.hash
	}
	digest := sumInner(t.bit(), t.side(0).sum(scratch), t.side(1).sum(scratch))
	if free := state &^ (1<<stateBits - 1); n.state.CompareAndSwap(free, free|filling) {
		n.hash = digest
		n.state.Store(free | filledIn)
	}
	return digest
}

// sumValue returns the digest of a leaf's value.
func (n *node[V]) sumValue(scratch *[]byte) [32]byte {
	*scratch = n.val.AppendLeaf((*scratch)[:0])
	return sumValue(*scratch)
}

// sumOfNothing is SHA-256 of the empty string, the value of every set entry.
var sumOfNothing = sha256.Sum256(nil)

func sumValue(encoded []byte) [32]byte {
	if len(encoded) == 0 {
		return sumOfNothing
	}
	return sha256.Sum256(encoded)
}

func sumLeaf(key, value [32]byte) [32]byte {
	var b [1 + 32 + 32]byte
	b[0] = tagLeaf
	copy(b[1:], key[:])
	copy(b[33:], value[:])
	return sha256.Sum256(b[:])
}

func sumInner(crit int, left, right [32]byte) [32]byte {
	var b [1 + 2 + 32 + 32]byte
	b[0] = tagInner
	binary.BigEndian.PutUint16(b[1:], uint16(crit))
	copy(b[3:], left[:])
	copy(b[35:], right[:])
	return sha256.Sum256(b[:])
}
